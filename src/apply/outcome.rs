//! What a plan was made from, and what became of its lines.

use std::ffi::OsString;

use super::error::RuleError;
use crate::config::Settings;
use crate::observation::Observation;
use crate::plan::{self, Action, Decision, Item};
use crate::rule::Rule;
use crate::verify::{ProbeSubject, Proof};

/// What a plan was made from.
#[derive(Clone, Copy)]
pub struct Given<'a> {
    pub settings: &'a Settings,
    /// Where rules are changed, observed after the store was locked: no other binfmtd process has changed anything
    /// since.
    pub seen: &'a Observation,
    /// The instance is our own and empty: a trial in another one would prove nothing more.
    pub private: bool,
}

/// What became of one line of the plan.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The line, with the rule as it was registered in the end.
    pub item: Item,
    /// Whether something was written to the kernel and is still in force.
    pub changed: bool,
    pub error: Option<RuleError>,
    /// What was proved on the real instance.
    pub proof: Option<Proof>,
}

impl Outcome {
    /// For a line that has not been carried out.
    pub fn of(item: Item) -> Self {
        Self { item, changed: false, error: None, proof: None }
    }

    /// Whether everything is as the line asks for.
    pub fn is_well(&self) -> bool {
        self.error.is_none() && !matches!(self.item.decision, Decision::Refused(_))
    }

    /// Why the line is not as asked for; `None` where it is.
    pub fn trouble(&self) -> Option<String> {
        match (&self.error, &self.item.decision) {
            (Some(error), _) => Some(error.to_string()),
            (None, Decision::Refused(refusal)) => Some(refusal.to_string()),
            (
                None,
                Decision::Native
                | Decision::Kept { .. }
                | Decision::Served { .. }
                | Decision::Change(_),
            ) => None,
        }
    }

    /// Whether somebody removed or disabled the rule before it was proved.
    pub fn is_undone(&self) -> bool {
        self.error == Some(RuleError::Undone)
    }
}

/// The lines that register a rule and have no error yet: place, line, rule, and the names of the entries that it
/// replaces.
pub(super) fn new_rules(
    outcomes: &[Outcome],
) -> impl Iterator<Item = (usize, &Outcome, &Rule, &[OsString])> {
    let open = outcomes.iter().enumerate().filter(|(_, outcome)| outcome.error.is_none());
    open.filter_map(|(place, outcome)| match &outcome.item.decision {
        Decision::Change(Action::Add(rule)) => Some((place, outcome, rule, &[][..])),
        Decision::Change(Action::Replace { rule, old, .. }) => {
            Some((place, outcome, rule, old.as_slice()))
        }
        Decision::Change(Action::EnableInstance | Action::Enable(_) | Action::Remove { .. })
        | Decision::Native
        | Decision::Kept { .. }
        | Decision::Served { .. }
        | Decision::Refused(_) => None,
    })
}

pub(super) fn may_drop_p(settings: &Settings, item: &Item, rule: &Rule) -> bool {
    rule.flags().preserve_argv0
        && item.target.as_ref().is_some_and(|target| plan::may_drop_p(settings, target))
}

/// What to prove for a line: its target, and the rule that serves it or will; `None` for a line without a target or a
/// rule.
pub fn subject<'a>(given: Given<'a>, item: &'a Item) -> Option<ProbeSubject<'a>> {
    let mut targets = given.settings.table.targets().iter();
    let target = targets.find(|target| Some(&target.name) == item.target.as_ref())?;
    let machine = item.machine?;
    match &item.decision {
        Decision::Kept { name, .. } | Decision::Served { by: name } => {
            let entry = given.seen.instance.entries.iter().find(|entry| entry.name == *name);
            Some(ProbeSubject::taken_by(target, machine, entry))
        }
        Decision::Change(action) => {
            let rule = action.rule()?;
            let interpreter = Some(rule.interpreter().as_path());
            let credentials = rule.flags().credentials;
            Some(ProbeSubject { target, machine, interpreter, credentials })
        }
        Decision::Native | Decision::Refused(_) => None,
    }
}
