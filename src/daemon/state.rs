//! What the service knows, as it writes it down: `state.json`.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::observation::FileId;
use crate::system::files::write;
use crate::system::host::machine;

/// The state of the service. Fields are only ever added within a schema.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct State {
    /// [`State::SCHEMA`].
    pub schema: u32,
    /// The program's version.
    pub version: String,
    /// The service's main process.
    pub pid: u32,
    /// When that process began, in clock ticks since boot: a number that is used again is another's.
    pub pid_started: u64,
    /// Seconds since 1970.
    pub started: f64,
    /// Whether something that is wanted worked, once, or nothing is to be had yet.
    pub ready: bool,
    /// One line, as `systemctl status` shows it.
    pub status: String,
    /// `st_dev` of the instance.
    pub instance: u64,
    /// Whether the rules live no longer than the service or the container around it.
    pub only_here: bool,
    /// Each rule that is wanted.
    pub rules: Vec<RuleState>,
    /// How many changes were made, by what made them necessary.
    pub heals: BTreeMap<Cause, u64>,
    /// The last of them.
    pub last_heal: Option<Heal>,
    /// How often pauses began because somebody kept undoing our work.
    pub conflicts: u64,
    /// When the present pause ends, in seconds since 1970.
    pub paused_until: Option<f64>,
    /// Why the last full check could not be carried out, if it could not.
    pub trouble: Option<String>,
}

/// What made a change necessary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// The rule was gone.
    Removed,
    /// The rule was switched off.
    Disabled,
    /// The instance as a whole was switched off.
    InstanceDisabled,
    /// Somebody else's rule took the programs, and did not work.
    Shadowed,
    /// The interpreter's file, or the rule's content, is another one.
    Interpreter,
    /// The configuration, or the interpreters that are there, ask for something else.
    Wanted,
}

impl Cause {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Removed,
        Self::Disabled,
        Self::InstanceDisabled,
        Self::Shadowed,
        Self::Interpreter,
        Self::Wanted,
    ];

    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Removed => "removed",
            Self::Disabled => "disabled",
            Self::InstanceDisabled => "instance-disabled",
            Self::Shadowed => "shadowed",
            Self::Interpreter => "interpreter",
            Self::Wanted => "wanted",
        }
    }
}

/// Changes that were made at one time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Heal {
    /// Seconds since 1970.
    pub at: f64,
    /// From when the service heard of it to when it was put right, in seconds.
    pub seconds: f64,
    /// What made it necessary; of several, the first.
    pub cause: Cause,
    /// How many changes.
    pub changes: u64,
}

/// Whether a rule does what it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Condition {
    /// Its probe ran.
    Working,
    /// Not so; `why` says more.
    Degraded,
}

/// One rule that is wanted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct RuleState {
    /// Its target, for rules of the table.
    pub target: Option<String>,
    /// The name that our rule has or would have.
    pub rule: String,
    /// How it is.
    pub condition: Condition,
    /// What is wrong, or worth knowing.
    pub why: Option<String>,
    /// The entry that serves; `None` for none, and for what is native.
    pub by: Option<String>,
    /// Whether that is ours.
    pub ours: bool,
    /// The path that it names.
    pub interpreter: Option<String>,
    /// The file that the kernel runs.
    pub file: Option<FileId>,
    /// What that file says of itself.
    pub version: Option<String>,
    /// Its digest.
    pub sha256: Option<String>,
    /// How long the last probe took, from start to end.
    pub probe_seconds: Option<f64>,
}

const FILE: &str = "state.json";

impl State {
    /// The version of this document.
    pub const SCHEMA: u32 = 1;

    /// Writes it, whole, for everybody to read.
    pub fn save(&self, folder: &Path) -> io::Result<()> {
        let content = serde_json::to_vec_pretty(self).map_err(io::Error::other)?;
        write::write_atomically(&folder.join(FILE), &content, 0o644)
    }

    /// The state of a service that runs; `None` when none does.
    pub fn load(folder: &Path) -> Option<Self> {
        let state: Self = serde_json::from_slice(&std::fs::read(folder.join(FILE)).ok()?).ok()?;
        let runs = machine::started(state.pid).is_some_and(|started| started == state.pid_started);
        (state.schema == Self::SCHEMA && runs).then_some(state)
    }

    /// Takes the file away: the service has ended.
    pub fn remove(folder: &Path) {
        // Nobody takes it for that of a running service, either.
        let _ = std::fs::remove_file(folder.join(FILE));
    }

    /// Where it is.
    pub fn path(folder: &Path) -> PathBuf {
        folder.join(FILE)
    }

    /// Names of what is degraded: targets, and rules of the configuration.
    pub fn degraded(&self) -> Vec<&str> {
        self.names_of(|rule| rule.condition == Condition::Degraded)
    }

    /// Names of all that is wanted.
    pub fn names(&self) -> Vec<&str> {
        self.names_of(|_| true)
    }

    /// `31 targets working, 1 degraded: riscv64`
    pub fn summary(&self) -> String {
        let degraded = self.degraded();
        let mut summary = match self.names().len() - degraded.len() {
            1 => "1 target working".to_owned(),
            count => format!("{count} targets working"),
        };
        if !degraded.is_empty() {
            // One line, and not more than the service manager takes in one message.
            const SHOWN: usize = 12;
            let names = degraded[..degraded.len().min(SHOWN)].join(", ");
            let more = if degraded.len() > SHOWN { ", …" } else { "" };
            summary = format!("{summary}, {} degraded: {names}{more}", degraded.len());
        }
        summary
    }

    fn names_of(&self, is_meant: impl Fn(&RuleState) -> bool) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for rule in self.rules.iter().filter(|rule| is_meant(rule)) {
            let name = rule.target.as_deref().unwrap_or(&rule.rule);
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }
}
