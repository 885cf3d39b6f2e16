//! The document of `register`.

use serde::Serialize;

use crate::apply::Outcome;
use crate::plan::{Action, Decision};
use crate::report::SCHEMA;

/// What `register` did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct RegisterDocument {
    /// [`crate::report::SCHEMA`].
    pub schema: u32,
    /// Whether everything that was asked for is so.
    pub ok: bool,
    /// Whether nothing was to be changed.
    pub dry_run: bool,
    /// A line for each rule.
    pub rules: Vec<RegisterLine>,
}

/// One rule that `register` thought about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct RegisterLine {
    /// The target; null for a rule of the configuration.
    pub target: Option<String>,
    /// The entry's name.
    pub rule: Option<String>,
    /// `add`, `replace`, `enable`, `enable-instance`, `remove`, `keep`, `served`, `native` or `refuse`.
    pub action: &'static str,
    /// Whether something was written and stands.
    pub changed: bool,
    /// Whether a probe ran through it: null when none was run.
    pub proved: Option<bool>,
    /// What is to be said though all is well: an interpreter that is gone from the disk.
    pub remark: Option<String>,
    /// What is done and why, in words.
    pub detail: String,
    /// What went wrong.
    pub error: Option<String>,
}

impl RegisterDocument {
    /// From what became of a plan, or, for a dry run, from the plan itself.
    pub fn new(outcomes: &[Outcome], dry_run: bool) -> Self {
        let rules: Vec<RegisterLine> = outcomes.iter().map(RegisterLine::new).collect();
        Self { schema: SCHEMA, ok: outcomes.iter().all(Outcome::is_well), dry_run, rules }
    }
}

impl RegisterLine {
    fn new(outcome: &Outcome) -> Self {
        let (action, rule) = match &outcome.item.decision {
            Decision::Native => ("native", None),
            Decision::Kept { name, .. } => ("keep", Some(name.to_string_lossy().into_owned())),
            Decision::Served { by } => ("served", Some(by.to_string_lossy().into_owned())),
            Decision::Refused(_) => ("refuse", outcome.item.rule.clone()),
            Decision::Change(change) => match change {
                Action::EnableInstance => ("enable-instance", None),
                Action::Add(rule) => ("add", Some(rule.name().to_string())),
                Action::Enable(rule) => ("enable", Some(rule.name().to_string())),
                Action::Replace { rule, .. } => ("replace", Some(rule.name().to_string())),
                Action::Remove { name, .. } => {
                    ("remove", Some(name.to_string_lossy().into_owned()))
                }
            },
        };
        let refused = match &outcome.item.decision {
            Decision::Refused(refusal) => Some(refusal.to_string()),
            _ => None,
        };
        let remark = match &outcome.item.decision {
            Decision::Kept { remark, .. } => remark.clone(),
            _ => None,
        };
        Self {
            remark,
            target: outcome.item.target.clone(),
            rule,
            action,
            changed: outcome.changed,
            proved: outcome.proof.as_ref().map(crate::verify::Proof::works),
            detail: outcome.item.decision.to_string(),
            error: outcome.error.as_ref().map(ToString::to_string).or(refused),
        }
    }
}
