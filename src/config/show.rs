//! The settings in force, each with where it comes from.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use toml::Value;

use super::origin::Origin;
use super::reader::{join, key_text};
use super::settings::{Buildx, Daemon, Settings, Targets};
use crate::rule::Matcher;
use crate::shown::plain;

/// The settings in force. As text, a configuration file with the same meaning; as JSON, an object of `files`,
/// `settings`, `daemon`, `buildx`, `target` and `rule`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Shown {
    /// Every file that was read, in that order.
    pub files: Vec<String>,
    pub settings: BTreeMap<&'static str, ShownValue>,
    /// `[daemon]`; without `metrics-file` when none is set, as its default is the runtime folder's.
    pub daemon: BTreeMap<&'static str, ShownValue>,
    /// `[buildx]`.
    pub buildx: ShownBuildx,
    /// `[target.NAME]`, by QEMU's names.
    pub target: BTreeMap<String, BTreeMap<&'static str, ShownValue>>,
    /// `[rule.NAME]`; magic and mask as hex digits.
    pub rule: BTreeMap<String, BTreeMap<&'static str, ShownValue>>,
}

/// `[buildx]`, without the keys that are not set and have no default.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ShownBuildx {
    /// All keys but `driver-options`.
    #[serde(flatten)]
    pub settings: BTreeMap<&'static str, ShownValue>,
    /// `[buildx.driver-options]`, by the options' names.
    pub driver_options: BTreeMap<String, ShownValue>,
}

/// A value and where it comes from.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ShownValue {
    /// The value, as a configuration file has it.
    pub value: Value,
    /// Where it was written; `None` for a default.
    pub origin: Option<Origin>,
}

impl Settings {
    pub fn show(&self) -> Shown {
        let text = |text: &dyn fmt::Display| Value::String(text.to_string());
        let shown = |key: String, value: Value| {
            let origin = self.sources.origins.get(&key).cloned();
            ShownValue { value, origin }
        };
        let auto_or = |names: Option<&Vec<String>>| match names {
            None => text(&"auto"),
            Some(names) => Value::Array(names.iter().map(|name| text(name)).collect()),
        };
        let targets = match &self.targets {
            Targets::Auto => None,
            Targets::List(names) => Some(names),
        };
        let directories = self.interpreter_directories.iter();
        let directories = directories.map(|path| text(&path.display())).collect();
        let general = vec![
            ("targets", Some(auto_or(targets))),
            ("interpreter-directories", Some(Value::Array(directories))),
            ("verify", Some(text(&self.verify.as_str()))),
            ("credentials", Some(Value::Boolean(self.credentials))),
            ("preserve-argv0", Some(text(&self.preserve_argv0.as_str()))),
        ];
        let within = |section: &str, values: Vec<(&'static str, Option<Value>)>| {
            values
                .into_iter()
                .filter_map(|(key, value)| Some((key, shown(join(section, key), value?))))
                .collect()
        };
        let table = |section: &str, name: &str, values: Vec<(&'static str, Option<Value>)>| {
            (name.to_owned(), within(&join(section, name), values))
        };
        let Daemon { backstop, pause_after, longest_pause, metrics_file } = &self.daemon;
        let whole = |number: u64| i64::try_from(number).ok().map(Value::Integer);
        let daemon = vec![
            ("backstop-minutes", whole(backstop.map_or(0, |backstop| backstop.as_secs() / 60))),
            ("pause-after", whole(u64::from(*pause_after))),
            ("longest-pause-seconds", whole(longest_pause.as_secs())),
            ("metrics-file", metrics_file.as_ref().map(|path| text(&path.display()))),
        ];
        let Buildx { name, platforms, driver_options, buildkitd_flags, buildkitd_config } =
            &self.buildx;
        let buildx = vec![
            ("name", Some(text(name))),
            ("platforms", Some(auto_or(platforms.as_ref()))),
            ("buildkitd-flags", buildkitd_flags.as_ref().map(|flags| text(flags))),
            ("buildkitd-config", buildkitd_config.as_ref().map(|path| text(&path.display()))),
        ];
        let driver_options = driver_options.iter().map(|(name, value)| {
            (name.clone(), shown(join("buildx.driver-options", name), text(value)))
        });
        let target = self.overrides.iter().map(|(name, special)| {
            let interpreter = special.interpreter.as_ref().map(|path| text(path));
            let flags = special.flags.as_ref().map(|flags| text(flags));
            table("target", name, vec![("interpreter", interpreter), ("flags", flags)])
        });
        let rule = self.rules.iter().map(|custom| {
            let rule = &custom.rule;
            let mut values = vec![
                ("interpreter", Some(text(rule.interpreter()))),
                ("flags", Some(text(&rule.flags()))),
            ];
            match rule.matcher() {
                Matcher::Extension(extension) => {
                    values.push(("extension", Some(text(&extension.as_str()))));
                }
                Matcher::Magic(magic) => values.extend([
                    ("magic", Some(text(&magic.magic_hex()))),
                    ("mask", Some(text(&magic.mask_hex()))),
                    ("offset", i64::try_from(magic.offset()).ok().map(Value::Integer)),
                ]),
            }
            table("rule", rule.name().as_str(), values)
        });
        Shown {
            files: self.sources.files.iter().map(|file| plain(&**file)).collect(),
            settings: within("", general),
            daemon: within("daemon", daemon),
            buildx: ShownBuildx {
                settings: within("buildx", buildx),
                driver_options: driver_options.collect(),
            },
            target: target.collect(),
            rule: rule.collect(),
        }
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.files.is_empty() {
            writeln!(f, "# no file: all defaults")?;
        }
        for file in &self.files {
            writeln!(f, "# {file}")?;
        }
        writeln!(f)?;
        values(f, &self.settings)?;
        writeln!(f, "\n[daemon]")?;
        values(f, &self.daemon)?;
        writeln!(f, "\n[buildx]")?;
        values(f, &self.buildx.settings)?;
        if !self.buildx.driver_options.is_empty() {
            writeln!(f, "\n[buildx.driver-options]")?;
            values(f, &self.buildx.driver_options)?;
        }
        for (section, tables) in [("target", &self.target), ("rule", &self.rule)] {
            for (name, table) in tables {
                writeln!(f, "\n[{section}.{}]", key_text(name))?;
                values(f, table)?;
            }
        }
        Ok(())
    }
}

fn values<K: AsRef<str>>(
    f: &mut fmt::Formatter<'_>,
    values: &BTreeMap<K, ShownValue>,
) -> fmt::Result {
    for (key, shown) in values {
        write!(f, "{} = {} # ", key_text(key.as_ref()), shown.value)?;
        match &shown.origin {
            Some(origin) => writeln!(f, "{origin}")?,
            None => writeln!(f, "default")?,
        }
    }
    Ok(())
}
