//! What the runs of a probe showed.

use std::path::PathBuf;
use std::time::Duration;

use super::level::{Level, LevelOutcome};
use crate::observation::{FileId, Serving};
use crate::probe::CpuLevel;
use crate::system::process::batch::Ended;
use crate::system::process::child::ExecError;

/// The interpreter as the kernel holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pinned {
    pub id: FileId,
    /// As the kernel gives it, ` (deleted)` included.
    pub path: PathBuf,
    /// `None` if it was not asked for, or the file could not be read.
    pub sha256: Option<String>,
    /// Whether it is the file on disk, or at least the same bytes.
    pub is_on_disk: bool,
    /// Whether it belongs to another root, in which the rule's path means another file than in ours.
    pub is_elsewhere: bool,
    /// Whether it is linked for one address (`ET_EXEC`), as builds with `--disable-pie` are; `None` when it could not
    /// be read.
    pub fixed_address: Option<bool>,
}

/// A run that did not answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedRun {
    /// What execve(2) said, if it never started.
    pub refused: Option<ExecError>,
    /// How it ended, if it did start.
    pub ended: Option<Ended>,
    /// Standard error, then standard output: mostly the interpreter's complaint.
    pub words: String,
}

/// Everything that the runs of one subject's probe showed.
#[derive(Debug, Clone, PartialEq)]
pub struct Proof {
    /// The kernel ran it without an interpreter.
    pub native: bool,
    /// ENOEXEC: no rule took it, and the kernel does not run it by itself.
    pub nobody: bool,
    /// `uname -m` as the probe saw it.
    pub machine: Option<String>,
    pub pinned: Option<Pinned>,
    /// QEMU's own first line about its version.
    pub version: Option<String>,
    /// In the order of [`Level::ALL`].
    pub levels: Vec<(Level, LevelOutcome)>,
    /// Of the first run.
    pub time: Duration,
    /// The quickest of all runs that answered: the cost of an exec, least disturbed by the other runs.
    pub cost: Option<Duration>,
    /// The CPU that an x86-64 program sees; `None` for others, and where it could not be asked.
    pub cpu: Option<CpuLevel>,
    /// For each level, the first run that did not answer.
    pub failures: Vec<(Level, FailedRun)>,
    /// How many runs answered, of how many; `None` if it ran only once.
    pub tries: Option<(usize, usize)>,
}

impl Proof {
    /// Whether at least one level passed and none failed.
    pub fn works(&self) -> bool {
        self.levels.iter().any(|(_, outcome)| matches!(outcome, LevelOutcome::Pass(_)))
            && !self.levels.iter().any(|(_, outcome)| outcome.failed())
    }

    /// What it says about the rule that took the probe.
    pub fn serving(&self) -> Serving {
        let mut failures = self.levels.iter().filter_map(|(level, outcome)| match outcome {
            LevelOutcome::Fail(why) => Some((*level, why)),
            // It works through the pinned file only; registering it again would fail, because the file is gone.
            LevelOutcome::Warn(why) if *level == Level::Identity => Some((*level, why)),
            _ => None,
        });
        match failures.next() {
            None if self.pinned.as_ref().is_some_and(|pinned| pinned.is_elsewhere) => {
                Serving::Elsewhere
            }
            None => Serving::Works,
            Some((Level::Identity, why)) => Serving::Stale(why.clone()),
            Some((_, why)) => Serving::Fails(why.clone()),
        }
    }

    pub fn level(&self, wanted: Level) -> Option<&LevelOutcome> {
        self.levels.iter().find(|(level, _)| *level == wanted).map(|(_, outcome)| outcome)
    }

    /// The run of a level that gave no answer.
    pub fn failed_run(&self, wanted: Level) -> Option<&FailedRun> {
        self.failures.iter().find(|(level, _)| *level == wanted).map(|(_, failure)| failure)
    }

    /// Whether its arguments are shifted: the rule has the flag `P`, and the interpreter does not expect it.
    pub fn arguments_are_shifted(&self) -> bool {
        self.level(Level::Argv0).is_some_and(LevelOutcome::failed)
    }

    pub fn is_flaky(&self) -> bool {
        self.tries.is_some_and(|(answered, of)| answered > 0 && answered < of)
    }

    /// The first failure, as a sentence.
    pub fn failure(&self) -> Option<&str> {
        self.levels.iter().find_map(|(_, outcome)| match outcome {
            LevelOutcome::Fail(why) => Some(why.as_str()),
            _ => None,
        })
    }
}
