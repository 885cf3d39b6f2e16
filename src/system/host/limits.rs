//! Limits for programs that are started from here.
#![allow(unsafe_code, reason = "prctl(2) with a number that no crate here has, and getxattr(2)")]

use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};
use nix::unistd::{SysconfVar, sysconf};

/// `PR_GET_MDWE` of `include/uapi/linux/prctl.h`, since Linux 6.3.
const PR_GET_MDWE: libc::c_int = 66;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Selinux {
    /// Forbidden accesses are denied.
    Enforcing,
    /// Forbidden accesses are only logged.
    Permissive,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostLimits {
    /// Bytes.
    pub page_size: u64,
    /// `vm.mmap_min_addr`, bytes: the lowest address that may be mapped.
    pub lowest_address: Option<u64>,
    /// `RLIMIT_AS`, bytes; `None` without a limit.
    pub address_space: Option<u64>,
    /// `RLIMIT_NPROC`, processes and threads of this user; `None` without a limit.
    pub processes: Option<u64>,
    /// `kernel.randomize_va_space`: 0 off, 1 all but the heap, 2 all.
    pub randomize: Option<u64>,
    /// `user.max_binfmt_misc_interpreters`, where the kernel has it.
    pub interpreters: Option<u64>,
    /// Whether no program may write what it executes (`PR_SET_MDWE`, `MemoryDenyWriteExecute=`).
    pub no_written_code: bool,
    /// `None` where SELinux is off.
    pub selinux: Option<Selinux>,
    /// `/proc/self/uid_map`, as it is.
    pub uid_map: String,
}

/// A limit that cannot be read counts as absent.
pub fn look() -> HostLimits {
    let number = |path: &str| fs::read_to_string(path).ok()?.trim().parse().ok();
    let page_size = sysconf(SysconfVar::PAGE_SIZE).ok().flatten();
    let address_space = getrlimit(Resource::RLIMIT_AS).map_or(RLIM_INFINITY, |(soft, _)| soft);
    let processes = getrlimit(Resource::RLIMIT_NPROC).map_or(RLIM_INFINITY, |(soft, _)| soft);
    // SAFETY: prctl(2) with this number takes four zeros, and returns bits or -1.
    let denied = unsafe { libc::prctl(PR_GET_MDWE, 0, 0, 0, 0) };
    HostLimits {
        page_size: page_size.and_then(|size| u64::try_from(size).ok()).unwrap_or(4096),
        lowest_address: number("/proc/sys/vm/mmap_min_addr"),
        address_space: (address_space != RLIM_INFINITY).then_some(address_space),
        processes: (processes != RLIM_INFINITY).then_some(processes),
        randomize: number("/proc/sys/kernel/randomize_va_space"),
        interpreters: number("/proc/sys/user/max_binfmt_misc_interpreters"),
        no_written_code: denied > 0 && denied & 1 == 1,
        selinux: number("/sys/fs/selinux/enforce").map(|enforce| match enforce {
            0 => Selinux::Permissive,
            _ => Selinux::Enforcing,
        }),
        uid_map: fs::read_to_string("/proc/self/uid_map").unwrap_or_default(),
    }
}

/// The `SELinux` label of a file: `system_u:object_r:bin_t:s0`.
pub fn label(path: &Path) -> Option<String> {
    let path = CString::new(path.as_os_str().as_bytes()).ok()?;
    // No label is that long.
    let mut label = [0u8; 1024];
    // SAFETY: both names end in NUL, and the kernel writes at most as many bytes as the buffer has.
    let length = unsafe {
        libc::getxattr(
            path.as_ptr(),
            c"security.selinux".as_ptr(),
            label.as_mut_ptr().cast(),
            label.len(),
        )
    };
    let label = label.get(..usize::try_from(length).ok()?)?;
    Some(String::from_utf8_lossy(label).trim_end_matches('\0').to_owned())
}
