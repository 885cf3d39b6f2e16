//! Getting the host's instance mounted: automount, module, mount.
#![allow(unsafe_code, reason = "fsopen, which no crate here has")]

use std::fs::File;
use std::io;
use std::os::fd::{FromRawFd as _, OwnedFd};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use procfs::ProcResult;
use procfs::process::Process;
use thiserror::Error;

use super::instance::{Instance, InstanceError, MOUNT_POINT};
use crate::failure::Failure;
use crate::system::files::identity;
use crate::system::host::{namespace, privilege};
use crate::system::process::fork;

/// Why `binfmt_misc` could not be mounted.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum MountError {
    /// No `CAP_SYS_ADMIN`.
    #[error(
        "binfmt_misc is not mounted on {MOUNT_POINT}, and mounting it needs root (CAP_SYS_ADMIN)"
    )]
    NotPermitted,
    /// Neither built in, nor a module that could be loaded.
    #[error(
        "this kernel has no binfmt_misc: it is neither built in nor could its module be loaded \
         (modprobe binfmt_misc; on a cloud or minimal kernel install the package with the extra modules)"
    )]
    Unsupported,
    /// What is there cannot be used.
    #[error(transparent)]
    Instance(#[from] InstanceError),
    /// mount(2) failed.
    #[error("mount binfmt_misc on {MOUNT_POINT}: {0}")]
    Mount(String),
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

/// How long the rules of an instance live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifetime {
    /// Until the host shuts down, or somebody removes them.
    Host,
    /// Only while this process, or the container around it, holds its mount.
    Ours,
}

/// An instance, and what we had to do to see it.
#[derive(Debug)]
pub struct Mounted {
    /// The instance.
    pub instance: Instance,
    /// How long its rules live.
    pub lifetime: Lifetime,
    /// Our mount, where the rules live no longer than it.
    pub mount: Option<Mount>,
}

/// A mount that this process made, for itself: taken back when dropped.
#[derive(Debug)]
pub struct Mount(());

impl Drop for Mount {
    fn drop(&mut self) {
        if let Err(errno) = umount2(MOUNT_POINT, MntFlags::MNT_DETACH) {
            tracing::warn!("unmount {MOUNT_POINT}: {errno}");
        }
    }
}

/// Opens the instance of this namespace and mounts it first where it is not; who may not mount takes one that is
/// mounted elsewhere.
pub fn ensure() -> Result<Mounted, MountError> {
    match Instance::open(Path::new(MOUNT_POINT)) {
        Ok(instance) => {
            if may_be_the_containers_own(&instance) {
                tracing::warn!(
                    "binfmt_misc was mounted after this container began: if it was mounted in here only, \
                     its rules vanish when the container ends (mount it on the host to be sure)"
                );
            }
            return Ok(Mounted { instance, lifetime: Lifetime::Host, mount: None });
        }
        Err(
            InstanceError::NoFolder | InstanceError::NotMounted | InstanceError::BrokenAutomount(_),
        ) if !privilege::may_mount() => {
            let instance = Instance::find().map_err(|error| match error {
                InstanceError::BrokenAutomount(_) => MountError::Instance(error),
                _ => MountError::NotPermitted,
            })?;
            return Ok(Mounted { instance, lifetime: Lifetime::Host, mount: None });
        }
        Err(InstanceError::NoFolder) => load_module()?,
        // Mounting over a broken automount is what an administrator would do.
        Err(InstanceError::NotMounted | InstanceError::BrokenAutomount(_)) => {}
        Err(other) => return Err(other.into()),
    }
    let confined = namespace::in_container() || !namespace::in_first_user_namespace();
    // There it stays when this container ends; here it is the same instance.
    let on_host = confined && namespace::may_see_first() && mount_for_first();
    let before = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    mount_on(Path::new(MOUNT_POINT)).map_err(|errno| match errno {
        Errno::ENODEV => MountError::Unsupported,
        Errno::EPERM | Errno::EACCES => MountError::NotPermitted,
        Errno::ENOENT => MountError::Instance(InstanceError::NoFolder),
        other => MountError::Mount(other.to_string()),
    })?;
    let mount = Mount(());
    let instance = Instance::open(Path::new(MOUNT_POINT))?;
    // An instance that is older than our mount is held by somebody else, so it outlives us. The
    // kernel's clock for files is coarse: up to 10 ms behind.
    let slack = 20_000_000;
    let fresh = instance
        .born()
        .is_ok_and(|born| i128::from(born) + slack >= before.as_nanos().cast_signed());
    if fresh && confined && !on_host {
        return Ok(Mounted { instance, lifetime: Lifetime::Ours, mount: Some(mount) });
    }
    // On the host the mount is what was wanted.
    std::mem::forget(mount);
    Ok(Mounted { instance, lifetime: Lifetime::Host, mount: None })
}

