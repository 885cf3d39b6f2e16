//! A target in the doctor's document.

use std::fmt::{self, Display};

use serde::Serialize;

use crate::doctor::{Facts, HostFacts, TargetFacts, Verdict, verdict};
use crate::observation::Owner;
use crate::rule::Entry;

/// A target's verdict, and what it rests on.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct DoctorTarget {
    pub target: String,
    pub platforms: Vec<String>,
    /// The worst of `machines`.
    pub verdict: Verdict,
    /// Whether it decides how the doctor ends.
    pub required: bool,
    /// The rule that runs its programs. This and all up to `tries` are of the first of `machines`.
    pub rule: Option<String>,
    /// In the kernel's order.
    pub rules: Vec<MatchingRule>,
    pub interpreter: Option<InterpreterDocument>,
    /// Of one probe, from start to end.
    pub seconds: Option<f64>,
    /// Seconds of the quickest of its probes: what one exec costs.
    pub cost: Option<f64>,
    /// `None` when it was run once.
    pub tries: Option<Tries>,
    /// One for each value of `e_machine`, the first one included.
    pub machines: Vec<MachineDocument>,
}

/// The verdict for files with one value of `e_machine`: some targets have several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct MachineDocument {
    pub machine: u16,
    pub verdict: Verdict,
    pub rule: Option<String>,
    /// In the kernel's order.
    pub rules: Vec<MatchingRule>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct MatchingRule {
    pub name: String,
    /// `binfmtd`, `systemd-binfmt (FILE)`, `update-binfmts (FILE)`, another emulator (`FEX`) or `unknown`.
    pub owner: Owner,
    pub state: MatchState,
}

/// Whether the kernel picks a rule that matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum MatchState {
    Winner,
    /// A newer one matches, too.
    Shadowed,
    /// It is switched off, or the instance is.
    Disabled,
}

/// The word in the document.
impl Display for MatchState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Tries {
    pub answered: usize,
    pub of: usize,
}

/// The interpreter, as the rule names it and as the kernel runs it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct InterpreterDocument {
    pub path: Option<String>,
    /// SHA-256 of what runs.
    pub sha256: Option<String>,
    /// What the running QEMU says of itself.
    pub version: Option<String>,
    pub pinned: Option<PinnedDocument>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct PinnedDocument {
    /// Where the kernel says it is, ` (deleted)` included.
    pub path: String,
    pub device: u64,
    pub inode: u64,
    /// Whether the rule's path leads to it now, or to the same bytes.
    pub is_on_disk: bool,
}

impl DoctorTarget {
    pub(super) fn new(facts: &Facts<'_>, asked: &TargetFacts<'_>) -> Self {
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

    /// Takes in the files with another value of `e_machine`.
    pub(super) fn add(&mut self, facts: &Facts<'_>, asked: &TargetFacts<'_>) {
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
            rules: matching_rules(&facts.host, asked),
        }
    }
}

fn matching_rules(facts: &HostFacts<'_>, asked: &TargetFacts<'_>) -> Vec<MatchingRule> {
    let Some(seen) = facts.instance() else { return Vec::new() };
    let mut taken = false;
    let state = |entry: &Entry| {
        if !entry.enabled || !seen.instance.enabled {
            MatchState::Disabled
        } else if std::mem::replace(&mut taken, true) {
            MatchState::Shadowed
        } else {
            MatchState::Winner
        }
    };
    let takers = facts.takers(asked);
    let states: Vec<MatchState> = takers.iter().copied().map(state).collect();
    let takers = takers.into_iter().zip(states);
    takers
        .map(|(entry, state)| {
            let owner = facts.whose(entry);
            MatchingRule { name: entry.display_name(), owner, state }
        })
        .collect()
}
