//! What went wrong with a rule.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::rule::{InterpreterPath, Name};
use crate::system::binfmt_misc::instance::Refused;

/// What was tried on which rule, and what the system said.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RuleError {
    #[error("register {rule} with interpreter {interpreter}: {refused}")]
    Register { rule: Name, interpreter: InterpreterPath, refused: Refused },
    /// The old rule is gone, and the new one keeps its temporary name.
    #[error(
        "register {rule} with interpreter {interpreter}: {refused}; it works under the name {temporary}"
    )]
    Misnamed { rule: Name, interpreter: InterpreterPath, refused: Refused, temporary: String },
    #[error("choose a temporary name for {rule}: {said}")]
    TemporaryName { rule: Name, said: String },
    #[error("enable {rule}: {said}")]
    Enable { rule: Name, said: String },
    #[error("enable binfmt_misc: {said}")]
    EnableInstance { said: String },
    #[error("remove {name}: {said}")]
    Remove { name: String, said: String },
    #[error("remove {name}: {said}; the old and the new rule are both registered now")]
    OldStays { name: String, said: String },
    #[error("remove {name}: {said}; a leftover rule of that name does no harm")]
    TemporaryStays { name: String, said: String },
    #[error("tried in a private instance: {0}")]
    Trial(TrialFault),
    /// Why its probe failed.
    #[error("{0}")]
    Probe(String),
    #[error("its probe could not be run")]
    Unproved,
    #[error("{why}; the rule was taken back")]
    TakenBack { why: Box<Self> },
    #[error("{why}; removing {name} again failed: {said}")]
    NotTakenBack { why: Box<Self>, name: String, said: String },
    /// So the probe's failure says nothing about the rule.
    #[error("somebody removed or disabled the rule before it was proved")]
    Undone,
}

/// Why a rule failed its trial. Serialized, because the trial runs in a forked process.
#[derive(Debug, Clone, PartialEq, Eq, Error, Serialize, Deserialize)]
pub enum TrialFault {
    /// In the kernel's words.
    #[error("{0}")]
    Refused(String),
    #[error("with it, {0} programs no longer run by themselves")]
    Harm(String),
    /// Why its probe failed.
    #[error("{0}")]
    Probe(String),
}
