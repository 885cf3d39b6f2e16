//! Findings that several targets have in common, merged so that each is shown once.

use std::collections::BTreeSet;

use super::document::{DoctorDocument, DoctorTarget, MatchingRule};
use crate::doctor::{CheckId, Finding, Status, Verdict};
use crate::fix::{Fix, Reader};
use crate::phrase::{Evidence, Phrase};

/// Targets with the same verdict and the same findings.
pub(super) struct Group<'a> {
    /// By name; never empty.
    pub(super) targets: Vec<&'a DoctorTarget>,
    /// In the order of the checks.
    pub(super) findings: Vec<MergedFinding<'a>>,
}

/// Findings that differ in nothing but their targets: one sentence and one fix cover them.
pub(super) struct MergedFinding<'a> {
    of: Vec<&'a Finding>,
    targets: Vec<&'a DoctorTarget>,
    configured: BTreeSet<&'a str>,
    reader: Reader,
    /// The rules that match these programs, where the finding is about several for one target.
    pub(super) matching_rules: &'a [MatchingRule],
}

impl<'a> Group<'a> {
    /// What is wrong with the wanted targets, in the order of each group's first target. The targets of a group have
    /// the same verdict, and all or none of them are required.
    pub(super) fn all(
        document: &'a DoctorDocument,
        wanted: impl Fn(&DoctorTarget) -> bool,
    ) -> Vec<Self> {
        let wanted: Vec<&DoctorTarget> =
            document.targets.iter().filter(|target| wanted(target)).collect();
        let mut all: Vec<MergedFinding<'_>> = Vec::new();
        for finding in document.checks.iter().filter(|finding| finding.status.is_trouble()) {
            let is_its = |target: &&&DoctorTarget| finding.target.as_ref() == Some(&target.target);
            let Some(target) = wanted.iter().find(is_its) else { continue };
            match all.iter_mut().find(|merged| merged.takes(target, finding)) {
                Some(merged) => merged.add(target, finding),
                None => all.push(MergedFinding::new(document, Some(target), finding)),
            }
        }
        let mut groups: Vec<Self> = Vec::new();
        for merged in all {
            let targets = merged.targets.as_slice();
            match groups.iter_mut().find(|group| is_same(&group.targets, targets)) {
                Some(group) => group.findings.push(merged),
                None => groups.push(Self { targets: targets.to_vec(), findings: vec![merged] }),
            }
        }
        // A verdict that no check accounts for, such as that of a target without a probe.
        for target in &wanted {
            let is_covered = groups.iter().any(|group| contains(&group.targets, target));
            if target.verdict.is_sound() || is_covered {
                continue;
            }
            let alike =
                |group: &&mut Self| group.findings.is_empty() && is_alike(group.targets[0], target);
            match groups.iter_mut().find(alike) {
                Some(group) => group.targets.push(target),
                None => groups.push(Self { targets: vec![target], findings: Vec::new() }),
            }
        }
        let place =
            |group: &Self| wanted.iter().position(|target| contains(&group.targets, target));
        groups.sort_by_key(place);
        for group in &mut groups {
            group.targets.sort_by(|one, other| one.target.cmp(&other.target));
        }
        groups
    }

    /// Every finding about one target, none of them merged.
    pub(super) fn of(document: &'a DoctorDocument, target: &'a DoctorTarget) -> Self {
        let findings = document.findings_of(Some(&target.target));
        let findings = findings.map(|finding| MergedFinding::new(document, Some(target), finding));
        Self { targets: vec![target], findings: findings.collect() }
    }

    pub(super) fn single(&self) -> Option<&'a DoctorTarget> {
        if let [target] = self.targets.as_slice() { Some(target) } else { None }
    }

    pub(super) fn verdict(&self) -> Verdict {
        self.targets[0].verdict
    }

    /// Whether these targets decide the exit code.
    pub(super) fn is_required(&self) -> bool {
        self.targets[0].required
    }

    pub(super) fn names(&self) -> String {
        let names = self.targets.iter().map(|target| target.target.as_str());
        names.collect::<Vec<_>>().join(" ")
    }
}

