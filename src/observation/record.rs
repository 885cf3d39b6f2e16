//! The record of ownership, and the names of replacements that are not finished.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::file::FileId;
use crate::rule::{Entry, parse_register};

/// A rule that binfmtd registered, as it was written to the kernel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Owned {
    /// The register string as text; equal strings mean the same rule.
    pub register: String,
    /// For rules of the table.
    pub target: Option<String>,
    /// The interpreter that the kernel opened, where it was known.
    pub interpreter: Option<FileId>,
}

/// The rules that binfmtd registered, by name, in one instance of one boot.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct OwnershipRecord {
    pub schema: u32,
    /// `boot_id` of the kernel; a record of another boot is void.
    pub boot: String,
    /// `st_dev` of the instance; a record of another instance is void.
    pub instance: u64,
    pub rules: BTreeMap<String, Owned>,
    /// The rules that replacements will put in place, by name. An entry is written before the first call to the
    /// kernel and removed when the replacement is finished; in between, both the old and the new rule are ours.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub coming: BTreeMap<String, Owned>,
}

/// Until a replacement is finished, the new rule has its final name with this suffix.
const SWAP_SUFFIX: &str = ".binfmtd-swap";

/// Names for a rule whose replacement is not finished, best first. There are several because what an interrupted
/// replacement left stays until the next one is finished.
pub fn swap_names(rule: &str) -> impl Iterator<Item = String> {
    std::iter::once(format!("{rule}{SWAP_SUFFIX}"))
        .chain((2..10).map(move |number| format!("{rule}.{number}{SWAP_SUFFIX}")))
}

/// The final name of the rule with this temporary name.
pub fn unfinished_name(name: &str) -> Option<&str> {
    let rule = name.strip_suffix(SWAP_SUFFIX)?;
    Some(match rule.rsplit_once('.') {
        Some((bare, number)) if matches!(number.as_bytes(), [b'2'..=b'9']) => bare,
        _ => rule,
    })
}

impl OwnershipRecord {
    /// The version that this program writes.
    pub const SCHEMA: u32 = 1;

    /// Whether `entry` is ours: its name is in the record, and its content is what binfmtd wrote.
    pub fn owns(&self, entry: &Entry) -> bool {
        self.owned(entry).is_some()
    }

    /// Removes a rule by its final or its temporary name.
    pub fn forget(&mut self, name: &str) {
        self.rules.remove(name);
        self.coming.remove(unfinished_name(name).unwrap_or(name));
    }

    /// What the record says of `entry`, if it is ours.
    pub fn owned(&self, entry: &Entry) -> Option<&Owned> {
        let name = entry.name.to_str()?;
        let names = [Some(name), unfinished_name(name)].into_iter().flatten();
        let known = names.flat_map(|name| [self.rules.get(name), self.coming.get(name)]);
        known.flatten().find(|owned| {
            parse_register(owned.register.as_bytes()).is_ok_and(|rule| rule.serves_like(entry))
        })
    }
}

#[cfg(test)]
mod tests;
