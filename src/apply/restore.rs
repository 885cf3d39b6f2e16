//! Putting back what was there.

use std::ffi::OsStr;

use super::replace::describe;
use crate::failure::Failure;
use crate::plan::Action;
use crate::system::binfmt_misc::instance::{Instance, Refused};
use crate::system::binfmt_misc::record::Store;

/// Carries out what [`crate::plan::restore`] says. The record names these rules already, so it stays
/// as it is. Returns what came of each action, in their order; of a failure, a sentence.
///
/// The store is locked since before the instance was looked at.
pub fn restore(
    actions: &[Action],
    instance: &Instance,
    _store: &Store,
) -> Result<Vec<Result<(), String>>, Failure> {
    let mut registrar = None;
    let mut results = Vec::new();
    for action in actions {
        let result = match action {
            Action::EnableInstance => {
                instance.enable_all().map_err(|error| format!("enable binfmt_misc: {error}"))
            }
            Action::Enable(rule) => instance
                .enable(OsStr::new(rule.name().as_str()))
                .map_err(|error| format!("enable {}: {error}", rule.name())),
            Action::Add(rule) => {
                let registrar = match &mut registrar {
                    Some(registrar) => registrar,
                    none => {
                        none.insert(instance.registrar().map_err(Failure::io("open register"))?)
                    }
                };
                match registrar.register(rule) {
                    // Somebody was faster; whether it serves, the next look tells.
                    Ok(()) | Err(Refused::Exists) => Ok(()),
                    Err(refused) => Err(describe(rule, &refused)),
                }
            }
            Action::Replace { .. } | Action::Remove { .. } => Ok(()),
        };
        results.push(result);
    }
    Ok(results)
}
