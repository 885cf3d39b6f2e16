//! What is known of a root filesystem.

use std::path::PathBuf;

use crate::verify::load::{Outcome, Part};

/// What came of running its programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootfsFacts {
    pub folder: PathBuf,
    /// The program whose header told the target, as seen from within.
    pub told_by: PathBuf,
    /// QEMU's name of the target.
    pub target: String,
    /// `e_machine`
    pub machine: u16,
    /// The rule that takes that program.
    pub rule: Option<String>,
    /// Whether no program may be started from its filesystem.
    pub noexec: bool,
    /// Where that filesystem is mounted, if that could be told.
    pub mount_point: Option<PathBuf>,
    /// A loader that a program in it needs, and that is not in it.
    pub missing_loader: Option<PathBuf>,
    /// Each part once, in the order of [`Part::ALL`].
    pub parts: Vec<LoadedPart>,
}

/// What came of one part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadedPart {
    pub part: Part,
    pub outcome: Outcome,
}

impl RootfsFacts {
    /// A part's outcome.
    pub fn outcome(&self, wanted: Part) -> Option<&Outcome> {
        self.parts.iter().find(|loaded| loaded.part == wanted).map(|loaded| &loaded.outcome)
    }
}
