//! The doctor: verifies end to end; for each problem it names the cause and a fix.
//!
//! A subject (the host, a builder, a root filesystem) is a folder: `gather.rs` looks at it once, `facts.rs` is
//! what was seen, and `checks/` are functions from facts to findings. The doctor neither mounts nor registers.

mod builder;
mod check;
mod facts;
mod finding;
mod fixes;
mod host;
mod id;
pub mod repair;
mod rootfs;
mod verdict;

pub use builder::facts::BuilderFacts;
pub use builder::gather::{gather as gather_builder, platforms};
pub use check::Check;
pub use facts::Facts;
pub use finding::{Finding, Status, Subject};
pub use host::checks::exec::level_of;
pub use host::facts::{HostFacts, TargetFacts};
pub use host::gather::gather;
pub use id::{CheckId, UnknownCheck};
pub use rootfs::facts::{LoadedPart, RootfsFacts};
pub use rootfs::gather::ForeignRoot;
pub use rootfs::id_of as load_check;
pub use verdict::{Verdict, verdict};

/// All checks, in the order of a report.
pub fn checks() -> impl Iterator<Item = &'static Check> {
    [host::CHECKS, rootfs::CHECKS, builder::CHECKS].into_iter().flatten().copied()
}

/// The check with this id.
pub fn find(id: &str) -> Result<&'static Check, UnknownCheck> {
    let id = CheckId::parse(id)?;
    let unknown = || UnknownCheck { id: id.to_string(), nearest: None };
    checks().find(|check| check.id == id).ok_or_else(unknown)
}

/// Runs every check.
pub fn diagnose(facts: &Facts<'_>) -> Vec<Finding> {
    checks().flat_map(|check| check.findings(facts)).collect()
}

#[cfg(test)]
mod tests;
