//! What is known of the host: plain data, gathered once before any check judges it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::config::{Settings, Targets};
use crate::daemon::State;
use crate::doctor::finding::Draft;
use crate::doctor::id::CheckId;
use crate::fix::{Command, Fix, Place};
use crate::observation::{InterpreterFault, InterpreterFile, Observation, Owner};
use crate::phrase::Phrase;
use crate::plan::Native;
use crate::rule::Rule;
use crate::system::binfmt_misc::instance::InstanceError;
use crate::system::host::limits::HostLimits;
use crate::system::host::machine::Host;
use crate::system::host::surroundings::{Distribution, Module, Units};
use crate::target::Target;
use crate::verify::Proof;

/// What the checks of the host judge by.
#[derive(Debug)]
pub struct HostFacts<'a> {
    pub settings: &'a Settings,
    pub machine: Host,
    /// Whether the kernel knows `binfmt_misc` (`/proc/filesystems`).
    pub supported: bool,
    /// Filesystems on the mount point, lowest first.
    pub stack: Vec<String>,
    /// The same before anybody looked: looking triggers an automount.
    pub stack_before: Vec<String>,
    /// The same as the host's first process has them, where this process can tell.
    pub first_stack: Option<Vec<String>>,
    /// Whether this is the first user namespace, so that the instance is the host's own.
    pub first_namespace: bool,
    /// Whether the instance belongs to a user namespace above this one.
    pub from_above: bool,
    pub container: bool,
    /// Whether the instance may have been mounted in this container only.
    pub may_be_the_containers_own: bool,
    pub uid: u32,
    /// What programs inherit from this process.
    pub limits: HostLimits,
    /// Who registers each rule, by its name, according to the files of other tools.
    pub owners: BTreeMap<String, Owner>,
    /// Whether systemd runs this machine or container.
    pub systemd: bool,
    pub units: Units,
    /// What the service wrote down, if it runs.
    pub service: Option<State>,
    pub module: Module,
    pub distribution: Distribution,
    /// What systemd-binfmt registers whenever it starts.
    pub planned: Vec<PlannedRule>,
    pub read_only: bool,
    /// Where the instance is mounted, if not where the kernel documents it.
    pub elsewhere: Option<PathBuf>,
    /// Why there is no instance to look at.
    pub trouble: Option<InstanceError>,
    /// What was observed; without rules if there is no instance.
    pub seen: Observation,
    /// What the kernel runs without a rule.
    pub native: Native,
    /// What the interpreters' paths in the targets' rules lead to.
    pub files: BTreeMap<PathBuf, RuleFile>,
    /// Whether targets were named, and no others looked at.
    pub named: bool,
    pub targets: Vec<TargetFacts<'a>>,
    /// How long a native program took from start to end, in the same batch.
    pub native_cost: Option<Duration>,
}

/// One kind of program that is asked about.
#[derive(Debug)]
pub struct TargetFacts<'a> {
    pub target: &'a Target,
    /// Which of the target's values of `e_machine`.
    pub machine: u16,
    /// What running its probe proved; `None` if there is no probe for it.
    pub proof: Option<Proof>,
    /// If its rule's interpreter is gone: the same QEMU under other names, in the same folder.
    pub renamed: Vec<PathBuf>,
}

/// What the path in a rule leads to.
#[derive(Debug, Clone)]
pub struct RuleFile {
    pub file: Result<InterpreterFile, InterpreterFault>,
    /// Its label, where `SELinux` is on.
    pub label: Option<String>,
    /// Where its filesystem is mounted, if that is `noexec`.
    pub mount_point: Option<PathBuf>,
}

/// A line of a file that systemd-binfmt reads.
#[derive(Debug)]
pub struct PlannedRule {
    pub file: PathBuf,
    /// From 1.
    pub line: usize,
    /// What the line asks for, or why systemd-binfmt would refuse it.
    pub rule: Result<Rule, String>,
    pub fault: Option<InterpreterFault>,
}

impl TargetFacts<'_> {
    /// A finding about this target on the host.
    pub(in crate::doctor) fn draft(&self, id: CheckId) -> Draft {
        self.named(Draft::host(id))
    }

    /// The same about another subject. If the target has several values of `e_machine`, the evidence tells which.
    pub(in crate::doctor) fn named(&self, draft: Draft) -> Draft {
        let draft = draft.target(&self.target.name);
        if self.target.identity.machines.len() > 1 {
            draft.seen(Phrase::own(format!("e_machine {:#x}", self.machine), ""))
        } else {
            draft
        }
    }

    /// Whether its programs ran.
    pub fn works(&self) -> bool {
        self.proof.as_ref().is_some_and(Proof::works)
    }

    /// Whether the kernel opened the pinned interpreter in another root than this process has.
    pub(in crate::doctor) fn runs_from_another_root(&self) -> bool {
        let pinned = self.proof.as_ref().and_then(|proof| proof.pinned.as_ref());
        pinned.is_some_and(|pinned| pinned.is_elsewhere)
    }
}

impl HostFacts<'_> {
    /// What was observed of the instance, if there is one.
    pub fn instance(&self) -> Option<&Observation> {
        self.trouble.is_none().then_some(&self.seen)
    }

    /// The interpreter that `register` would take.
    pub fn usable(&self, target: &Target) -> Option<&InterpreterFile> {
        self.seen.interpreters.get(&target.name)?.usable.as_ref()
    }

    /// Whether the kernel runs a target's programs without a rule.
    pub fn is_native(&self, target: &Target) -> bool {
        self.native.names().contains(&target.name)
    }

    pub fn foreign(&self) -> impl Iterator<Item = &TargetFacts<'_>> {
        self.targets.iter().filter(|asked| !self.is_native(asked.target))
    }

    /// The targets that `register` without names would register; none if this run was given names.
    pub fn configured(&self) -> Vec<String> {
        let is_configured = |target: &Target| match &self.settings.targets {
            Targets::List(names) => names.contains(&target.name),
            Targets::Auto => self.usable(target).is_some(),
        };
        let asked = self.foreign().filter(|asked| !self.named && is_configured(asked.target));
        let mut names: Vec<String> = asked.map(|asked| asked.target.name.clone()).collect();
        names.dedup();
        names
    }

    /// Where settings can be changed that belong to no namespace: on the host.
    pub(in crate::doctor) fn kernels_place(&self) -> Place {
        if self.container { Place::Host } else { Place::Here }
    }

    pub(in crate::doctor) fn sysctl(&self, name: &str, value: u64) -> Fix {
        let set = Command::root(&["sysctl", "-w"]).word(format!("{name}={value}"));
        Fix::run(format!("set {name}"), [set.at(self.kernels_place())])
    }
}
