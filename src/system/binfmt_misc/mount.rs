//! Mounts the host's instance: automount, module, mount.
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
    #[error(transparent)]
    Instance(#[from] InstanceError),
    /// mount(2) failed.
    #[error("mount binfmt_misc on {MOUNT_POINT}: {0}")]
    Mount(String),
}

impl From<MountError> for Failure {
    fn from(error: MountError) -> Self {
        match error {
            // Most likely in a container.
            MountError::NotPermitted if privilege::is_root() => Self::not_permitted(format!(
                "{error}, which this root lacks or a security profile forbids: start the container with --privileged, \
                 or run binfmtd register on the host"
            )),
            MountError::NotPermitted => Self::not_permitted(format!(
                "{error}; without root, try it in a private instance: binfmtd run --private -- COMMAND"
            )),
            // The module is loaded, and with it the folder exists.
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
    /// As long as this process or its container holds the mount.
    Ours,
}

/// An instance, and the mount that was necessary to reach it.
#[derive(Debug)]
pub struct Mounted {
    pub instance: Instance,
    pub lifetime: Lifetime,
    /// Our mount, if the rules end with it.
    pub mount: Option<Mount>,
}

/// A mount that this process made for itself; unmounted when dropped.
#[derive(Debug)]
pub struct Mount(());

impl Drop for Mount {
    fn drop(&mut self) {
        if let Err(errno) = umount2(MOUNT_POINT, MntFlags::MNT_DETACH) {
            tracing::warn!("unmount {MOUNT_POINT}: {errno}");
        }
    }
}

/// Opens the instance of this namespace, and mounts it if necessary. Without the right to mount, takes one that is
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
        // An administrator would mount over a broken automount, too.
        Err(InstanceError::NotMounted | InstanceError::BrokenAutomount(_)) => {}
        Err(other) => return Err(other.into()),
    }
    let confined = namespace::in_container() || !namespace::in_first_user_namespace();
    // A mount on the host's side outlives this container; it is the same instance.
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
    // An instance older than our mount is held by somebody else, so it outlives us. The kernel's clock for files lags
    // by up to 10 ms.
    let slack = 20_000_000;
    let fresh = instance
        .born()
        .is_ok_and(|born| i128::from(born) + slack >= before.as_nanos().cast_signed());
    if fresh && confined && !on_host {
        return Ok(Mounted { instance, lifetime: Lifetime::Ours, mount: Some(mount) });
    }
    // On the host the mount should stay.
    std::mem::forget(mount);
    Ok(Mounted { instance, lifetime: Lifetime::Host, mount: None })
}

/// Mounts this namespace's instance.
pub(in crate::system) fn mount_on(path: &Path) -> nix::Result<()> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("binfmt_misc"), path, Some("binfmt_misc"), flags, None::<&str>)
}

/// Mounts it in process 1's mount namespace, from a child that joins it. False where that is not permitted or
/// possible.
fn mount_for_first() -> bool {
    let answer = fork::run(|| {
        let mounted = namespace::join_mounts_of_first().is_ok_and(|()| {
            // With an automount, opening the folder is enough.
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

/// Whether a mounted instance may be the container's own, because it is younger than the container's first process.
/// The host may have mounted it since; a container cannot tell.
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

/// Makes the kernel load the module by its filesystem alias, without mounting and without a fork.
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

/// Whether an open file is on a mount outside of this mount namespace (`mnt_id` of its `fdinfo`).
pub fn is_elsewhere(file: &File) -> io::Result<bool> {
    let mount = identity::mount_of(file)?;
    let mounts = namespace::mounts(Process::myself())?;
    let is_ours = mount.map(|id| mounts.iter().any(|mount| mount.mnt_id == id));
    Ok(is_ours == Some(false))
}

/// The filesystems on the mount point, lowest first. An `autofs` without a `binfmt_misc` on it is an automount that
/// has not been triggered.
pub fn stack() -> io::Result<Vec<String>> {
    stack_of(Process::myself())
}

/// The same for the host's process 1; `None` where that is not visible.
pub fn stack_of_first() -> Option<Vec<String>> {
    namespace::may_see_first().then(|| stack_of(Process::new(1)).ok()).flatten()
}

fn stack_of(process: ProcResult<Process>) -> io::Result<Vec<String>> {
    let mut mounts = namespace::mounts(process)?;
    mounts.retain(|mount| mount.mount_point == Path::new(MOUNT_POINT));
    Ok(mounts.into_iter().map(|mount| mount.fs_type).collect())
}
