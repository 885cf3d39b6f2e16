//! What a plan was made from, and what became of its lines.

use std::ffi::{OsStr, OsString};

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
pub(super) fn subject<'a>(given: Given<'a>, item: &'a Item) -> Option<ProbeSubject<'a>> {
    let mut targets = given.settings.table.targets().iter();
    let target = targets.find(|target| Some(&target.name) == item.target.as_ref())?;
    let machine = item.machine?;
    match &item.decision {
        Decision::Kept { name, .. } | Decision::Served { by: name } => {
            let entry = given.seen.instance.entries.iter().find(|entry| entry.name == *name);
            Some(ProbeSubject::taken_by(target, machine, entry))
        }
        Decision::Change(
            Action::Add(rule) | Action::Enable(rule) | Action::Replace { rule, .. },
        ) => {
            let interpreter = Some(rule.interpreter().as_path());
            let credentials = rule.flags().credentials;
            Some(ProbeSubject { target, machine, interpreter, credentials })
        }
        Decision::Change(Action::EnableInstance | Action::Remove { .. })
        | Decision::Native
        | Decision::Refused(_) => None,
    }
}

/// The name of the rule that serves a line, or will.
pub(super) fn server(item: &Item) -> Option<&OsStr> {
    match &item.decision {
        Decision::Kept { name, .. } | Decision::Served { by: name } => Some(name),
        Decision::Change(
            Action::Add(rule) | Action::Enable(rule) | Action::Replace { rule, .. },
        ) => Some(OsStr::new(rule.name().as_str())),
        Decision::Change(Action::EnableInstance | Action::Remove { .. })
        | Decision::Native
        | Decision::Refused(_) => None,
    }
}
