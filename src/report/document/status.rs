//! The document of `status`.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::daemon::{ChangeCause, State};
use crate::observation::{InstanceFacts, Owner, OwnershipRecord};
use crate::rule::{self, Entry, Magic, Matcher, Takers};
use crate::target::{Table, Target};

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct RuleDocument {
    pub name: String,
    /// The target whose programs it takes; `None` where there is none, or several.
    pub target: Option<String>,
    pub interpreter: String,
    /// Letters, as the kernel shows them.
    pub flags: String,
    pub matcher: MatcherKind,
    /// In bytes; this, `magic` and `mask` (hex digits) are `None` for an extension.
    pub offset: Option<usize>,
    pub magic: Option<String>,
    pub mask: Option<String>,
    /// Without the dot.
    pub extension: Option<String>,
    /// `binfmtd`, `systemd-binfmt (FILE)`, `update-binfmts (FILE)` or `unknown`.
    pub owner: Owner,
    pub state: RuleStatus,
    pub shadowed_by: Option<String>,
    /// Lines of the entry that this version does not know.
    pub unknown: Vec<String>,
}

/// How a rule takes the files that it matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum MatcherKind {
    Magic,
    Extension,
}

/// What becomes of the files that a rule matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RuleStatus {
    Active,
    /// A newer rule takes them.
    Shadowed,
    /// The rule is switched off, or the instance.
    Disabled,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct StatusDocument {
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
    /// `None` when no service keeps this instance.
    pub service: Option<State>,
}

impl StatusDocument {
    pub fn new(
        table: &Table,
        instance: &InstanceFacts,
        record: &OwnershipRecord,
        owners: &BTreeMap<String, Owner>,
        host: bool,
        mut service: Option<State>,
    ) -> Self {
        // In state.json, causes that never occurred are left out.
        if let Some(state) = &mut service {
            for cause in ChangeCause::ALL {
                state.heals.entry(cause).or_default();
            }
        }
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
            ok: unreadable.is_empty(),
            enabled: instance.enabled,
            writable: instance.writable,
            host,
            rules,
            unreadable,
            service,
        }
    }
}

impl RuleDocument {
    fn new(
        magics: &[(&Target, Vec<Magic>)],
        entry: &Entry,
        before: Option<&Entry>,
        enabled: bool,
        record: &OwnershipRecord,
        owners: &BTreeMap<String, Owner>,
    ) -> Self {
        let magic = entry.matcher.magic();
        let target = magic.and_then(|magic| {
            let overlaps = |(_, theirs): &&(&Target, Vec<Magic>)| {
                theirs.iter().any(|theirs| theirs.overlaps(magic))
            };
            let mut overlapping = magics.iter().filter(overlaps).map(|(target, _)| target);
            // A rule that matches programs of several targets belongs to none of them.
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
            matcher: if magic.is_some() { MatcherKind::Magic } else { MatcherKind::Extension },
            offset,
            magic: magic.map(rule::Magic::magic_hex),
            mask: magic.map(rule::Magic::mask_hex),
            extension,
            owner: Owner::of(entry, record, owners).clone(),
            state: match (entry.enabled && enabled, before) {
                (false, _) => RuleStatus::Disabled,
                (true, Some(_)) => RuleStatus::Shadowed,
                (true, None) => RuleStatus::Active,
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
