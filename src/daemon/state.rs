//! The state that the service reports: `state.json`, and the line for `systemctl status`.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::observation::FileId;
use crate::system::files::write;
use crate::system::host::machine;

/// The content of `state.json`. Within one schema, fields are only added.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct State {
    pub schema: u32,
    pub version: String,
    /// The process of the loop.
    pub pid: u32,
    /// When that process started, in clock ticks since boot: the kernel reuses process numbers.
    pub pid_started: u64,
    /// In seconds since 1970.
    pub started: f64,
    /// Whether a wanted target has worked, or none is wanted.
    pub ready: bool,
    /// One line, as `systemctl status` shows it.
    pub status: String,
    /// `st_dev` of the instance.
    pub instance: u64,
    /// Whether the rules end with the service or with its container.
    pub only_here: bool,
    /// The wanted rules.
    pub rules: Vec<RuleState>,
    /// How many changes were made, by cause.
    pub heals: BTreeMap<ChangeCause, u64>,
    pub last_heal: Option<Heal>,
    /// How many pauses began because another program kept undoing changes.
    pub conflicts: u64,
    /// When the current pause ends, in seconds since 1970.
    pub paused_until: Option<f64>,
    /// Why the last full check failed, if it did.
    pub trouble: Option<String>,
}

/// Why a change was necessary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeCause {
    Removed,
    Disabled,
    /// The whole instance had been disabled.
    InstanceDisabled,
    /// A rule of others captured the programs, and did not work.
    Shadowed,
    /// The interpreter's file or the rule's content has changed.
    Interpreter,
    /// The configuration or the set of installed interpreters has changed.
    Wanted,
}

impl ChangeCause {
    pub const ALL: [Self; 6] = [
        Self::Removed,
        Self::Disabled,
        Self::InstanceDisabled,
        Self::Shadowed,
        Self::Interpreter,
        Self::Wanted,
    ];

    /// The word in documents.
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

/// Changes that were made together.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Heal {
    /// In seconds since 1970.
    pub at: f64,
    /// From the first event to the last change.
    pub seconds: f64,
    /// The first, if there were several.
    pub cause: ChangeCause,
    pub changes: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Condition {
    /// Its probe ran.
    Working,
    /// It did not; `why` has the reason.
    Degraded,
}

/// A wanted rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct RuleState {
    /// `None` for a rule of the configuration.
    pub target: Option<String>,
    /// The name that our rule has or would get.
    pub rule: String,
    pub condition: Condition,
    /// What is wrong or noteworthy.
    pub why: Option<String>,
    /// The entry that serves; `None` if there is none, and for native programs.
    pub by: Option<String>,
    /// Whether binfmtd registered that entry.
    pub ours: bool,
    /// The path in that entry.
    pub interpreter: Option<String>,
    /// The file that the kernel runs.
    pub file: Option<FileId>,
    /// As that file reports it.
    pub version: Option<String>,
    pub sha256: Option<String>,
    pub probe_seconds: Option<f64>,
}

impl RuleState {
    /// The name in messages: its target, or the name of a rule of the configuration.
    pub(super) fn name(&self) -> &str {
        self.target.as_deref().unwrap_or(&self.rule)
    }
}

const FILE: &str = "state.json";

impl State {
    pub const SCHEMA: u32 = 1;

    /// Replaces the file, readable for everybody.
    pub fn save(&self, folder: &Path) -> io::Result<()> {
        let content = serde_json::to_vec_pretty(self).map_err(io::Error::other)?;
        write::write_atomically(&folder.join(FILE), &content, 0o644)
    }

    /// The state of the running service; `None` if none runs.
    pub fn load(folder: &Path) -> Option<Self> {
        let state: Self = serde_json::from_slice(&std::fs::read(folder.join(FILE)).ok()?).ok()?;
        let runs = machine::started(state.pid).is_some_and(|started| started == state.pid_started);
        (state.schema == Self::SCHEMA && runs).then_some(state)
    }

    pub fn remove(folder: &Path) {
        // If this fails, `load` still ignores the file, because the process is gone.
        let _ = std::fs::remove_file(folder.join(FILE));
    }

    pub fn path(folder: &Path) -> PathBuf {
        folder.join(FILE)
    }

    /// Targets, and rules of the configuration, that do not work.
    pub fn degraded(&self) -> Vec<&str> {
        self.names_of(|rule| rule.condition == Condition::Degraded)
    }

    /// Wanted targets, and rules of the configuration.
    pub fn names(&self) -> Vec<&str> {
        self.names_of(|_| true)
    }

    /// The line for `systemctl status`.
    pub(super) fn status_line(&self) -> String {
        // Before the first check nothing is known to be wanted.
        if self.rules.is_empty() && !self.ready {
            return "first check".to_owned();
        }
        let mut status = self.summary();
        if self.rules.is_empty() {
            "nothing to register: no target is wanted, or none has an interpreter (install qemu-user-static)"
                .clone_into(&mut status);
        }
        if let Some(trouble) = &self.trouble {
            let first = trouble.lines().next().unwrap_or_default();
            status = format!("{status}; the last check failed: {first}");
        }
        if self.paused_until.is_some() {
            status.push_str("; pausing: another program keeps undoing changes");
        }
        status
    }

    /// `31 targets working, 1 degraded: riscv64`
    pub fn summary(&self) -> String {
        let degraded = self.degraded();
        let mut summary = match self.names().len() - degraded.len() {
            1 => "1 target working".to_owned(),
            count => format!("{count} targets working"),
        };
        if !degraded.is_empty() {
            // systemd takes no more than one datagram for a status.
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
            let name = rule.name();
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }
}

#[cfg(test)]
mod tests;
