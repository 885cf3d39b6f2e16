//! The documents, as plain data.

use std::collections::BTreeMap;

use serde::Serialize;

use super::SCHEMA;
use crate::apply::Outcome;
use crate::config::Settings;
use crate::doctor::{Examination, Finding, Patient, Status, Verdict, verdict};
use crate::observation::{Candidates, InstanceFacts, Record};
use crate::plan::{Action, Decision};
use crate::rule::{self, Entry, Header, Matcher};
use crate::target::{Table, Target};

/// What `register` did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct RegisterDocument {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Whether everything that was asked for is so.
    pub ok: bool,
    /// Whether nothing was to be changed.
    pub dry_run: bool,
    /// A line for each rule.
    pub rules: Vec<RegisterLine>,
}

/// One rule that `register` thought about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct RegisterLine {
    /// The target; null for a rule of the configuration.
    pub target: Option<String>,
    /// The entry's name.
    pub rule: Option<String>,
    /// `add`, `replace`, `enable`, `enable-instance`, `remove`, `keep`, `served`, `native` or `refuse`.
    pub action: &'static str,
    /// Whether something was written and stands.
    pub changed: bool,
    /// Whether a probe ran through it: null when none was run.
    pub proved: Option<bool>,
    /// What is done and why, in words.
    pub detail: String,
    /// What went wrong.
    pub error: Option<String>,
}

impl RegisterDocument {
    /// From what became of a plan, or, for a dry run, from the plan itself.
    pub fn new(outcomes: &[Outcome], dry_run: bool) -> Self {
        let rules: Vec<RegisterLine> = outcomes.iter().map(RegisterLine::new).collect();
        Self { schema: SCHEMA, ok: outcomes.iter().all(Outcome::is_well), dry_run, rules }
    }
}

impl RegisterLine {
    fn new(outcome: &Outcome) -> Self {
        let (action, rule) = match &outcome.item.decision {
            Decision::Native => ("native", None),
            Decision::Kept { name, .. } => ("keep", Some(name.to_string_lossy().into_owned())),
            Decision::Served { by } => ("served", Some(by.to_string_lossy().into_owned())),
            Decision::Refused(_) => ("refuse", None),
            Decision::Change(change) => match change {
                Action::EnableInstance => ("enable-instance", None),
                Action::Add(rule) => ("add", Some(rule.name().to_string())),
                Action::Enable(rule) => ("enable", Some(rule.name().to_string())),
                Action::Replace { rule, .. } => ("replace", Some(rule.name().to_string())),
                Action::Remove { name, .. } => {
                    ("remove", Some(name.to_string_lossy().into_owned()))
                }
            },
        };
        let refused = match &outcome.item.decision {
            Decision::Refused(refusal) => Some(refusal.to_string()),
            _ => None,
        };
        Self {
            target: outcome.item.target.clone(),
            rule,
            action,
            changed: outcome.changed,
            proved: outcome.proof.as_ref().map(crate::verify::Proof::works),
            detail: outcome.item.decision.to_string(),
            error: outcome.error.clone().or(refused),
        }
    }
}

/// What `unregister` did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct UnregisterDocument {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Whether all that was to go is gone.
    pub ok: bool,
    /// Whether nothing was to be changed.
    pub dry_run: bool,
    /// Names of the rules that went, or would.
    pub removed: Vec<String>,
    /// What could not be removed, or was not ours to remove, and why.
    pub errors: Vec<String>,
}

/// One rule, as in `status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct RuleDocument {
    /// The entry's name.
    pub name: String,
    /// The target whose programs it takes; null for what is not of the table.
    pub target: Option<String>,
    /// The path it was registered with.
    pub interpreter: String,
    /// Letters, as the kernel shows them.
    pub flags: String,
    /// `magic` or `extension`.
    pub matcher: &'static str,
    /// Offset in bytes; magic and mask as hex digits. Null for an extension.
    pub offset: Option<usize>,
    /// Hex digits.
    pub magic: Option<String>,
    /// Hex digits.
    pub mask: Option<String>,
    /// Without the dot.
    pub extension: Option<String>,
    /// `binfmtd`, `systemd-binfmt (FILE)`, `update-binfmts (FILE)` or `unknown`.
    pub owner: String,
    /// `active`, `shadowed` or `disabled`.
    pub state: &'static str,
    /// The rule that comes before it.
    pub shadowed_by: Option<String>,
    /// Lines of the kernel's that we do not know.
    pub unknown: Vec<String>,
}