impl<'a> MergedFinding<'a> {
    /// One finding, of a target or the host.
    pub(super) fn new(
        document: &'a DoctorDocument,
        target: Option<&'a DoctorTarget>,
        finding: &'a Finding,
    ) -> Self {
        Self {
            of: vec![finding],
            targets: target.into_iter().collect(),
            configured: document.configured.iter().map(String::as_str).collect(),
            reader: document.reader,
            matching_rules: target.map_or(&[], |target| matching_rules(document, target, finding)),
        }
    }

    pub(super) fn of_host(document: &'a DoctorDocument) -> Vec<Self> {
        let findings = document.findings_of(None).filter(|finding| finding.status.is_trouble());
        findings.map(|finding| Self::new(document, None, finding)).collect()
    }

    /// Each finding with its fix. A fix that the next finding has as well is shown there only, unless `all`.
    pub(super) fn with_fixes(
        merged: &[Self],
        all: bool,
    ) -> impl Iterator<Item = (&Self, Option<String>)> {
        merged.iter().enumerate().map(move |(at, one)| {
            let next = merged.get(at + 1).and_then(Self::fix);
            (one, one.fix().filter(|fix| all || next.as_ref() != Some(fix)))
        })
    }

    fn takes(&self, target: &DoctorTarget, finding: &Finding) -> bool {
        self.of[0].is_like(finding) && is_alike(self.targets[0], target)
    }

    fn add(&mut self, target: &'a DoctorTarget, finding: &'a Finding) {
        // There may be one for each value of e_machine.
        if !contains(&self.targets, target) {
            self.targets.push(target);
        }
        self.of.push(finding);
        // Each target has rules of its own, and the evidence names them.
        self.matching_rules = &[];
    }

    /// The targets' names, sorted; empty for the host.
    pub(super) fn names(&self) -> String {
        let names: BTreeSet<&str> =
            self.targets.iter().map(|target| target.target.as_str()).collect();
        names.into_iter().collect::<Vec<_>>().join(" ")
    }

    pub(super) fn id(&self) -> &'static str {
        self.of[0].id.as_str()
    }

    pub(super) fn status(&self) -> Status {
        self.of[0].status
    }

    pub(super) fn counts(&self, document: &DoctorDocument) -> bool {
        document.counts(self.of[0])
    }

    pub(super) fn summary(&self) -> String {
        let phrases: Vec<&Phrase> = self.of.iter().map(|finding| &finding.summary).collect();
        Phrase::of_all(&phrases, &self.configured)
    }

    /// Empty if nothing was seen.
    pub(super) fn evidence(&self) -> String {
        let evidence: Vec<&Evidence> = self.of.iter().map(|finding| &finding.evidence).collect();
        Evidence::of_all(&evidence, &self.configured)
    }

    pub(super) fn fix(&self) -> Option<String> {
        let fixes: Vec<&Fix> = self.of.iter().filter_map(|finding| finding.fix.as_ref()).collect();
        (!fixes.is_empty()).then(|| Fix::of_all(&fixes, &self.configured, self.reader))
    }
}

/// The check has a finding for each value of `e_machine`, in their order.
fn matching_rules<'a>(
    document: &DoctorDocument,
    target: &'a DoctorTarget,
    finding: &Finding,
) -> &'a [MatchingRule] {
    let findings = document.findings_of(Some(&target.target));
    let mut conflicts = findings.filter(|other| other.id == CheckId::RuleShadowed);
    let machine = conflicts.position(|conflict| std::ptr::eq(conflict, finding));
    let matching_rules =
        machine.and_then(|at| target.machines.get(at)).map(|machine| machine.rules.as_slice());
    matching_rules.filter(|matching_rules| matching_rules.len() > 1).unwrap_or(&[])
}

fn is_alike(one: &DoctorTarget, other: &DoctorTarget) -> bool {
    (one.verdict, one.required) == (other.verdict, other.required)
}

fn contains(targets: &[&DoctorTarget], target: &DoctorTarget) -> bool {
    targets.iter().any(|known| known.target == target.target)
}

fn is_same(some: &[&DoctorTarget], others: &[&DoctorTarget]) -> bool {
    some.len() == others.len() && some.iter().all(|target| contains(others, target))
}
