//! The record of ownership before and after a plan.

use super::outcome::{Given, Outcome};
use super::replace::lossy;
use super::work::Work;
use crate::failure::Failure;
use crate::observation::{FileId, Owned, OwnershipRecord, unfinished_name};
use crate::plan::{Action, Decision, Item};
use crate::rule::Rule;

/// Whether the record is for a plan that is still to be carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    Before,
    After,
}

impl Work<'_, '_> {
    pub(super) fn save(&self, moment: Moment) -> Result<OwnershipRecord, Failure> {
        let record = self.record(moment);
        (self.edge.save)(&record).map_err(Failure::io("record of ownership"))?;
        Ok(record)
    }

    /// [`Moment::After`]: what is ours once every line without an error has been carried out. [`Moment::Before`]: the
    /// old rules and the new ones, so that both are known if this process is killed halfway.
    pub(super) fn record(&self, moment: Moment) -> OwnershipRecord {
        let mut record = what_is_left(self.given);
        // A registered rule is ours even if it does not work.
        let stands = |outcome: &&Outcome| outcome.error.is_none() || outcome.changed;
        for outcome in self.outcomes.iter().filter(stands) {
            let Decision::Change(action) = &outcome.item.decision else { continue };
            let owned = |rule: &Rule| owned(self.given, &outcome.item, rule);
            match action {
                Action::Replace { rule, .. } if moment == Moment::Before => {
                    record.coming.insert(rule.name().to_string(), owned(rule));
                }
                Action::Add(rule) => {
                    record.rules.insert(rule.name().to_string(), owned(rule));
                }
                Action::Replace { rule, old, .. } => {
                    for name in old.iter().filter_map(|name| name.to_str()) {
                        record.forget(name);
                    }
                    record.coming.remove(rule.name().as_str());
                    record.rules.insert(rule.name().to_string(), owned(rule));
                }
                Action::Remove { name, .. } if moment == Moment::After => {
                    record.forget(&lossy(name));
                }
                Action::Remove { .. } | Action::Enable(_) | Action::EnableInstance => {}
            }
        }
        record
    }
}

/// The record without the rules that somebody else removed: if such a name comes back, that rule is not ours.
fn what_is_left(given: Given<'_>) -> OwnershipRecord {
    let (seen, entries) = (&given.seen.record, &given.seen.instance.entries);
    let rules = entries.iter().filter_map(|entry| {
        let name = entry.name.to_str().filter(|name| unfinished_name(name).is_none())?;
        Some((name.to_owned(), seen.owned(entry)?.clone()))
    });
    let mut record = OwnershipRecord { rules: rules.collect(), ..seen.clone() };
    // If an interrupted replacement left no temporary rule, the entries alone tell what is ours.
    record.coming.retain(|rule, _| {
        let mut names = entries.iter().filter_map(|entry| entry.name.to_str());
        names.any(|name| unfinished_name(name) == Some(rule))
    });
    record
}

fn owned(given: Given<'_>, item: &Item, rule: &Rule) -> Owned {
    Owned {
        register: String::from_utf8_lossy(rule.register_string()).into_owned(),
        target: item.target.clone(),
        interpreter: file_of(given, item, rule),
    }
}

fn file_of(given: Given<'_>, item: &Item, rule: &Rule) -> Option<FileId> {
    let of_table = item.target.as_ref().and_then(|target| {
        given.seen.interpreters.get(target)?.usable.as_ref().map(|file| file.id)
    });
    let other =
        || given.seen.others.get(rule.interpreter().as_path())?.as_ref().ok().map(|file| file.id);
    of_table.or_else(other)
}
