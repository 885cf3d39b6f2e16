//! What this process may do.

use caps::{CapSet, Capability};

/// Whether it may mount (`CAP_SYS_ADMIN`).
pub fn may_mount() -> bool {
    has(Capability::CAP_SYS_ADMIN)
}

/// Whether it may change its root (`CAP_SYS_CHROOT`).
pub fn may_chroot() -> bool {
    has(Capability::CAP_SYS_CHROOT)
}

/// Whether it is uid 0 of its namespace.
pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

fn has(capability: Capability) -> bool {
    caps::has_cap(None, CapSet::Effective, capability).unwrap_or(false)
}
