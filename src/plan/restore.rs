//! What can be put back at once: what was proved before, and is as it was.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::path::Path;

use super::Action;
use crate::observation::{FileId, InstanceFacts, Record};
use crate::rule::{Entry, Rule, parse_register};

/// The actions that make our rules again what the record says, without a trial: each is the very rule
/// that was proved, and its interpreter the very file. Where the file is another one, or the name is
/// taken by somebody's rule, that is for a whole plan to decide.
///
/// `on_disk` tells which file a path leads to now; `wait` holds names that are better left alone for
/// the moment.
pub fn restore(
    instance: &InstanceFacts,
    record: &Record,
    on_disk: &dyn Fn(&Path) -> Option<FileId>,
    wait: &BTreeSet<String>,
) -> Vec<Action> {
    let mut actions = Vec::new();
    if !instance.enabled {
        actions.push(Action::EnableInstance);
    }
    // A replacement was interrupted: which of its rules is which takes more than a look.
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

/// Names of ours that are not there.
pub fn missing(instance: &InstanceFacts, record: &Record) -> Vec<OsString> {
    let there: HashSet<&OsStr> =
        instance.entries.iter().map(|entry| entry.name.as_os_str()).collect();
    let is_missing = |name: &&String| !there.contains(OsStr::new(name));
    record.rules.keys().filter(is_missing).map(OsString::from).collect()
}
