//! The document of a command that ended early.

use serde::Serialize;

use crate::failure::Failure;

/// Why a command ended before it was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ErrorDocument {
    /// Always false.
    pub ok: bool,
    pub error: EarlyEnd,
}

/// A failure, and the exit code that it led to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EarlyEnd {
    #[serde(flatten)]
    pub failure: Failure,
    /// 126 or 127 if `run` could not start its command; no `FailureKind` has these.
    pub exit: u8,
}

impl ErrorDocument {
    /// For a command that ends with this exit code.
    pub fn new(failure: &Failure, exit: u8) -> Self {
        Self { ok: false, error: EarlyEnd { failure: failure.clone(), exit } }
    }

    /// What went wrong: one line, or one for each fault of the input.
    pub fn message(&self) -> &str {
        &self.error.failure.message
    }
}
