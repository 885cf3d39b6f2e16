//! A trial of rules in a private instance, before the host sees them.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;

use serde::{Deserialize, Serialize};

use super::edge::Registry;
use super::error::TrialFault;
use crate::rule::Rule;
use crate::system::process::batch::BatchError;
use crate::verify::{Proof, Subject};

/// A rule that is to be tried.
#[derive(Debug, Clone)]
pub struct Candidate<'a> {
    /// Its place in the plan.
    pub place: usize,
    pub rule: &'a Rule,
    /// `None` where no probe can run through it.
    pub subject: Option<Subject<'a>>,
    /// Whether it may go without the flag `P`, which an interpreter that does not expect it cannot bear.
    pub may_drop_p: bool,
}

/// What a trial found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Tried {
    Works,
    WorksWithoutP,
    Fails(TrialFault),
}

/// What a trial works with.
pub(super) trait Bench {
    fn registry(&mut self) -> &mut dyn Registry;

    fn prove(
        &mut self,
        subjects: Vec<(usize, Subject<'_>)>,
    ) -> Result<BTreeMap<usize, Proof>, BatchError>;

    /// One of the host's own targets whose programs no longer run by themselves: the second line behind the guard.
    fn harmed(&mut self) -> io::Result<Option<String>>;
}

/// Tries every candidate in an empty instance.
pub(super) fn trial(
    bench: &mut dyn Bench,
    candidates: &[Candidate<'_>],
) -> Result<BTreeMap<usize, Tried>, BatchError> {
    bench.registry().open()?;
    let mut tried = BTreeMap::new();
    let mut registered = Vec::new();
    for candidate in candidates {
        match bench.registry().register(candidate.rule) {
            Ok(()) => registered.push(candidate),
            Err(refused) => {
                let fault = TrialFault::Refused(refused.to_string());
                tried.insert(candidate.place, Tried::Fails(fault));
            }
        }
    }
    let subjects = registered.iter().filter_map(|it| Some((it.place, it.subject?)));
    let mut proofs = bench.prove(subjects.collect())?;
    // Before any of them is judged: with all of them in place, the host's programs must run.
    let harmed = bench.harmed()?;
    for candidate in registered {
        let result = match (proofs.remove(&candidate.place), &harmed) {
            (Some(proof), _) => judge(bench, candidate, &proof),
            // No probe ran through it, so it may be the rule that does harm.
            (None, Some(target)) => Tried::Fails(TrialFault::Harm(target.clone())),
            // All that can be said is that the kernel takes the rule.
            (None, None) => Tried::Works,
        };
        tried.insert(candidate.place, result);
    }
    Ok(tried)
}

fn judge(bench: &mut dyn Bench, candidate: &Candidate<'_>, proof: &Proof) -> Tried {
    if candidate.may_drop_p && proof.arguments_are_shifted() && works_without_p(bench, candidate) {
        return Tried::WorksWithoutP;
    }
    match proof.failure() {
        None => Tried::Works,
        Some(why) => Tried::Fails(TrialFault::Probe(why.to_owned())),
    }
}

fn works_without_p(bench: &mut dyn Bench, candidate: &Candidate<'_>) -> bool {
    let (Some(plain), Some(subject)) = (without_p(candidate.rule), candidate.subject) else {
        return false;
    };
    let registry = bench.registry();
    let replaced = registry.remove(OsStr::new(plain.name().as_str())).is_ok()
        && registry.register(&plain).is_ok();
    let proofs = if replaced { bench.prove(vec![(candidate.place, subject)]).ok() } else { None };
    let proof = proofs.and_then(|mut proofs| proofs.remove(&candidate.place));
    proof.is_some_and(|proof| proof.failure().is_none())
}

pub(super) fn without_p(rule: &Rule) -> Option<Rule> {
    let mut flags = rule.flags();
    flags.preserve_argv0 = false;
    rule.with_flags(flags).ok()
}
