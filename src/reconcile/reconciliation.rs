//! What a reconciliation found and did.

use crate::apply::Outcome;
use crate::observation::Observation;

/// What was observed last, and what became of each line of the plan.
pub struct Reconciliation {
    pub seen: Observation,
    pub outcomes: Vec<Outcome>,
}

impl Reconciliation {
    /// A line for each rule that is not as asked for, for a caller that goes on nevertheless.
    pub fn failures(&self) -> Vec<String> {
        let line = |outcome: &Outcome| {
            let item = &outcome.item;
            let name = item.target.as_deref().or(item.rule.as_deref()).unwrap_or("binfmt_misc");
            Some(format!("{name}: {}", outcome.trouble()?))
        };
        self.outcomes.iter().filter_map(line).collect()
    }
}
