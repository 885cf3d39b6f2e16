//! The doctor: verifies end to end, and names the cause and the way out of whatever is wrong.
//!
//! A check is data: an id, what it proves, and a function from what was seen to findings. It changes
//! nothing: it neither mounts nor registers.

mod examine;
mod exec;
mod interpreter;
mod kernel;
mod rule;
mod verdict;

pub use examine::{Examination, ExamineError, Patient, examine};
pub use verdict::{Verdict, verdict};

use serde::Serialize;

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

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The check's id.
    pub id: &'static str,
    /// The target it is about; `None` for the host as a whole.
    pub target: Option<String>,
    /// What came of it.
    pub status: Status,
    /// One sentence.
    pub summary: String,
    /// What was seen.
    pub evidence: String,
    /// A command, or what to do.
    pub fix: Option<String>,
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
    /// Looks; returns a finding for the host or for each target.
    run: fn(&Examination<'_>) -> Vec<Finding>,
}

/// All checks, by family, in the order of a report.
pub fn checks() -> impl Iterator<Item = &'static Check> {
    [kernel::CHECKS, rule::CHECKS, interpreter::CHECKS, exec::CHECKS].into_iter().flatten()
}

/// Runs every check.
pub fn diagnose(examination: &Examination<'_>) -> Vec<Finding> {
    checks().flat_map(|check| (check.run)(examination)).collect()
}

/// A finding in the making.
struct Draft {
    id: &'static str,
    target: Option<String>,
}

impl Draft {
    fn host(id: &'static str) -> Self {
        Self { id, target: None }
    }

    fn of(id: &'static str, patient: &Patient<'_>) -> Self {
        Self { id, target: Some(patient.target.name.clone()) }
    }

    fn finding(self, status: Status, summary: impl Into<String>) -> Finding {
        let Self { id, target } = self;
        Finding { id, target, status, summary: summary.into(), evidence: String::new(), fix: None }
    }

    fn pass(self, summary: impl Into<String>) -> Finding {
        self.finding(Status::Pass, summary)
    }

    fn warn(self, summary: impl Into<String>) -> Finding {
        self.finding(Status::Warn, summary)
    }

    fn fail(self, summary: impl Into<String>) -> Finding {
        self.finding(Status::Fail, summary)
    }

    fn skip(self, summary: impl Into<String>) -> Finding {
        self.finding(Status::Skip, summary)
    }
}

impl Finding {
    fn with(mut self, evidence: impl Into<String>) -> Self {
        self.evidence = evidence.into();
        self
    }

    fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }
}
