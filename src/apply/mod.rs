//! Carries a plan out: trial, make-before-break, rollback, record of ownership.

mod edge;
mod error;
mod in_place;
mod prober;
mod record;
mod replace;
mod restore;
mod standing;
mod trial;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

use crate::config::{Settings, Verify};
use crate::failure::Failure;
use crate::observation::Observation;
use crate::plan::{self, Action, Decision, Item, Plan};
use crate::rule::{Entry, Rule};
use crate::system::process::batch::BatchError;
use crate::system::process::signal::Interrupt;
use crate::verify::{Proof, Subject};

pub use edge::{Edge, KernelRegistry, Prover, RecordStore, Registry};
pub use error::{RuleError, TrialFault};
pub use prober::Prober;
pub use restore::restore;
pub use trial::{Candidate, Tried};

use record::Moment;
use replace::Pending;

/// What a plan was made of.
#[derive(Clone, Copy)]
pub struct Given<'a> {
    pub settings: &'a Settings,
    /// Seen since the store was locked, so that no other binfmtd changed anything since.
    pub seen: &'a Observation,
    /// The instance is our own and empty: a trial in another one would prove nothing more.
    pub private: bool,
}

/// What became of one line of the plan.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The line, with the rule as it was registered in the end.
    pub item: Item,
    /// Whether something was written to the kernel and stands.
    pub changed: bool,
    pub error: Option<RuleError>,
    /// What was proved on the real instance.
    pub proof: Option<Proof>,
}

impl Outcome {
    /// For a line that nothing was done about yet.
    pub fn of(item: Item) -> Self {
        Self { item, changed: false, error: None, proof: None }
    }

    /// Whether what was asked for is so.
    pub fn is_well(&self) -> bool {
        self.error.is_none() && !matches!(self.item.decision, Decision::Refused(_))
    }

    /// Whether somebody removed the rule, or switched it off, before it was proved.
    pub fn is_undone(&self) -> bool {
        self.error == Some(RuleError::Undone)
    }
}

/// Carries `plan` out, line by line; one that fails never stops the others.
pub fn apply(plan: Plan, given: Given<'_>, edge: Edge<'_>) -> Result<Vec<Outcome>, Failure> {
    let mut work = Work::new(plan, given, edge);
    if work.writes() {
        work.carry_out()?;
    } else if !given.seen.record.coming.is_empty() {
        work.save(Moment::After)?;
    }
    if given.settings.verify != Verify::Off {
        work.prove_standing()?;
        if work.remove_what_fails() {
            work.save(Moment::After)?;
        }
    }
    Ok(work.end())
}

/// Proves what stands, for a plan without changes: needs no lock.
pub fn prove(plan: Plan, given: Given<'_>, edge: Edge<'_>) -> Result<Vec<Outcome>, Failure> {
    let mut work = Work::new(plan, given, edge);
    if given.settings.verify != Verify::Off {
        work.prove_standing()?;
    }
    Ok(work.outcomes)
}

struct Work<'a, 'e> {
    given: Given<'a>,
    edge: Edge<'e>,
    outcomes: Vec<Outcome>,
    /// Rules that are in the kernel and not final, by their places in the plan.
    pending: BTreeMap<usize, Pending>,
}

impl<'a, 'e> Work<'a, 'e> {
    fn new(plan: Plan, given: Given<'a>, edge: Edge<'e>) -> Self {
        let outcomes = plan.items.into_iter().map(Outcome::of).collect();
        Self { given, edge, outcomes, pending: BTreeMap::new() }
    }

    fn writes(&self) -> bool {
        let mut lines = self.outcomes.iter();
        lines.any(|outcome| matches!(outcome.item.decision, Decision::Change(_)))
    }

