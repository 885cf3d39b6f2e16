//! Writes of the state files and messages to the service manager: what is due, and what was sent.

use std::time::{Duration, Instant};

use crate::system::host::manager::Notification;

/// A message that the service manager did not take is sent again after this time.
const NOTIFY_AGAIN: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Publication {
    /// The state has changed since the files were written.
    changed: bool,
    ready_due: bool,
    /// The status that the service manager has.
    told: String,
    again: Option<Instant>,
    watchdog: Option<Watchdog>,
}

#[derive(Debug)]
struct Watchdog {
    interval: Duration,
    due: Instant,
}

impl Publication {
    pub(super) fn new(watchdog: Option<Duration>, now: Instant) -> Self {
        Self {
            changed: true,
            ready_due: false,
            told: String::new(),
            again: None,
            watchdog: watchdog.map(|interval| Watchdog { interval, due: now + interval }),
        }
    }

    pub(super) fn changed(&mut self) {
        self.changed = true;
    }

    /// READY is to be sent after the files have been written, because units that wait for it may read them.
    pub(super) fn announce_ready(&mut self) {
        self.changed = true;
        self.ready_due = true;
    }

    /// READY would mean that the new configuration is in force, which it is not yet.
    pub(super) fn withdraw_ready(&mut self) {
        self.ready_due = false;
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        [self.again, self.watchdog.as_ref().map(|it| it.due)].into_iter().flatten().min()
    }

    pub(super) fn take_watchdog(&mut self, now: Instant) -> bool {
        let Some(watchdog) = self.watchdog.as_mut().filter(|it| it.due <= now) else {
            return false;
        };
        watchdog.due = now + watchdog.interval;
        true
    }

    /// Whether the files are to be written.
    pub(super) fn take_changed(&mut self, now: Instant) -> bool {
        if self.again.is_some_and(|again| again <= now) {
            self.again = None;
            self.changed = true;
        }
        std::mem::take(&mut self.changed)
    }

    /// What to tell the service manager now that the files are written.
    pub(super) fn notification(&mut self, status: &str) -> Option<Notification> {
        let is_ready = std::mem::take(&mut self.ready_due);
        if !is_ready && self.told == status {
            return None;
        }
        status.clone_into(&mut self.told);
        self.again = None;
        let status = status.to_owned();
        Some(if is_ready { Notification::Ready { status } } else { Notification::Status(status) })
    }

    /// A message did not reach the service manager. Another watchdog message follows anyway, and so does READY after
    /// RELOADING.
    pub(super) fn lost(&mut self, notification: &Notification, now: Instant) {
        match notification {
            Notification::Ready { .. } => self.ready_due = true,
            Notification::Status(_) => {}
            Notification::Reloading | Notification::Stopping | Notification::Watchdog => return,
        }
        self.told.clear();
        self.again = Some(now + NOTIFY_AGAIN);
    }
}

#[cfg(test)]
mod tests;
