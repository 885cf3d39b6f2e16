//! What the service says, each kind of message with an identifier that never changes: in the journal
//! they are `MESSAGE_ID=`, and `systemd/binfmtd.catalog` explains them.
//!
//! Fields: `TARGET=` (beside the program's own, which tracing-journald adds), `RULE=`, `INTERPRETER=`.

use std::fmt::Display;

use super::job::Change;
use super::state::RuleState;

/// The kinds of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message {
    /// The first check is over, and what is in force works.
    Ready,
    /// Rules of ours that were taken away, or switched off, are back.
    Restored,
    /// A rule was registered, replaced or removed.
    Changed,
    /// A target that is wanted does not work.
    Degraded,
    /// It works again.
    Recovered,
    /// Somebody keeps undoing what we do.
    Conflict,
    /// It could not be looked, or nothing could be done: no verdict about a rule.
    Trouble,
    /// The rules live no longer than the service.
    OnlyHere,
}

impl Message {
    /// All of them.
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

    /// 128 bits as hex digits, made once with `systemd-id128 new`.
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

pub(super) fn ready(status: &str) {
    tracing::info!(message_id = Message::Ready.id(), "{status}");
}

pub(super) fn restored(what: &str, rule: Option<&str>, seconds: f64) {
    let milliseconds = seconds * 1000.0;
    tracing::info!(message_id = Message::Restored.id(), rule, "{what} in {milliseconds:.1} ms");
}

pub(super) fn changed(change: &Change) {
    let Change { cause, what, rule, target, interpreter } = change;
    tracing::info!(
        message_id = Message::Changed.id(),
        rule = rule.as_deref(),
        target = target.as_deref(),
        interpreter = interpreter.as_deref(),
        cause = cause.as_str(),
        "{what}"
    );
}

pub(super) fn degraded(state: &RuleState) {
    let RuleState { target, rule, interpreter, why, .. } = state;
    let name = target.as_deref().unwrap_or(rule);
    tracing::error!(
        message_id = Message::Degraded.id(),
        rule,
        target = target.as_deref(),
        interpreter = interpreter.as_deref(),
        "{name} does not work: {}",
        why.as_deref().unwrap_or("its probe did not run")
    );
}

pub(super) fn recovered(state: &RuleState) {
    let RuleState { target, rule, interpreter, .. } = state;
    let name = target.as_deref().unwrap_or(rule);
    tracing::info!(
        message_id = Message::Recovered.id(),
        rule,
        target = target.as_deref(),
        interpreter = interpreter.as_deref(),
        "{name} works again"
    );
}

pub(super) fn conflict(times: u32, seconds: f64) {
    tracing::warn!(
        message_id = Message::Conflict.id(),
        "somebody undid our work {times} times in a row; the next attempt is in {seconds:.1} s \
         (another program manages the same rules: stop one of the two)"
    );
}

pub(super) fn trouble(message: &dyn Display) {
    tracing::error!(message_id = Message::Trouble.id(), "{message}");
}

pub(super) fn only_here() {
    tracing::warn!(
        message_id = Message::OnlyHere.id(),
        "binfmt_misc is mounted in this container only: its rules live as long as this service (mount it on \
         the host to keep them: mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc)"
    );
}
