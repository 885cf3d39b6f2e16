//! What a check of the host judges: the host as a whole, its instance, or each target by itself.

use crate::doctor::facts::Facts;
use crate::doctor::finding::{Draft, Finding};
use crate::doctor::host::facts::{HostFacts, TargetFacts};
use crate::doctor::id::CheckId;
use crate::observation::Observation;
use crate::rule::Entry;
use crate::target::Target;
use crate::verify::Proof;

/// One target that is judged, and the finding about it.
pub(super) struct TargetCase<'a> {
    pub(super) facts: &'a HostFacts<'a>,
    pub(super) asked: &'a TargetFacts<'a>,
    pub(super) draft: Draft,
}

impl<'a> TargetCase<'a> {
    pub(super) fn new(facts: &'a Facts<'a>, asked: &'a TargetFacts<'a>, id: CheckId) -> Self {
        Self { facts: &facts.host, asked, draft: asked.draft(id) }
    }
}

const NO_INSTANCE: &str = "there is no instance to look at";

pub(super) fn host(
    facts: &Facts<'_>,
    id: CheckId,
    judge: fn(&HostFacts<'_>, Draft) -> Finding,
) -> Vec<Finding> {
    vec![judge(&facts.host, Draft::host(id))]
}

/// The instance of `binfmt_misc` as a whole.
pub(super) fn instance(
    facts: &Facts<'_>,
    id: CheckId,
    judge: fn(&HostFacts<'_>, &Observation, Draft) -> Finding,
) -> Vec<Finding> {
    let draft = Draft::host(id);
    vec![match facts.host.instance() {
        Some(seen) => judge(&facts.host, seen, draft),
        None => draft.skip(NO_INSTANCE),
    }]
}

/// Each target that needs a rule.
pub(super) fn foreign(
    facts: &Facts<'_>,
    id: CheckId,
    judge: fn(TargetCase<'_>) -> Finding,
) -> Vec<Finding> {
    let cases = facts.host.foreign().map(|asked| TargetCase::new(facts, asked, id));
    let judge = |case: TargetCase<'_>| match facts.host.instance() {
        Some(_) => judge(case),
        None => case.draft.skip(NO_INSTANCE),
    };
    cases.map(judge).collect()
}

/// The rule that takes the programs of each target that needs one.
pub(super) fn rule(
    facts: &Facts<'_>,
    id: CheckId,
    judge: fn(TargetCase<'_>, &Entry) -> Finding,
) -> Vec<Finding> {
    let cases = facts.host.foreign().map(|asked| TargetCase::new(facts, asked, id));
    let judge = |case: TargetCase<'_>| match facts.host.rule(case.asked) {
        _ if facts.host.instance().is_none() => case.draft.skip(NO_INSTANCE),
        Some(entry) => judge(case, entry),
        None => case.draft.skip("there is no enabled rule"),
    };
    cases.map(judge).collect()
}

/// What running the probe of each target proved.
pub(super) fn proof(
    facts: &Facts<'_>,
    id: CheckId,
    judge: impl Fn(TargetCase<'_>, &Proof) -> Finding,
) -> Vec<Finding> {
    proof_where(facts, id, |_| true, judge)
}

/// The same for some targets only.
pub(super) fn proof_where(
    facts: &Facts<'_>,
    id: CheckId,
    is_concerned: fn(&Target) -> bool,
    judge: impl Fn(TargetCase<'_>, &Proof) -> Finding,
) -> Vec<Finding> {
    let targets = facts.host.targets.iter().filter(|asked| is_concerned(asked.target));
    let judge = |asked| {
        let case = TargetCase::new(facts, asked, id);
        match &asked.proof {
            Some(proof) => judge(case, proof),
            None => case.draft.skip("there is no probe for this target, so nothing was run"),
        }
    };
    targets.map(judge).collect()
}
