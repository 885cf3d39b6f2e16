//! Writes of the state files and messages to the service manager: what is due, and what was sent.

use std::time::{Duration, Instant};

use super::event::Notification;

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
mod tests {
    use super::*;

    fn ready(status: &str) -> Notification {
        Notification::Ready { status: status.to_owned() }
    }

    fn status(status: &str) -> Notification {
        Notification::Status(status.to_owned())
    }

    #[test]
    fn a_status_is_told_once_and_ready_even_if_the_status_is_the_same() {
        let now = Instant::now();
        let mut told = Publication::new(None, now);
        assert!(told.take_changed(now), "the first state is written");
        assert!(!told.take_changed(now));
        assert_eq!(told.notification("first check"), Some(status("first check")));
        assert_eq!(told.notification("first check"), None);
        told.announce_ready();
        assert!(told.take_changed(now));
        assert_eq!(told.notification("first check"), Some(ready("first check")));
        assert_eq!(told.notification("first check"), None);
        told.changed();
        assert!(told.take_changed(now));
        assert_eq!(told.notification("other"), Some(status("other")));
        assert_eq!(told.deadline(), None);
    }

    #[test]
    fn what_was_lost_is_told_again_after_a_second() {
        let now = Instant::now();
        let mut told = Publication::new(None, now);
        told.announce_ready();
        told.take_changed(now);
        let sent = told.notification("well").unwrap();
        told.lost(&sent, now);
        assert_eq!(told.deadline(), Some(now + NOTIFY_AGAIN));
        assert!(!told.take_changed(now + Duration::from_millis(999)));
        assert!(told.take_changed(now + NOTIFY_AGAIN));
        assert_eq!(told.notification("well"), Some(ready("well")));
        assert_eq!(told.deadline(), None);
        told.lost(&Notification::Status("well".to_owned()), now);
        assert_eq!(told.notification("well"), Some(status("well")));
        assert_eq!(told.deadline(), None, "told by something else in between");
    }

    #[test]
    fn what_comes_again_by_itself_is_not_repeated() {
        let now = Instant::now();
        let mut told = Publication::new(None, now);
        told.notification("well");
        for lost in [Notification::Reloading, Notification::Stopping, Notification::Watchdog] {
            told.lost(&lost, now);
            assert_eq!(told.deadline(), None);
        }
        assert_eq!(told.notification("well"), None);
    }

    #[test]
    fn the_watchdog_is_told_at_each_interval() {
        let (now, every) = (Instant::now(), Duration::from_secs(5));
        let mut told = Publication::new(Some(every), now);
        assert_eq!(told.deadline(), Some(now + every));
        assert!(!told.take_watchdog(now + Duration::from_millis(4999)));
        assert!(told.take_watchdog(now + every * 2));
        assert_eq!(told.deadline(), Some(now + every * 3));
        assert!(!told.take_watchdog(now + every * 2));
        assert!(!Publication::new(None, now).take_watchdog(now + every));
    }
}
