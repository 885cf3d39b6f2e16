//! The document of `unregister`.

use serde::Serialize;

use crate::daemon::State;
use crate::reconcile::{Removal, RemovalFault};

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct UnregisterDocument {
    /// Whether everything that was asked for was removed.
    pub ok: bool,
    /// Whether nothing was to be changed.
    pub dry_run: bool,
    /// Names of the rules that were removed, or would be.
    pub removed: Vec<String>,
    /// What could not be removed, or was not ours to remove, and why.
    pub errors: Vec<String>,
    /// What will undo the removal, and how to prevent that.
    pub warnings: Vec<String>,
}

impl UnregisterDocument {
    /// `service` is the one that keeps the instance.
    pub fn new(removal: Removal, service: Option<&State>, dry_run: bool) -> Self {
        let Removal { removed, faults } = removal;
        let errors: Vec<String> = faults.iter().map(RemovalFault::to_string).collect();
        let warnings = service.and_then(|state| comes_back(state, &removed)).into_iter().collect();
        Self { ok: errors.is_empty(), dry_run, removed, errors, warnings }
    }
}

/// The service registers its configured rules again at its next full check.
fn comes_back(state: &State, removed: &[String]) -> Option<String> {
    let is_wanted = |name: &&String| state.rules.iter().any(|rule| rule.rule == **name);
    let wanted: Vec<&str> = removed.iter().filter(is_wanted).map(String::as_str).collect();
    (!wanted.is_empty()).then(|| {
        format!(
            "the service (process {}) registers {} again at its next full check (name the targets that are \
             wanted in the configuration, or stop the service first: systemctl stop binfmtd)",
            state.pid,
            wanted.join(", ")
        )
    })
}
