//! What one file says, and several laid over each other.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::origin::{Located, Origin};
use super::values::{PreserveArgv0, Verify};
use crate::rule::{Extension, Flags, InterpreterPath};

/// What one file says, or several laid over each other: every value is well-formed by itself, and
/// knows where it was written. Whether they go together is seen when all files are there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fragment {
    pub(super) targets: Option<Located<NamedTargets>>,
    pub(super) interpreter_directories: Option<Located<Vec<PathBuf>>>,
    pub(super) verify: Option<Located<Verify>>,
    pub(super) credentials: Option<Located<bool>>,
    pub(super) preserve_argv0: Option<Located<PreserveArgv0>>,
    pub(super) daemon: DaemonParts,
    pub(super) buildx: BuildxParts,
    /// In the order of reading: a target may go by several names, and the last one wins.
    pub(super) overrides: Vec<NamedOverride>,
    pub(super) rules: BTreeMap<String, RuleParts>,
}

/// `targets` or `platforms`, by whatever names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NamedTargets {
    Auto,
    List(Vec<Located<String>>),
}

/// `[daemon]`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct DaemonParts {
    pub(super) backstop: Option<Located<Option<Duration>>>,
    pub(super) pause_after: Option<Located<u32>>,
    pub(super) longest_pause: Option<Located<Duration>>,
    pub(super) metrics_file: Option<Located<PathBuf>>,
}

/// `[buildx]`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct BuildxParts {
    pub(super) name: Option<Located<String>>,
    pub(super) platforms: Option<Located<NamedTargets>>,
    pub(super) driver_options: BTreeMap<String, Located<String>>,
    pub(super) buildkitd_flags: Option<Located<String>>,
    pub(super) buildkitd_config: Option<Located<PathBuf>>,
}

/// `[target.NAME]`, by whatever name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NamedOverride {
    pub(super) name: Located<String>,
    pub(super) interpreter: Option<Located<InterpreterPath>>,
    pub(super) flags: Option<Located<Flags>>,
}

/// `[rule.NAME]`, complete or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RuleParts {
    pub(super) origin: Origin,
    pub(super) magic: Option<Located<Vec<u8>>>,
    pub(super) mask: Option<Located<Vec<u8>>>,
    pub(super) offset: Option<Located<usize>>,
    pub(super) extension: Option<Located<Extension>>,
    pub(super) interpreter: Option<Located<InterpreterPath>>,
    pub(super) flags: Option<Located<Flags>>,
}

impl Fragment {
    /// Lays a later file over this one, key by key; a list replaces a list.
    #[must_use]
    pub(super) fn overridden_by(mut self, later: Self) -> Self {
        self.overrides.extend(later.overrides);
        for (name, later) in later.rules {
            let rule = match self.rules.remove(&name) {
                Some(earlier) => earlier.overridden_by(later),
                None => later,
            };
            self.rules.insert(name, rule);
        }
        Self {
            targets: later.targets.or(self.targets),
            interpreter_directories: later.interpreter_directories.or(self.interpreter_directories),
            verify: later.verify.or(self.verify),
            credentials: later.credentials.or(self.credentials),
            preserve_argv0: later.preserve_argv0.or(self.preserve_argv0),
            daemon: self.daemon.overridden_by(later.daemon),
            buildx: self.buildx.overridden_by(later.buildx),
            overrides: self.overrides,
            rules: self.rules,
        }
    }
}

impl DaemonParts {
    fn overridden_by(self, later: Self) -> Self {
        Self {
            backstop: later.backstop.or(self.backstop),
            pause_after: later.pause_after.or(self.pause_after),
            longest_pause: later.longest_pause.or(self.longest_pause),
            metrics_file: later.metrics_file.or(self.metrics_file),
        }
    }
}

impl BuildxParts {
    fn overridden_by(mut self, later: Self) -> Self {
        self.driver_options.extend(later.driver_options);
        Self {
            name: later.name.or(self.name),
            platforms: later.platforms.or(self.platforms),
            driver_options: self.driver_options,
            buildkitd_flags: later.buildkitd_flags.or(self.buildkitd_flags),
            buildkitd_config: later.buildkitd_config.or(self.buildkitd_config),
        }
    }
}

impl RuleParts {
    fn overridden_by(self, later: Self) -> Self {
        Self {
            origin: later.origin,
            magic: later.magic.or(self.magic),
            mask: later.mask.or(self.mask),
            offset: later.offset.or(self.offset),
            extension: later.extension.or(self.extension),
            interpreter: later.interpreter.or(self.interpreter),
            flags: later.flags.or(self.flags),
        }
    }
}
