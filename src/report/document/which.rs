//! The document of `which`.

use std::fmt::{self, Display};

use serde::Serialize;

use crate::observation::InstanceFacts;
use crate::rule::{self, Entry, Header};
use crate::target::Table;

/// What the kernel would do with a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct WhichDocument {
    /// Whether something runs it: a rule, or the kernel itself.
    pub ok: bool,
    pub file: String,
    /// The target whose programs look like it.
    pub target: Option<String>,
    /// Whether the kernel would run it without a rule.
    pub native: bool,
    pub winner: Option<String>,
    pub interpreter: Option<String>,
    /// Every rule, in the kernel's order, and why it does or does not run the file.
    pub rules: Vec<WhichLine>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct WhichLine {
    pub rule: String,
    pub verdict: RuleVerdict,
    pub why: String,
}

/// What the kernel makes of one rule: a [`rule::MatchResult`] in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RuleVerdict {
    Wins,
    Shadowed,
    /// The rule, or the instance as a whole.
    Disabled,
    Differs,
    OtherExtension,
}

/// The word in the document.
impl Display for RuleVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
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
                    rule::MatchResult::Wins if !instance.enabled => (
                        RuleVerdict::Disabled,
                        "it would, but binfmt_misc as a whole is switched off".to_owned(),
                    ),
                    rule::MatchResult::Wins => {
                        (RuleVerdict::Wins, format!("it runs {}", entry.interpreter.display()))
                    }
                    rule::MatchResult::Shadowed => {
                        (RuleVerdict::Shadowed, "a newer rule takes the file first".to_owned())
                    }
                    rule::MatchResult::Disabled => {
                        (RuleVerdict::Disabled, "it would, but it is switched off".to_owned())
                    }
                    rule::MatchResult::Differs { at, file, magic, mask } => (
                        RuleVerdict::Differs,
                        format!(
                            "byte {at} is {file:02x}, the rule wants {magic:02x} (mask {mask:02x})"
                        ),
                    ),
                    rule::MatchResult::OtherExtension => (
                        RuleVerdict::OtherExtension,
                        "the path does not have its extension".to_owned(),
                    ),
                };
                WhichLine { rule: entry.display_name(), verdict, why }
            })
            .collect();
        Self {
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
