//! Requests from the loop to a worker, and the answers: JSON over the helper's socket.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::relevant::Relevant;
use super::state::{ChangeCause, RuleState};
use crate::failure::Failure;
use crate::observation::FileId;
use crate::system::files::watch::Followed;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Job {
    /// Observe, plan, apply, and probe every rule.
    Reconcile,
    /// Probe every rule at full depth, and read the version and digest of each interpreter.
    Describe,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct JobRequest {
    pub(super) job: Job,
    /// `st_dev` of the instance that the loop holds.
    pub(super) instance: u64,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum JobResult {
    Reconciled(Box<Reconciled>),
    /// By the rule's name.
    Described(BTreeMap<String, Description>),
    Failed(Failure),
}

/// What [`Job::Reconcile`] found and changed, and the settings that the loop uses from now on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Reconciled {
    /// `st_dev` of the instance that was worked on.
    pub(super) instance: u64,
    pub(super) relevant: Relevant,
    /// [`Relevant::digest_of_others`] of the rules that the worker saw.
    pub(super) others: u64,
    /// A rule disappeared before its probe ran, so its result means nothing.
    pub(super) undone: bool,
    /// The rule that captures the host's own programs, as a sentence: then probes prove nothing.
    pub(super) captured: Option<String>,
    /// The wanted rules.
    pub(super) rules: Vec<RuleState>,
    pub(super) changes: Vec<RuleChange>,
    /// Names of our rules that systemd-binfmt registers as well.
    pub(super) claimed: BTreeSet<String>,
    pub(super) follow: Vec<Followed>,
    pub(super) pause_after: u32,
    pub(super) longest_pause: Duration,
    pub(super) backstop: Option<Duration>,
    pub(super) metrics_file: Option<PathBuf>,
}

/// A change that the worker made in the kernel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RuleChange {
    pub(super) cause: ChangeCause,
    pub(super) what: String,
    pub(super) rule: Option<String>,
    pub(super) target: Option<String>,
    pub(super) interpreter: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Description {
    /// The file that the kernel runs.
    pub(super) file: Option<FileId>,
    pub(super) version: Option<String>,
    pub(super) sha256: Option<String>,
    /// Why the probe failed, by its first failed level.
    pub(super) failure: Option<String>,
}
