//! Plain data about the machine: gathered by [`observe`](crate::observe), judged by pure code.

mod file;
mod owner;
mod record;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use crate::rule::Entry;

pub use file::{
    Candidates, ElfFacts, FileId, InterpreterFault, InterpreterFile, SystemError, TrustFault,
    TrustProblem, list_of,
};
pub use owner::{Owner, Runtime};
pub use record::{Owned, OwnershipRecord, swap_names, unfinished_name};

/// How a rule of others serves a target, shown by running the target's probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Serving {
    /// The probe runs, on the host and in an empty root.
    Works,
    /// The probe runs, but through another file than the one that the rule's path leads to now; with the details.
    Stale(String),
    /// The probe runs through a file of another root filesystem, so the file that the rule's path leads to in ours
    /// says nothing about it.
    Elsewhere,
    /// The probe does not run; with the details.
    Fails(String),
}

/// The instance of `binfmt_misc` that this process sees.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InstanceFacts {
    /// `st_dev`, which tells instances apart.
    pub device: u64,
    /// The switch of the instance as a whole.
    pub enabled: bool,
    /// Whether this process could register.
    pub writable: bool,
    /// In the kernel's order: newest first.
    pub entries: Vec<Entry>,
    /// Files that could not be read or parsed, each with the error.
    pub unreadable: Vec<(OsString, String)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// The target that this machine is.
    pub host: String,
    /// Targets whose programs ran without an interpreter, the host's own first.
    pub natives: Vec<String>,
    pub instance: InstanceFacts,
    /// By target.
    pub interpreters: BTreeMap<String, Candidates>,
    /// Interpreters of the configuration's own rules, by path.
    pub others: BTreeMap<PathBuf, Result<InterpreterFile, InterpreterFault>>,
    /// Native programs and scripts whose names end in an extension that the settings want a rule for.
    pub captured: BTreeMap<String, PathBuf>,
    /// By the entry's name; empty when nothing was run.
    pub serving: BTreeMap<OsString, Serving>,
    pub record: OwnershipRecord,
}
