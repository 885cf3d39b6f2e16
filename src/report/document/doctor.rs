//! The document of `doctor`.

use serde::Serialize;

use super::fix::FixDocument;
use super::load::LoadDocument;
use super::target::DoctorTarget;
use crate::config::Targets;
use crate::doctor::{Facts, Finding, Status, Subject, Verdict};
use crate::fix::Reader;

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct DoctorDocument {
    /// Whether everything that counts works.
    pub ok: bool,
    /// The targets that decide the exit code; `None` for all.
    pub require: Option<Vec<String>>,
    pub host: HostDocument,
    pub targets: Vec<DoctorTarget>,
    pub checks: Vec<Finding>,
    /// What was done about it; with `--fix` alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fixes: Option<Vec<FixDocument>>,
    /// What was run of a root filesystem; with `--rootfs` alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load: Option<LoadDocument>,
    /// The targets that a command without names handles; empty if names were given. This and the fields below are for
    /// reporters, and not in JSON.
    #[serde(skip)]
    pub configured: Vec<String>,
    /// Whether only what was named was examined.
    #[serde(skip)]
    pub named: bool,
    /// Who is to run a fix: decides about `sudo`.
    #[serde(skip)]
    pub reader: Reader,
    /// Whether the configuration asks for no target at all.
    #[serde(skip)]
    pub asks_for_none: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct HostDocument {
    pub kernel: String,
    /// `uname -m`.
    pub machine: String,
    /// What the kernel runs without a rule.
    pub natives: Vec<String>,
    pub first_user_namespace: bool,
    pub container: bool,
    pub root: bool,
    /// Seconds of the quickest program that needs no rule; `None` when none ran.
    pub native_cost: Option<f64>,
}

/// The result of all that counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conclusion {
    Well,
    Failed,
    /// Nothing is known to be wrong, and something could not be checked.
    Unchecked,
}

impl DoctorDocument {
    /// From facts and the findings of them. With `require` (QEMU's names) only these targets count.
    pub fn new(facts: &Facts<'_>, findings: Vec<Finding>, require: Option<&[String]>) -> Self {
        let mut targets: Vec<DoctorTarget> = Vec::new();
        for asked in &facts.host.targets {
            match targets.iter_mut().find(|known| known.target == asked.target.name) {
                Some(known) => known.add(facts, asked),
                None => targets.push(DoctorTarget::new(facts, asked)),
            }
        }
        for target in &mut targets {
            target.required = require.is_none_or(|names| names.contains(&target.target));
        }
        let mut document = Self {
            ok: false,
            require: require.map(<[String]>::to_vec),
            host: HostDocument {
                kernel: facts.host.machine.kernel.clone(),
                machine: facts.host.machine.machine.clone(),
                natives: facts.host.native.names().to_vec(),
                first_user_namespace: facts.host.first_namespace,
                container: facts.host.container,
                root: facts.host.uid == 0,
                native_cost: facts.host.native_cost.map(|cost| cost.as_secs_f64()),
            },
            targets,
            checks: findings,
            fixes: None,
            load: facts.rootfs.as_ref().map(LoadDocument::from),
            configured: facts.host.configured(),
            named: facts.host.named,
            reader: Reader { uid: facts.host.uid },
            asks_for_none: facts.host.settings.targets == Targets::List(Vec::new()),
        };
        document.ok = document.conclusion() == Conclusion::Well;
        document
    }

    /// Whether a finding decides the exit code.
    pub fn counts(&self, finding: &Finding) -> bool {
        match (&self.require, &finding.target) {
            (None, _) => true,
            (Some(names), Some(target)) => names.contains(target),
            (Some(_), None) => match finding.subject {
                Subject::Host => false,
                // Named on the command line because it is needed.
                Subject::Builder { .. } | Subject::Rootfs { .. } => true,
            },
        }
    }

    /// A failure outweighs what could not be checked, which is not a failure of the host.
    pub fn conclusion(&self) -> Conclusion {
        let counted = || self.checks.iter().filter(|finding| self.counts(finding));
        let required = || self.targets.iter().filter(|target| target.required);
        if counted().any(|finding| finding.status == Status::Fail)
            || required().any(|target| target.verdict.is_failure())
        {
            Conclusion::Failed
        } else if counted().any(|finding| finding.status == Status::Error)
            || required().any(|target| target.verdict == Verdict::Unproved)
        {
            Conclusion::Unchecked
        } else {
            Conclusion::Well
        }
    }

    /// The findings about the host (`None`) or a target, in order.
    pub fn findings_of(&self, target: Option<&str>) -> impl Iterator<Item = &Finding> {
        self.checks.iter().filter(move |finding| finding.target.as_deref() == target)
    }
}