/// Every rule there is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct StatusDocument {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Whether every rule could be understood.
    pub ok: bool,
    /// The switch of the instance as a whole.
    pub enabled: bool,
    /// Whether this process could register.
    pub writable: bool,
    /// Whether it is the host's instance, not a user namespace's.
    pub host: bool,
    /// The kernel's order: newest first.
    pub rules: Vec<RuleDocument>,
    /// Entries that could not be understood, and why.
    pub unreadable: Vec<String>,
}

impl StatusDocument {
    /// From what was observed.
    pub fn new(
        table: &Table,
        instance: &InstanceFacts,
        record: &Record,
        owners: &BTreeMap<String, String>,
        host: bool,
    ) -> Self {
        let rules = instance
            .entries
            .iter()
            .map(|entry| RuleDocument::new(table, entry, instance, record, owners))
            .collect();
        let unreadable: Vec<String> = instance
            .unreadable
            .iter()
            .map(|(name, why)| format!("{}: {why}", name.to_string_lossy()))
            .collect();
        Self {
            schema: SCHEMA,
            ok: unreadable.is_empty(),
            enabled: instance.enabled,
            writable: instance.writable,
            host,
            rules,
            unreadable,
        }
    }
}

impl RuleDocument {
    fn new(
        table: &Table,
        entry: &Entry,
        instance: &InstanceFacts,
        record: &Record,
        owners: &BTreeMap<String, String>,
    ) -> Self {
        let magic = entry.matcher.magic();
        let target = magic.and_then(|magic| {
            let overlaps = |target: &&Target| {
                target.identity.magics().iter().any(|theirs| theirs.overlaps(magic))
            };
            let mut overlapping = table.targets().iter().filter(overlaps);
            // A rule that could take several targets' programs is of none.
            overlapping.next().filter(|_| overlapping.next().is_none())
        });
        let before = instance
            .entries
            .iter()
            .take_while(|other| other.name != entry.name)
            .find(|other| other.enabled && covers(&other.matcher, &entry.matcher));
        let (offset, extension) = match &entry.matcher {
            Matcher::Magic(magic) => (Some(magic.offset()), None),
            Matcher::Extension(extension) => (None, Some(extension.as_str().to_owned())),
        };
        Self {
            name: entry.display_name(),
            target: target.map(|target| target.name.clone()),
            interpreter: entry.interpreter.display().to_string(),
            flags: entry.flags.to_string(),
            matcher: if magic.is_some() { "magic" } else { "extension" },
            offset,
            magic: magic.map(rule::Magic::magic_hex),
            mask: magic.map(rule::Magic::mask_hex),
            extension,
            owner: if record.owns(entry) {
                "binfmtd".to_owned()
            } else {
                owners.get(&entry.display_name()).cloned().unwrap_or_else(|| "unknown".to_owned())
            },
            state: match (entry.enabled && instance.enabled, before) {
                (false, _) => "disabled",
                (true, Some(_)) => "shadowed",
                (true, None) => "active",
            },
            shadowed_by: before.map(Entry::display_name),
            unknown: entry.unknown.clone(),
        }
    }
}

/// Whether a rule's typical file is taken by another: the magic itself is such a file.
fn covers(newer: &Matcher, older: &Matcher) -> bool {
    match older {
        Matcher::Magic(magic) => {
            let mut file = vec![0; magic.offset()];
            file.extend_from_slice(magic.magic());
            newer.matches(&Header::new(&file), "/".as_ref())
        }
        Matcher::Extension(_) => newer.is_same(older),
    }
}