/// Mounts this namespace's instance.
pub(in crate::system) fn mount_on(path: &Path) -> nix::Result<()> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("binfmt_misc"), path, Some("binfmt_misc"), flags, None::<&str>)
}

/// Mounts it where process 1 sees it, by way of a child that moves over; false where that is not
/// permitted, or not possible.
fn mount_for_first() -> bool {
    let answer = fork::run(|| {
        let mounted = namespace::join_mounts_of_first().is_ok_and(|()| {
            // Opening it is enough where there is an automount.
            Instance::open(Path::new(MOUNT_POINT)).is_ok()
                || mount_on(Path::new(MOUNT_POINT)).is_ok()
        });
        vec![u8::from(mounted)]
    });
    let mounted = answer.is_ok_and(|answer| answer == [1]);
    if mounted {
        tracing::info!(
            "binfmt_misc is mounted on the host now, so its rules outlive this container"
        );
    }
    mounted
}

/// Whether an instance that somebody mounted may be the container's own: it is younger than the
/// container's first process. The host may have mounted it in the meantime as well; nothing in here
/// could tell.
pub fn may_be_the_containers_own(instance: &Instance) -> bool {
    let began = || {
        let first = Process::new(1).ok()?.stat().ok()?;
        let ticks = i128::from(first.starttime) * 1_000_000_000;
        let after_boot = ticks / i128::from(procfs::ticks_per_second());
        Some(i128::from(procfs::boot_time_secs().ok()?) * 1_000_000_000 + after_boot)
    };
    namespace::in_pid_namespace()
        && instance.born().is_ok_and(|born| began().is_some_and(|began| i128::from(born) > began))
}

/// Has the kernel load the module by its filesystem alias, without a path and without a fork of ours.
pub(in crate::system) fn load_module() -> Result<(), MountError> {
    // SAFETY: fsopen(2) reads a NUL-terminated string and a number, and returns a descriptor or -1.
    let result = unsafe {
        libc::syscall(libc::SYS_fsopen, c"binfmt_misc".as_ptr(), 1 /* FSOPEN_CLOEXEC */)
    };
    if let Ok(descriptor @ 0..) = i32::try_from(result) {
        // SAFETY: the kernel just gave us this descriptor, and nobody else knows it.
        drop(unsafe { OwnedFd::from_raw_fd(descriptor) });
        return Ok(());
    }
    match Errno::last() {
        Errno::ENODEV => Err(MountError::Unsupported),
        Errno::EPERM => Err(MountError::NotPermitted),
        // Before Linux 5.2 there is no fsopen: let modprobe do it.
        _ => modprobe(),
    }
}

fn modprobe() -> Result<(), MountError> {
    let loaded = ["/sbin/modprobe", "/usr/sbin/modprobe"].iter().any(|program| {
        std::process::Command::new(program)
            .args(["-q", "binfmt_misc"])
            .status()
            .is_ok_and(|status| status.success())
    });
    if loaded { Ok(()) } else { Err(MountError::Unsupported) }
}

/// Whether the kernel knows the filesystem now (`/proc/filesystems`).
pub fn is_supported() -> io::Result<bool> {
    let known = std::fs::read_to_string("/proc/filesystems")?;
    Ok(known.lines().any(|line| line.split_whitespace().next_back() == Some("binfmt_misc")))
}

/// Whether an open file is of a mount that is none of this namespace's.
pub fn is_elsewhere(file: &File) -> io::Result<bool> {
    let mount = identity::mount_of(file)?;
    let mounts = Process::myself().and_then(|process| process.mountinfo());
    let mounts = mounts.map_err(io::Error::other)?;
    let is_ours = mount.map(|id| mounts.into_iter().any(|mount| mount.mnt_id == id));
    Ok(is_ours == Some(false))
}

/// The filesystems that are mounted on the mount point, lowest first: an `autofs` without a
/// `binfmt_misc` on it is an automount that nobody triggered.
pub fn stack() -> io::Result<Vec<String>> {
    stack_of(Process::myself()).map_err(io::Error::other)
}

/// The same as the host's first process has it; `None` where that is another's, or out of sight.
pub fn stack_of_first() -> Option<Vec<String>> {
    namespace::may_see_first().then(|| stack_of(Process::new(1)).ok()).flatten()
}

fn stack_of(process: ProcResult<Process>) -> ProcResult<Vec<String>> {
    let mounts = process?.mountinfo()?;
    Ok(mounts
        .into_iter()
        .filter(|mount| mount.mount_point == Path::new(MOUNT_POINT))
        .map(|mount| mount.fs_type)
        .collect())
}
