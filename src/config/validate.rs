//! Whether the values of all files go together; what they come to.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::error::ConfigError;
use super::fragment::{BuildxParts, DaemonParts, Fragment, NamedOverride, NamedTargets, RuleParts};
use super::origin::{Located, Origin};
use super::reader::join;
use super::settings::{Buildx, CustomRule, Daemon, Override, Settings, Sources, Targets};
use crate::rule::{Magic, MagicError, Matcher, Name, PartError, Rule};
use crate::target::{Table, Target, UnknownTarget};

/// Whether everything could be read. If not, a missing value or target may be in the file that could not be read, so
/// it is not reported.
#[derive(Debug, Clone, Copy)]
pub(super) struct Whole {
    pub(super) settings: bool,
    pub(super) table: bool,
}

/// Checks the values against each other and the table.
pub(super) fn validate(
    fragment: Fragment,
    table: Table,
    files: Vec<PathBuf>,
    whole: Whole,
) -> Result<Settings, Vec<ConfigError>> {
    let defaults = Settings::defaults(table);
    let mut check =
        Validator { table: &defaults.table, whole, origins: BTreeMap::new(), errors: Vec::new() };
    let targets = match check.place("targets", fragment.targets) {
        None => defaults.targets,
        Some(NamedTargets::Auto) => Targets::Auto,
        Some(NamedTargets::List(names)) => Targets::List(check.targets(&names)),
    };
    let interpreter_directories = check
        .place("interpreter-directories", fragment.interpreter_directories)
        .unwrap_or(defaults.interpreter_directories);
    let verify = check.place("verify", fragment.verify).unwrap_or(defaults.verify);
    let credentials =
        check.place("credentials", fragment.credentials).unwrap_or(defaults.credentials);
    let preserve_argv0 =
        check.place("preserve-argv0", fragment.preserve_argv0).unwrap_or(defaults.preserve_argv0);
    let daemon = check.daemon(fragment.daemon, &defaults.daemon);
    let buildx = check.buildx(fragment.buildx, defaults.buildx);
    let overrides = check.overrides(fragment.overrides);
    let rules =
        fragment.rules.into_iter().filter_map(|(name, parts)| check.rule(&name, parts)).collect();
    let Validator { origins, mut errors, .. } = check;
    if !errors.is_empty() {
        let place = |error: &ConfigError| files.iter().position(|file| *file == error.file);
        errors.sort_by_key(|error| (place(error), error.line));
        return Err(errors);
    }
    Ok(Settings {
        targets,
        interpreter_directories,
        verify,
        credentials,
        preserve_argv0,
        overrides,
        rules,
        daemon,
        buildx,
        table: defaults.table,
        sources: Sources { files, origins },
    })
}

struct Validator<'t> {
    table: &'t Table,
    whole: Whole,
    origins: BTreeMap<String, Origin>,
    errors: Vec<ConfigError>,
}

impl<'t> Validator<'t> {
    /// Records where a value comes from and returns the value.
    fn place<T>(&mut self, key: &str, value: Option<Located<T>>) -> Option<T> {
        let Located { value, origin } = value?;
        self.origins.insert(key.to_owned(), origin);
        Some(value)
    }

