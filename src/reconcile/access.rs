//! The instance that rules are registered in, or why it cannot be written to.

use std::fmt::{self, Display};

use thiserror::Error;

use crate::failure::Failure;
use crate::system::binfmt_misc::instance::{Instance, InstanceError};
use crate::system::binfmt_misc::mount::{self, Lifetime, MountError, Mounted};
use crate::system::host::namespace;
use crate::system::host::privilege;

/// Who keeps the instance mounted where its mount would end with this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    /// Nobody: rules have to outlive this process.
    Nobody,
    /// The caller, for as long as the rules are needed.
    Caller,
}

/// What somebody wants to do to the rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    Register,
    Remove,
}

/// Why rules that are registered from here would vanish with this container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Unmounted {
    #[error("the host has not mounted binfmt_misc")]
    Host,
    #[error("this user namespace has its own binfmt_misc, which nobody outside of it sees")]
    UserNamespace,
}

/// Why this process may not write to an instance that it sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Denied {
    #[error("{0} rules needs root")]
    NotRoot(Change),
    #[error("binfmt_misc is mounted read-only (mount -o remount,rw /proc/sys/fs/binfmt_misc)")]
    ReadOnly,
    #[error("this user namespace may not change the host's rules; register them on the host")]
    UserNamespace,
    #[error("a security policy forbids root to write to binfmt_misc")]
    Policy,
}

/// Why there is no instance to register rules in.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AccessError {
    #[error(transparent)]
    Mount(#[from] MountError),
    #[error(
        "{0}, so rules registered in this container would vanish when it ends; mount it on the host first \
         (mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc), or hold the rules from here: \
         binfmtd run -- COMMAND"
    )]
    Unmounted(#[from] Unmounted),
    #[error(transparent)]
    Denied(#[from] Denied),
}

/// Opens the host's instance for writing, and mounts it first where it is not mounted. An error leaves no mount behind.
pub fn writable_instance(holder: Holder) -> Result<Mounted, AccessError> {
    let mounted = mount::ensure()?;
    if holder == Holder::Nobody {
        check_lifetime(mounted.lifetime)?;
    }
    check_writable(&mounted.instance, Change::Register)?;
    Ok(mounted)
}

/// Refuses an instance whose rules would not outlive this process.
pub fn check_lifetime(lifetime: Lifetime) -> Result<(), Unmounted> {
    match lifetime {
        Lifetime::Host => Ok(()),
        Lifetime::Ours if namespace::in_first_user_namespace() => Err(Unmounted::Host),
        Lifetime::Ours => Err(Unmounted::UserNamespace),
    }
}

/// Refuses to change an instance that this process may not write to.
pub fn check_writable(instance: &Instance, change: Change) -> Result<(), Denied> {
    match () {
        () if instance.is_writable() => Ok(()),
        () if !privilege::is_root() => Err(Denied::NotRoot(change)),
        () if instance.is_read_only() => Err(Denied::ReadOnly),
        () if !namespace::in_first_user_namespace() => Err(Denied::UserNamespace),
        () => Err(Denied::Policy),
    }
}

/// Opens the instance of this namespace; mounts nothing.
pub fn find_instance() -> Result<Instance, Failure> {
    Instance::find().map_err(|error| {
        let fix = match error {
            InstanceError::NoFolder => "; modprobe binfmt_misc, or binfmtd register as root",
            InstanceError::NotMounted => "; binfmtd register as root mounts it",
            InstanceError::BrokenAutomount(_)
            | InstanceError::Foreign(_)
            | InstanceError::Io(_) => "",
        };
        Failure::unavailable(format!("{error}{fix}"))
    })
}

impl Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Register => "registering",
            Self::Remove => "removing",
        })
    }
}

impl From<Denied> for Failure {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::NotRoot(Change::Register) => Self::not_permitted(format!(
                "{denied}; without root, try it in a private instance: binfmtd run --private -- COMMAND"
            )),
            Denied::NotRoot(Change::Remove)
            | Denied::ReadOnly
            | Denied::UserNamespace
            | Denied::Policy => Self::not_permitted(denied),
        }
    }
}

impl From<AccessError> for Failure {
    fn from(error: AccessError) -> Self {
        match error {
            AccessError::Mount(error) => error.into(),
            AccessError::Denied(denied) => denied.into(),
            AccessError::Unmounted(_) => Self::unavailable(error),
        }
    }
}
