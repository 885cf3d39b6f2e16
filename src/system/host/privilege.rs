//! What this process may do.

#![allow(unsafe_code, reason = "capset(2) of all sets at once")]

use std::collections::HashSet;
use std::io;

use caps::{CapSet, Capability, CapsHashSet};
use nix::sys::prctl;

/// `_LINUX_CAPABILITY_VERSION_3` of `include/uapi/linux/capability.h`.
const CAPABILITY_VERSION_3: u32 = 0x2008_0522;

/// `CAP_SYS_ADMIN`.
pub fn may_mount() -> bool {
    has(Capability::CAP_SYS_ADMIN)
}

/// `CAP_SYS_CHROOT`.
pub fn may_chroot() -> bool {
    has(Capability::CAP_SYS_CHROOT)
}

/// Whether set-user-ID bits have no effect (`PR_SET_NO_NEW_PRIVS`).
pub fn has_no_new_privileges() -> bool {
    prctl::get_no_new_privs().unwrap_or(false)
}

/// The effective uid.
pub fn uid() -> u32 {
    nix::unistd::geteuid().as_raw()
}

/// Whether this is uid 0 of its user namespace.
pub fn is_root() -> bool {
    uid() == 0
}

/// Drops every capability and every way to get one back: permitted, effective, inheritable, ambient and bounding set
/// are empty afterwards. uid 0 stays, because the files of `binfmt_misc` belong to it. Affects only the calling
/// thread, so call it before starting another.
pub fn drop_all() -> io::Result<()> {
    reduce(&CapsHashSet::new())?;
    // Not dumpable: other processes of this user must not take its descriptors by ptrace(2) or from a core dump.
    prctl::set_dumpable(false)?;
    Ok(())
}

/// Gives up all but what probes and trials need, and what they can do without at a price:
/// `CAP_SYS_CHROOT` for an empty root (else each probe takes a user namespace of its own) and
/// `CAP_SETFCAP`, without which uid 0 may not map itself into the user namespace of a trial
/// (`user_namespaces(7)`, since Linux 5.12; else rules are proved in place).
pub fn drop_all_but_probing() -> io::Result<()> {
    reduce(&HashSet::from([Capability::CAP_SYS_CHROOT, Capability::CAP_SETFCAP]))
}

/// Gives up the capabilities of a process that is about to become a program; uid 0 gets back what the
/// bounding set has. `CAP_SYS_RAWIO` may map below `vm.mmap_min_addr`: whoever has it sees programs run that
/// fail for containers and users, who have not.
pub(in crate::system) fn clear() -> io::Result<()> {
    // Who lacks CAP_SETPCAP may not, and keeps it. (The crate's own makes a text of each error, and nothing may be allocated
    // here.)
    // SAFETY: prctl(2) takes numbers.
    unsafe {
        libc::prctl(libc::PR_CAPBSET_DROP, libc::c_ulong::from(Capability::CAP_SYS_RAWIO.index()))
    };
    // All three sets by one call, which no crate here has; this is done for each program that is started.
    let (header, none) = ([CAPABILITY_VERSION_3, 0], [0_u32; 6]);
    // SAFETY: capset(2) reads a header of two numbers, and for this version two times three.
    let result = unsafe { libc::syscall(libc::SYS_capset, &raw const header, &raw const none) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn reduce(wanted: &CapsHashSet) -> io::Result<()> {
    let failed = |error: caps::errors::CapsError| io::Error::other(error.to_string());
    let held = |set: CapSet| caps::read(None, set).map_err(failed);
    // Kernels before 4.3 have no ambient set.
    let _ = caps::clear(None, CapSet::Ambient);
    // The bounding set first: reducing it requires a capability.
    let may_bound = held(CapSet::Effective)?.contains(&Capability::CAP_SETPCAP);
    for capability in held(CapSet::Bounding)?.difference(wanted) {
        if may_bound {
            caps::drop(None, CapSet::Bounding, *capability).map_err(failed)?;
        }
    }
    for set in [CapSet::Inheritable, CapSet::Effective, CapSet::Permitted] {
        let kept: CapsHashSet = match set {
            CapSet::Inheritable => CapsHashSet::new(),
            _ => held(CapSet::Permitted)?.intersection(wanted).copied().collect(),
        };
        caps::set(None, set, &kept).map_err(failed)?;
    }
    // Without CAP_SETPCAP the bounding set stays as it is. This keeps an exec from giving uid 0 what the bounding set
    // allows.
    prctl::set_no_new_privs()?;
    Ok(())
}

fn has(capability: Capability) -> bool {
    caps::has_cap(None, CapSet::Effective, capability).unwrap_or(false)
}