/// What the kernel would do with a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct WhichDocument {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Whether something runs it: a rule, or the kernel itself.
    pub ok: bool,
    /// The file.
    pub file: String,
    /// The target whose programs look like it.
    pub target: Option<String>,
    /// Whether the kernel would run it without a rule.
    pub native: bool,
    /// The rule that runs it.
    pub winner: Option<String>,
    /// The interpreter of that rule.
    pub interpreter: Option<String>,
    /// Every rule, in the kernel's order, and why it is it or not.
    pub rules: Vec<WhichLine>,
}

/// One rule and one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct WhichLine {
    /// The entry's name.
    pub rule: String,
    /// `wins`, `shadowed`, `disabled`, `differs` or `other-extension`.
    pub verdict: &'static str,
    /// In words.
    pub why: String,
}

impl WhichDocument {
    /// Judges every rule; `enabled` is the switch of the instance.
    pub fn new(
        table: &Table,
        native: &crate::plan::Native,
        instance: &InstanceFacts,
        path: &std::path::Path,
        header: &Header,
    ) -> Self {
        let verdicts = rule::judge(&instance.entries, header, path);
        let winner =
            instance.enabled.then(|| rule::winner(&instance.entries, header, path)).flatten();
        let runs = native.runs(header);
        let rules = instance
            .entries
            .iter()
            .zip(verdicts)
            .map(|(entry, verdict)| {
                let (verdict, why) = match verdict {
                    rule::Verdict::Wins if !instance.enabled => (
                        "disabled",
                        "it would, but binfmt_misc as a whole is switched off".to_owned(),
                    ),
                    rule::Verdict::Wins => {
                        ("wins", format!("it runs {}", entry.interpreter.display()))
                    }
                    rule::Verdict::Shadowed => {
                        ("shadowed", "a newer rule takes the file first".to_owned())
                    }
                    rule::Verdict::Disabled => {
                        ("disabled", "it would, but it is switched off".to_owned())
                    }
                    rule::Verdict::Differs { at, file, magic, mask } => (
                        "differs",
                        format!(
                            "byte {at} is {file:02x}, the rule wants {magic:02x} (mask {mask:02x})"
                        ),
                    ),
                    rule::Verdict::OtherExtension => {
                        ("other-extension", "the path has not its extension".to_owned())
                    }
                };
                WhichLine { rule: entry.display_name(), verdict, why }
            })
            .collect();
        Self {
            schema: SCHEMA,
            ok: runs || winner.is_some(),
            file: path.display().to_string(),
            target: table.of_header(header).map(|target| target.name.clone()),
            native: runs,
            winner: winner.map(Entry::display_name),
            interpreter: winner.map(|entry| entry.interpreter.display().to_string()),
            rules,
        }
    }
}

/// The table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct TargetsDocument {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Always true.
    pub ok: bool,
    /// Every target.
    pub targets: Vec<TargetDocument>,
}

/// One target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct TargetDocument {
    /// QEMU's name.
    pub name: String,
    /// OCI's names.
    pub platforms: Vec<String>,
    /// All other names.
    pub aliases: Vec<String>,
    /// Whether this host runs its programs itself.
    pub native: bool,
    /// The interpreter that a rule would get.
    pub interpreter: Option<String>,
    /// Files that will not do, and why.
    pub unusable: Vec<String>,
    /// Its rules.
    pub rules: Vec<TargetRule>,
}

/// One rule of the table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct TargetRule {
    /// The entry's name.
    pub name: String,
    /// Hex digits, from offset 0.
    pub magic: String,
    /// Hex digits.
    pub mask: String,
}

