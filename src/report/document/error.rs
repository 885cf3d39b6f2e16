//! The document of a failure.

use serde::Serialize;

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
    pub kind: &'static str,
    /// The exit code of the process.
    pub exit: u8,
    /// The sentence.
    pub message: String,
}

impl ErrorDocument {
    /// For an error of a kind.
    pub fn new(kind: &'static str, exit: u8, message: String) -> Self {
        Self { schema: SCHEMA, ok: false, error: ErrorText { kind, exit, message } }
    }
}
