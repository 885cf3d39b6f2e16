//! A trial of rules in a private instance, before the host sees them.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;

use serde::{Deserialize, Serialize};

use super::{Work, without_p};
use crate::probe::{self, ElfType};
use crate::rule::Rule;
use crate::system::binfmt_misc::instance::{Instance, Registrar};
use crate::system::binfmt_misc::native;
use crate::system::binfmt_misc::private;
use crate::system::process::batch::BatchError;
use crate::system::process::child::ExecError;
use crate::system::process::fork;
use crate::verify::Proof;

/// What a trial found, by the place of the line in the plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum Tried {
    Works,
    WorksWithoutP,
    Fails(String),
}

/// What the fork says.
#[derive(Debug, Serialize, Deserialize)]
enum Answer {
    /// What became of each rule.
    Tried(Vec<(usize, Tried)>),
    /// The kernel or the distribution gives us none.
    NoInstance(String),
    /// It gave us one, and then something of ours failed: no reason to go on without a trial.
    Broke(String),
}

impl Work<'_> {
    /// Tries every rule in a private instance. False where the kernel has none for us: then rules
    /// are proved in place, before the old ones go.
    pub(super) fn trial(
        &mut self,
        progress: &mut dyn FnMut(&str, usize, usize),
    ) -> Result<bool, BatchError> {
        let rules = self.rules();
        if rules.is_empty() {
            return Ok(true);
        }
        progress("trying rules in a private instance", 0, rules.len());
        let answer = fork::run(|| serde_json::to_vec(&self.try_rules(&rules)).unwrap_or_default())?;
        let tried = match serde_json::from_slice(&answer).map_err(io::Error::other)? {
            Answer::Tried(tried) => tried,
            Answer::NoInstance(why) => {
                tracing::info!(
                    "no private instance here, so each rule is proved in place before it replaces another: {why}"
                );
                return Ok(false);
            }
            Answer::Broke(why) => return Err(BatchError::Io(io::Error::other(why))),
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
        Ok(true)
    }

    /// Runs in a fork: whatever it does to the namespace ends with it.
    fn try_rules(&self, rules: &[(usize, Rule, Vec<OsString>)]) -> Answer {
        let instance = match private::enter_private() {
            Ok(instance) => instance,
            Err(error) => return Answer::NoInstance(error.to_string()),
        };
        let mut registrar = match instance.registrar() {
            Ok(registrar) => registrar,
            Err(error) => return Answer::Broke(error.to_string()),
        };
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
        let proofs = match self.prove(&registered, &mut |_, _| {}) {
            Ok(proofs) => proofs,
            Err(error) => return Answer::Broke(error.to_string()),
        };
        // Before any of them is judged: with all of them in place, the host's programs must run.
        let harm = match self.harm() {
            Ok(harm) => harm,
            Err(error) => return Answer::Broke(error.to_string()),
        };
        for ((index, rule), proof) in registered.iter().zip(proofs) {
            let judged = match (&harm, &proof) {
                // No probe ran through it, so it may be the one.
                (Some(harm), None) => Tried::Fails(harm.clone()),
                _ => self.judge_trial(&instance, &mut registrar, *index, rule, proof),
            };
            tried.insert(*index, judged);
        }
        Answer::Tried(tried.into_iter().collect())
    }

    /// Whether the host's own programs no longer run by themselves: the second line behind the guard.
    fn harm(&self) -> Result<Option<String>, ExecError> {
        let targets = self.settings.table.targets().iter();
        let (names, programs): (Vec<&str>, Vec<Vec<u8>>) = targets
            .filter(|target| self.seen.natives.contains(&target.name))
            .flat_map(|target| {
                [ElfType::Executable, ElfType::Shared]
                    .map(|kind| (target.name.as_str(), probe::truncated(target, kind)))
            })
            .unzip();
        let answers = native::ask(&programs)?;
        let harmed = names.iter().zip(answers).find(|(_, answer)| *answer != native::RunBy::Kernel);
        Ok(harmed.map(|(name, _)| format!("with it, {name} programs no longer run by themselves")))
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
