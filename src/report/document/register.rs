//! The document of `register`.

use std::ffi::OsStr;
use std::fmt::{self, Display};

use serde::Serialize;

use crate::apply::Outcome;
use crate::fix::Fix;
use crate::plan::{Action, Decision, Refusal};
use crate::verify::Proof;

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct RegisterDocument {
    /// Whether everything that was asked for is in place.
    pub ok: bool,
    /// Whether nothing was to be changed.
    pub dry_run: bool,
    pub rules: Vec<RegisterLine>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct RegisterLine {
    /// `None` for a rule of the configuration.
    pub target: Option<String>,
    pub rule: Option<String>,
    pub action: RegisterAction,
    /// Whether something was written to the kernel and stands.
    pub changed: bool,
    /// Whether a probe ran through it; `None` when none was run.
    pub proved: Option<bool>,
    /// Worth knowing although all is well: an interpreter that is gone from the disk.
    pub remark: Option<String>,
    /// What is done and why, in words.
    pub detail: String,
    /// `detail` without `action`, for a column of its own.
    #[serde(skip)]
    pub without_verb: String,
    pub error: Option<String>,
    pub fix: Option<Fix>,
}

/// What is done about a rule: a [`Decision`] in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RegisterAction {
    Add,
    Replace,
    Enable,
    EnableInstance,
    Remove,
    Keep,
    Served,
    Native,
    Refuse,
}

/// The word in the document.
impl Display for RegisterAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

impl RegisterAction {
    pub fn is_change(self) -> bool {
        match self {
            Self::Add | Self::Replace | Self::Enable | Self::EnableInstance | Self::Remove => true,
            Self::Keep | Self::Served | Self::Native | Self::Refuse => false,
        }
    }
}

impl RegisterDocument {
    /// From what became of a plan, or, for a dry run, from the plan itself.
    pub fn new(outcomes: &[Outcome], dry_run: bool) -> Self {
        let rules: Vec<RegisterLine> = outcomes.iter().map(RegisterLine::new).collect();
        Self { ok: outcomes.iter().all(Outcome::is_well), dry_run, rules }
    }
}

impl RegisterLine {
    fn new(outcome: &Outcome) -> Self {
        let decision = &outcome.item.decision;
        let named = |name: &OsStr| Some(name.to_string_lossy().into_owned());
        let (action, rule) = match decision {
            Decision::Native => (RegisterAction::Native, None),
            Decision::Kept { name, .. } => (RegisterAction::Keep, named(name)),
            Decision::Served { by } => (RegisterAction::Served, named(by)),
            Decision::Refused(_) => (RegisterAction::Refuse, outcome.item.rule.clone()),
            Decision::Change(change) => match change {
                Action::EnableInstance => (RegisterAction::EnableInstance, None),
                Action::Add(rule) => (RegisterAction::Add, Some(rule.name().to_string())),
                Action::Enable(rule) => (RegisterAction::Enable, Some(rule.name().to_string())),
                Action::Replace { rule, .. } => {
                    (RegisterAction::Replace, Some(rule.name().to_string()))
                }
                Action::Remove { name, .. } => (RegisterAction::Remove, named(name)),
            },
        };
        let refusal = match decision {
            Decision::Refused(refusal) => Some(refusal),
            Decision::Native
            | Decision::Kept { .. }
            | Decision::Served { .. }
            | Decision::Change(_) => None,
        };
        let error = outcome.error.as_ref().map(ToString::to_string);
        Self {
            target: outcome.item.target.clone(),
            rule,
            action,
            changed: outcome.changed,
            proved: outcome.proof.as_ref().map(Proof::works),
            remark: decision.remark(),
            detail: decision.to_string(),
            without_verb: decision.detail(),
            error: error.or_else(|| refusal.map(ToString::to_string)),
            fix: refusal.map(Refusal::fix),
        }
    }
}
