//! The document of a failure.

use serde::Serialize;

use crate::failure::{Failure, FailureKind, InputFault};
use crate::report::SCHEMA;

/// Why a command did nothing, or not all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ErrorDocument {
    /// [`crate::report::SCHEMA`].
    pub schema: u32,
    /// Always false.
    pub ok: bool,
    /// What went wrong.
    pub error: ErrorText,
}

/// An error in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ErrorText {
    /// `failed`, `usage`, `unavailable` or `not-permitted`.
    pub kind: FailureKind,
    /// The exit code of the process.
    pub exit: u8,
    /// One line; of faulty input, a line for each fault.
    pub message: String,
    /// Where the input is at fault; empty for any other failure.
    pub faults: Vec<InputFault>,
}

impl ErrorDocument {
    /// For a command that ends with this exit code.
    pub fn new(failure: &Failure, exit: u8) -> Self {
        let Failure { kind, message, faults } = failure.clone();
        Self { schema: SCHEMA, ok: false, error: ErrorText { kind, exit, message, faults } }
    }
}
