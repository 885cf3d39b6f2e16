//! Decides from facts and findings what `--fix` changes; the caller carries it out.

use std::collections::BTreeSet;

use super::facts::Facts;
use super::finding::{Finding, Status};
use super::host::facts::{HostFacts, TargetFacts};
use super::id::{CheckId, Family};
use super::verdict::verdict;
use crate::config::Settings;
use crate::failure::Failure;
use crate::observation::{Observation, unfinished_name};
use crate::plan::{self, Action, Decision, Item, Plan, Request};
use crate::system::binfmt_misc::instance::InstanceError;

/// What to repair on the host: first the mount, then the rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repair {
    /// Whether `binfmt_misc` is mounted first.
    pub mount: bool,
    /// The targets whose rules are repaired.
    pub targets: Vec<String>,
}

impl Repair {
    pub fn new(facts: &Facts<'_>, findings: &[Finding]) -> Self {
        let targets = wrong_targets(facts, findings);
        Self { mount: is_to_be_mounted(&facts.host, findings, &targets), targets }
    }

    /// Whether there is, or will be, an instance whose rules could be changed.
    pub fn has_instance(&self, facts: &HostFacts<'_>) -> bool {
        self.mount || facts.trouble.is_none()
    }

    /// What has to be observed to plan the repair: everything that was asked about, and these targets.
    pub fn observed(&self, settings: &Settings, request: &Request) -> Request {
        request.with(settings, &self.targets)
    }

    /// What `register` would do for these targets, and, unless targets were named, for the configuration's own rules.
    pub fn plan(
        &self,
        settings: &Settings,
        request: &Request,
        seen: &Observation,
    ) -> Result<Plan, Failure> {
        let wrong = Request { only: Some(self.targets.clone()), takeover: false };
        let mut plan = plan::plan(settings, &wrong, seen)?;
        if request.only.is_none() {
            let whole = plan::plan(settings, request, seen)?;
            plan.items.extend(whole.items.into_iter().filter(is_of_no_target));
        }
        Ok(plan)
    }
}

pub fn is_failing(findings: &[Finding]) -> bool {
    findings.iter().any(|finding| finding.status == Status::Fail)
}

/// The builder that `bootstrap` has to repair: it could be inspected, and fails a check of its family.
pub fn builder_to_repair<'a>(facts: &'a Facts<'_>, findings: &[Finding]) -> Option<&'a str> {
    let builder = facts.builder.as_ref().filter(|builder| builder.outcome.is_ok())?;
    let is_wrong = |finding: &Finding| {
        finding.id.family() == Family::Builder && finding.status == Status::Fail
    };
    findings.iter().any(is_wrong).then_some(builder.name.as_str())
}

/// The foreign targets with a finding or a bad verdict. The plan decides whether there is anything to change.
fn wrong_targets(facts: &Facts<'_>, findings: &[Finding]) -> Vec<String> {
    let told_of: BTreeSet<&str> = findings
        .iter()
        .filter(|finding| matches!(finding.status, Status::Fail | Status::Warn))
        .filter_map(|finding| finding.target.as_deref())
        .collect();
    let is_wrong = |asked: &&TargetFacts<'_>| {
        told_of.contains(asked.target.name.as_str()) || verdict(facts, asked).is_failure()
    };
    let mut names: Vec<String> = Vec::new();
    for asked in facts.host.foreign().filter(is_wrong) {
        if !names.contains(&asked.target.name) {
            names.push(asked.target.name.clone());
        }
    }
    names
}

/// Only the host's own instance is mounted: an instance of a user namespace would have no effect outside of it, and
/// would hide the host's rules inside.
fn is_to_be_mounted(facts: &HostFacts<'_>, findings: &[Finding], wrong: &[String]) -> bool {
    let would_help = match &facts.trouble {
        Some(
            InstanceError::NoFolder | InstanceError::NotMounted | InstanceError::BrokenAutomount(_),
        ) => true,
        Some(InstanceError::Foreign(_) | InstanceError::Io(_)) | None => false,
    };
    let is_mounts_fault =
        |finding: &Finding| finding.id == CheckId::KernelMounted && finding.status == Status::Fail;
    let is_missed = !wrong.is_empty() || findings.iter().any(is_mounts_fault);
    would_help && is_missed && facts.first_namespace
}

/// A rule that binfmtd registered and that is no longer configured stays: it does no harm, and somebody may have asked
/// for it by name. Leftovers of an interrupted replacement are removed.
fn is_of_no_target(item: &Item) -> bool {
    item.target.is_none()
        && item.rule.is_some()
        && match &item.decision {
            Decision::Change(Action::Remove { name, .. }) => {
                name.to_str().is_some_and(|name| unfinished_name(name).is_some())
            }
            _ => true,
        }
}
