//! What the service writes to the journal. Each kind of message has an identifier that never changes: `MESSAGE_ID=`,
//! which `systemd/binfmtd.catalog` explains.
//!
//! Fields: `TARGET=` (beside the program's own, which tracing-journald adds), `RULE=`, `INTERPRETER=`.

use std::collections::BTreeMap;
use std::time::Duration;

use super::protocol::RuleChange;
use super::state::{ChangeCause, RuleState};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message {
    /// The first check is over, and what is registered works.
    Ready,
    /// Rules that had been removed or disabled are back.
    Restored,
    /// A rule was registered, replaced or removed.
    Changed,
    /// A wanted target does not work.
    Degraded,
    /// It works again.
    Recovered,
    /// Another program keeps undoing changes.
    Conflict,
    /// A check or a change was impossible; this says nothing about any rule.
    Trouble,
    /// The rules end with the service.
    OnlyHere,
}

impl Message {
    pub const ALL: [Self; 8] = [
        Self::Ready,
        Self::Restored,
        Self::Changed,
        Self::Degraded,
        Self::Recovered,
        Self::Conflict,
        Self::Trouble,
        Self::OnlyHere,
    ];

    /// 128 bits in hexadecimal, generated once with `systemd-id128 new`.
    pub fn id(self) -> &'static str {
        match self {
            Self::Ready => "ecc0c07e3ba044a3a406da498bad025b",
            Self::Restored => "2e1b23423ff44942a9dd0e7c6cdc6aea",
            Self::Changed => "58650ecb01354085a6a4aea85e8ffb9f",
            Self::Degraded => "e3b006271c31478bad2183dee38329f7",
            Self::Recovered => "a05076605d5545faaa56a90a0d6741a0",
            Self::Conflict => "09c1ea6f601d4923a8ee3ce537676011",
            Self::Trouble => "2a8f493106694225aa3ba9cd171e4f9d",
            Self::OnlyHere => "c8485667834b4c64a7b3f6766d9153de",
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum JournalEntry {
    Ready { status: String },
    Restored { changes: Changes, rule: Option<String>, took: Duration },
    Changed(RuleChange),
    Degraded(RuleState),
    Recovered(RuleState),
    Conflict { times: u32, next_in: Duration },
    Trouble(String),
    OnlyHere,
}

/// How many changes were made, by cause.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Changes(pub(super) BTreeMap<ChangeCause, u64>);

impl FromIterator<ChangeCause> for Changes {
    fn from_iter<T: IntoIterator<Item = ChangeCause>>(causes: T) -> Self {
        let mut counts = BTreeMap::new();
        for cause in causes {
            *counts.entry(cause).or_default() += 1;
        }
        Self(counts)
    }
}

impl Changes {
    /// A sentence: "1 rule was disabled and is enabled again, 2 rules were removed and are back".
    fn restored(&self) -> String {
        let parts: Vec<_> = self
            .0
            .iter()
            .map(|(cause, count)| match (cause, count) {
                (ChangeCause::InstanceDisabled, _) => {
                    "binfmt_misc was disabled and is enabled again".to_owned()
                }
                (ChangeCause::Disabled, 1) => "1 rule was disabled and is enabled again".to_owned(),
                (ChangeCause::Disabled, count) => {
                    format!("{count} rules were disabled and are enabled again")
                }
                (_, 1) => "1 rule was removed and is back".to_owned(),
                (_, count) => format!("{count} rules were removed and are back"),
            })
            .collect();
        parts.join(", ")
    }
}

pub(super) fn write(entry: &JournalEntry) {
    match entry {
        JournalEntry::Ready { status } => {
            tracing::info!(message_id = Message::Ready.id(), "{status}");
        }
        JournalEntry::Restored { changes, rule, took } => tracing::info!(
            message_id = Message::Restored.id(),
            rule = rule.as_deref(),
            "{} in {:.1} ms",
            changes.restored(),
            took.as_secs_f64() * 1000.0
        ),
        JournalEntry::Changed(RuleChange { cause, what, rule, target, interpreter }) => {
            tracing::info!(
                message_id = Message::Changed.id(),
                rule = rule.as_deref(),
                target = target.as_deref(),
                interpreter = interpreter.as_deref(),
                cause = cause.as_str(),
                "{what}"
            );
        }
        JournalEntry::Degraded(state) => tracing::error!(
            message_id = Message::Degraded.id(),
            rule = state.rule,
            target = state.target.as_deref(),
            interpreter = state.interpreter.as_deref(),
            "{} does not work: {}",
            state.name(),
            state.why.as_deref().unwrap_or("its probe did not run")
        ),
        JournalEntry::Recovered(state) => tracing::info!(
            message_id = Message::Recovered.id(),
            rule = state.rule,
            target = state.target.as_deref(),
            interpreter = state.interpreter.as_deref(),
            "{} works again",
            state.name()
        ),
        JournalEntry::Conflict { times, next_in } => tracing::warn!(
            message_id = Message::Conflict.id(),
            "another program undid binfmtd's changes {times} times in a row; the next attempt is in \
             {:.1} s (both manage the same rules: stop one of them)",
            next_in.as_secs_f64()
        ),
        JournalEntry::Trouble(message) => {
            tracing::error!(message_id = Message::Trouble.id(), "{message}");
        }
        JournalEntry::OnlyHere => tracing::warn!(
            message_id = Message::OnlyHere.id(),
            "binfmt_misc is mounted in this container only, so its rules end with this service (to keep \
             them, mount binfmt_misc on the host: mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc)"
        ),
    }
}

#[cfg(test)]
mod tests;
