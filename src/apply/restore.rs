//! Restores rules that somebody removed or disabled.

use std::ffi::OsStr;

use super::edge::{KernelRegistry, Registry};
use super::error::RuleError;
use super::replace::refused_by;
use crate::failure::Failure;
use crate::plan::Action;
use crate::system::binfmt_misc::instance::{Instance, Refused};
use crate::system::binfmt_misc::record::Store;

/// Carries out the actions of [`crate::plan::restore`]; the results are in the same order. The record names these
/// rules already, so it does not change.
///
/// `_store` shows that the lock has been held since before the instance was read.
pub fn restore(
    actions: &[Action],
    instance: &Instance,
    _store: &Store,
) -> Result<Vec<Result<(), RuleError>>, Failure> {
    restore_in(actions, &mut KernelRegistry::new(instance))
}

pub(super) fn restore_in(
    actions: &[Action],
    registry: &mut dyn Registry,
) -> Result<Vec<Result<(), RuleError>>, Failure> {
    if actions.iter().any(|action| matches!(action, Action::Add(_))) {
        registry.open().map_err(Failure::io("open register"))?;
    }
    Ok(actions.iter().map(|action| one(action, registry)).collect())
}

pub(super) fn one(action: &Action, registry: &mut dyn Registry) -> Result<(), RuleError> {
    match action {
        Action::EnableInstance => registry
            .enable_all()
            .map_err(|error| RuleError::EnableInstance { error: (&error).into() }),
        Action::Enable(rule) => {
            registry.enable(OsStr::new(rule.name().as_str())).map_err(|error| RuleError::Enable {
                rule: rule.name().clone(),
                error: (&error).into(),
            })
        }
        Action::Add(rule) => match registry.register(rule) {
            // Somebody else was faster. The next look shows whether that rule serves.
            Ok(()) | Err(Refused::Exists) => Ok(()),
            Err(refused) => Err(refused_by(rule, refused)),
        },
        // `plan::restore` asks for neither.
        Action::Replace { .. } | Action::Remove { .. } => Ok(()),
    }
}
