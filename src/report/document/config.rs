//! The document of `config`.

use serde::Serialize;

use crate::config::Settings;
use crate::report::SCHEMA;

/// The settings in force.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ConfigDocument {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Always true: settings that are not well are an error.
    pub ok: bool,
    /// Each value, and where it comes from.
    pub settings: serde_json::Value,
}

impl ConfigDocument {
    /// From valid settings.
    pub fn new(settings: &Settings) -> Self {
        Self {
            schema: SCHEMA,
            ok: true,
            settings: serde_json::to_value(settings.show()).unwrap_or_default(),
        }
    }
}
