//! The document of `doctor`.

use serde::Serialize;

use crate::config::Targets;
use crate::doctor::{Facts, Finding, HostFacts, Status, Subject, TargetFacts, Verdict, verdict};
use crate::fix::Reader;
use crate::observation::Owner;
use crate::report::SCHEMA;
use crate::report::document::{FixDocument, LoadDocument};
use crate::rule::Entry;

/// What the doctor found.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct DoctorDocument {
    /// [`crate::report::SCHEMA`].
    pub schema: u32,
    /// Whether everything that counts works.
    pub ok: bool,
    /// What alone counts; null when everything does.
    pub require: Option<Vec<String>>,
    /// The machine.
    pub host: HostDocument,
    /// A verdict for each target.
    pub targets: Vec<DoctorTarget>,
    /// Every check.
    pub checks: Vec<Finding>,
    /// What was done about it; with `--fix` alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fixes: Option<Vec<FixDocument>>,
    /// What was run of a root filesystem; with `--rootfs` alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load: Option<LoadDocument>,
    /// The targets that a command without names is about; in no document. Nothing where names were given.
    #[serde(skip)]
    pub configured: Vec<String>,
    /// Whether nothing but what was named was looked at; in no document.
    #[serde(skip)]
    pub named: bool,
    /// Who is to run a fix: decides about `sudo`; in no document.
    #[serde(skip)]
    pub reader: Reader,
    /// Whether the configuration asks for no target at all; in no document.
    #[serde(skip)]
    pub asks_for_none: bool,
}

/// The machine that was examined.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct HostDocument {
    /// Kernel release.
    pub kernel: String,
    /// `uname -m`.
    pub machine: String,
    /// What the kernel runs without a rule.
    pub natives: Vec<String>,
    /// Whether the instance is the host's own.
    pub first_user_namespace: bool,
    /// Whether this is a container.
    pub container: bool,
    /// Whether this is uid 0.
    pub root: bool,
    /// How long the quickest program that needs no rule took; null when none ran.
    pub native_cost: Option<f64>,
}

/// How one target fares.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct DoctorTarget {
    /// QEMU's name.
    pub target: String,
    /// OCI's names.
    pub platforms: Vec<String>,
    /// One word; the worst, where its files carry several values of `e_machine`.
    pub verdict: Verdict,
    /// Whether it decides how the doctor ends.
    pub required: bool,
    /// The rule that takes its programs; of the first value of `e_machine`, as is what follows.
    pub rule: Option<String>,
    /// Every rule that would take its programs, in the kernel's order.
    pub rules: Vec<Taker>,
    /// What runs them.
    pub interpreter: Option<InterpreterDocument>,
    /// How long one probe took, from start to end.
    pub seconds: Option<f64>,
    /// How long the quickest of all its probes took: what one exec costs.
    pub cost: Option<f64>,
    /// How often it answered; null when it was run once.
    pub tries: Option<Tries>,
    /// One for each value of `e_machine`, the first one included.
    pub machines: Vec<MachineDocument>,
}

/// How the files with one value of `e_machine` fare.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct MachineDocument {
    /// `e_machine`.
    pub machine: u16,
    /// One word.
    pub verdict: Verdict,
    /// The rule that takes them.
    pub rule: Option<String>,
    /// Every rule that would take them, in the kernel's order.
    pub rules: Vec<Taker>,
}

/// A rule that would take a target's programs, if it were alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Taker {
    /// The entry's name.
    pub name: String,
    /// `binfmtd`, `systemd-binfmt (FILE)`, `update-binfmts (FILE)`, another emulator (`FEX`) or `unknown`.
    pub owner: Owner,
    /// Whether it does.
    pub state: TakerState,
}

/// What becomes of a rule that would take a target's programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TakerState {
    /// The kernel picks it.
    Winner,
    /// Another comes before it.
    Shadowed,
    /// It is switched off, or the instance is.
    Disabled,
}

impl TakerState {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Winner => "winner",
            Self::Shadowed => "shadowed",
            Self::Disabled => "disabled",
        }
    }
}

