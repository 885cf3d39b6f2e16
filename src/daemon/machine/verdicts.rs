//! What is known about the wanted rules, and what of it is news.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::daemon::journal::JournalEntry;
use crate::daemon::protocol::Description;
use crate::daemon::state::{Condition, RuleState};
use crate::observation::FileId;

/// Version and digest of interpreters by file, so that each file is read only once.
#[derive(Debug, Default)]
pub(super) struct DescribedFiles(HashMap<FileId, (Option<String>, Option<String>)>);

impl DescribedFiles {
    /// Whether the interpreter of some rule has not been described.
    pub(super) fn is_incomplete(&self, rules: &[RuleState]) -> bool {
        rules.iter().filter_map(|rule| rule.file).any(|file| !self.0.contains_key(&file))
    }
}

/// Adopts the results of a check; returns the news.
pub(super) fn adopt(
    known: &mut Vec<RuleState>,
    checked: Vec<RuleState>,
    described: &DescribedFiles,
) -> Vec<JournalEntry> {
    let before = std::mem::replace(known, checked);
    let mut news = Vec::new();
    for rule in known {
        let last = before.iter().find(|last| last.rule == rule.rule);
        let was_degraded = last.is_some_and(|last| last.condition == Condition::Degraded);
        let is_same_fault = was_degraded && last.is_some_and(|last| last.why == rule.why);
        match rule.condition {
            Condition::Degraded if !is_same_fault => {
                news.push(JournalEntry::Degraded(rule.clone()));
            }
            Condition::Working if was_degraded => news.push(JournalEntry::Recovered(rule.clone())),
            Condition::Degraded | Condition::Working => {}
        }
        if let Some((version, sha256)) = rule.file.and_then(|file| described.0.get(&file)) {
            rule.version.clone_from(version);
            rule.sha256.clone_from(sha256);
        }
    }
    news
}

/// Adopts the results of probes at full depth; returns the news.
pub(super) fn describe(
    rules: &mut [RuleState],
    descriptions: BTreeMap<String, Description>,
    described: &mut DescribedFiles,
) -> Vec<JournalEntry> {
    let mut news = Vec::new();
    for (name, Description { file, version, sha256, failure }) in descriptions {
        let Some(rule) = rules.iter_mut().find(|rule| rule.rule == name) else { continue };
        if let Some(file) = file {
            described.0.insert(file, (version.clone(), sha256.clone()));
        }
        (rule.version, rule.sha256) = (version, sha256);
        if let Some(why) = failure.filter(|_| rule.condition == Condition::Working) {
            rule.condition = Condition::Degraded;
            rule.why = Some(why);
            news.push(JournalEntry::Degraded(rule.clone()));
        }
    }
    let used: HashSet<FileId> = rules.iter().filter_map(|rule| rule.file).collect();
    described.0.retain(|file, _| used.contains(file));
    news
}

#[cfg(test)]
mod tests;
