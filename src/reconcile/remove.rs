//! Removing rules that binfmtd registered: those that the record of ownership names and that are still as they were.

use std::io;
use std::path::Path;

use thiserror::Error;

use super::access::{Change, check_writable};
use crate::failure::Failure;
use crate::rule::winner;
use crate::system::binfmt_misc::instance::Instance;
use crate::system::binfmt_misc::record::{self, Store};
use crate::target::Table;

/// What was removed, or would be.
#[derive(Debug, Default)]
pub struct Removal {
    /// Names of rules.
    pub removed: Vec<String>,
    pub faults: Vec<RemovalFault>,
}

/// Why a rule that was to be removed is still there.
#[derive(Debug, Error)]
pub enum RemovalFault {
    #[error("{target} is served by {rule}, which is not ours")]
    NotOurs { target: String, rule: String },
    #[error("remove {rule}: {source}")]
    Kernel { rule: String, source: io::Error },
}

/// Removes the rules of these targets (QEMU's names), or every rule. A dry run locks and changes nothing.
pub fn remove(
    instance: &Instance,
    runtime: &Path,
    table: &Table,
    only: Option<&[String]>,
    dry_run: bool,
) -> Result<Removal, Failure> {
    if !dry_run {
        check_writable(instance, Change::Remove)?;
    }
    let store = if dry_run { None } else { Some(Store::open(runtime)?) };
    let entries = instance.look()?.entries;
    let mut record = record::load(runtime, instance.device())?;
    let mut removal = Removal::default();
    for entry in &entries {
        let Some(owned) = record.owned(entry) else { continue };
        let is_asked_for =
            only.is_none_or(|names| owned.target.as_ref().is_some_and(|name| names.contains(name)));
        if is_asked_for {
            let rule = entry.display_name();
            match if dry_run { Ok(()) } else { instance.remove(&entry.name) } {
                Ok(()) => removal.removed.push(rule),
                Err(source) => removal.faults.push(RemovalFault::Kernel { rule, source }),
            }
        }
    }
    for name in only.into_iter().flatten() {
        let target = table.find(name)?;
        for header in target.identity.machines.iter().filter_map(|it| target.header(*it)) {
            let left = winner(&entries, &header, Path::new("/"));
            if let Some(entry) = left.filter(|entry| !record.owns(entry)) {
                let (target, rule) = (name.clone(), entry.display_name());
                removal.faults.push(RemovalFault::NotOurs { target, rule });
            }
        }
    }
    if let Some(store) = store {
        for name in &removal.removed {
            record.forget(name);
        }
        store.save(&record)?;
    }
    Ok(removal)
}
