//! One word for a target.

use serde::Serialize;

use super::examine::{Examination, Patient};

/// How a target fares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Its programs run through a rule, at every level.
    Working,
    /// The kernel runs its programs without a rule.
    Native,
    /// A rule takes its programs, and there is no probe to tell whether they run.
    Unproved,
    /// Something takes its programs, and fails at one level at least.
    Broken,
    /// Nothing takes its programs.
    Missing,
}

/// Judges by what ran, not by what is listed.
pub fn verdict(examination: &Examination<'_>, patient: &Patient<'_>) -> Verdict {
    match &patient.proof {
        Some(proof) if proof.native => Verdict::Native,
        Some(proof) if proof.nobody => Verdict::Missing,
        Some(proof) if proof.works() => Verdict::Working,
        Some(_) => Verdict::Broken,
        // Without a probe only the listing is left.
        None if examination.is_native(patient.target) => Verdict::Native,
        None if examination.winner(patient.target, patient.machine).is_some() => Verdict::Unproved,
        None => Verdict::Missing,
    }
}
