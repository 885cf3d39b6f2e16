//! What all files together come to.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::origin::Origin;
use super::values::{PreserveArgv0, Verify};
use crate::rule::{Flags, InterpreterPath, Rule};
use crate::target::Table;

/// Where distributions and people put QEMU's user mode: one's own build first, then packages, then
/// the links that Debian keeps for its rules.
const INTERPRETER_DIRECTORIES: [&str; 3] =
    ["/usr/local/bin", "/usr/bin", "/usr/libexec/qemu-binfmt"];

/// The configuration, complete and consistent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Which targets are wanted.
    pub targets: Targets,
    /// Where interpreters are looked for, best first.
    pub interpreter_directories: Vec<PathBuf>,
    /// When a rule is tried.
    pub verify: Verify,
    /// Whether rules of targets get the flag `C`: set-user-ID programs keep their rights.
    pub credentials: bool,
    /// Whether rules of targets get the flag `P`.
    pub preserve_argv0: PreserveArgv0,
    /// What is special about a target, by QEMU's name.
    pub overrides: BTreeMap<String, Override>,
    /// Rules for anything else, by name.
    pub rules: Vec<CustomRule>,
    /// How the service goes about it.
    pub daemon: Daemon,
    /// The builder.
    pub buildx: Buildx,
    /// The targets that there are, those of `tables.d` included.
    pub table: Table,
    /// Where all this was written.
    pub sources: Sources,
}

/// Which targets are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Targets {
    /// Each that has an interpreter, less what the host runs itself.
    Auto,
    /// These, by QEMU's names; none twice, in the order given.
    List(Vec<String>),
}

/// What is special about one target.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Override {
    /// Its interpreter, instead of looking for one.
    pub interpreter: Option<InterpreterPath>,
    /// Its flags, all of them, instead of what the other settings make of them.
    pub flags: Option<Flags>,
}

/// A rule that no target gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomRule {
    /// The rule.
    pub rule: Rule,
    /// Where its table begins, in the last file that has it.
    pub origin: Origin,
}

/// How the service goes about it: `[daemon]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Daemon {
    /// How long it may be since the last full check without any event; `None`: never by the clock.
    pub backstop: Option<Duration>,
    /// How often others may undo our work in a row before pauses begin; 0: they begin at once.
    pub pause_after: u32,
    /// The longest of the growing pauses.
    pub longest_pause: Duration,
    /// Where the `OpenMetrics` text goes; `None`: metrics.prom in the runtime folder.
    pub metrics_file: Option<PathBuf>,
}

impl Default for Daemon {
    /// What holds without any file.
    fn default() -> Self {
        Self {
            backstop: Some(Duration::from_secs(15 * 60)),
            pause_after: 10,
            longest_pause: Duration::from_secs(5 * 60),
            metrics_file: None,
        }
    }
}

/// The builder: `[buildx]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Buildx {
    /// Its name, as buildx keeps it: without capitals.
    pub name: String,
    /// The platforms that it is to build for, by OCI's names, none twice, in the order given;
    /// `None`: all that work on the kernel.
    pub platforms: Option<Vec<String>>,
    /// Options of the driver `docker-container`, by name: `network`, `env.HTTP_PROXY`.
    pub driver_options: BTreeMap<String, String>,
    /// Flags for buildkitd, in one line as a shell would have them.
    pub buildkitd_flags: Option<String>,
    /// The configuration of buildkitd, an absolute path; that it is there is not looked at.
    pub buildkitd_config: Option<PathBuf>,
}

impl Default for Buildx {
    /// What holds without any file.
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
    /// Each value that is no default, by its key as TOML writes it: `target.aarch64.flags`.
    pub origins: BTreeMap<String, Origin>,
}

impl Settings {
    /// What holds without any file, for these targets.
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
    /// What holds without any file.
    fn default() -> Self {
        Self::defaults(Table::embedded())
    }
}
