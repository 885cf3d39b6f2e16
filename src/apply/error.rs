//! What went wrong with a rule.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::observation::SystemError;
use crate::rule::{InterpreterPath, Name, RegisterError};
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
    #[error("choose a temporary name for {rule}: {fault}")]
    TemporaryName { rule: Name, fault: RegisterError },
    #[error("enable {rule}: {error}")]
    Enable { rule: Name, error: SystemError },
    #[error("enable binfmt_misc: {error}")]
    EnableInstance { error: SystemError },
    #[error("remove {name}: {error}")]
    Remove { name: String, error: SystemError },
    #[error("remove {name}: {error}; the old and the new rule are both registered now")]
    OldStays { name: String, error: SystemError },
    #[error("remove {name}: {error}; a leftover rule of that name does no harm")]
    TemporaryStays { name: String, error: SystemError },
    #[error("tried in a private instance: {0}")]
    Trial(TrialFault),
    /// Why its probe failed.
    #[error("{0}")]
    Probe(String),
    #[error("its probe could not be run")]
    Unproved,
    #[error("{why}; the rule was taken back")]
    TakenBack { why: Box<Self> },
    #[error("{why}; removing {name} again failed: {error}")]
    NotTakenBack { why: Box<Self>, name: String, error: SystemError },
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
    #[error("with it, {0} programs are no longer run natively")]
    Harm(String),
    /// Why its probe failed.
    #[error("{0}")]
    Probe(String),
}
