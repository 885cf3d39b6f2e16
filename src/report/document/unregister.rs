//! The document of `unregister`.

use serde::Serialize;

/// What `unregister` did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct UnregisterDocument {
    /// Whether all that was to go is gone.
    pub ok: bool,
    /// Whether nothing was to be changed.
    pub dry_run: bool,
    /// Names of the rules that went, or would.
    pub removed: Vec<String>,
    /// What could not be removed, or was not ours to remove, and why.
    pub errors: Vec<String>,
    /// What will undo this, and the way out.
    pub warnings: Vec<String>,
}
