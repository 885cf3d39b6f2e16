//! The document of `status`.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::daemon::{Cause, Condition, Heal, RuleState, State};
use crate::observation::{InstanceFacts, Owner, Record};
use crate::report::SCHEMA;
use crate::rule::{self, Entry, Magic, Matcher, Takers};
use crate::target::{Table, Target};

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
    pub owner: Owner,
    /// `active`, `shadowed` or `disabled`.
    pub state: &'static str,
    /// The rule that comes before it.
    pub shadowed_by: Option<String>,
    /// Lines of the kernel's that we do not know.
    pub unknown: Vec<String>,
}

/// One rule that the service keeps, as in `status`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ServiceRule {
    /// Its target; null for a rule of the configuration.
    pub target: Option<String>,
    /// The name that our rule has or would have.
    pub rule: String,
    /// The entry that serves.
    pub by: Option<String>,
    /// Whether it does what it is for.
    pub condition: Condition,
    /// What is wrong, or worth knowing.
    pub why: Option<String>,
    /// What the interpreter says of itself.
    pub version: Option<String>,
    /// The interpreter's digest.
    pub sha256: Option<String>,
    /// How long the last probe took.
    pub probe_seconds: Option<f64>,
}

/// What only a running service knows.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ServiceDocument {
    /// The version that runs.
    pub version: String,
    /// Its main process.
    pub pid: u32,
    /// Seconds since 1970.
    pub started: f64,
    /// Whether its first check is over, and something works.
    pub ready: bool,
    /// One line, as `systemctl status` shows it.
    pub status: String,
    /// Whether the rules live no longer than the service or the container around it.
    pub only_here: bool,
    /// Each rule that is wanted.
    pub rules: Vec<ServiceRule>,
    /// How many changes were made, for every cause there is.
    pub heals: BTreeMap<Cause, u64>,
    /// The last of them.
    pub last_heal: Option<Heal>,
    /// How often pauses began.
    pub conflicts: u64,
    /// When the present pause ends, in seconds since 1970.
    pub paused_until: Option<f64>,
    /// Why the last full check could not be carried out, if it could not.
    pub trouble: Option<String>,
}

/// Every rule there is.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct StatusDocument {
    /// [`crate::report::SCHEMA`].
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
    /// Null when none runs.
    pub service: Option<ServiceDocument>,
}

impl StatusDocument {
    /// From what was observed.
    pub fn new(
        table: &Table,
        instance: &InstanceFacts,
        record: &Record,
        owners: &BTreeMap<String, Owner>,
        host: bool,
        service: Option<State>,
    ) -> Self {
        let takers = Takers::new(&instance.entries);
        let magics = magics(table);
        let rule = |(place, entry): (usize, &Entry)| {
            let before = takers.first(&entry.matcher).filter(|first| *first < place);
            let before = before.map(|first| &instance.entries[first]);
            RuleDocument::new(&magics, entry, before, instance.enabled, record, owners)
        };
        let rules = instance.entries.iter().enumerate().map(rule).collect();
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
            service: service.map(ServiceDocument::from),
        }
    }
}

impl From<State> for ServiceDocument {
    fn from(state: State) -> Self {
        let count = |cause| (cause, state.heals.get(&cause).copied().unwrap_or_default());
        Self {
            heals: Cause::ALL.map(count).into(),
            version: state.version,
            pid: state.pid,
            started: state.started,
            ready: state.ready,
            status: state.status,
            only_here: state.only_here,
            rules: state.rules.into_iter().map(ServiceRule::from).collect(),
            last_heal: state.last_heal,
            conflicts: state.conflicts,
            paused_until: state.paused_until,
            trouble: state.trouble,
        }
    }
}

impl From<RuleState> for ServiceRule {
    fn from(rule: RuleState) -> Self {
        let RuleState { target, rule, by, condition, why, version, sha256, probe_seconds, .. } =
            rule;
        Self { target, rule, by, condition, why, version, sha256, probe_seconds }
    }
}

impl RuleDocument {
    fn new(
        magics: &[(&Target, Vec<Magic>)],
        entry: &Entry,
        before: Option<&Entry>,
        enabled: bool,
        record: &Record,
        owners: &BTreeMap<String, Owner>,
    ) -> Self {
        let magic = entry.matcher.magic();
        let target = magic.and_then(|magic| {
            let overlaps = |(_, theirs): &&(&Target, Vec<Magic>)| {
                theirs.iter().any(|theirs| theirs.overlaps(magic))
            };
            let mut overlapping = magics.iter().filter(overlaps).map(|(target, _)| target);
            // A rule that could take several targets' programs is of none.
            overlapping.next().filter(|_| overlapping.next().is_none())
        });
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
            owner: Owner::of(entry, record, owners).clone(),
            state: match (entry.enabled && enabled, before) {
                (false, _) => "disabled",
                (true, Some(_)) => "shadowed",
                (true, None) => "active",
            },
            shadowed_by: before.map(Entry::display_name),
            unknown: entry.unknown.clone(),
        }
    }
}

/// What the programs of each target look like.
fn magics(table: &Table) -> Vec<(&Target, Vec<Magic>)> {
    table.targets().iter().map(|target| (target, target.identity.magics())).collect()
}
