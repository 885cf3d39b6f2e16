//! A trial of rules in a private instance, before the host sees them.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

use serde::{Deserialize, Serialize};

use super::{Work, without_p};
use crate::rule::Rule;
use crate::system::instance::{Instance, Registrar};
use crate::system::{fork, namespace};
use crate::verify::Proof;

/// What a trial found, by the place of the line in the plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum Tried {
    Works,
    WorksWithoutP,
    Fails(String),
}

impl Work<'_> {
    /// Tries every rule in a private instance. False where the kernel has none for us: then rules
    /// are proved in place, before the old ones go.
    pub(super) fn trial(&mut self, progress: &mut dyn FnMut(&str, usize, usize)) -> bool {
        let rules = self.rules();
        if rules.is_empty() {
            return true;
        }
        progress("trying rules in a private instance", 0, rules.len());
        let answer = fork::run(|| self.try_rules(&rules));
        let tried: Option<Vec<(usize, Tried)>> = match answer {
            Ok(answer) => serde_json::from_slice(&answer).ok(),
            Err(error) => {
                tracing::debug!("no trial: {error}");
                None
            }
        };
        let Some(tried) = tried else {
            tracing::info!(
                "no private instance here: each rule is proved in place before it replaces another"
            );
            return false;
        };
        for (index, tried) in tried {
            match tried {
                Tried::Works => {}
                Tried::WorksWithoutP => self.drop_p(index),
                Tried::Fails(why) => {
                    self.outcomes[index].error =
                        Some(format!("tried in a private instance: {why}"));
                }
            }
        }
        true
    }

    /// Runs in a fork: whatever it does to the namespace ends with it. An empty answer says that
    /// there is no private instance.
    fn try_rules(&self, rules: &[(usize, Rule, Vec<OsString>)]) -> Vec<u8> {
        let instance = match namespace::enter_private() {
            Ok(instance) => instance,
            Err(error) => {
                tracing::debug!("{error}");
                return Vec::new();
            }
        };
        let Ok(mut registrar) = instance.registrar() else { return Vec::new() };
        let mut tried = BTreeMap::new();
        let mut registered = Vec::new();
        for (index, rule, _) in rules {
            match registrar.register(rule) {
                Ok(()) => registered.push((*index, rule.clone())),
                Err(refused) => {
                    tried.insert(*index, Tried::Fails(refused.to_string()));
                }
            }
        }
        match self.prove(&registered, &mut |_, _| {}) {
            Err(_) => return Vec::new(),
            Ok(proofs) => {
                for ((index, rule), proof) in registered.iter().zip(proofs) {
                    tried.insert(
                        *index,
                        self.judge_trial(&instance, &mut registrar, *index, rule, proof),
                    );
                }
            }
        }
        let tried: Vec<_> = tried.into_iter().collect();
        serde_json::to_vec(&tried).unwrap_or_default()
    }

    fn judge_trial(
        &self,
        instance: &Instance,
        registrar: &mut Registrar,
        index: usize,
        rule: &Rule,
        proof: Option<Proof>,
    ) -> Tried {
        // No probe: all that can be said is that the kernel takes the rule.
        let Some(proof) = proof else { return Tried::Works };
        if proof.arguments_are_shifted() && self.may_drop_p(index, rule) {
            let plain = without_p(rule).filter(|plain| {
                instance.remove(OsStr::new(rule.name().as_str())).is_ok()
                    && registrar.register(plain).is_ok()
            });
            let again = plain
                .and_then(|plain| self.prove(&[(index, plain)], &mut |_, _| {}).ok()?.pop()?);
            if again.is_some_and(|proof| proof.failure().is_none()) {
                return Tried::WorksWithoutP;
            }
        }
        match proof.failure() {
            None => Tried::Works,
            Some(why) => Tried::Fails(why.to_owned()),
        }
    }
}
