//! Replacing rules without a gap.

use std::ffi::{OsStr, OsString};
use std::io;

use super::edge::Registry;
use super::error::RuleError;
use crate::observation::{SystemError, swap_names};
use crate::rule::{RegisterError, Rule};
use crate::system::binfmt_misc::instance::Refused;

/// A rule that is registered beside the ones that it is to replace.
#[derive(Debug, Clone)]
pub(super) struct Pending {
    /// Its own name, or a temporary one.
    pub(super) name: OsString,
    /// The entries that are removed to make it final.
    pub(super) old: Vec<OsString>,
}

/// Registers a rule beside the ones that it replaces; the kernel asks the newest rule first. It gets its own name if
/// that is free, else a temporary one.
pub(super) fn begin(
    registry: &mut dyn Registry,
    rule: &Rule,
    old: &[OsString],
) -> Result<Pending, RuleError> {
    let own_name = OsStr::new(rule.name().as_str());
    let pending = |name: &OsStr| Pending { name: name.to_owned(), old: old.to_vec() };
    if !old.iter().any(|old| old == own_name) {
        registry.register(rule).map_err(|refused| refused_by(rule, refused))?;
        return Ok(pending(own_name));
    }
    let mut taken = refused_by(rule, Refused::Exists);
    for name in swap_names(rule.name().as_str()) {
        let temporary = temporary(rule, &name)?;
        match registry.register(&temporary) {
            Ok(()) => return Ok(pending(OsStr::new(&name))),
            // An interrupted run left this rule, and it may be the only one that serves the target now.
            Err(Refused::Exists) => taken = refused_by(&temporary, Refused::Exists),
            Err(refused) => return Err(refused_by(&temporary, refused)),
        }
    }
    Err(taken)
}

fn temporary(rule: &Rule, name: &str) -> Result<Rule, RuleError> {
    let failed = |fault| RuleError::TemporaryName { rule: rule.name().clone(), fault };
    let name = name.parse().map_err(|error| failed(RegisterError::Part(error)))?;
    rule.renamed(name).map_err(failed)
}

/// Removes the replaced rules and gives the new one its name. Once an old rule is removed, the new one stays
/// registered under one of its names, whatever fails.
pub(super) fn finish(
    registry: &mut dyn Registry,
    rule: &Rule,
    pending: &Pending,
) -> Result<(), RuleError> {
    for old in &pending.old {
        if let Err(error) = remove(registry, old) {
            return Err(RuleError::OldStays { name: lossy(old), error });
        }
    }
    if pending.name == rule.name().as_str() {
        return Ok(());
    }
    registry.register(rule).map_err(|refused| RuleError::Misnamed {
        rule: rule.name().clone(),
        interpreter: rule.interpreter().clone(),
        refused,
        temporary: lossy(&pending.name),
    })?;
    remove(registry, &pending.name)
        .map_err(|error| RuleError::TemporaryStays { name: lossy(&pending.name), error })
}

/// It is no failure if somebody else removed the rule first.
fn remove(registry: &mut dyn Registry, name: &OsStr) -> Result<(), SystemError> {
    match registry.remove(name) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err((&error).into()),
        _ => Ok(()),
    }
}

pub(super) fn refused_by(rule: &Rule, refused: Refused) -> RuleError {
    let (rule, interpreter) = (rule.name().clone(), rule.interpreter().clone());
    RuleError::Register { rule, interpreter, refused }
}

pub(super) fn lossy(name: &OsStr) -> String {
    name.to_string_lossy().into_owned()
}
