//! The document of `doctor`.

use serde::Serialize;

use crate::doctor::{Examination, Finding, Patient, Status, Verdict, verdict};
use crate::report::SCHEMA;
use crate::rule::Entry;

/// What the doctor found.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct DoctorDocument {
    /// [`crate::report::SCHEMA`].
    pub schema: u32,
    /// Whether everything that was asked about works.
    pub ok: bool,
    /// The machine.
    pub host: HostDocument,
    /// A verdict for each target.
    pub targets: Vec<DoctorTarget>,
    /// Every check.
    pub checks: Vec<Finding>,
}

/// The machine that was examined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
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
    /// The rule that takes its programs; of the first value of `e_machine`, as is what follows.
    pub rule: Option<String>,
    /// What runs them.
    pub interpreter: Option<InterpreterDocument>,
    /// How long one probe took, from start to end.
    pub seconds: Option<f64>,
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
    /// From an examination and its findings.
    pub fn new(examination: &Examination<'_>, findings: Vec<Finding>) -> Self {
        let mut targets: Vec<DoctorTarget> = Vec::new();
        for patient in &examination.patients {
            match targets.iter_mut().find(|known| known.target == patient.target.name) {
                Some(known) => known.add(examination, patient),
                None => targets.push(DoctorTarget::new(examination, patient)),
            }
        }
        let sound = targets
            .iter()
            .all(|target| matches!(target.verdict, Verdict::Working | Verdict::Native));
        let failed =
            findings.iter().any(|finding| matches!(finding.status, Status::Fail | Status::Error));
        Self {
            schema: SCHEMA,
            ok: sound && !failed,
            host: HostDocument {
                kernel: examination.host.kernel.clone(),
                machine: examination.host.machine.clone(),
                natives: examination.native.names().to_vec(),
                first_user_namespace: examination.first_namespace,
                container: examination.container,
                root: examination.root,
            },
            targets,
            checks: findings,
        }
    }
}

impl DoctorTarget {
    fn new(examination: &Examination<'_>, patient: &Patient<'_>) -> Self {
        let entry = examination.winner(patient.target, patient.machine);
        let proof = patient.proof.as_ref();
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
        let machine = MachineDocument::new(examination, patient);
        Self {
            target: patient.target.name.clone(),
            platforms: patient.target.platforms.clone(),
            verdict: machine.verdict,
            rule: machine.rule.clone(),
            interpreter,
            seconds: proof.map(|proof| proof.time.as_secs_f64()),
            machines: vec![machine],
        }
    }

    fn add(&mut self, examination: &Examination<'_>, patient: &Patient<'_>) {
        let machine = MachineDocument::new(examination, patient);
        self.verdict = self.verdict.max(machine.verdict);
        self.machines.push(machine);
    }
}

impl MachineDocument {
    fn new(examination: &Examination<'_>, patient: &Patient<'_>) -> Self {
        let entry = examination.winner(patient.target, patient.machine);
        Self {
            machine: patient.machine,
            verdict: verdict(examination, patient),
            rule: entry.map(Entry::display_name),
        }
    }
}
