//! A plan that is being carried out.

use std::collections::BTreeMap;

use super::edge::Edge;
use super::outcome::{Given, Outcome};
use super::replace::Pending;
use crate::plan::{Action, Decision, Plan};
use crate::rule::Entry;

pub(super) struct Work<'a, 'e> {
    pub(super) given: Given<'a>,
    pub(super) edge: Edge<'e>,
    pub(super) outcomes: Vec<Outcome>,
    /// Rules that are registered but not final, by their places in the plan.
    pub(super) pending: BTreeMap<usize, Pending>,
}

impl<'a, 'e> Work<'a, 'e> {
    pub(super) fn new(plan: Plan, given: Given<'a>, edge: Edge<'e>) -> Self {
        let outcomes = plan.items.into_iter().map(Outcome::of).collect();
        Self { given, edge, outcomes, pending: BTreeMap::new() }
    }

    pub(super) fn drop_p(&mut self, place: usize) {
        if let Decision::Change(Action::Add(rule) | Action::Replace { rule, .. }) =
            &mut self.outcomes[place].item.decision
            && let Ok(plain) = rule.without_p()
        {
            *rule = plain;
        }
    }

    /// Whether a rule is registered and enabled right now. If somebody has removed or disabled it, a failed probe
    /// says nothing about it.
    pub(super) fn is_in_force(&self, is_it: impl Fn(&Entry) -> bool) -> bool {
        self.edge.registry.look().is_ok_and(|facts| {
            facts.enabled && facts.entries.iter().any(|entry| entry.enabled && is_it(entry))
        })
    }

    /// A rule that somebody removed does not count as changed. It stays in the record, so that it can be restored.
    pub(super) fn end(mut self) -> Vec<Outcome> {
        for outcome in self.outcomes.iter_mut().filter(|outcome| outcome.is_undone()) {
            outcome.changed = false;
        }
        self.outcomes
    }
}