/// How often a program answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Tries {
    /// So often.
    pub answered: usize,
    /// Of so many runs.
    pub of: usize,
}

/// How it went, as far as it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conclusion {
    /// All is well.
    Well,
    /// Something does not work.
    Failed,
    /// Nothing is known to be wrong, and something could not be looked at.
    Unchecked,
}

/// The interpreter, as the rule names it and as the kernel runs it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct InterpreterDocument {
    /// The path in the rule.
    pub path: Option<String>,
    /// SHA-256 of what runs.
    pub sha256: Option<String>,
    /// What the running QEMU says of itself.
    pub version: Option<String>,
    /// The file that runs.
    pub pinned: Option<PinnedDocument>,
}

/// The file that the kernel runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct PinnedDocument {
    /// Where the kernel says it is, ` (deleted)` included.
    pub path: String,
    /// `st_dev`.
    pub device: u64,
    /// `st_ino`.
    pub inode: u64,
    /// Whether the rule's path leads to it now, or to the same bytes.
    pub is_on_disk: bool,
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
            schema: SCHEMA,
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

    /// Whether a finding decides how the doctor ends.
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

    /// How it went. What could not be looked at is no failure of the host, and a failure stays one
    /// whatever else could not be looked at.
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

impl DoctorTarget {
    fn new(facts: &Facts<'_>, asked: &TargetFacts<'_>) -> Self {
        let entry = facts.host.rule(asked);
        let proof = asked.proof.as_ref();
        let pinned = proof.and_then(|proof| proof.pinned.as_ref());
        let interpreter = (entry.is_some() || pinned.is_some()).then(|| InterpreterDocument {
            path: entry.map(|entry| entry.interpreter.display().to_string()),
            sha256: pinned.and_then(|pinned| pinned.sha256.clone()),
            version: proof.and_then(|proof| proof.version.clone()),
            pinned: pinned.map(|pinned| PinnedDocument {
                path: pinned.path.display().to_string(),
                device: pinned.id.device,
                inode: pinned.id.inode,
                is_on_disk: pinned.is_on_disk,
            }),
        });
        let machine = MachineDocument::new(facts, asked);
        Self {
            target: asked.target.name.clone(),
            platforms: asked.target.platforms.clone(),
            verdict: machine.verdict,
            required: true,
            rule: machine.rule.clone(),
            rules: machine.rules.clone(),
            interpreter,
            seconds: proof.map(|proof| proof.time.as_secs_f64()),
            cost: proof.and_then(|proof| proof.cost).map(|cost| cost.as_secs_f64()),
            tries: proof.and_then(|proof| proof.tries).map(|(answered, of)| Tries { answered, of }),
            machines: vec![machine],
        }
    }

    fn add(&mut self, facts: &Facts<'_>, asked: &TargetFacts<'_>) {
        let machine = MachineDocument::new(facts, asked);
        self.verdict = self.verdict.max(machine.verdict);
        self.machines.push(machine);
    }
}

impl MachineDocument {
    fn new(facts: &Facts<'_>, asked: &TargetFacts<'_>) -> Self {
        let entry = facts.host.rule(asked);
        Self {
            machine: asked.machine,
            verdict: verdict(facts, asked),
            rule: entry.map(Entry::display_name),
            rules: takers(&facts.host, asked),
        }
    }
}

fn takers(facts: &HostFacts<'_>, asked: &TargetFacts<'_>) -> Vec<Taker> {
    let Some(seen) = facts.instance() else { return Vec::new() };
    let mut taken = false;
    let state = |entry: &Entry| {
        if !entry.enabled || !seen.instance.enabled {
            TakerState::Disabled
        } else if std::mem::replace(&mut taken, true) {
            TakerState::Shadowed
        } else {
            TakerState::Winner
        }
    };
    let takers = facts.takers(asked);
    let states: Vec<TakerState> = takers.iter().copied().map(state).collect();
    let takers = takers.into_iter().zip(states);
    takers
        .map(|(entry, state)| {
            let owner = facts.whose(entry);
            Taker { name: entry.display_name(), owner, state }
        })
        .collect()
}
