//! The state of the machine, and what every transition uses.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::event::{Action, Notification, Now};
use super::jobs::JobSchedule;
use super::look::LookSchedule;
use super::publication::Publication;
use super::verdicts::DescribedFiles;
use crate::daemon::journal::{Changes, JournalEntry};
use crate::daemon::metrics;
use crate::daemon::pace::Pace;
use crate::daemon::state::{Heal, State};
use crate::failure::{Failure, FailureKind};
use crate::plan;
use crate::system::binfmt_misc::record;

/// What the service knows and has to do.
#[derive(Debug)]
pub(in crate::daemon) struct Machine {
    pub(super) state: State,
    pub(super) readiness: Readiness,
    /// `None` until the first check is over: until then it is unknown what is wanted.
    pub(super) baseline: Option<Baseline>,
    pub(super) looks: LookSchedule,
    pub(super) jobs: JobSchedule,
    /// How often others undid our changes.
    pub(super) pace: Pace,
    /// What the kernel refused to restore. Tried again once a file has changed.
    pub(super) refused: Vec<plan::Action>,
    /// Names of our rules that systemd-binfmt registers as well.
    pub(super) claimed: BTreeSet<String>,
    pub(super) described: DescribedFiles,
    /// `st_dev` of what was on the mount point when mounts last changed.
    pub(super) mounted: Option<u64>,
    /// Our own worker may have written the record, which is no news.
    pub(super) expects_new_record: bool,
    pub(super) lock_file: PathBuf,
    pub(super) usual_metrics_file: PathBuf,
    pub(super) metrics_file: PathBuf,
    pub(super) publication: Publication,
    actions: Vec<Action>,
    has_ended: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Readiness {
    /// READY has not been told.
    Starting,
    Ready,
    /// RELOADING has been told, and READY is to follow.
    Reloading,
}

/// How the instance was when it was last checked or looked at; a difference needs a check.
#[derive(Debug, PartialEq)]
pub(super) struct Baseline {
    /// Digest of the rules of others that matter.
    pub(super) others: u64,
    /// Our rules that were missing and could not be restored; `None` until the first look after a check.
    pub(super) missing: Option<Vec<OsString>>,
}

/// What [`Machine::new`] needs to know.
#[derive(Debug)]
pub(in crate::daemon) struct Setup {
    /// As it is before the first check.
    pub(in crate::daemon) state: State,
    /// The folder of the record, its lock, and the metrics unless the configuration names another.
    pub(in crate::daemon) runtime: PathBuf,
    /// `st_dev` of what is on the mount point.
    pub(in crate::daemon) mounted: Option<u64>,
    /// How often the service manager wants to be told that the service is alive.
    pub(in crate::daemon) watchdog: Option<Duration>,
}

/// Whether a failure calls for another check later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Retry {
    Check,
    Never,
}

impl Machine {
    pub(in crate::daemon) fn new(setup: Setup, now: Now) -> Self {
        let Setup { state, runtime, mounted, watchdog } = setup;
        let metrics_file = runtime.join(metrics::FILE);
        let actions =
            if state.only_here { vec![Action::Log(JournalEntry::OnlyHere)] } else { Vec::new() };
        Self {
            state,
            readiness: Readiness::Starting,
            baseline: None,
            looks: LookSchedule::default(),
            jobs: JobSchedule::new(now.at),
            pace: Pace::new(0, Duration::ZERO),
            refused: Vec::new(),
            claimed: BTreeSet::new(),
            described: DescribedFiles::default(),
            mounted,
            expects_new_record: false,
            lock_file: runtime.join(record::LOCK),
            usual_metrics_file: metrics_file.clone(),
            metrics_file,
            publication: Publication::new(watchdog, now.at),
            actions,
            has_ended: false,
        }
    }

    pub(in crate::daemon) fn state(&self) -> &State {
        &self.state
    }

    pub(in crate::daemon) fn metrics_file(&self) -> &PathBuf {
        &self.metrics_file
    }

    /// When [`super::event::Event::Due`] is to come, if nothing else does before.
    pub(in crate::daemon) fn deadline(&self) -> Option<Instant> {
        if self.has_ended {
            return None;
        }
        let all = [self.looks.deadline(), self.jobs.deadline(), self.publication.deadline()];
        all.into_iter().flatten().min()
    }

    pub(super) fn act(&mut self, action: Action) {
        if !self.has_ended {
            self.has_ended = matches!(action, Action::End(_));
            self.actions.push(action);
        }
    }

    pub(super) fn log(&mut self, entry: JournalEntry) {
        self.act(Action::Log(entry));
    }

    pub(super) fn has_ended(&self) -> bool {
        self.has_ended
    }

    pub(super) fn take_actions(&mut self) -> Vec<Action> {
        std::mem::take(&mut self.actions)
    }

    /// A check or a look was impossible.
    pub(super) fn fail(&mut self, failure: Failure, retry: Retry, now: Now) {
        if self.baseline.is_none() {
            // Nothing has worked yet, so whoever started the service is told.
            return self.act(Action::End(Err(failure)));
        }
        if self.state.trouble.as_ref() != Some(&failure.message) {
            self.log(JournalEntry::Trouble(failure.message.clone()));
        }
        // A faulty configuration does not mend itself, and its next change is noticed.
        if retry == Retry::Check && failure.kind != FailureKind::Usage {
            self.jobs.retry(now.at);
        }
        self.state.trouble = Some(failure.message);
        self.jobs.arm_backstop(now.at);
        self.publication.changed();
    }

    /// Changes were made, of which the first was asked for at `first`.
    pub(super) fn count(&mut self, changes: &Changes, first: Instant, now: Now) {
        let mut all = 0;
        for (cause, count) in &changes.0 {
            *self.state.heals.entry(*cause).or_default() += count;
            all += count;
        }
        if let Some(cause) = changes.0.keys().next() {
            let seconds = now.at.saturating_duration_since(first).as_secs_f64();
            self.state.last_heal =
                Some(Heal { at: now.since_1970, seconds, cause: *cause, changes: all });
        }
        self.publication.changed();
    }

    pub(super) fn became_ready(&mut self) {
        self.readiness = Readiness::Ready;
        self.state.ready = true;
        self.publication.announce_ready();
    }

    pub(super) fn reload(&mut self, now: Now) {
        if self.readiness != Readiness::Starting {
            // READY ends a reload, so it must not come before the new configuration is in force.
            self.readiness = Readiness::Reloading;
            self.publication.withdraw_ready();
            self.act(Action::Notify(Notification::Reloading));
        }
        self.refused.clear();
        self.jobs.reconcile_by(now.at);
    }

    pub(super) fn files_changed(&mut self, now: Now) {
        self.refused.clear();
        self.jobs.files_changed(now.at);
    }
}
