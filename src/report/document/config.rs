//! The document of `config`.

use serde::Serialize;

use crate::config::{Settings, Shown};

/// The settings in force.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ConfigDocument {
    /// Always true: settings that are not well are an error.
    pub ok: bool,
    /// `files`, `settings`, `daemon`, `buildx`, `target` and `rule`: each value, and where it comes from.
    #[serde(flatten)]
    pub shown: Shown,
}

impl ConfigDocument {
    pub fn new(settings: &Settings) -> Self {
        Self { ok: true, shown: settings.show() }
    }
}