impl TargetsDocument {
    /// The targets that are asked about, with what was found for them.
    pub fn new(
        targets: &[&Target],
        natives: &[String],
        seen: &dyn Fn(&str) -> Option<Candidates>,
    ) -> Self {
        let targets = targets
            .iter()
            .map(|target| {
                let found = seen(&target.name).unwrap_or_default();
                let mut aliases: Vec<String> = target
                    .aliases
                    .iter()
                    .chain(&target.debian)
                    .chain(&target.uname)
                    .cloned()
                    .collect();
                aliases.retain(|alias| *alias != target.name);
                aliases.sort();
                aliases.dedup();
                TargetDocument {
                    name: target.name.clone(),
                    platforms: target.platforms.clone(),
                    aliases,
                    native: natives.contains(&target.name),
                    interpreter: found.usable.map(|file| file.path.display().to_string()),
                    unusable: found
                        .faulty
                        .iter()
                        .map(|(path, fault)| crate::plan::guard::refusal(path, fault).to_string())
                        .collect(),
                    rules: target
                        .rules()
                        .into_iter()
                        .map(|(name, magic)| TargetRule {
                            name: name.to_string(),
                            magic: magic.magic_hex(),
                            mask: magic.mask_hex(),
                        })
                        .collect(),
                }
            })
            .collect();
        Self { schema: SCHEMA, ok: true, targets }
    }
}

/// What the doctor found.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct DoctorDocument {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Whether everything that was asked about works.
    pub ok: bool,
    /// The machine.
    pub host: HostDocument,
    /// A verdict for each target.
    pub targets: Vec<DoctorTarget>,
    /// Every check.
    pub checks: Vec<CheckDocument>,
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

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct CheckDocument {
    /// Stable: `rule.fix-binary`.
    pub id: &'static str,
    /// The target; null for the host as a whole.
    pub target: Option<String>,
    /// `pass`, `warn`, `fail`, `skip` or `error`.
    pub status: Status,
    /// One sentence.
    pub summary: String,
    /// What was seen.
    pub evidence: String,
    /// A command, or what to do.
    pub fix: Option<String>,
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
            checks: findings
                .into_iter()
                .map(|Finding { id, target, status, summary, evidence, fix }| CheckDocument {
                    id,
                    target,
                    status,
                    summary,
                    evidence,
                    fix,
                })
                .collect(),
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

/// Files in another tool's format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ExportDocument {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Whether every target could be exported.
    pub ok: bool,
    /// The files.
    pub files: Vec<FileDocument>,
    /// What the format cannot say, or what has no interpreter.
    pub notes: Vec<String>,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct FileDocument {
    /// Its name, without a folder.
    pub name: String,
    /// Its content.
    pub content: String,
}

/// The settings in force.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ConfigDocument {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Always true: settings that are not well are an error.
    pub ok: bool,
    /// Each value, and where it comes from.
    pub settings: serde_json::Value,
}

impl ConfigDocument {
    /// From valid settings.
    pub fn new(settings: &Settings) -> Self {
        Self {
            schema: SCHEMA,
            ok: true,
            settings: serde_json::to_value(settings.show()).unwrap_or_default(),
        }
    }
}

/// Why a command did nothing, or not all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ErrorDocument {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Always false.
    pub ok: bool,
    /// What went wrong.
    pub error: ErrorText,
}

/// An error in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ErrorText {
    /// `failed`, `usage`, `unavailable` or `not-permitted`.
    pub kind: &'static str,
    /// The exit code of the process.
    pub exit: u8,
    /// The sentence.
    pub message: String,
}

impl ErrorDocument {
    /// For an error of a kind.
    pub fn new(kind: &'static str, exit: u8, message: String) -> Self {
        Self { schema: SCHEMA, ok: false, error: ErrorText { kind, exit, message } }
    }
}

/// Every check of the doctor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ChecksDocument {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Always true.
    pub ok: bool,
    /// In the order of a report.
    pub checks: Vec<CheckText>,
}

/// One check, in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct CheckText {
    /// Stable.
    pub id: &'static str,
    /// A few words.
    pub title: &'static str,
    /// What a pass proves.
    pub proves: &'static str,
}

impl ChecksDocument {
    /// From the table of checks.
    pub fn new() -> Self {
        let checks = crate::doctor::checks();
        let checks = checks
            .map(|check| CheckText { id: check.id, title: check.title, proves: check.proves })
            .collect();
        Self { schema: SCHEMA, ok: true, checks }
    }
}

impl Default for ChecksDocument {
    fn default() -> Self {
        Self::new()
    }
}
