//! The settings that follow from all files together.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::origin::Origin;
use super::values::{PreserveArgv0, Verify};
use crate::rule::{Flags, InterpreterPath, Rule};
use crate::target::Table;

/// Where QEMU's user-mode emulators are installed: local builds first, then packages, then the links that Debian
/// keeps for its rules.
const INTERPRETER_DIRECTORIES: [&str; 3] =
    ["/usr/local/bin", "/usr/bin", "/usr/libexec/qemu-binfmt"];

/// The configuration, complete and consistent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    pub targets: Targets,
    /// Where to look for interpreters, best first.
    pub interpreter_directories: Vec<PathBuf>,
    pub verify: Verify,
    /// Whether rules of targets get the flag `C`: set-user-ID programs keep their rights.
    pub credentials: bool,
    /// Whether rules of targets get the flag `P`.
    pub preserve_argv0: PreserveArgv0,
    /// What is special about a target, by QEMU's name.
    pub overrides: BTreeMap<String, Override>,
    /// Rules that do not belong to a target, sorted by name.
    pub rules: Vec<CustomRule>,
    pub daemon: Daemon,
    pub buildx: Buildx,
    /// All known targets, including those of `tables.d`.
    pub table: Table,
    pub sources: Sources,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Targets {
    /// Every target that has an interpreter and that the host does not run itself.
    Auto,
    /// QEMU's names in the order given, without duplicates.
    List(Vec<String>),
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Override {
    /// Use this file instead of looking for one.
    pub interpreter: Option<InterpreterPath>,
    /// Replaces the flags that follow from the other settings.
    pub flags: Option<Flags>,
}

/// A rule that does not belong to a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomRule {
    pub rule: Rule,
    /// Where the rule's table begins, in the last file that has it.
    pub origin: Origin,
}

/// `[daemon]`: how the service works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Daemon {
    /// Time without an event after which the service checks everything; `None`: it only reacts to events.
    pub backstop: Option<Duration>,
    /// How many times in a row others may undo the service's work before it pauses; 0: it pauses at once.
    pub pause_after: u32,
    /// Each pause is longer than the one before, up to this.
    pub longest_pause: Duration,
    /// The file for the `OpenMetrics` text; `None`: metrics.prom in the runtime folder.
    pub metrics_file: Option<PathBuf>,
}

impl Default for Daemon {
    fn default() -> Self {
        Self {
            backstop: Some(Duration::from_secs(15 * 60)),
            pause_after: 10,
            longest_pause: Duration::from_secs(5 * 60),
            metrics_file: None,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Buildx {
    /// In lower case, as buildx keeps names.
    pub name: String,
    /// OCI's names in the order given, without duplicates; `None`: all platforms that work on the kernel.
    pub platforms: Option<Vec<String>>,
    /// Options of the driver `docker-container`, by name: `network`, `env.HTTP_PROXY`.
    pub driver_options: BTreeMap<String, String>,
    /// Flags for buildkitd, in one line as for a shell.
    pub buildkitd_flags: Option<String>,
    /// An absolute path, which may not exist.
    pub buildkitd_config: Option<PathBuf>,
}

impl Default for Buildx {
    fn default() -> Self {
        Self {
            name: "binfmtd".to_owned(),
            platforms: None,
            driver_options: BTreeMap::new(),
            buildkitd_flags: None,
            buildkitd_config: None,
        }
    }
}

/// Where the settings were written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sources {
    /// Every file that was read, in that order.
    pub files: Vec<PathBuf>,
    /// Each value that is not a default, by its key in TOML's spelling: `target.aarch64.flags`.
    pub origins: BTreeMap<String, Origin>,
}

impl Settings {
    /// The settings without any file, for these targets.
    pub(super) fn defaults(table: Table) -> Self {
        Self {
            targets: Targets::Auto,
            interpreter_directories: INTERPRETER_DIRECTORIES.map(PathBuf::from).to_vec(),
            verify: Verify::Before,
            credentials: false,
            preserve_argv0: PreserveArgv0::Auto,
            overrides: BTreeMap::new(),
            rules: Vec::new(),
            daemon: Daemon::default(),
            buildx: Buildx::default(),
            table,
            sources: Sources::default(),
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self::defaults(Table::embedded())
    }
}
