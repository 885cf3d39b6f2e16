//! What a check found.

use std::path::Path;

use serde::Serialize;

use super::id::CheckId;
use crate::fix::Fix;
use crate::phrase::{Evidence, Phrase};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    Pass,
    /// It works now, and will cause trouble.
    Warn,
    Fail,
    /// Not checked; the summary says why.
    Skip,
    /// The check could not be carried out, which says nothing about the host.
    Error,
}

impl Status {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Warn => "warn",
            Self::Fail => "fail",
            Self::Skip => "skip",
            Self::Error => "error",
        }
    }

    /// Whether it is shown without `-v`.
    pub fn is_trouble(self) -> bool {
        match self {
            Self::Warn | Self::Fail | Self::Error => true,
            Self::Pass | Self::Skip => false,
        }
    }
}

/// What a finding is about. In JSON an object with `kind`, and a name or path if there may be several of a kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Subject {
    Host,
    /// A builder of buildx, with the Docker engine below it.
    Builder {
        name: String,
    },
    Rootfs {
        /// Its folder, as text: the name may not be UTF-8.
        path: String,
    },
}

/// One finding, as in the report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Finding {
    pub id: CheckId,
    pub subject: Subject,
    /// The target it is about; `None` for the subject as a whole.
    pub target: Option<String>,
    pub status: Status,
    pub summary: Phrase,
    pub evidence: Evidence,
    pub fix: Option<Fix>,
}

/// A finding whose status is not decided yet.
pub(super) struct Draft {
    id: CheckId,
    subject: Subject,
    target: Option<String>,
    evidence: Evidence,
}

impl Draft {
    pub(super) fn host(id: CheckId) -> Self {
        Self::of(id, Subject::Host)
    }

    pub(super) fn rootfs(id: CheckId, folder: &Path) -> Self {
        Self::of(id, Subject::Rootfs { path: folder.display().to_string() })
    }

    pub(super) fn of(id: CheckId, subject: Subject) -> Self {
        Self { id, subject, target: None, evidence: Evidence::default() }
    }

    pub(super) fn target(self, name: &str) -> Self {
        Self { target: Some(name.to_owned()), ..self }
    }

    pub(super) fn seen(mut self, evidence: impl Into<Phrase>) -> Self {
        self.evidence.add(evidence);
        self
    }

    pub(super) fn finding(self, status: Status, summary: impl Into<Phrase>) -> Finding {
        let Self { id, subject, target, evidence } = self;
        Finding { id, subject, target, status, summary: summary.into(), evidence, fix: None }
    }

    pub(super) fn pass(self, summary: impl Into<Phrase>) -> Finding {
        self.finding(Status::Pass, summary)
    }

    pub(super) fn warn(self, summary: impl Into<Phrase>) -> Finding {
        self.finding(Status::Warn, summary)
    }

    pub(super) fn fail(self, summary: impl Into<Phrase>) -> Finding {
        self.finding(Status::Fail, summary)
    }

    pub(super) fn skip(self, summary: impl Into<Phrase>) -> Finding {
        self.finding(Status::Skip, summary)
    }

    pub(super) fn error(self, summary: impl Into<Phrase>) -> Finding {
        self.finding(Status::Error, summary)
    }
}

impl Finding {
    /// Whether the two differ in per-target values only, so that they can be merged.
    pub fn is_like(&self, other: &Self) -> bool {
        (self.id, &self.subject, self.status) == (other.id, &other.subject, other.status)
            && self.summary.is_like(&other.summary)
            && self.evidence.is_like(&other.evidence)
            && match (&self.fix, &other.fix) {
                (Some(fix), Some(theirs)) => fix.is_like(theirs),
                (None, None) => true,
                (Some(_), None) | (None, Some(_)) => false,
            }
    }

    pub(super) fn with(mut self, evidence: impl Into<Phrase>) -> Self {
        self.evidence.add(evidence);
        self
    }

    pub(super) fn fix(mut self, fix: Fix) -> Self {
        self.fix = Some(fix);
        self
    }
}
