//! Rules that can be restored at once: they were proved before, and nothing has changed.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::path::Path;

use super::Action;
use crate::observation::{FileId, InstanceFacts, OwnershipRecord};
use crate::rule::{Entry, Rule, parse_register};

/// The actions that restore the recorded rules without a trial: each is exactly the rule that was proved, with
/// exactly the same interpreter file. If the file has changed, or another rule has the name, a whole plan has to
/// decide.
///
/// `on_disk` returns the file that a path leads to now; rules named in `wait` are not added yet.
pub fn restore(
    instance: &InstanceFacts,
    record: &OwnershipRecord,
    on_disk: &dyn Fn(&Path) -> Option<FileId>,
    wait: &BTreeSet<String>,
) -> Vec<Action> {
    let mut actions = Vec::new();
    if !instance.enabled {
        actions.push(Action::EnableInstance);
    }
    // A replacement was interrupted: only a whole plan can tell its rules apart.
    if !record.coming.is_empty() {
        return actions;
    }
    let entries: HashMap<&OsStr, &Entry> =
        instance.entries.iter().map(|entry| (entry.name.as_os_str(), entry)).collect();
    for (name, owned) in &record.rules {
        let Ok(rule) = parse_register(owned.register.as_bytes()) else { continue };
        match entries.get(OsStr::new(name)) {
            Some(entry) if !entry.enabled && rule.serves_like(entry) => {
                actions.push(Action::Enable(rule));
            }
            None if !wait.contains(name) && is_unchanged(&rule, owned.interpreter, on_disk) => {
                actions.push(Action::Add(rule));
            }
            _ => {}
        }
    }
    actions
}

fn is_unchanged(
    rule: &Rule,
    proved: Option<FileId>,
    on_disk: &dyn Fn(&Path) -> Option<FileId>,
) -> bool {
    proved.is_some() && on_disk(rule.interpreter().as_path()) == proved
}

/// Recorded rules that are not registered.
pub fn missing(instance: &InstanceFacts, record: &OwnershipRecord) -> Vec<OsString> {
    let there: HashSet<&OsStr> =
        instance.entries.iter().map(|entry| entry.name.as_os_str()).collect();
    let is_missing = |name: &&String| !there.contains(OsStr::new(name));
    record.rules.keys().filter(is_missing).map(OsString::from).collect()
}
