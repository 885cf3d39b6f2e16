//! The document of `export`.

use serde::Serialize;

use crate::plan::{Action, Decision, Plan};
use crate::rule::{DebianError, Rule, write_debian};

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ExportDocument {
    /// Whether every target could be exported.
    pub ok: bool,
    pub files: Vec<FileDocument>,
    /// What the format cannot say, or what has no interpreter.
    pub notes: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct FileDocument {
    /// Its name, without a folder.
    pub name: String,
    pub content: String,
}

/// A tool that registers rules from files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportTool {
    /// systemd-binfmt: one register string per line.
    BinfmtD,
    /// update-binfmts: one file for each rule.
    Debian,
}

impl ExportDocument {
    /// The rules that a plan for an empty instance adds.
    pub fn new(tool: ExportTool, plan: &Plan) -> Result<Self, DebianError> {
        let rules: Vec<&Rule> = plan
            .items
            .iter()
            .filter_map(|item| match &item.decision {
                Decision::Change(Action::Add(rule)) => Some(rule),
                _ => None,
            })
            .collect();
        let mut notes: Vec<String> = plan
            .items
            .iter()
            .filter_map(|item| match &item.decision {
                Decision::Refused(refusal) => Some(refusal.to_string()),
                _ => None,
            })
            .collect();
        let ok = notes.is_empty();
        let files = match tool {
            ExportTool::BinfmtD if rules.is_empty() => Vec::new(),
            ExportTool::BinfmtD => {
                let mut content =
                    "# Written by binfmtd export --as binfmt.d; see binfmt.d(5).\n".to_owned();
                for rule in &rules {
                    content.push_str(&String::from_utf8_lossy(rule.register_string()));
                    content.push('\n');
                }
                vec![FileDocument { name: "binfmtd.conf".to_owned(), content }]
            }
            ExportTool::Debian => {
                let is_lossy = |rule: &&Rule| rule.flags().open_binary && !rule.flags().credentials;
                if rules.iter().any(is_lossy) {
                    notes.push(
                        "update-binfmts cannot express the flag O: it is left out".to_owned(),
                    );
                }
                let file = |rule: &&Rule| {
                    let content = write_debian(rule, "binfmtd")?;
                    Ok(FileDocument { name: rule.name().to_string(), content })
                };
                rules.iter().map(file).collect::<Result<_, DebianError>>()?
            }
        };
        Ok(Self { ok, files, notes })
    }
}
