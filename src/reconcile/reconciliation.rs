//! What a reconciliation found and did.

use crate::apply::Outcome;
use crate::observation::Observation;
use crate::plan::Decision;

/// What was observed last, and what became of each line of the plan.
pub struct Reconciliation {
    pub seen: Observation,
    pub outcomes: Vec<Outcome>,
}

impl Reconciliation {
    /// A line for each rule that is not as asked for, for a caller that goes on nevertheless.
    pub fn failures(&self) -> Vec<String> {
        let failed = self.outcomes.iter().filter(|outcome| !outcome.is_well());
        let line = |outcome: &Outcome| {
            let item = &outcome.item;
            let name = item.target.as_deref().or(item.rule.as_deref()).unwrap_or("binfmt_misc");
            match (&outcome.error, &item.decision) {
                (Some(error), _) => format!("{name}: {error}"),
                (None, Decision::Refused(refusal)) => format!("{name}: {refusal}"),
                (None, other) => format!("{name}: {other}"),
            }
        };
        failed.map(line).collect()
    }
}
