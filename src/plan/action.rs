//! What a plan consists of, and its words: `--dry-run` prints them.

use std::ffi::{OsStr, OsString};
use std::fmt;

use super::refusal::{Refusal, ServingFault};
use crate::rule::Rule;

/// One thing to do in the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    EnableInstance,
    Add(Rule),
    Enable(Rule),
    /// Register a rule in place of the entries named `old`, without a gap.
    Replace {
        rule: Rule,
        old: Vec<OsString>,
        why: Reason,
    },
    Remove {
        name: OsString,
        why: Reason,
    },
}

/// Why an entry is replaced or removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    SettingsChanged,
    /// Another file is at the interpreter's path.
    InterpreterReplaced,
    Unwanted,
    /// An interrupted replacement left it.
    Interrupted,
    TakenOver,
    Disabled,
    /// It has the name that ours needs and takes other programs.
    OtherPrograms,
    /// This rule comes first.
    Behind(String),
    /// This rule takes some of the programs first.
    PartlyBehind(String),
    Serving(ServingFault),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// The host runs these programs itself.
    Native,
    /// Ours, and as it should be. With `gone`, its interpreter is no longer on disk, and the kernel keeps the file it
    /// opened.
    Kept {
        name: OsString,
        gone: Option<Refusal>,
    },
    /// Somebody else's rule does it already.
    Served {
        by: OsString,
    },
    Change(Action),
    /// A change is needed, but refused.
    Refused(Refusal),
}

impl Decision {
    /// The name of the rule that serves the target, or will.
    pub fn server(&self) -> Option<&OsStr> {
        match self {
            Self::Kept { name, .. } | Self::Served { by: name } => Some(name),
            Self::Change(action) => action.rule().map(|rule| OsStr::new(rule.name().as_str())),
            Self::Native | Self::Refused(_) => None,
        }
    }

    /// What a user should know about a rule that is kept.
    pub fn remark(&self) -> Option<String> {
        match self {
            Self::Kept { gone: Some(refusal), .. } => {
                Some(format!("{refusal}; the old one stays in use"))
            }
            Self::Kept { gone: None, .. }
            | Self::Native
            | Self::Served { .. }
            | Self::Change(_)
            | Self::Refused(_) => None,
        }
    }

    /// What is done or left, with why: the line of a plan without its verb.
    pub fn detail(&self) -> String {
        match self {
            Self::Native => "the host runs it itself".to_owned(),
            Self::Kept { name, .. } => {
                let remark = self.remark().map(|remark| format!(": {remark}"));
                format!("{}{}", name.to_string_lossy(), remark.unwrap_or_default())
            }
            Self::Served { by } => {
                format!("served by {}, which is not ours", by.to_string_lossy())
            }
            Self::Change(action) => action.detail(),
            Self::Refused(refusal) => refusal.to_string(),
        }
    }
}

impl Action {
    /// The rule that is in force afterwards.
    pub fn rule(&self) -> Option<&Rule> {
        match self {
            Self::Add(rule) | Self::Enable(rule) | Self::Replace { rule, .. } => Some(rule),
            Self::EnableInstance | Self::Remove { .. } => None,
        }
    }

    fn detail(&self) -> String {
        let registered =
            |rule: &Rule| format!("{} → {} [{}]", rule.name(), rule.interpreter(), rule.flags());
        match self {
            Self::EnableInstance => "binfmt_misc as a whole".to_owned(),
            Self::Add(rule) => registered(rule),
            Self::Enable(rule) => rule.name().to_string(),
            Self::Replace { rule, old, why } => {
                let old: Vec<_> = old.iter().map(|name| name.to_string_lossy()).collect();
                format!("{} by {}: {why}", old.join(", "), registered(rule))
            }
            Self::Remove { name, why } => format!("{}: {why}", name.to_string_lossy()),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// For rules of the table.
    pub target: Option<String>,
    /// The target's `e_machine` that the rule is for.
    pub machine: Option<u16>,
    /// The name that the rule has or would have; `None` for the instance as a whole.
    pub rule: Option<String>,
    pub decision: Decision,
}

impl Item {
    pub(super) fn without_target(rule: Option<String>, decision: Decision) -> Self {
        Self { target: None, machine: None, rule, decision }
    }
}

/// What is to be done, in order, with a line for every rule that was considered.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    pub items: Vec<Item>,
}

impl Plan {
    /// Whether nothing is to be written.
    pub fn is_empty(&self) -> bool {
        !self.items.iter().any(|item| matches!(item.decision, Decision::Change(_)))
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SettingsChanged => f.write_str("the configuration has changed"),
            Self::InterpreterReplaced => f.write_str("its interpreter was replaced on disk"),
            Self::Unwanted => f.write_str("it is ours, and no longer asked for"),
            Self::Interrupted => f.write_str("an interrupted replacement left it"),
            Self::TakenOver => f.write_str("taken over"),
            Self::Disabled => f.write_str("it is disabled"),
            Self::OtherPrograms => f.write_str("it does not match these programs"),
            Self::Behind(name) => write!(f, "{name} comes before it"),
            Self::PartlyBehind(name) => {
                write!(f, "{name} takes some of these programs before it")
            }
            Self::Serving(trouble) => trouble.fmt(f),
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = match self {
            Self::EnableInstance | Self::Enable(_) => "enable",
            Self::Add(_) => "add",
            Self::Replace { .. } => "replace",
            Self::Remove { .. } => "remove",
        };
        write!(f, "{verb} {}", self.detail())
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let detail = self.detail();
        match self {
            Self::Native => write!(f, "native: {detail}"),
            Self::Kept { .. } => write!(f, "keep {detail}"),
            Self::Served { .. } => write!(f, "leave alone: {detail}"),
            Self::Change(action) => action.fmt(f),
            Self::Refused(_) => write!(f, "refuse: {detail}"),
        }
    }
}

impl fmt::Display for Plan {
    /// A line for each item: target, and what is to be done.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.items.iter().try_for_each(|item| {
            writeln!(f, "{:<14} {}", item.target.as_deref().unwrap_or("-"), item.decision)
        })
    }
}
