//! The document of `config`.

use serde::Serialize;

use crate::config::{Settings, Shown};
use crate::report::SCHEMA;

/// The settings in force.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ConfigDocument {
    /// [`crate::report::SCHEMA`].
    pub schema: u32,
    /// Always true: settings that are not well are an error.
    pub ok: bool,
    /// `files`, `settings`, `daemon`, `buildx`, `target` and `rule`: each value, and where it comes from.
    #[serde(flatten)]
    pub shown: Shown,
}

impl ConfigDocument {
    /// From valid settings.
    pub fn new(settings: &Settings) -> Self {
        Self { schema: SCHEMA, ok: true, shown: settings.show() }
    }
}
