//! The document of `targets`.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::observation::Candidates;
use crate::plan::Refusal;
use crate::rule::{Magic, Name};
use crate::target::{Table, Target};

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct TargetsDocument {
    pub ok: bool,
    pub targets: Vec<TargetDocument>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct TargetDocument {
    pub name: String,
    pub platforms: Vec<String>,
    /// All other names.
    pub aliases: Vec<String>,
    /// Whether this host runs its programs itself.
    pub native: bool,
    /// The interpreter that a rule would get.
    pub interpreter: Option<String>,
    /// Files that cannot serve as interpreters, and why.
    pub unusable: Vec<String>,
    pub rules: Vec<TargetRule>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct TargetRule {
    pub name: String,
    /// Hex digits, from offset 0.
    pub magic: String,
    pub mask: String,
}

impl TargetsDocument {
    /// The targets that are asked about, with what was found for them.
    pub fn new(
        table: &Table,
        targets: &[&Target],
        natives: &[String],
        seen: &dyn Fn(&str) -> Option<Candidates>,
    ) -> Self {
        let document = |target: &&Target| {
            let found = seen(&target.name).unwrap_or_default();
            TargetDocument::new(table, target, natives.contains(&target.name), &found)
        };
        Self { ok: true, targets: targets.iter().map(document).collect() }
    }
}

impl TargetDocument {
    fn new(table: &Table, target: &Target, native: bool, found: &Candidates) -> Self {
        let names = target.aliases.iter().chain(&target.debian).chain(&target.uname);
        // Only names that `find` accepts: a name of uname's may stand for several targets.
        let is_its = |alias: &&String| {
            **alias != target.name && table.find(alias).is_ok_and(|own| own.name == target.name)
        };
        let aliases: BTreeSet<&String> = names.filter(is_its).collect();
        let unusable =
            found.faulty.iter().map(|(path, fault)| Refusal::of_interpreter(path, fault));
        let rule = |(name, magic): (Name, Magic)| TargetRule {
            name: name.to_string(),
            magic: magic.magic_hex(),
            mask: magic.mask_hex(),
        };
        Self {
            name: target.name.clone(),
            platforms: target.platforms.clone(),
            aliases: aliases.into_iter().cloned().collect(),
            native,
            interpreter: found.usable.as_ref().map(|file| file.path.display().to_string()),
            unusable: unusable.map(|refusal| refusal.to_string()).collect(),
            rules: target.rules().into_iter().map(rule).collect(),
        }
    }
}
