//! Private instances: a user namespace with its own `binfmt_misc`.

use std::fs;
use std::path::Path;

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{getegid, geteuid};
use thiserror::Error;

use super::instance::{Instance, InstanceError, MOUNT_POINT};
use super::mount::{MountError, load_module, mount_on};
use crate::failure::Failure;

/// Why there is no private instance.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PrivateError {
    /// The kernel or the distribution forbids user namespaces.
    #[error(
        "a user namespace of one's own is not permitted here ({0}); look at kernel.unprivileged_userns_clone, \
         user.max_user_namespaces and kernel.apparmor_restrict_unprivileged_userns"
    )]
    UserNamespace(String),
    /// The namespace exists, but no uid could be mapped into it.
    #[error("the user namespace takes no uid map ({0}); a security module restricts it")]
    Map(String),
    /// ENODEV: neither built in nor a module that could be loaded.
    #[error(transparent)]
    Unsupported(MountError),
    /// Kernels before 6.7 have one instance for all user namespaces.
    #[error(
        "this kernel has no binfmt_misc of its own for a user namespace ({0}; Linux 6.7 and later have)"
    )]
    Mount(String),
    /// The mounted instance is not usable.
    #[error(transparent)]
    Instance(#[from] InstanceError),
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

/// Moves this process into a new user namespace with an empty instance of `binfmt_misc`.
///
/// Nothing on the host changes. Call it while the process has one thread: the kernel refuses a new user namespace to
/// a process with more (EINVAL).
pub fn enter_private() -> Result<Instance, PrivateError> {
    let (uid, gid) = (geteuid(), getegid());
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS).map_err(|errno| {
        PrivateError::UserNamespace(match errno {
            // "No space left on device" would make people look at their disks.
            Errno::ENOSPC => "ENOSPC: their number is limited".to_owned(),
            other => other.to_string(),
        })
    })?;
    let map = |file: &str, content: String| {
        fs::write(Path::new("/proc/self").join(file), content)
            .map_err(|error| PrivateError::Map(error.to_string()))
    };
    // Without this an unprivileged process may not write a gid map (CVE-2014-8989).
    map("setgroups", "deny".to_owned())?;
    map("uid_map", format!("0 {uid} 1"))?;
    map("gid_map", format!("0 {gid} 1"))?;
    let failed = |errno: nix::Error| PrivateError::Mount(errno.to_string());
    // Mounts of a new namespace are slaves already; private mounts do not receive the host's changes either.
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)
        .map_err(failed)?;
    match mount_on(Path::new(MOUNT_POINT)) {
        // The folder does not exist before the module is loaded, which a mount makes the kernel do.
        Err(Errno::ENOENT) => {
            load_module().map_err(PrivateError::Unsupported)?;
            mount_on(Path::new(MOUNT_POINT)).map_err(|errno| match errno {
                Errno::ENOENT => InstanceError::NoFolder.into(),
                other => failed(other),
            })?;
        }
        Err(Errno::ENODEV) => return Err(PrivateError::Unsupported(MountError::Unsupported)),
        other => other.map_err(failed)?,
    }
    Ok(Instance::open(Path::new(MOUNT_POINT))?)
}
