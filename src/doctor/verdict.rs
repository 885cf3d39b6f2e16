//! One word for a target.

use serde::Serialize;

use super::examine::{Examination, Patient};
use super::exec::{is_ours, without_credentials};
use super::rule::{is_partly_unproved, left_out};
use crate::verify::load::Tally;

/// How a target fares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Its programs run through a rule, at every level.
    Working,
    /// The kernel runs its programs without a rule.
    Native,
    /// A rule takes its programs, and whether they run could not be told: there is no probe of some of them, or
    /// this process may not do what every interpreter needs.
    Unproved,
    /// Its programs run now and then: some of several runs failed.
    Flaky,
    /// Something takes its programs, and fails at one level at least.
    Broken,
    /// Nothing takes its programs.
    Missing,
}

impl Verdict {
    /// All of them, the best first.
    pub const ALL: [Self; 6] =
        [Self::Working, Self::Native, Self::Unproved, Self::Flaky, Self::Broken, Self::Missing];

    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Working => "working",
            Self::Native => "native",
            Self::Unproved => "unproved",
            Self::Flaky => "flaky",
            Self::Broken => "broken",
            Self::Missing => "missing",
        }
    }

    /// Whether its programs run.
    pub fn is_sound(self) -> bool {
        matches!(self, Self::Working | Self::Native)
    }

    /// Whether its programs do not run, or not always: known, not merely unknown.
    pub fn is_failure(self) -> bool {
        matches!(self, Self::Flaky | Self::Broken | Self::Missing)
    }
}

/// Judges by what ran, not by what is listed.
pub fn verdict(examination: &Examination<'_>, patient: &Patient<'_>) -> Verdict {
    match &patient.proof {
        Some(proof) if proof.native => Verdict::Native,
        Some(proof) if proof.is_flaky() => Verdict::Flaky,
        Some(proof) if proof.nobody => Verdict::Missing,
        Some(_) if without_credentials(examination, patient).is_some() => Verdict::Broken,
        Some(proof) if proof.works() && left_out(examination, patient).is_some() => Verdict::Broken,
        Some(proof) if proof.works() && is_partly_unproved(examination, patient) => {
            Verdict::Unproved.max(loaded(examination, patient))
        }
        Some(proof) if proof.works() => loaded(examination, patient),
        Some(_) if is_ours(examination, patient) => Verdict::Unproved,
        Some(_) => Verdict::Broken,
        // Without a probe only the listing is left.
        None if examination.is_native(patient.target) => Verdict::Native,
        None if examination.winner(patient.target, patient.machine).is_some() => Verdict::Unproved,
        None => Verdict::Missing,
    }
}

/// Real programs know better than a probe, where some were run.
fn loaded(examination: &Examination<'_>, patient: &Patient<'_>) -> Verdict {
    let load = examination
        .load
        .as_ref()
        .filter(|load| load.target == patient.target.name && load.machine == patient.machine);
    let parts = load.into_iter().flat_map(|load| &load.parts);
    let tallies = parts.filter_map(|loaded| loaded.outcome.as_ref().ok()).map(|(_, tally)| tally);
    let judge = |tally: &Tally| match () {
        () if tally.is_well() => Verdict::Working,
        () if tally.is_flaky() => Verdict::Flaky,
        () => Verdict::Broken,
    };
    tallies.map(judge).max().unwrap_or(Verdict::Working)
}
