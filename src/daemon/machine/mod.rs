//! The decisions of the service: (state, event, time) → (new state, effects).
//!
//! Nothing here reads a clock or touches the system, so every case of timing is a unit test. The driver
//! (`event_loop.rs`) carries out the effects in order, and reports their results as events. The results of
//! [`Effect::Look`] and [`Effect::Restore`] come before any other event.

mod check;
mod event;
mod heal;
mod jobs;
mod look;
mod model;
mod publication;
#[cfg(test)]
mod tests;
mod verdicts;

pub(super) use event::{Effect, Event, LookResult, Now};
pub(super) use model::{Machine, Setup};

use crate::daemon::journal::JournalEntry;
use crate::daemon::protocol::JobResult;
use crate::failure::Failure;
use crate::system::host::manager::Notification;
use model::{Readiness, Retry};

impl Machine {
    pub(super) fn handle(&mut self, event: Event, now: Now) -> Vec<Effect> {
        self.transition(event, now);
        self.take_effects()
    }

    fn transition(&mut self, event: Event, now: Now) {
        match event {
            Event::InstanceChanged => self.instance_changed(now),
            Event::FilesChanged | Event::Followed { changed: true } => self.files_changed(now),
            Event::EventsLost => {
                self.instance_changed(now);
                self.files_changed(now);
            }
            Event::MountsChanged { mounted, folders_moved } => {
                let before = std::mem::replace(&mut self.mounted, mounted);
                let is_another = mounted != before && mounted != Some(self.state.instance);
                // Left to the worker: an automount may block the process that triggers it.
                if is_another || folders_moved {
                    self.files_changed(now);
                }
            }
            Event::Looked(result) => self.looked(result, now),
            Event::LockBusy => self.lock_busy(now),
            Event::LookFailed(failure) => self.look_failed(failure, now),
            Event::Restored(results) => self.restored(results, now),
            Event::RestoreFailed(failure) => self.restore_failed(failure, now),
            Event::JobEnded(result) => self.job_ended(result, now),
            Event::WorkerDied => {
                let failure =
                    Failure::unavailable("the worker ended early: it was killed, or crashed");
                self.job_ended(JobResult::Failed(failure), now);
            }
            Event::InstanceHeld(device) => self.instance_held(device),
            Event::NoInstance(error) => self.log(JournalEntry::Trouble(error)),
            Event::Followed { changed: false } => {}
            Event::FollowFailed(failure) => self.fail(failure, Retry::Check, now),
            Event::NotificationLost(lost) => self.publication.lost(&lost, now.at),
            Event::ReloadRequested => self.reload(now),
            Event::StopRequested => {
                self.emit(Effect::Notify(Notification::Stopping));
                // A reader would take the file for the current state.
                self.emit(Effect::RemoveMetrics(self.metrics_file.clone()));
                self.emit(Effect::End(Ok(())));
            }
            Event::Due => self.due(now),
        }
    }

    /// Does what is due, the most urgent first.
    fn due(&mut self, now: Now) {
        if self.publication.take_watchdog(now.at) {
            self.emit(Effect::Notify(Notification::Watchdog));
        }
        if self.looks.is_due(now.at) {
            // Its result may call for a job at once.
            return self.look(now);
        }
        if self.jobs.is_overdue(now.at) {
            let minutes = jobs::LONGEST_JOB.as_secs() / 60;
            let failure = format!("a full check has not ended for {minutes} minutes");
            return self.emit(Effect::End(Err(Failure::unavailable(failure))));
        }
        if let Some(job) = self.jobs.start(now.at) {
            self.emit(Effect::Start(job));
        }
        let is_checked =
            self.jobs.is_at_rest() || self.jobs.is_idle() && self.state.trouble.is_some();
        if self.readiness == Readiness::Reloading && is_checked {
            self.became_ready();
        }
        if self.publication.take_changed(now.at) {
            self.state.status = self.state.status_line();
            self.emit(Effect::Publish);
            if let Some(notification) = self.publication.notification(&self.state.status) {
                self.emit(Effect::Notify(notification));
            }
        }
    }
}
