//! Proves, in the real instance, every wanted rule that was not proved there yet.

use std::ffi::OsStr;

use super::error::RuleError;
use super::outcome::{Outcome, subject};
use super::work::Work;
use crate::observation::Serving;
use crate::plan::{Action, Decision};
use crate::system::process::batch::BatchError;
use crate::verify::ProbeSubject;

impl Work<'_, '_> {
    pub(super) fn prove_standing(&mut self) -> Result<(), BatchError> {
        let given = self.given;
        let lines = self.outcomes.iter().enumerate();
        let unproved = lines.filter(|(_, outcome)| outcome.proof.is_none() && stands(outcome));
        let subjects: Vec<(usize, ProbeSubject<'_>)> = unproved
            .filter_map(|(place, outcome)| Some((place, subject(given, &outcome.item)?)))
            .collect();
        if subjects.is_empty() {
            return Ok(());
        }
        let task = Some("proving every target");
        let mut proofs = self.edge.prover.prove(subjects.clone(), task)?;
        // No rule took the probe, yet the rule is in force now: it was missing for a moment, until the service
        // restored it.
        let is_back = |place: &usize| {
            proofs.get(place).is_some_and(|proof| proof.nobody) && self.serves(*place)
        };
        let again: Vec<_> = subjects.into_iter().filter(|(place, _)| is_back(place)).collect();
        if !again.is_empty() {
            proofs.extend(self.edge.prover.prove(again, None)?);
        }
        for (place, proof) in proofs {
            let is_undone = proof.nobody && !self.serves(place);
            let outcome = &mut self.outcomes[place];
            let why = proof.failure().map(|why| RuleError::Probe(why.to_owned()));
            outcome.proof = Some(proof);
            if is_undone {
                outcome.error = Some(RuleError::Undone);
            } else if outcome.error.is_none() {
                outcome.error = why;
            }
        }
        Ok(())
    }

    /// Whether the rule that serves a line is in force right now.
    fn serves(&self, place: usize) -> bool {
        let server = self.outcomes[place].item.decision.server();
        server.is_some_and(|name| self.is_in_force(|entry| entry.name == name))
    }

    /// Removes rules that were added and do not work: without any rule, users get the clearer error (ENOEXEC). A rule
    /// that replaced another stays, because the old one is gone.
    pub(super) fn remove_what_fails(&mut self) -> bool {
        let mut failing = Vec::new();
        for (place, outcome) in self.outcomes.iter().enumerate().filter(|(_, it)| it.changed) {
            let Decision::Change(Action::Add(rule)) = &outcome.item.decision else { continue };
            // An old interpreter that runs is better than none.
            let fails = outcome.proof.as_ref().is_some_and(|proof| {
                !proof.works() && !matches!(proof.serving(), Serving::Stale(_))
            });
            if fails && self.is_in_force(|entry| rule.is(entry)) {
                failing.push((place, rule.name().clone()));
            }
        }
        let mut removed = false;
        for (place, name) in failing {
            if self.edge.registry.remove(OsStr::new(name.as_str())).is_ok() {
                self.outcomes[place].changed = false;
                removed = true;
            }
        }
        removed
    }
}

/// Whether a rule should serve this line by now.
fn stands(outcome: &Outcome) -> bool {
    match &outcome.item.decision {
        Decision::Kept { .. } | Decision::Served { .. } => true,
        Decision::Change(action) => outcome.changed && action.rule().is_some(),
        Decision::Native | Decision::Refused(_) => false,
    }
}
