//! A trial of rules in a private instance, before the host sees them.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;

use super::edge::{Candidate, Registry, Tried};
use super::error::TrialFault;
use crate::system::process::batch::BatchError;
use crate::verify::{ProbeSubject, Proof};

/// What a trial works with.
pub(super) trait Bench {
    fn registry(&mut self) -> &mut dyn Registry;

    fn prove(
        &mut self,
        subjects: Vec<(usize, ProbeSubject<'_>)>,
    ) -> Result<BTreeMap<usize, Proof>, BatchError>;

    /// A native target whose programs no longer run without an interpreter. The guard refuses such rules; this shows
    /// what it missed.
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
    // Before `judge`, which may replace a rule: with all of them in place, the host's programs must run.
    let harmed = bench.harmed()?;
    for candidate in registered {
        let result = match (proofs.remove(&candidate.place), &harmed) {
            (Some(proof), _) => judge(bench, candidate, &proof),
            // No probe ran through this rule, so it may be the one that does harm.
            (None, Some(target)) => Tried::Fails(TrialFault::Harm(target.clone())),
            // No more is known than that the kernel accepts the rule.
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
    let (Ok(plain), Some(subject)) = (candidate.rule.without_p(), candidate.subject) else {
        return false;
    };
    let registry = bench.registry();
    let replaced = registry.remove(OsStr::new(plain.name().as_str())).is_ok()
        && registry.register(&plain).is_ok();
    let proofs = if replaced { bench.prove(vec![(candidate.place, subject)]).ok() } else { None };
    let proof = proofs.and_then(|mut proofs| proofs.remove(&candidate.place));
    proof.is_some_and(|proof| proof.failure().is_none())
}