    /// Looks a target up by any of its names.
    fn target(&mut self, name: &Located<String>, key: &str) -> Option<&'t Target> {
        match self.table.find(&name.value) {
            Ok(target) => Some(target),
            Err(unknown) => {
                if self.whole.table {
                    self.errors.push(ConfigError::at(&name.origin, key, sentence(&unknown)));
                }
                None
            }
        }
    }

    fn targets(&mut self, names: &[Located<String>]) -> Vec<String> {
        let mut found = Vec::new();
        for name in names {
            if let Some(target) = self.target(name, "targets")
                && !found.contains(&target.name)
            {
                found.push(target.name.clone());
            }
        }
        found
    }

    fn daemon(&mut self, parts: DaemonParts, defaults: &Daemon) -> Daemon {
        let backstop = self.place("daemon.backstop-minutes", parts.backstop);
        let pause_after = self.place("daemon.pause-after", parts.pause_after);
        let longest_pause = self.place("daemon.longest-pause-seconds", parts.longest_pause);
        Daemon {
            backstop: backstop.unwrap_or(defaults.backstop),
            pause_after: pause_after.unwrap_or(defaults.pause_after),
            longest_pause: longest_pause.unwrap_or(defaults.longest_pause),
            metrics_file: self.place("daemon.metrics-file", parts.metrics_file),
        }
    }

    fn buildx(&mut self, parts: BuildxParts, defaults: Buildx) -> Buildx {
        let driver_options = parts.driver_options.into_iter().filter_map(|(name, value)| {
            let value = self.place(&join("buildx.driver-options", &name), Some(value))?;
            Some((name, value))
        });
        Buildx {
            driver_options: driver_options.collect(),
            name: self.place("buildx.name", parts.name).unwrap_or(defaults.name),
            platforms: match self.place("buildx.platforms", parts.platforms) {
                None | Some(NamedTargets::Auto) => None,
                Some(NamedTargets::List(names)) => Some(self.platforms(&names)),
            },
            buildkitd_flags: self.place("buildx.buildkitd-flags", parts.buildkitd_flags),
            buildkitd_config: self.place("buildx.buildkitd-config", parts.buildkitd_config),
        }
    }

    fn platforms(&mut self, names: &[Located<String>]) -> Vec<String> {
        let key = "buildx.platforms";
        let mut found = Vec::new();
        for name in names {
            let Some(target) = self.target(name, key) else { continue };
            match target.platform(&name.value).map(str::to_owned) {
                Some(platform) if found.contains(&platform) => {}
                Some(platform) => found.push(platform),
                None if self.whole.table => {
                    let target = &target.name;
                    let problem = format!(
                        "target {target} has no name in images: Docker cannot build for it"
                    );
                    self.errors.push(ConfigError::at(&name.origin, key, problem));
                }
                None => {}
            }
        }
        found
    }

    fn overrides(&mut self, all: Vec<NamedOverride>) -> BTreeMap<String, Override> {
        let mut overrides = BTreeMap::<String, Override>::new();
        for NamedOverride { name, interpreter, flags } in all {
            let key = join("target", &name.value);
            let Some(target) = self.target(&name, &key) else { continue };
            let target = &target.name;
            let canonical = join("target", target);
            for (part, origin) in [
                ("interpreter", interpreter.as_ref().map(|located| &located.origin)),
                ("flags", flags.as_ref().map(|located| &located.origin)),
            ] {
                // Two names for one target in one file are a contradiction; in a later file they override.
                if let Some(origin) = origin
                    && let Some(earlier) = self.origins.get(&join(&canonical, part))
                    && earlier.file == origin.file
                {
                    let problem = format!(
                        "{target} has it already, in line {}; keep one of them",
                        earlier.line
                    );
                    self.errors.push(ConfigError::at(origin, join(&key, part), problem));
                }
            }
            let slot = overrides.entry(target.clone()).or_default();
            let interpreter = self.place(&join(&canonical, "interpreter"), interpreter);
            slot.interpreter = interpreter.or(slot.interpreter.take());
            slot.flags = self.place(&join(&canonical, "flags"), flags).or(slot.flags);
        }
        overrides
    }

    fn rule(&mut self, name: &str, parts: RuleParts) -> Option<CustomRule> {
        let key = join("rule", name);
        let origin = parts.origin.clone();
        match self.built(name, &key, parts) {
            Ok(rule) => Some(CustomRule { rule, origin }),
            Err(error) => {
                if self.whole.settings {
                    self.errors.push(error);
                }
                None
            }
        }
    }

    fn built(&mut self, name: &str, key: &str, parts: RuleParts) -> Result<Rule, ConfigError> {
        let RuleParts { origin, magic, mask, offset, extension, interpreter, flags } = parts;
        let bad = |problem: String| ConfigError::at(&origin, key, problem);
        let rule_name: Name = name.parse().map_err(|error: PartError| bad(error.to_string()))?;
        let of_target = self
            .table
            .targets()
            .iter()
            .find(|target| target.rules().iter().any(|(taken, _)| *taken == rule_name));
        if let Some(target) = of_target {
            let name = &target.name;
            return Err(bad(format!(
                "this is the rule of target {name}; use [target.{name}], or another name"
            )));
        }
        let Some(interpreter) = self.place(&join(key, "interpreter"), interpreter) else {
            return Err(bad("there is no interpreter; give its absolute path".to_owned()));
        };
        let flags = self.place(&join(key, "flags"), flags).unwrap_or_default();
        let matcher = match (magic, extension) {
            (Some(magic), None) => Matcher::Magic(self.magic(key, magic, mask, offset)?),
            (None, Some(extension)) => {
                for (part, origin) in [
                    ("mask", mask.map(|mask| mask.origin)),
                    ("offset", offset.map(|offset| offset.origin)),
                ] {
                    if let Some(origin) = origin {
                        let problem = format!(
                            "an extension has no {part}; give magic instead, or remove this"
                        );
                        return Err(ConfigError::at(&origin, join(key, part), problem));
                    }
                }
                let extension = self.place(&join(key, "extension"), Some(extension));
                Matcher::Extension(
                    extension.ok_or_else(|| bad("there is no extension".to_owned()))?,
                )
            }
            (Some(magic), Some(extension)) => {
                let problem =
                    format!("there is a magic too, at {}; keep one of them", magic.origin);
                return Err(ConfigError::at(&extension.origin, join(key, "extension"), problem));
            }
            (None, None) => {
                return Err(bad("there is neither magic nor extension; give one".to_owned()));
            }
        };
        Rule::new(rule_name, matcher, interpreter, flags).map_err(|error| bad(error.to_string()))
    }

    fn magic(
        &mut self,
        key: &str,
        magic: Located<Vec<u8>>,
        mask: Option<Located<Vec<u8>>>,
        offset: Option<Located<usize>>,
    ) -> Result<Magic, ConfigError> {
        let origin = magic.origin.clone();
        let keys = ["magic", "mask", "offset"].map(|part| join(key, part));
        let magic = self.place(&keys[0], Some(magic)).unwrap_or_default();
        let mask = self.place(&keys[1], mask);
        let offset = self.place(&keys[2], offset).unwrap_or_default();
        Magic::new(offset, magic, mask).map_err(|error| {
            let key = match error {
                MagicError::Lengths { .. } | MagicError::ZeroMask => &keys[1],
                MagicError::Reach { .. } => &keys[2],
                MagicError::Empty => &keys[0],
            };
            // A part that is not written is a fault of the magic.
            match self.origins.get(key) {
                Some(origin) => ConfigError::at(origin, key, error.to_string()),
                None => ConfigError::at(&origin, &keys[0], error.to_string()),
            }
        })
    }
}

fn sentence(unknown: &UnknownTarget) -> String {
    match unknown.nearest {
        Some(_) => unknown.to_string(),
        None => format!("{unknown} (\"binfmtd targets\" lists them)"),
    }
}
