//! Why a command ended early: the one type that every layer's errors become.
//!
//! A failure means that something could not be examined or done. A host that is not as it should be is a result, not
//! a failure: an outcome or a finding, which the command reports before it exits with 1.

use std::fmt::{self, Display};
use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::shown::plain;

/// Ordered by gravity, the worst last; each kind has its own exit code (`docs/reference/exit-codes.md`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureKind {
    /// Something that was asked for does not work, or is refused.
    Failed,
    Usage,
    Unavailable,
    NotPermitted,
}

impl FailureKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Usage => "usage",
            Self::Unavailable => "unavailable",
            Self::NotPermitted => "not-permitted",
        }
    }
}

/// A fault of a file that was read as input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct InputFault {
    /// As text, because the name may not be UTF-8.
    pub file: String,
    /// From 1; `None` for the file as a whole.
    pub line: Option<usize>,
    /// What is wrong, and what is allowed.
    pub text: String,
}

/// Ends a command early; carries the faults when they are in the input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    pub kind: FailureKind,
    /// Operation, object, cause and remedy, on one line; with faults, a line for each.
    pub message: String,
    pub faults: Vec<InputFault>,
}

impl Failure {
    fn new(kind: FailureKind, message: impl Display) -> Self {
        // Names of files and rules come from others and may contain control characters.
        Self { kind, message: plain(&message.to_string()), faults: Vec::new() }
    }

    /// Something that was asked for does not work, or is refused.
    pub fn failed(message: impl Display) -> Self {
        Self::new(FailureKind::Failed, message)
    }

    pub fn usage(message: impl Display) -> Self {
        Self::new(FailureKind::Usage, message)
    }

    pub fn unavailable(message: impl Display) -> Self {
        Self::new(FailureKind::Unavailable, message)
    }

    pub fn not_permitted(message: impl Display) -> Self {
        Self::new(FailureKind::NotPermitted, message)
    }

    /// `NotPermitted` for the system's errors of that kind; else `Unavailable`.
    pub fn of_io(error: &io::Error, message: impl Display) -> Self {
        match error.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                Self::not_permitted(message)
            }
            _ => Self::unavailable(message),
        }
    }

    /// [`of_io`](Self::of_io) for `map_err`, with the operation in front of the system's message.
    pub fn io(what: impl Display) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::of_io(&error, format!("{what}: {error}"))
    }

    /// Bad input: at least one fault, and a line for each.
    pub fn input(faults: Vec<(PathBuf, Option<usize>, String)>) -> Self {
        let faults = faults.into_iter().map(|(file, line, text)| InputFault {
            file: plain(&*file),
            line,
            text: plain(&text),
        });
        let faults: Vec<InputFault> = faults.collect();
        let lines: Vec<String> = faults.iter().map(InputFault::to_string).collect();
        Self { kind: FailureKind::Usage, message: lines.join("\n"), faults }
    }
}

impl Display for InputFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}", self.text)
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::of_io(&error, &error)
    }
}
