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
    /// What it replaced is gone, and it could not take its own name.
    #[error(
        "register {rule} with interpreter {interpreter}: {refused}; it works under the name {temporary}"
    )]
    Misnamed { rule: Name, interpreter: InterpreterPath, refused: Refused, temporary: String },
    #[error("a temporary name for {rule}: {said}")]
    TemporaryName { rule: Name, said: String },
    #[error("enable {rule}: {said}")]
    Enable { rule: Name, said: String },
    #[error("enable binfmt_misc: {said}")]
    EnableInstance { said: String },
    #[error("remove {name}: {said}")]
    Remove { name: String, said: String },
    #[error("remove {name}: {said}; both rules are there now")]
    OldStays { name: String, said: String },
    #[error("remove {name}: {said}; it does no harm")]
    TemporaryStays { name: String, said: String },
    #[error("tried in a private instance: {0}")]
    Trial(TrialFault),
    /// What its probe met.
    #[error("{0}")]
    Probe(String),
    #[error("it could not be proved")]
    Unproved,
    #[error("{why}; the rule was taken back")]
    TakenBack { why: Box<Self> },
    #[error("{why}; and {name} could not be taken back: {said}")]
    NotTakenBack { why: Box<Self>, name: String, said: String },
    /// What its probe met tells nothing about it.
    #[error("somebody removed or disabled the rule before it was proved")]
    Undone,
}

/// Why a rule did not pass its trial. It comes from a forked process.
#[derive(Debug, Clone, PartialEq, Eq, Error, Serialize, Deserialize)]
pub enum TrialFault {
    /// In the kernel's words.
    #[error("{0}")]
    Refused(String),
    #[error("with it, {0} programs no longer run by themselves")]
    Harm(String),
    /// What its probe met.
    #[error("{0}")]
    Probe(String),
}
