//! The verdict on a target, in one word.

use super::facts::Facts;
use super::host::checks::exec::{is_ours, without_credentials};
use super::host::checks::matcher::{is_partly_unproved, left_out};
use super::host::facts::TargetFacts;
use super::rootfs::facts::RootfsFacts;
use serde::Serialize;

use crate::verify::load::Tally;

/// Whether a target's programs run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Its programs run through a rule, at every level.
    Working,
    /// The kernel runs its programs without a rule.
    Native,
    /// A rule takes its programs, and whether they run is unknown: there is no probe for some of them, or this process
    /// lacks a right that every interpreter needs.
    Unproved,
    /// Some of several runs failed.
    Flaky,
    /// A rule takes its programs, and at least one level fails.
    Broken,
    /// No rule takes its programs.
    Missing,
}

impl Verdict {
    /// The best first.
    pub const ALL: [Self; 6] =
        [Self::Working, Self::Native, Self::Unproved, Self::Flaky, Self::Broken, Self::Missing];

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

    pub fn is_sound(self) -> bool {
        matches!(self, Self::Working | Self::Native)
    }

    /// Whether its programs are known to fail, always or sometimes.
    pub fn is_failure(self) -> bool {
        matches!(self, Self::Flaky | Self::Broken | Self::Missing)
    }
}

/// Judges by what ran, not by what is listed.
pub fn verdict(facts: &Facts<'_>, asked: &TargetFacts<'_>) -> Verdict {
    let host = &facts.host;
    let Some(proof) = &asked.proof else {
        // Without a probe there is only the listing to judge by.
        return match host.rule(asked) {
            _ if host.is_native(asked.target) => Verdict::Native,
            Some(_) => Verdict::Unproved,
            None => Verdict::Missing,
        };
    };
    match proof {
        _ if proof.native => Verdict::Native,
        _ if proof.is_flaky() => Verdict::Flaky,
        _ if proof.nobody => Verdict::Missing,
        _ if without_credentials(host, asked).is_some() => Verdict::Broken,
        _ if proof.works() && left_out(host, asked).is_some() => Verdict::Broken,
        _ if proof.works() && is_partly_unproved(host, asked) => {
            Verdict::Unproved.max(loaded(facts, asked))
        }
        _ if proof.works() => loaded(facts, asked),
        _ if is_ours(host, asked) => Verdict::Unproved,
        _ => Verdict::Broken,
    }
}

/// Real programs, if some were run, outweigh a probe.
fn loaded(facts: &Facts<'_>, asked: &TargetFacts<'_>) -> Verdict {
    let is_its =
        |load: &&RootfsFacts| load.target == asked.target.name && load.machine == asked.machine;
    let parts = facts.rootfs.iter().filter(is_its).flat_map(|load| &load.parts);
    let tallies = parts.filter_map(|loaded| loaded.outcome.as_ref().ok()).map(|(_, tally)| tally);
    let judge = |tally: &Tally| match tally {
        _ if tally.is_well() => Verdict::Working,
        _ if tally.is_flaky() => Verdict::Flaky,
        _ => Verdict::Broken,
    };
    tallies.map(judge).max().unwrap_or(Verdict::Working)
}
