//! The events that go into the state machine, and the effects that come out of it.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Instant;

use crate::apply::RuleError;
use crate::daemon::journal::JournalEntry;
use crate::daemon::protocol::{Job, JobResult};
use crate::daemon::relevant::Relevant;
use crate::failure::Failure;
use crate::plan;
use crate::system::files::watch::Followed;
use crate::system::host::manager::Notification;

/// The time by both clocks: the monotonic one for deadlines and durations, the other for documents.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::daemon) struct Now {
    pub(in crate::daemon) at: Instant,
    /// In seconds.
    pub(in crate::daemon) since_1970: f64,
}

#[derive(Debug)]
pub(in crate::daemon) enum Event {
    /// inotify: a rule, or the instance's switch.
    InstanceChanged,
    /// inotify: a file that matters in a watched folder.
    FilesChanged,
    /// inotify's queue overflowed: anything may have changed.
    EventsLost,
    /// `mountinfo` changed.
    MountsChanged {
        /// `st_dev` of what is on the mount point of the held instance.
        mounted: Option<u64>,
        /// The path of a watched folder now leads to another folder.
        folders_moved: bool,
    },
    /// Answers to [`Effect::Look`].
    Looked(LookResult),
    LockBusy,
    LookFailed(Failure),
    /// Answers to [`Effect::Restore`]: each action, with the error if the kernel refused it.
    Restored(Vec<(plan::Action, Result<(), RuleError>)>),
    RestoreFailed(Failure),
    /// Answers to [`Effect::Start`].
    JobEnded(JobResult),
    WorkerDied,
    /// Answers to [`Effect::HoldMounted`]: `st_dev` of the instance that is held now.
    InstanceHeld(u64),
    NoInstance(String),
    /// Answers to [`Effect::Follow`]: whether something changed since the worker looked.
    Followed {
        changed: bool,
    },
    FollowFailed(Failure),
    /// The message did not reach the service manager, because its socket was full.
    NotificationLost(Notification),
    ReloadRequested,
    StopRequested,
    /// No other event is ready: do what is due. Repeated until there is no effect.
    Due,
}

/// What a look at the instance found.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in crate::daemon) struct LookResult {
    /// The actions that would restore our rules to what the record says.
    pub(in crate::daemon) restorable: Vec<plan::Action>,
    /// Our rules that are not registered.
    pub(in crate::daemon) missing: Vec<OsString>,
    /// The rules that the record names.
    pub(in crate::daemon) owned: BTreeSet<String>,
    /// [`Relevant::digest_of_others`] of what is there.
    pub(in crate::daemon) others: u64,
    /// The record has changed since the last look.
    pub(in crate::daemon) record_changed: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(in crate::daemon) enum Effect {
    /// Take the lock without waiting, read the instance and the record, and keep the lock.
    Look {
        leave_alone: BTreeSet<String>,
    },
    /// Carry out these actions, and release the lock of the look.
    Restore(Vec<plan::Action>),
    /// Release the lock of the look.
    Unlock,
    Start(Job),
    /// Open the instance that is mounted now, in place of the held one.
    HoldMounted,
    Follow(Vec<Followed>),
    /// From now on, compare these rules of others.
    Compare(Relevant),
    /// Write `state.json` and the metrics.
    Publish,
    /// Remove a metrics file that will not be written any more.
    RemoveMetrics(PathBuf),
    Notify(Notification),
    Log(JournalEntry),
    /// End the service. No effect comes after it.
    End(Result<(), Failure>),
}