    fn carry_out(&mut self) -> Result<(), Failure> {
        self.edge.registry.open().map_err(Failure::io("open register"))?;
        let verify = self.given.settings.verify;
        let tried = verify == Verify::Before && !self.given.private && self.trial()?;
        // Before the kernel hears of it: whatever happens to this process, what is ours is known to be.
        let announced = self.save(Moment::Before)?;
        // A signal waits from here on until nothing is half done.
        let _interrupt = Interrupt::catch().map_err(BatchError::from)?;
        self.register();
        if verify != Verify::Off
            && !tried
            && let Err(error) = self.prove_pending()
        {
            self.take_back_all();
            let _ = self.save(Moment::After);
            return Err(error.into());
        }
        self.commit();
        if self.record(Moment::After) != announced {
            self.save(Moment::After)?;
        }
        Ok(())
    }

    /// Tries every new rule. False where the kernel has no private instance for us: then rules are
    /// proved in place, before the old ones go.
    fn trial(&mut self) -> Result<bool, BatchError> {
        let given = self.given;
        let candidates: Vec<Candidate<'_>> = new_rules(&self.outcomes)
            .map(|(place, outcome, rule, _)| Candidate {
                place,
                rule,
                subject: subject(given, &outcome.item),
                may_drop_p: may_drop_p(given.settings, &outcome.item, rule),
            })
            .collect();
        if candidates.is_empty() {
            return Ok(true);
        }
        let Some(tried) = self.edge.prover.trial(&candidates)? else { return Ok(false) };
        for (place, tried) in tried {
            match tried {
                Tried::Works => {}
                Tried::WorksWithoutP => self.drop_p(place),
                Tried::Fails(fault) => self.outcomes[place].error = Some(RuleError::Trial(fault)),
            }
        }
        Ok(true)
    }

    fn drop_p(&mut self, place: usize) {
        if let Decision::Change(Action::Add(rule) | Action::Replace { rule, .. }) =
            &mut self.outcomes[place].item.decision
            && let Some(plain) = trial::without_p(rule)
        {
            *rule = plain;
        }
    }

    /// A rule that somebody took away is not a change that stands. It stays recorded as ours, for
    /// whoever puts it back.
    fn end(mut self) -> Vec<Outcome> {
        for outcome in self.outcomes.iter_mut().filter(|outcome| outcome.is_undone()) {
            outcome.changed = false;
        }
        self.outcomes
    }

    /// Whether a rule is there and enabled at this moment. If somebody took it away or switched it off
    /// meanwhile, a failed probe says nothing about it.
    fn is_in_force(&self, is_it: impl Fn(&Entry) -> bool) -> bool {
        self.edge.registry.look().is_ok_and(|facts| {
            facts.enabled && facts.entries.iter().any(|entry| entry.enabled && is_it(entry))
        })
    }
}

/// The lines that register a rule and have no error yet: place, line, rule, and the names that go.
fn new_rules(outcomes: &[Outcome]) -> impl Iterator<Item = (usize, &Outcome, &Rule, &[OsString])> {
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

fn may_drop_p(settings: &Settings, item: &Item, rule: &Rule) -> bool {
    rule.flags().preserve_argv0
        && item.target.as_ref().is_some_and(|target| plan::may_drop_p(settings, target))
}

/// The target of a line, and the rule that serves it or is to; `None` for a line without a target or a rule.
fn subject<'a>(given: Given<'a>, item: &'a Item) -> Option<Subject<'a>> {
    let mut targets = given.settings.table.targets().iter();
    let target = targets.find(|target| Some(&target.name) == item.target.as_ref())?;
    let machine = item.machine?;
    match &item.decision {
        Decision::Kept { name, .. } | Decision::Served { by: name } => {
            let entry = given.seen.instance.entries.iter().find(|entry| entry.name == *name);
            Some(Subject::taken_by(target, machine, entry))
        }
        Decision::Change(
            Action::Add(rule) | Action::Enable(rule) | Action::Replace { rule, .. },
        ) => {
            let interpreter = Some(rule.interpreter().as_path());
            let credentials = rule.flags().credentials;
            Some(Subject { target, machine, interpreter, credentials })
        }
        Decision::Change(Action::EnableInstance | Action::Remove { .. })
        | Decision::Native
        | Decision::Refused(_) => None,
    }
}

/// The name of the rule that serves a line, or is to.
fn server(item: &Item) -> Option<&OsStr> {
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

#[cfg(test)]
mod tests;
