//! What `doctor --rootfs` ran, in the doctor's document.

use serde::Serialize;

use crate::doctor::{CheckId, LoadedPart, RootfsFacts, load_check};

/// A root filesystem whose programs were run.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct LoadDocument {
    /// Where it is, absolute and without links.
    pub folder: String,
    pub target: String,
    /// The program whose header told that, as seen from within.
    pub told_by: String,
    /// The rule that takes that program; null when none that is to be seen does.
    pub rule: Option<String>,
    /// What was run; a check of the family `load` judges each.
    pub runs: Vec<LoadRuns>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct LoadRuns {
    pub id: CheckId,
    /// The program, as seen from within.
    pub program: String,
    /// How many runs did what was expected.
    pub well: usize,
    pub of: usize,
    /// How long one of them took, on average.
    pub seconds: Option<f64>,
    /// What the first of the others did.
    pub failure: Option<String>,
}

impl From<&RootfsFacts> for LoadDocument {
    fn from(load: &RootfsFacts) -> Self {
        Self {
            folder: load.folder.display().to_string(),
            target: load.target.clone(),
            told_by: load.told_by.display().to_string(),
            rule: load.rule.clone(),
            runs: load.parts.iter().filter_map(runs).collect(),
        }
    }
}

fn runs(loaded: &LoadedPart) -> Option<LoadRuns> {
    let (job, tally) = loaded.outcome.as_ref().ok()?;
    Some(LoadRuns {
        id: load_check(loaded.part),
        program: job.program.display().to_string(),
        well: tally.well,
        of: tally.runs,
        seconds: tally.each().map(|each| each.as_secs_f64()),
        failure: tally.failure.clone(),
    })
}
