//! What goes into the state machine and what comes out of it, as data.

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

/// The time by both clocks: deadlines and durations go by the monotonic one, documents by the other.
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
        /// The path of a watched folder leads to another folder now.
        folders_moved: bool,
    },
    /// Answers to [`Action::Look`].
    Looked(LookResult),
    LockBusy,
    LookFailed(Failure),
    /// Answers to [`Action::Restore`]: each action, with the error if the kernel refused it.
    Restored(Vec<(plan::Action, Result<(), RuleError>)>),
    RestoreFailed(Failure),
    /// Answers to [`Action::Start`].
    JobEnded(JobResult),
    WorkerDied,
    /// Answers to [`Action::HoldMounted`]: `st_dev` of the instance that is held now.
    InstanceHeld(u64),
    NoInstance(String),
    /// Answers to [`Action::Follow`]: whether something changed since the worker looked.
    Followed {
        changed: bool,
    },
    FollowFailed(Failure),
    /// The service manager could not be told, because its socket was full.
    NotificationLost(Notification),
    ReloadRequested,
    StopRequested,
    /// Nothing else is ready: whatever is due is to be done. Repeated until nothing is.
    Due,
}

/// What a look at the instance found.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in crate::daemon) struct LookResult {
    /// What would make our rules again what the record says.
    pub(in crate::daemon) restorable: Vec<plan::Action>,
    /// Our rules that are not there.
    pub(in crate::daemon) missing: Vec<OsString>,
    /// Our rules, by the record.
    pub(in crate::daemon) owned: BTreeSet<String>,
    /// [`Relevant::digest_of_others`] of what is there.
    pub(in crate::daemon) others: u64,
    /// The record is another one than at the last look.
    pub(in crate::daemon) record_changed: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(in crate::daemon) enum Action {
    /// Take the lock without waiting, read the instance and the record, and keep the lock.
    Look {
        leave_alone: BTreeSet<String>,
    },
    /// Make these changes, and release the lock of the look.
    Restore(Vec<plan::Action>),
    /// Release the lock of the look.
    Unlock,
    Start(Job),
    /// Open the instance that is mounted now, in place of the held one.
    HoldMounted,
    Follow(Vec<Followed>),
    /// Look for these rules of others from now on.
    Compare(Relevant),
    /// Write `state.json` and the metrics.
    Publish,
    /// Remove a metrics file that will not be written any more.
    RemoveMetrics(PathBuf),
    Notify(Notification),
    Log(JournalEntry),
    /// End the service. No action comes after it.
    End(Result<(), Failure>),
}

/// A message to the service manager, see `sd_notify(3)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::daemon) enum Notification {
    Ready { status: String },
    Status(String),
    Reloading,
    Stopping,
    Watchdog,
}
