//! Which rules of others matter to the service.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use serde::{Deserialize, Serialize};

use crate::config::Settings;
use crate::failure::Failure;
use crate::observation::{Observation, OwnershipRecord};
use crate::plan::{self, Native, Request};
use crate::rule::{Entry, Matcher};

/// Tells the rules of others that matter from those that do not, which may come and go by the thousand:
/// they could take programs of a wanted target or of the host, or have the name of one of our rules.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Relevant {
    names: BTreeSet<String>,
    matchers: Vec<Matcher>,
}

impl Relevant {
    pub(super) fn of(
        settings: &Settings,
        request: &Request,
        seen: &Observation,
    ) -> Result<Self, Failure> {
        let mut relevant = Self::default();
        for target in plan::wanted(settings, request, seen)? {
            for (name, magic) in target.rules() {
                relevant.names.insert(name.to_string());
                relevant.matchers.push(Matcher::Magic(magic));
            }
        }
        for custom in &settings.rules {
            relevant.names.insert(custom.rule.name().to_string());
            relevant.matchers.push(custom.rule.matcher().clone());
        }
        let native = Native::new(&settings.table, &seen.natives);
        relevant.matchers.extend(native.magics().cloned().map(Matcher::Magic));
        Ok(relevant)
    }

    /// A digest that changes when a rule that matters and is not ours appears, disappears or changes.
    pub(super) fn digest_of_others(&self, entries: &[Entry], record: &OwnershipRecord) -> u64 {
        let matters = |entry: &&Entry| {
            entry.name.to_str().is_some_and(|name| self.names.contains(name))
                || self.matchers.iter().any(|matcher| match (matcher, &entry.matcher) {
                    (Matcher::Magic(wanted), Matcher::Magic(theirs)) => wanted.overlaps(theirs),
                    (wanted, theirs) => wanted.is_same(theirs),
                })
        };
        let mut hasher = DefaultHasher::new();
        for entry in entries.iter().filter(matters).filter(|entry| !record.owns(entry)) {
            format!("{entry:?}").hash(&mut hasher);
        }
        hasher.finish()
    }
}

#[cfg(test)]
mod tests;
