//! What `doctor --fix` did, in the doctor's document.

use serde::Serialize;

use crate::apply::Outcome;
use crate::plan::{Decision, Item};

/// One step of `doctor --fix`, or one that it would not take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct FixDocument {
    /// The target; null for the host as a whole, and for rules of the configuration.
    pub target: Option<String>,
    /// What is done: a line of the plan.
    pub step: String,
    /// Whether it was done, and stands.
    pub done: bool,
    /// Why not; null for what was done, and for what a dry run would do.
    pub error: Option<String>,
}

impl FixDocument {
    /// A step of the host's, which is not in a plan.
    pub fn of_host(step: impl Into<String>) -> Self {
        Self { target: None, step: step.into(), done: false, error: None }
    }

    /// A line of the plan that is still to be carried out; `None` for what stays as it is.
    pub fn planned(item: &Item) -> Option<Self> {
        let step = match &item.decision {
            Decision::Change(action) => action.to_string(),
            Decision::Refused(_) => {
                format!("register {}", item.rule.as_deref().unwrap_or("its rule"))
            }
            Decision::Native | Decision::Kept { .. } | Decision::Served { .. } => return None,
        };
        let error = match &item.decision {
            Decision::Refused(refusal) => Some(refusal.to_string()),
            _ => None,
        };
        Some(Self { target: item.target.clone(), step, done: false, error })
    }

    /// The same after it was carried out. A rule that was kept is listed only if it does not work.
    pub fn carried_out(outcome: &Outcome) -> Option<Self> {
        let line = || Self {
            target: outcome.item.target.clone(),
            step: outcome.item.decision.to_string(),
            done: false,
            error: None,
        };
        let planned =
            Self::planned(&outcome.item).or_else(|| outcome.error.as_ref().map(|_| line()))?;
        let error = outcome.error.as_ref().map(ToString::to_string).or(planned.error);
        Some(Self { done: outcome.changed && error.is_none(), error, ..planned })
    }
}
