//! The settings in force, each with where it comes from.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use toml::Value;

use super::fragment::{join, key_text};
use super::origin::{Origin, plain};
use super::settings::{Daemon, Settings, Targets};
use crate::rule::Matcher;

/// The settings in force. As text it is a configuration file that says the same, as JSON an object
/// of `files`, `settings`, `daemon`, `target` and `rule`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Shown {
    /// Every file that was read, in that order.
    pub files: Vec<String>,
    /// The general keys.
    pub settings: BTreeMap<&'static str, ShownValue>,
    /// `[daemon]`; without `metrics-file` when none is set, as its default is the runtime folder's.
    pub daemon: BTreeMap<&'static str, ShownValue>,
    /// `[target.NAME]`, by QEMU's names.
    pub target: BTreeMap<String, BTreeMap<&'static str, ShownValue>>,
    /// `[rule.NAME]`; magic and mask as hex digits.
    pub rule: BTreeMap<String, BTreeMap<&'static str, ShownValue>>,
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
    /// The settings in force.
    pub fn show(&self) -> Shown {
        let text = |text: &dyn fmt::Display| Value::String(text.to_string());
        let shown = |key: String, value: Value| {
            let origin = self.sources.origins.get(&key).cloned();
            ShownValue { value, origin }
        };
        let general = [
            (
                "targets",
                match &self.targets {
                    Targets::Auto => text(&"auto"),
                    Targets::List(names) => {
                        Value::Array(names.iter().map(|name| text(name)).collect())
                    }
                },
            ),
            (
                "interpreter-directories",
                Value::Array(
                    self.interpreter_directories.iter().map(|path| text(&path.display())).collect(),
                ),
            ),
            ("verify", text(&self.verify.as_str())),
            ("credentials", Value::Boolean(self.credentials)),
            ("preserve-argv0", text(&self.preserve_argv0.as_str())),
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
            files: self.sources.files.iter().map(|file| plain(file)).collect(),
            settings: general
                .into_iter()
                .map(|(key, value)| (key, shown(key.to_owned(), value)))
                .collect(),
            daemon: within("daemon", daemon),
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
        for (section, tables) in [("target", &self.target), ("rule", &self.rule)] {
            for (name, table) in tables {
                writeln!(f, "\n[{section}.{}]", key_text(name))?;
                values(f, table)?;
            }
        }
        Ok(())
    }
}

fn values(f: &mut fmt::Formatter<'_>, values: &BTreeMap<&'static str, ShownValue>) -> fmt::Result {
    for (key, shown) in values {
        write!(f, "{key} = {} # ", shown.value)?;
        match &shown.origin {
            Some(origin) => writeln!(f, "{origin}")?,
            None => writeln!(f, "default")?,
        }
    }
    Ok(())
}
