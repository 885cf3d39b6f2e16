//! Registers new rules beside the old ones in the real instance, proves them there if no trial has, and then makes
//! them final or takes them back.

use std::collections::BTreeSet;
use std::ffi::OsString;

use super::error::RuleError;
use super::outcome::{Outcome, may_drop_p, new_rules, subject};
use super::replace::{self, Pending, lossy};
use super::restore;
use super::work::Work;
use crate::plan::{Action, Decision};
use crate::rule::Rule;
use crate::system::process::batch::BatchError;
use crate::verify::Proof;

impl Work<'_, '_> {
    /// Enables what the plan enables, and registers each new rule beside the ones that it replaces.
    pub(super) fn register(&mut self) {
        let registry = &mut *self.edge.registry;
        for outcome in &mut self.outcomes {
            if let Decision::Change(action @ (Action::EnableInstance | Action::Enable(_))) =
                &outcome.item.decision
            {
                let result = restore::one(action, registry);
                outcome.changed = result.is_ok();
                outcome.error = result.err();
            }
        }
        let begun: Vec<(usize, Result<Pending, RuleError>)> = new_rules(&self.outcomes)
            .map(|(place, _, rule, old)| (place, replace::begin(registry, rule, old)))
            .collect();
        for (place, result) in begun {
            self.began(place, result);
        }
    }

    fn began(&mut self, place: usize, result: Result<Pending, RuleError>) {
        match result {
            Ok(pending) => {
                self.pending.insert(place, pending);
            }
            Err(error) => self.outcomes[place].error = Some(error),
        }
    }

    /// Proves pending rules in place. The kernel asks the newest rule first, so a probe runs through it while the old
    /// rule is still there.
    pub(super) fn prove_pending(&mut self) -> Result<(), BatchError> {
        let given = self.given;
        let subjects = pending_rules(&self.outcomes, &self.pending)
            .filter_map(|(place, outcome, _)| Some((place, subject(given, &outcome.item)?)));
        let task = Some("proving rules in place");
        let proofs = self.edge.prover.prove(subjects.collect(), task)?;
        let mut shifted = Vec::new();
        for (place, proof) in proofs {
            let is_free = |(at, outcome, rule): (usize, &Outcome, &Rule)| {
                at == place && may_drop_p(given.settings, &outcome.item, rule)
            };
            if proof.arguments_are_shifted()
                && pending_rules(&self.outcomes, &self.pending).any(is_free)
            {
                shifted.push(place);
            } else {
                self.judge_pending(place, proof);
            }
        }
        for place in shifted {
            self.begin_without_p(place)?;
        }
        Ok(())
    }

    /// Registers a pending rule again without the flag `P`, and proves that one.
    fn begin_without_p(&mut self, place: usize) -> Result<(), BatchError> {
        let Some(pending) = self.pending.remove(&place) else { return Ok(()) };
        // If it cannot be removed, its name stays taken, and registering it again reports that.
        let _ = self.edge.registry.remove(&pending.name);
        self.drop_p(place);
        let rule = new_rules(&self.outcomes).find(|(at, ..)| *at == place);
        let Some((_, _, rule, _)) = rule else { return Ok(()) };
        let begun = replace::begin(self.edge.registry, rule, &pending.old);
        self.began(place, begun);
        if !self.pending.contains_key(&place) {
            return Ok(());
        }
        let subject = subject(self.given, &self.outcomes[place].item);
        let subjects = subject.into_iter().map(|subject| (place, subject)).collect();
        if let Some(proof) = self.edge.prover.prove(subjects, None)?.remove(&place) {
            self.judge_pending(place, proof);
        }
        Ok(())
    }

    /// Keeps a pending rule, or takes it back if its proof failed.
    fn judge_pending(&mut self, place: usize, proof: Proof) {
        let name = self.pending.get(&place).map(|pending| pending.name.clone());
        let stands = || name.is_some_and(|name| self.is_in_force(|entry| entry.name == name));
        if proof.nobody && !stands() {
            self.pending.remove(&place);
            self.outcomes[place].error = Some(RuleError::Undone);
        } else if let Some(why) = proof.failure() {
            self.take_back(place, RuleError::Probe(why.to_owned()));
        } else {
            self.outcomes[place].proof = Some(proof);
        }
    }

    /// Removes a pending rule; the rule that it was to replace is still there.
    fn take_back(&mut self, place: usize, why: RuleError) {
        let Some(pending) = self.pending.remove(&place) else { return };
        let why = Box::new(why);
        self.outcomes[place].error = Some(match self.edge.registry.remove(&pending.name) {
            Ok(()) => RuleError::TakenBack { why },
            Err(error) => {
                let error = (&error).into();
                RuleError::NotTakenBack { why, name: lossy(&pending.name), error }
            }
        });
    }

    pub(super) fn take_back_all(&mut self) {
        for place in self.pending.keys().copied().collect::<Vec<_>>() {
            self.take_back(place, RuleError::Unproved);
        }
    }

    /// Makes pending rules final, and removes the rules that the plan removes.
    pub(super) fn commit(&mut self) {
        let registry = &mut *self.edge.registry;
        let mut gone: BTreeSet<OsString> = BTreeSet::new();
        let mut finished = Vec::new();
        for (place, _, rule) in pending_rules(&self.outcomes, &self.pending) {
            let Some(mut pending) = self.pending.get(&place).cloned() else { continue };
            // Several rules may replace the same entry, and one of them may have taken its name already.
            pending.old.retain(|old| !gone.contains(old));
            finished.push((place, replace::finish(registry, rule, &pending)));
            gone.extend(pending.old);
        }
        self.pending.clear();
        for (place, result) in finished {
            self.outcomes[place].changed = true;
            self.outcomes[place].error = result.err();
        }
        for outcome in &mut self.outcomes {
            if let Decision::Change(Action::Remove { name, .. }) = &outcome.item.decision {
                let result = registry.remove(name);
                outcome.changed = result.is_ok();
                let failed = |error: std::io::Error| RuleError::Remove {
                    name: lossy(name),
                    error: (&error).into(),
                };
                outcome.error = result.err().map(failed);
            }
        }
    }
}

fn pending_rules<'a>(
    outcomes: &'a [Outcome],
    pending: &'a std::collections::BTreeMap<usize, Pending>,
) -> impl Iterator<Item = (usize, &'a Outcome, &'a Rule)> {
    let rules = new_rules(outcomes).filter(|(place, ..)| pending.contains_key(place));
    rules.map(|(place, outcome, rule, _)| (place, outcome, rule))
}
