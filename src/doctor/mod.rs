//! The doctor: verifies end to end, and names the cause and the way out of whatever is wrong.
//!
//! A check is data: an id, what it proves, and a function from what was seen to findings. It changes
//! nothing: it neither mounts nor registers.

mod builder;
mod cause;
mod docker;
mod examine;
mod exec;
mod interpreter;
mod kernel;
mod known;
mod load;
mod rule;
mod service;
mod verdict;

pub use examine::{AskedBuilder, Examination, Patient, examine};
pub use verdict::{Verdict, verdict};

use serde::Serialize;
use thiserror::Error;

use crate::phrase::{Evidence, Phrase};
use crate::verify::Level;

/// What came of one check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// It is as it should be.
    Pass,
    /// It works, and will bite somebody.
    Warn,
    /// It is wrong.
    Fail,
    /// Not looked at; the summary says why.
    Skip,
    /// It could not be looked at: says nothing about the host.
    Error,
}

impl Status {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Warn => "warn",
            Self::Fail => "fail",
            Self::Skip => "skip",
            Self::Error => "error",
        }
    }

    /// Whether somebody has to hear of it who did not ask for everything.
    pub fn is_trouble(self) -> bool {
        matches!(self, Self::Warn | Self::Fail | Self::Error)
    }
}

/// One thing that was found; in a report as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Finding {
    /// The check's id.
    pub id: &'static str,
    /// The target it is about; `None` for the host as a whole.
    pub target: Option<String>,
    /// What came of it.
    pub status: Status,
    /// One sentence.
    pub summary: Phrase,
    /// What was seen.
    pub evidence: Evidence,
    /// A command, or what to do.
    pub fix: Option<Phrase>,
}

/// One check, as data.
#[derive(Clone, Copy)]
pub struct Check {
    /// Stable: `rule.fix-binary`.
    pub id: &'static str,
    /// A few words.
    pub title: &'static str,
    /// What a pass proves, and why it matters.
    pub proves: &'static str,
    /// What to do when it is otherwise, in general; a finding says it of the case.
    pub cure: &'static str,
    /// Looks; returns a finding for the host or for each target.
    run: fn(&Examination<'_>) -> Vec<Finding>,
}

/// All checks, by family, in the order of a report.
pub fn checks() -> impl Iterator<Item = &'static Check> {
    [
        kernel::CHECKS,
        rule::CHECKS,
        interpreter::CHECKS,
        exec::CHECKS,
        load::CHECKS,
        service::CHECKS,
        docker::CHECKS,
        builder::CHECKS,
    ]
    .into_iter()
    .flatten()
}

/// No check has this id.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("unknown check \"{id}\"{}", nearest.map(|id| format!(" (did you mean {id}?)")).unwrap_or_default())]
pub struct UnknownCheck {
    /// What was asked for.
    pub id: String,
    /// A check whose id looks like it.
    pub nearest: Option<&'static str>,
}

/// The check with this id.
pub fn find(id: &str) -> Result<&'static Check, UnknownCheck> {
    checks()
        .find(|check| check.id == id)
        .ok_or_else(|| UnknownCheck { id: id.to_owned(), nearest: nearest(&id.to_lowercase()) })
}

/// Half of the name or all of the family may be wrong or left out; what is further off helps nobody.
fn nearest(id: &str) -> Option<&'static str> {
    let distance = |known: &'static str| {
        let (_, name) = known.split_once('.').unwrap_or(("", known));
        let whole = strsim::damerau_levenshtein(known, id);
        whole.min(strsim::damerau_levenshtein(name, id))
    };
    checks()
        .map(|check| (distance(check.id), check.id))
        .filter(|(distance, _)| *distance <= id.chars().count() / 2)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, id)| id)
}

impl Check {
    /// What its id has before the dot.
    pub fn family(&self) -> &'static str {
        self.id.split_once('.').map_or(self.id, |(family, _)| family)
    }

    /// The level of running a program that it judges; `None` for what is read or listed.
    pub fn level(&self) -> Option<Level> {
        let name = self.id.strip_prefix("exec.")?;
        Level::ALL.into_iter().find(|level| level.as_str() == name)
    }
}

/// Runs every check.
pub fn diagnose(examination: &Examination<'_>) -> Vec<Finding> {
    checks().flat_map(|check| (check.run)(examination)).collect()
}

/// A finding in the making.
struct Draft {
    id: &'static str,
    target: Option<String>,
    evidence: Evidence,
}

impl Draft {
    fn host(id: &'static str) -> Self {
        Self { id, target: None, evidence: Evidence::default() }
    }

    fn of(id: &'static str, patient: &Patient<'_>) -> Self {
        // Else two findings of one target could not be told apart.
        let several = patient.target.identity.machines.len() > 1;
        let mut evidence = Evidence::default();
        if several {
            evidence.add(Phrase::own(format!("e_machine {:#x}", patient.machine), ""));
        }
        Self { id, target: Some(patient.target.name.clone()), evidence }
    }

    fn finding(self, status: Status, summary: impl Into<Phrase>) -> Finding {
        let Self { id, target, evidence } = self;
        Finding { id, target, status, summary: summary.into(), evidence, fix: None }
    }

    fn pass(self, summary: impl Into<Phrase>) -> Finding {
        self.finding(Status::Pass, summary)
    }

    fn warn(self, summary: impl Into<Phrase>) -> Finding {
        self.finding(Status::Warn, summary)
    }

    fn fail(self, summary: impl Into<Phrase>) -> Finding {
        self.finding(Status::Fail, summary)
    }

    fn skip(self, summary: impl Into<Phrase>) -> Finding {
        self.finding(Status::Skip, summary)
    }

    /// It could not be looked at from here: nothing is said about the host.
    fn error(self, summary: impl Into<Phrase>) -> Finding {
        self.finding(Status::Error, summary)
    }
}

impl Finding {
    /// Whether the two say the same, each of its own target: one sentence and one fix will do for both.
    pub fn is_like(&self, other: &Self) -> bool {
        let fixes = (&self.fix, &other.fix);
        self.id == other.id
            && self.status == other.status
            && self.summary.is_like(&other.summary)
            && self.evidence.is_like(&other.evidence)
            && match fixes {
                (Some(fix), Some(theirs)) => fix.is_like(theirs),
                (None, None) => true,
                _ => false,
            }
    }

    fn with(mut self, evidence: impl Into<Phrase>) -> Self {
        self.evidence.add(evidence);
        self
    }

    fn fix(mut self, fix: impl Into<Phrase>) -> Self {
        self.fix = Some(fix.into());
        self
    }
}

#[cfg(test)]
mod tests;
