//! When to look at the instance.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// When somebody removes all rules, the kernel reports each with an event of its own: look when no more events come.
const SETTLE: Duration = Duration::from_millis(1);
/// Look this long after the first change, even if more keep coming.
const LONGEST_SETTLE: Duration = Duration::from_millis(20);
/// systemd-binfmt removes every rule and then registers its own, and fails if one of its names has been
/// registered in between.
const CLAIMED_SETTLE: Duration = Duration::from_millis(250);
/// No event tells when the lock is released, so the look is repeated, first after this time.
const FIRST_LOCK_WAIT: Duration = Duration::from_millis(20);
const LONGEST_LOCK_WAIT: Duration = Duration::from_secs(1);
/// `binfmtd register` does not hold the lock this long.
const REPORT_LOCK: Duration = Duration::from_secs(10);

/// When the next look is due, and what it waits for.
#[derive(Debug, Default)]
pub(super) struct LookSchedule {
    /// When the first change was reported that no look has dealt with yet.
    first_change: Option<Instant>,
    due: Option<Instant>,
    /// Changes start no look, because another program keeps undoing restorations.
    is_paused: bool,
    lock: LockWait,
    /// Names that the current look must not restore.
    left_alone: BTreeSet<String>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum LockWait {
    #[default]
    Free,
    Busy {
        since: Instant,
        /// How long to wait the next time.
        wait: Duration,
        reported: bool,
    },
}

impl LookSchedule {
    pub(super) fn changed(&mut self, now: Instant) {
        let first = *self.first_change.get_or_insert(now);
        if !self.is_paused {
            self.due = Some((now + SETTLE).min(first + LONGEST_SETTLE));
        }
    }

    pub(super) fn by(&mut self, moment: Instant) {
        self.due = Some(self.due.map_or(moment, |due| due.min(moment)));
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.due
    }

    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.due.is_some_and(|due| due <= now)
    }

    /// Starts a look, which deals with everything that is due. `claimed` are names of our rules that systemd-binfmt
    /// registers as well; returns those to leave alone.
    pub(super) fn start(&mut self, claimed: &BTreeSet<String>, now: Instant) -> BTreeSet<String> {
        self.due = self.due.filter(|due| *due > now);
        let is_settling = now < self.first_change(now) + CLAIMED_SETTLE;
        self.left_alone = if is_settling { claimed.clone() } else { BTreeSet::new() };
        self.left_alone.clone()
    }

    /// The lock was free, or taking it failed for another reason.
    pub(super) fn lock_taken(&mut self) {
        self.lock = LockWait::Free;
    }

    /// Another process holds the lock. Returns whether to report that; true only once.
    pub(super) fn lock_busy(&mut self, by_our_worker: bool, now: Instant) -> bool {
        let (since, wait, reported) = match self.lock {
            LockWait::Busy { since, wait, reported } if !by_our_worker => (since, wait, reported),
            LockWait::Busy { wait, .. } => (now, wait, false),
            LockWait::Free => (now, FIRST_LOCK_WAIT, false),
        };
        self.due = Some(now + wait);
        let is_long = now >= since + REPORT_LOCK;
        self.lock = LockWait::Busy {
            since,
            wait: (wait * 2).min(LONGEST_LOCK_WAIT),
            reported: reported || is_long,
        };
        is_long && !reported
    }

    pub(super) fn first_change(&self, now: Instant) -> Instant {
        self.first_change.unwrap_or(now)
    }

    /// All reported changes have been dealt with.
    pub(super) fn settled(&mut self) {
        self.first_change = None;
    }

    /// Whether a missing rule is only left alone for now. If so, schedules a look for when that is over.
    pub(super) fn wait_for_claimed(
        &mut self,
        missing: &[std::ffi::OsString],
        now: Instant,
    ) -> bool {
        let is_left = |name: &std::ffi::OsString| {
            name.to_str().is_some_and(|name| self.left_alone.contains(name))
        };
        let waits = missing.iter().any(is_left);
        if waits {
            let first = *self.first_change.get_or_insert(now);
            self.due = Some(first + CLAIMED_SETTLE);
        }
        waits
    }

    /// Restores nothing before `until`.
    pub(super) fn pause(&mut self, until: Instant) {
        self.is_paused = true;
        self.due = Some(until);
    }

    /// Starts no look for changes: the next check deals with them.
    pub(super) fn pause_for_check(&mut self) {
        self.is_paused = true;
        self.due = None;
    }

    pub(super) fn end_pause(&mut self) {
        self.is_paused = false;
    }
}

#[cfg(test)]
mod tests;
