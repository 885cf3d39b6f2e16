//! Which namespaces this process is in.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use nix::sched::{CloneFlags, setns};
use procfs::ProcResult;
use procfs::process::{MountInfo, Process};

/// `PROC_PID_INIT_INO` of `include/linux/proc_ns.h`: the first PID namespace.
const FIRST_PID_NAMESPACE: &str = "pid:[4026531836]";
/// `PROC_USER_INIT_INO`: the first user namespace.
const FIRST_USER_NAMESPACE: &str = "user:[4026531837]";

/// Whether this process is in the first user namespace, whose instance is the host's.
pub fn in_first_user_namespace() -> bool {
    link_is("/proc/self/ns/user", FIRST_USER_NAMESPACE)
}

/// Whether this process is in another PID namespace than the first.
pub(in crate::system) fn in_pid_namespace() -> bool {
    !link_is("/proc/self/ns/pid", FIRST_PID_NAMESPACE)
}

/// Whether this process is in a container: in another PID namespace than the first, or with other mounts than process
/// 1.
pub fn in_container() -> bool {
    if in_pid_namespace() {
        return true;
    }
    let link = |pid: &str| fs::read_link(Path::new("/proc").join(pid).join("ns/mnt")).ok();
    match (link("1"), link("self")) {
        (Some(first), Some(own)) => first != own,
        // Even root cannot read the link without CAP_SYS_PTRACE, or in a sandbox. Mount IDs tell instead: each mount
        // namespace has its own, so one that shares none with process 1 is another.
        _ => shares_no_mount_with_first(),
    }
}

/// Whether this process has another root than the host: true in a container, false in a service's sandbox.
pub fn has_another_root() -> bool {
    let root = |path: &str| fs::metadata(path).map(|root| (root.dev(), root.ino())).ok();
    // Process 1 may be inaccessible; then this is a sandbox.
    in_pid_namespace() || root("/proc/1/root/").is_some_and(|first| root("/") != Some(first))
}

/// Whether the process 1 that this process sees is the host's, so that its mount namespace can be joined.
pub(in crate::system) fn may_see_first() -> bool {
    in_first_user_namespace() && !in_pid_namespace()
}

/// Joins the mount namespace of process 1.
pub(in crate::system) fn join_mounts_of_first() -> io::Result<()> {
    let namespace = fs::File::open("/proc/1/ns/mnt")?;
    Ok(setns(namespace, CloneFlags::CLONE_NEWNS)?)
}

fn shares_no_mount_with_first() -> bool {
    match (mounts(Process::new(1)), mounts(Process::myself())) {
        (Ok(first), Ok(own)) => {
            !own.iter().any(|own| first.iter().any(|mount| mount.mnt_id == own.mnt_id))
        }
        // A process that cannot see process 1 is not root, and cannot mount either.
        _ => false,
    }
}

/// The mounts that a process sees, the oldest first.
pub(in crate::system) fn mounts(process: ProcResult<Process>) -> io::Result<Vec<MountInfo>> {
    let mounts = process.and_then(|process| process.mountinfo());
    Ok(mounts.map_err(io::Error::other)?.into_iter().collect())
}

fn link_is(path: &str, wanted: &str) -> bool {
    fs::read_link(path).is_ok_and(|target| target.as_os_str() == wanted)
}
