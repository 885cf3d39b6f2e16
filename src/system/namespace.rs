//! Namespaces: where this process is, and private instances of its own.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};
use nix::unistd::{getegid, geteuid};
use procfs::ProcResult;
use procfs::process::Process;
use thiserror::Error;

use super::instance::{Instance, InstanceError, MOUNT_POINT};
use super::mount::MountError;

/// `PROC_PID_INIT_INO` of `include/linux/proc_ns.h`: the first PID namespace.
const FIRST_PID_NAMESPACE: &str = "pid:[4026531836]";
/// `PROC_USER_INIT_INO`: the first user namespace.
const FIRST_USER_NAMESPACE: &str = "user:[4026531837]";

/// Why a private instance could not be had.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PrivateError {
    /// The kernel or the distribution forbids user namespaces.
    #[error(
        "a user namespace of one's own is not permitted here ({0}); look at kernel.unprivileged_userns_clone, \
         user.max_user_namespaces and kernel.apparmor_restrict_unprivileged_userns"
    )]
    UserNamespace(String),
    /// The namespace was made, but no identity could be mapped into it.
    #[error("the user namespace takes no uid map ({0}); a security module restricts it")]
    Map(String),
    /// ENODEV: neither built in nor a module that could be loaded.
    #[error(transparent)]
    Unsupported(MountError),
    /// Kernels before 6.7 have one instance for all.
    #[error(
        "this kernel has no binfmt_misc of its own for a user namespace ({0}; Linux 6.7 and later have)"
    )]
    Mount(String),
    /// It was mounted and does not look as it should.
    #[error(transparent)]
    Instance(#[from] InstanceError),
}

/// Moves this process into a fresh child user namespace with an empty instance of `binfmt_misc`.
///
/// Nothing of the host changes. Must be called while the process has one thread: the kernel refuses
/// a new user namespace to more (EINVAL).
pub fn enter_private() -> Result<Instance, PrivateError> {
    let (uid, gid) = (geteuid(), getegid());
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS).map_err(|errno| {
        PrivateError::UserNamespace(match errno {
            // "No space left on device" would send people to their disks.
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
    // Mounts of a new namespace are slaves already; private ones receive nothing either.
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)
        .map_err(failed)?;
    match mount_on(Path::new(MOUNT_POINT)) {
        // There is no folder before the module is loaded, which the kernel does for anybody who mounts.
        Err(Errno::ENOENT) => {
            super::mount::load_module().map_err(PrivateError::Unsupported)?;
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

/// Mounts this namespace's instance.
pub(super) fn mount_on(path: &Path) -> nix::Result<()> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("binfmt_misc"), path, Some("binfmt_misc"), flags, None::<&str>)
}

/// Whether this process is in the first user namespace, whose instance is the host's.
pub fn in_first_user_namespace() -> bool {
    link_is("/proc/self/ns/user", FIRST_USER_NAMESPACE)
}

/// Whether this process is in another PID namespace than the first.
pub(super) fn in_pid_namespace() -> bool {
    !link_is("/proc/self/ns/pid", FIRST_PID_NAMESPACE)
}

/// Whether this process lives in a container: in another PID namespace than the first, or with
/// other mounts than process 1.
pub fn in_container() -> bool {
    if in_pid_namespace() {
        return true;
    }
    let link = |pid: &str| fs::read_link(Path::new("/proc").join(pid).join("ns/mnt")).ok();
    match (link("1"), link("self")) {
        (Some(first), Some(own)) => first != own,
        // Even root may not read the link without CAP_SYS_PTRACE, or in a sandbox. Who shares no mount
        // with process 1 is not where it is: each namespace has copies with numbers of their own.
        _ => shares_no_mount_with_first(),
    }
}

/// Whether this process has another root than the host, as a container has, and a service's sandbox has not.
pub fn has_another_root() -> bool {
    let root = |path: &str| fs::metadata(path).map(|root| (root.dev(), root.ino())).ok();
    // Process 1 may be out of reach; then it is the sandbox.
    in_pid_namespace() || root("/proc/1/root/").is_some_and(|first| root("/") != Some(first))
}

/// Whether process 1, as this process sees it, is the host's: then its mounts can be joined by who has
/// the rights to.
pub(super) fn may_see_first() -> bool {
    in_first_user_namespace() && !in_pid_namespace()
}

/// Moves this process to the mounts of process 1.
pub(super) fn join_mounts_of_first() -> std::io::Result<()> {
    let namespace = fs::File::open("/proc/1/ns/mnt")?;
    Ok(setns(namespace, CloneFlags::CLONE_NEWNS)?)
}

fn shares_no_mount_with_first() -> bool {
    let mounts = |process: ProcResult<Process>| -> Option<Vec<i32>> {
        let mounts = process.and_then(|process| process.mountinfo()).ok()?;
        Some(mounts.into_iter().map(|mount| mount.mnt_id).collect())
    };
    match (mounts(Process::new(1)), mounts(Process::myself())) {
        (Some(first), Some(own)) => !own.iter().any(|mount| first.contains(mount)),
        // Who may not even see process 1 is not root, and cannot mount either.
        _ => false,
    }
}

fn link_is(path: &str, wanted: &str) -> bool {
    fs::read_link(path).is_ok_and(|target| target.as_os_str() == wanted)
}
