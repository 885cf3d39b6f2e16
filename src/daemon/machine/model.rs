//! The state of the machine, and methods that every transition uses.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::event::{Effect, Now};
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
use crate::system::host::manager::Notification;

#[derive(Debug)]
pub(in crate::daemon) struct Machine {
    pub(super) state: State,
    pub(super) readiness: Readiness,
    /// `None` until the first check is over: until then it is unknown what is wanted.
    pub(super) baseline: Option<Baseline>,
    pub(super) looks: LookSchedule,
    pub(super) jobs: JobSchedule,
    /// Slows down when others keep undoing our changes.
    pub(super) pace: Pace,
    /// What the kernel refused to restore; tried again after a file has changed.
    pub(super) refused: Vec<plan::Action>,
    /// Names of our rules that systemd-binfmt registers as well.
    pub(super) claimed: BTreeSet<String>,
    pub(super) described: DescribedFiles,
    /// `st_dev` of what was on the mount point when mounts last changed.
    pub(super) mounted: Option<u64>,
    /// Our own worker may have written the record, so a new one is no news.
    pub(super) expects_new_record: bool,
    pub(super) lock_file: PathBuf,
    pub(super) usual_metrics_file: PathBuf,
    pub(super) metrics_file: PathBuf,
    pub(super) publication: Publication,
    effects: Vec<Effect>,
    has_ended: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Readiness {
    /// READY has not been sent.
    Starting,
    Ready,
    /// RELOADING has been sent, and READY is to follow.
    Reloading,
}

/// The instance at the last check or look; if it differs now, a check is needed.
#[derive(Debug, PartialEq)]
pub(super) struct Baseline {
    /// Digest of the rules of others that matter.
    pub(super) others: u64,
    /// Our rules that were missing and could not be restored; `None` until the first look after a check.
    pub(super) missing: Option<Vec<OsString>>,
}

#[derive(Debug)]
pub(in crate::daemon) struct Setup {
    /// As it is before the first check.
    pub(in crate::daemon) state: State,
    /// The folder of the record, its lock, and the metrics unless the configuration names another.
    pub(in crate::daemon) runtime: PathBuf,
    /// `st_dev` of what is on the mount point.
    pub(in crate::daemon) mounted: Option<u64>,
    /// The interval of the service manager's watchdog messages.
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
        let effects =
            if state.only_here { vec![Effect::Log(JournalEntry::OnlyHere)] } else { Vec::new() };
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
            effects,
            has_ended: false,
        }
    }

    pub(in crate::daemon) fn state(&self) -> &State {
        &self.state
    }

    pub(in crate::daemon) fn metrics_file(&self) -> &PathBuf {
        &self.metrics_file
    }

    /// When [`super::event::Event::Due`] has to come, if no other event comes first.
    pub(in crate::daemon) fn deadline(&self) -> Option<Instant> {
        if self.has_ended {
            return None;
        }
        let all = [self.looks.deadline(), self.jobs.deadline(), self.publication.deadline()];
        all.into_iter().flatten().min()
    }

    pub(super) fn emit(&mut self, effect: Effect) {
        if !self.has_ended {
            self.has_ended = matches!(effect, Effect::End(_));
            self.effects.push(effect);
        }
    }

    pub(super) fn log(&mut self, entry: JournalEntry) {
        self.emit(Effect::Log(entry));
    }

    pub(super) fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// A check or a look failed.
    pub(super) fn fail(&mut self, failure: Failure, retry: Retry, now: Now) {
        if self.baseline.is_none() {
            // Nothing has worked yet, so let the start of the service fail.
            return self.emit(Effect::End(Err(failure)));
        }
        if self.state.trouble.as_ref() != Some(&failure.message) {
            self.log(JournalEntry::Trouble(failure.message.clone()));
        }
        // Retrying does not correct a faulty configuration, and its next change is noticed.
        if retry == Retry::Check && failure.kind != FailureKind::Usage {
            self.jobs.retry(now.at);
        }
        self.state.trouble = Some(failure.message);
        self.jobs.arm_backstop(now.at);
        self.publication.changed();
    }

    /// Counts changes that were made; `first` is when the first of them became necessary.
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
            self.emit(Effect::Notify(Notification::Reloading));
        }
        self.refused.clear();
        self.jobs.reconcile_by(now.at);
    }

    pub(super) fn files_changed(&mut self, now: Now) {
        self.refused.clear();
        self.jobs.files_changed(now.at);
    }
}
