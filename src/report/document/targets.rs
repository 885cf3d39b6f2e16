//! The document of `targets`.

use serde::Serialize;

use crate::observation::Candidates;
use crate::target::{Table, Target};

/// The table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct TargetsDocument {
    pub ok: bool,
    pub targets: Vec<TargetDocument>,
}

/// One target.
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
    /// Files that will not do, and why.
    pub unusable: Vec<String>,
    pub rules: Vec<TargetRule>,
}

/// One rule of the table.
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
                // Only what find would take: uname's names may be of several targets.
                aliases.retain(|alias| {
                    *alias != target.name
                        && table.find(alias).is_ok_and(|found| found.name == target.name)
                });
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
                        .map(|(path, fault)| {
                            crate::plan::Refusal::of_interpreter(path, fault).to_string()
                        })
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
        Self { ok: true, targets }
    }
}
