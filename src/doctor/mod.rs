//! The doctor: verifies end to end, and names the cause and the way out of whatever is wrong.
//!
//! A check is data: an id, what it proves, and a function from what was seen to findings. It changes
//! nothing: it neither mounts nor registers.

mod builder;
mod cause;
mod commands;
mod docker;
mod examine;
mod exec;
mod finding;
mod id;
mod interpreter;
mod kernel;
mod known;
mod load;
mod rule;
mod service;
mod verdict;

pub use examine::{AskedBuilder, Examination, Patient, examine};
pub use finding::{Finding, Status, Subject};
pub use id::{CheckId, Family, UnknownCheck};
pub use load::id_of as load_check;
pub use verdict::{Verdict, verdict};

use crate::verify::Level;

/// One check, as data.
#[derive(Clone, Copy)]
pub struct Check {
    /// Stable.
    pub id: CheckId,
    /// A few words.
    pub title: &'static str,
    /// What a pass proves, and why it matters.
    pub proves: &'static str,
    /// What to do when it is otherwise, in general; a finding says it of the case.
    pub cure: &'static str,
    /// Looks; returns a finding for the host or for each target.
    run: fn(&Examination<'_>) -> Vec<Finding>,
}

/// All checks, by family, in the order of a report.
pub fn checks() -> impl Iterator<Item = &'static Check> {
    [
        kernel::CHECKS,
        rule::CHECKS,
        interpreter::CHECKS,
        exec::CHECKS,
        service::CHECKS,
        load::CHECKS,
        docker::CHECKS,
        builder::CHECKS,
    ]
    .into_iter()
    .flatten()
}

/// The check with this id.
pub fn find(id: &str) -> Result<&'static Check, UnknownCheck> {
    let id = CheckId::parse(id)?;
    let unknown = || UnknownCheck { id: id.to_string(), nearest: None };
    checks().find(|check| check.id == id).ok_or_else(unknown)
}

impl Check {
    /// The level of running a program that it judges; `None` for what is read or listed.
    pub fn level(&self) -> Option<Level> {
        Level::ALL.into_iter().find(|level| exec::id_of(*level) == self.id)
    }
}

/// Runs every check.
pub fn diagnose(examination: &Examination<'_>) -> Vec<Finding> {
    checks().flat_map(|check| (check.run)(examination)).collect()
}

#[cfg(test)]
mod tests;
