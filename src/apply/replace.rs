//! Replacing rules without a gap.

use std::ffi::OsString;
use std::io;

use crate::observation::swap_names;
use crate::rule::Rule;
use crate::system::binfmt_misc::instance::{Instance, Refused, Registrar};

/// Replaces rules without a gap: from the first moment to the last, one of them takes the programs.
///
/// `old` are the names that go. On an error, whatever worked before still does.
pub fn replace(
    instance: &Instance,
    registrar: &mut Registrar,
    rule: &Rule,
    old: &[OsString],
) -> Result<(), String> {
    let pending = begin(registrar, rule, old)?;
    finish(instance, registrar, rule, &pending)
}

/// A rule that stands in the kernel and is not final.
#[derive(Debug, Clone)]
pub(super) struct Pending {
    /// The name it goes by for now.
    pub(super) name: OsString,
    /// The entries that go when it is final.
    pub(super) old: Vec<OsString>,
}

/// Puts a rule beside the ones that it replaces, as the newest, which wins. It takes its own name
/// when that is free, else another for the meantime.
pub(super) fn begin(
    registrar: &mut Registrar,
    rule: &Rule,
    old: &[OsString],
) -> Result<Pending, String> {
    let register = |registrar: &mut Registrar, rule: &Rule| {
        registrar.register(rule).map_err(|refused| (describe(rule, &refused), refused))
    };
    let own_name = OsString::from(rule.name().as_str());
    let pending = |name: OsString| Pending { name, old: old.to_vec() };
    if !old.contains(&own_name) {
        return register(registrar, rule).map(|()| pending(own_name)).map_err(|(why, _)| why);
    }
    let mut taken = String::new();
    for name in swap_names(rule.name().as_str()) {
        let meantime = name
            .parse()
            .map_err(|error: crate::rule::PartError| error.to_string())
            .and_then(|name| rule.renamed(name).map_err(|error| error.to_string()))?;
        match register(registrar, &meantime) {
            Ok(()) => return Ok(pending(OsString::from(name))),
            // One of us was interrupted here before, and what it left may be all that serves.
            Err((why, Refused::Exists)) => taken = why,
            Err((why, _)) => return Err(why),
        }
    }
    Err(taken)
}

/// Removes what was replaced and gives the new rule its name. From the old rule's removal on, the
/// new one stays under one name or another, whatever fails.
pub(super) fn finish(
    instance: &Instance,
    registrar: &mut Registrar,
    rule: &Rule,
    pending: &Pending,
) -> Result<(), String> {
    for old in &pending.old {
        match instance.remove(old) {
            Ok(()) => {}
            // Somebody else was faster.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                return Err(format!(
                    "remove {}: {error}; both rules are there now",
                    old.to_string_lossy()
                ));
            }
        }
    }
    if pending.name == rule.name().as_str() {
        return Ok(());
    }
    let meantime = pending.name.to_string_lossy();
    registrar.register(rule).map_err(|refused| {
        format!("{}; it works under the name {meantime}", describe(rule, &refused))
    })?;
    match instance.remove(&pending.name) {
        // Somebody else was faster: what is wanted is there.
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(format!("remove {meantime}: {error}; it does no harm"))
        }
        _ => Ok(()),
    }
}

pub(super) fn describe(rule: &Rule, refused: &Refused) -> String {
    format!("register {} with interpreter {}: {refused}", rule.name(), rule.interpreter())
}
