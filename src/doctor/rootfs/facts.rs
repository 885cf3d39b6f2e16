//! What is known of a root filesystem.

use std::path::PathBuf;

use thiserror::Error;

use crate::doctor::id::CheckId;
use crate::verify::load::{Tally, Workload, WorkloadCommand};

/// What was run, and what came of it; or why nothing was.
pub(in crate::doctor) type WorkloadResult = Result<(WorkloadCommand, Tally), NotRun>;

/// Why a workload was not run.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NotRun {
    #[error("no command was given: --exec CMD")]
    NoCommand,
    #[error("not asked for: --exec was given")]
    OtherCommand,
    #[error("there is no shell in it ({})", .looked_for.join(", "))]
    NoShell { looked_for: &'static [&'static str] },
    #[error(
        "no program in it needs a loader: the shell and {} are static or not there",
        .looked_for.join(", ")
    )]
    NothingDynamic { looked_for: &'static [&'static str] },
    #[error("the loader that it needs does not start, as {} reports", CheckId::LoadLoader)]
    LoaderFails,
}

/// What came of running its programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootfsFacts {
    pub folder: PathBuf,
    /// The program whose header told the target, as seen from within.
    pub told_by: PathBuf,
    pub target: String,
    pub machine: u16,
    /// The rule that takes that program.
    pub rule: Option<String>,
    /// Whether no program may be started from its filesystem.
    pub noexec: bool,
    /// Where that filesystem is mounted, if that could be told.
    pub mount_point: Option<PathBuf>,
    /// A loader that a program in it needs, and that is not in it.
    pub missing_loader: Option<PathBuf>,
    /// Each part once, in the order of [`Workload::ALL`].
    pub parts: Vec<LoadedPart>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadedPart {
    pub part: Workload,
    pub outcome: WorkloadResult,
}

impl RootfsFacts {
    pub fn outcome(&self, wanted: Workload) -> Option<&WorkloadResult> {
        self.parts.iter().find(|loaded| loaded.part == wanted).map(|loaded| &loaded.outcome)
    }
}
