//! When to start a job of the worker, and which one is running.

use std::time::{Duration, Instant};

use crate::daemon::pace::Pace;
use crate::daemon::protocol::{Job, Reconciled};

/// A package installs one file after the other: check when no more files come.
pub(super) const FILES_SETTLE: Duration = Duration::from_millis(250);
const LONGEST_FILES_SETTLE: Duration = Duration::from_secs(5);
/// Restored rules are probed once it has been quiet for this long.
pub(super) const PROVE_AFTER: Duration = Duration::from_secs(2);
/// Versions and digests are not urgent: at boot there is more to do.
const DESCRIBE_AFTER: Duration = Duration::from_secs(2);
/// After a failed job; doubled each time.
const FIRST_RETRY: Duration = Duration::from_secs(15);
const LONGEST_RETRY: Duration = Duration::from_secs(15 * 60);
/// Longer than the sum of all time limits within a job.
pub(super) const LONGEST_JOB: Duration = Duration::from_secs(30 * 60);
/// The longest pause between checks that rules of others cause.
const LONGEST_BETWEEN_CHECKS: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(super) struct JobSchedule {
    phase: JobPhase,
    reconcile: Option<Instant>,
    /// A reconciliation too, but postponed by every further restoration.
    prove: Option<Instant>,
    describe: Option<Instant>,
    /// A reconciliation too, counted from the last check.
    backstop: Option<Instant>,
    backstop_interval: Option<Duration>,
    retry: Duration,
    /// When the first change was reported that the next check will deal with.
    first_change: Option<Instant>,
    first_file_change: Option<Instant>,
    /// Slows down when others keep changing their own rules, which must not start one check after the other.
    others: Pace,
}

#[derive(Debug)]
enum JobPhase {
    Idle,
    Running(Running),
    /// The check has ended; a last look shows whether its result still holds.
    Settling(Running, Box<Reconciled>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Running {
    pub(super) job: Job,
    since: Instant,
    /// When the first change that it deals with was reported.
    pub(super) first_change: Instant,
    /// Rules were restored while it ran, so what it found may be wrong.
    pub(super) disturbed: bool,
}

impl JobSchedule {
    /// With the first check due.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            phase: JobPhase::Idle,
            reconcile: Some(now),
            prove: None,
            describe: None,
            backstop: None,
            backstop_interval: None,
            retry: FIRST_RETRY,
            first_change: None,
            first_file_change: None,
            others: Pace::new(0, LONGEST_BETWEEN_CHECKS),
        }
    }

    pub(super) fn files_changed(&mut self, now: Instant) {
        self.first_change.get_or_insert(now);
        let first = *self.first_file_change.get_or_insert(now);
        self.reconcile = Some((now + FILES_SETTLE).min(first + LONGEST_FILES_SETTLE));
    }

    /// Others changed rules that matter: reconciles, but not before `not_before`, nor too soon after the last time.
    pub(super) fn others_changed(
        &mut self,
        first: Instant,
        not_before: Option<Instant>,
        now: Instant,
    ) {
        self.first_change.get_or_insert(first);
        let moment = not_before.max(self.others.wait(now));
        self.reconcile_by(moment.unwrap_or(now));
    }

    /// Somebody undid our rules while they were checked.
    pub(super) fn undone(&mut self, now: Instant) {
        let moment = self.others.wait(now).unwrap_or(now + FILES_SETTLE);
        self.reconcile_by(moment);
    }

    pub(super) fn reconcile_by(&mut self, moment: Instant) {
        self.reconcile = Some(self.reconcile.map_or(moment, |due| due.min(moment)));
    }

    pub(super) fn restored(&mut self, now: Instant) {
        self.prove = Some(now + PROVE_AFTER);
        if let JobPhase::Running(running) | JobPhase::Settling(running, _) = &mut self.phase {
            running.disturbed = true;
        }
    }

    pub(super) fn describe_later(&mut self, now: Instant) {
        self.describe = Some(now + DESCRIBE_AFTER);
    }

    pub(super) fn retry(&mut self, now: Instant) {
        self.reconcile_by(now + self.retry);
        self.retry = (self.retry * 2).min(LONGEST_RETRY);
    }

    pub(super) fn succeeded(&mut self, others_free: u32, backstop: Option<Duration>, now: Instant) {
        self.retry = FIRST_RETRY;
        self.others.free = others_free;
        self.backstop_interval = backstop;
        self.arm_backstop(now);
    }

    pub(super) fn arm_backstop(&mut self, now: Instant) {
        self.backstop = self.backstop_interval.map(|interval| now + interval);
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match &self.phase {
            JobPhase::Idle => {
                let all = [self.reconcile, self.prove, self.describe, self.backstop];
                all.into_iter().flatten().min()
            }
            JobPhase::Running(running) => Some(running.since + LONGEST_JOB),
            JobPhase::Settling(..) => None,
        }
    }

    pub(super) fn is_overdue(&self, now: Instant) -> bool {
        matches!(&self.phase, JobPhase::Running(running) if now >= running.since + LONGEST_JOB)
    }

    /// Starts the job that is due, if none is running.
    pub(super) fn start(&mut self, now: Instant) -> Option<Job> {
        let is_due = |moment: Option<Instant>| moment.is_some_and(|moment| moment <= now);
        if !self.is_idle() {
            return None;
        }
        let mut first_change = now;
        let job = if [self.reconcile, self.prove, self.backstop].into_iter().any(is_due) {
            (self.reconcile, self.prove, self.backstop) = (None, None, None);
            first_change = self.first_change.take().unwrap_or(now);
            self.first_file_change = None;
            if self.others.has_work() {
                self.others.done(now);
            }
            Job::Reconcile
        } else if is_due(self.describe) {
            self.describe = None;
            Job::Describe
        } else {
            return None;
        };
        self.phase = JobPhase::Running(Running { job, since: now, first_change, disturbed: false });
        Some(job)
    }

    /// Ends the running job and returns it.
    pub(super) fn end(&mut self) -> Option<Running> {
        let JobPhase::Running(running) = self.phase else { return None };
        self.phase = JobPhase::Idle;
        Some(running)
    }

    pub(super) fn settle(&mut self, running: Running, result: Box<Reconciled>) {
        self.phase = JobPhase::Settling(running, result);
    }

    pub(super) fn take_settled(&mut self) -> Option<(Running, Box<Reconciled>)> {
        match std::mem::replace(&mut self.phase, JobPhase::Idle) {
            JobPhase::Settling(running, result) => Some((running, result)),
            other => {
                self.phase = other;
                None
            }
        }
    }

    pub(super) fn is_settling(&self) -> bool {
        matches!(self.phase, JobPhase::Settling(..))
    }

    pub(super) fn is_reconciling(&self) -> bool {
        matches!(&self.phase, JobPhase::Running(running) if running.job == Job::Reconcile)
    }

    pub(super) fn is_idle(&self) -> bool {
        matches!(self.phase, JobPhase::Idle)
    }

    /// Whether no job is running and no check is due or scheduled.
    pub(super) fn is_at_rest(&self) -> bool {
        self.is_idle() && self.reconcile.is_none()
    }
}
