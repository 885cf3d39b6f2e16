//! The document of `doctor --list-checks`.

use serde::Serialize;

use crate::report::SCHEMA;

/// Every check of the doctor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ChecksDocument {
    /// [`crate::report::SCHEMA`].
    pub schema: u32,
    /// Always true.
    pub ok: bool,
    /// In the order of a report.
    pub checks: Vec<CheckText>,
}

/// One check, in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct CheckText {
    /// Stable.
    pub id: &'static str,
    /// A few words.
    pub title: &'static str,
    /// What a pass proves.
    pub proves: &'static str,
}

impl ChecksDocument {
    /// From the table of checks.
    pub fn new() -> Self {
        let checks = crate::doctor::checks();
        let checks = checks
            .map(|check| CheckText { id: check.id, title: check.title, proves: check.proves })
            .collect();
        Self { schema: SCHEMA, ok: true, checks }
    }
}

impl Default for ChecksDocument {
    fn default() -> Self {
        Self::new()
    }
}
