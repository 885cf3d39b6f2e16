//! Exit codes: one for each kind of ending.

use std::fmt::Display;
use std::process::ExitCode;

use crate::apply::ApplyError;
use crate::config::ConfigErrors;
use crate::doctor::ExamineError;
use crate::observe::ObserveError;
use crate::shown::plain;
use crate::system::binfmt_misc::instance::InstanceError;
use crate::system::binfmt_misc::mount::MountError;
use crate::system::binfmt_misc::private::PrivateError;
use crate::system::host::privilege;
use crate::system::process::batch::BatchError;
use crate::target::UnknownTarget;

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

    /// The word in JSON.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Well => "well",
            Self::Failed => "failed",
            Self::Usage => "usage",
            Self::Unavailable => "unavailable",
            Self::NotPermitted => "not-permitted",
        }
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

/// Why a command ended early: an exit code and a sentence.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// The sentence.
    pub message: String,
}

impl Failure {
    /// On one line, whatever names are in the sentence.
    fn new(exit: Exit, message: impl Display) -> Self {
        Self { exit, message: plain(&message.to_string()) }
    }

    pub(super) fn usage(message: impl Display) -> Self {
        Self::new(Exit::Usage, message)
    }

    pub(super) fn unavailable(message: impl Display) -> Self {
        Self::new(Exit::Unavailable, message)
    }

    pub(super) fn not_permitted(message: impl Display) -> Self {
        Self::new(Exit::NotPermitted, message)
    }

    pub(super) fn of_io(error: &std::io::Error, message: impl Display) -> Self {
        match error.kind() {
            std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => {
                Self::not_permitted(message)
            }
            _ => Self::unavailable(message),
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::of_io(&error, &error)
    }
}

impl From<ConfigErrors> for Failure {
    /// A line for each of them.
    fn from(errors: ConfigErrors) -> Self {
        Self { exit: Exit::Usage, message: errors.to_string() }
    }
}

impl From<UnknownTarget> for Failure {
    fn from(error: UnknownTarget) -> Self {
        Self::usage(format!("{error}; binfmtd targets lists all"))
    }
}

impl From<MountError> for Failure {
    fn from(error: MountError) -> Self {
        match error {
            // A container's, most likely.
            MountError::NotPermitted if privilege::is_root() => Self::not_permitted(format!(
                "{error}, which this root lacks or a security profile forbids: start the container with --privileged, \
                 or run binfmtd register on the host"
            )),
            MountError::NotPermitted => Self::not_permitted(format!(
                "{error}; without root, try it in a private instance: binfmtd run --private -- COMMAND"
            )),
            // The module is there, and with it the folder.
            MountError::Instance(InstanceError::NoFolder) => Self::unavailable(format!(
                "{error}, though the kernel has binfmt_misc: something is mounted over it, or /proc is not mounted"
            )),
            _ => Self::unavailable(error),
        }
    }
}

impl From<PrivateError> for Failure {
    fn from(error: PrivateError) -> Self {
        if let PrivateError::Unsupported(kernel) = error {
            return kernel.into();
        }
        let way_out = match error {
            PrivateError::Instance(InstanceError::NoFolder) => "modprobe binfmt_misc",
            _ => "binfmtd register works on the host's own",
        };
        let message = format!("no private instance: {error}; as root, {way_out}");
        match error {
            PrivateError::UserNamespace(_) | PrivateError::Map(_) => Self::not_permitted(message),
            _ => Self::unavailable(message),
        }
    }
}

impl From<BatchError> for Failure {
    fn from(error: BatchError) -> Self {
        match &error {
            BatchError::Io(io) => Self::of_io(io, format!("run probes: {io}")),
            BatchError::Interrupted => Self::unavailable(error),
        }
    }
}

impl From<ObserveError> for Failure {
    fn from(error: ObserveError) -> Self {
        match error {
            ObserveError::Io { what, error } => Self::of_io(&error, format!("{what}: {error}")),
            ObserveError::Target(unknown) => unknown.into(),
            ObserveError::Verify(verify) => verify.into(),
            other @ (ObserveError::UnknownHost | ObserveError::Native(_)) => {
                Self::unavailable(other)
            }
        }
    }
}

impl From<ExamineError> for Failure {
    fn from(error: ExamineError) -> Self {
        match error {
            ExamineError::Observe(observe) => observe.into(),
            ExamineError::Verify(verify) => verify.into(),
            ExamineError::Io(error) => Self::of_io(&error, format!("examine the host: {error}")),
        }
    }
}

impl From<ApplyError> for Failure {
    fn from(error: ApplyError) -> Self {
        match error {
            ApplyError::Verify(verify) => verify.into(),
            ApplyError::Record(io) => Self::of_io(&io, format!("record of ownership: {io}")),
            ApplyError::Register(io) => Self::of_io(&io, format!("open register: {io}")),
        }
    }
}
