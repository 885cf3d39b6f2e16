//! Exit codes: one for each kind of ending.

use std::process::ExitCode;

use crate::failure::FailureKind;

/// How a command ended. Documented in `docs/reference/exit-codes.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// All well.
    Well = 0,
    /// Something that was asked for does not work.
    Failed = 1,
    /// Bad usage or configuration.
    Usage = 2,
    /// Could not be checked or carried out.
    Unavailable = 3,
    /// Not permitted.
    NotPermitted = 4,
}

impl Exit {
    /// The number.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// Well, or failed.
    pub fn of(ok: bool) -> Self {
        if ok { Self::Well } else { Self::Failed }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

impl From<FailureKind> for Exit {
    fn from(kind: FailureKind) -> Self {
        match kind {
            FailureKind::Failed => Self::Failed,
            FailureKind::Usage => Self::Usage,
            FailureKind::Unavailable => Self::Unavailable,
            FailureKind::NotPermitted => Self::NotPermitted,
        }
    }
}
