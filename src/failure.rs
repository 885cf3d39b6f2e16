//! Why a command ended early: the one type that every layer's errors become.
//!
//! That something could not be looked at or done is a failure. That the host is not as it should be is a
//! result: an outcome or a finding, which a command reports and then exits with 1.

use std::fmt::{self, Display};
use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::shown::plain;

/// What kind of failure it is, the worst last; each has an exit code of its own (`docs/reference/exit-codes.md`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Something that was asked for does not work, or is refused.
    Failed,
    /// Bad usage or configuration.
    Usage,
    /// Could not be checked or carried out.
    Unavailable,
    /// Not permitted.
    NotPermitted,
}

impl Kind {
    /// The word in documents.
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
    /// The file or folder, as text: its name may be no UTF-8.
    pub file: String,
    /// From 1; `None` where the file as a whole is meant.
    pub line: Option<usize>,
    /// What is wrong, and what is allowed.
    pub text: String,
}

/// A kind, and one line of text; of input, each fault as well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The kind.
    pub kind: Kind,
    /// Operation, object, cause and way out. On one line, unless there are faults: then a line for each.
    pub message: String,
    /// Where the input is at fault.
    pub faults: Vec<InputFault>,
}

impl Failure {
    fn new(kind: Kind, message: impl Display) -> Self {
        // Names of files and rules come from others, and may have control characters in them.
        Self { kind, message: plain(&message.to_string()), faults: Vec::new() }
    }

    /// Something that was asked for does not work, or is refused.
    pub fn failed(message: impl Display) -> Self {
        Self::new(Kind::Failed, message)
    }

    /// Bad usage or configuration.
    pub fn usage(message: impl Display) -> Self {
        Self::new(Kind::Usage, message)
    }

    /// Could not be checked or carried out.
    pub fn unavailable(message: impl Display) -> Self {
        Self::new(Kind::Unavailable, message)
    }

    /// Not permitted.
    pub fn not_permitted(message: impl Display) -> Self {
        Self::new(Kind::NotPermitted, message)
    }

    /// Not permitted where that is what the system said; else unavailable.
    pub fn of_io(error: &io::Error, message: impl Display) -> Self {
        match error.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                Self::not_permitted(message)
            }
            _ => Self::unavailable(message),
        }
    }

    /// The same for `map_err`: what was to be done stands before what the system said.
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
        Self { kind: Kind::Usage, message: lines.join("\n"), faults }
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
