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
mod tests {
    use super::*;

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    fn due(looks: &LookSchedule, start: Instant) -> Option<u128> {
        looks.deadline().map(|due| (due - start).as_millis())
    }

    #[test]
    fn changes_put_a_look_off_but_not_for_ever() {
        let start = Instant::now();
        let mut looks = LookSchedule::default();
        assert_eq!(looks.deadline(), None);
        for (at, expected) in [(0, 1), (1, 2), (10, 11), (18, 19), (19, 20), (20, 20), (30, 20)] {
            looks.changed(start + ms(at));
            assert_eq!(due(&looks, start), Some(expected), "after {at} ms");
        }
        assert!(!looks.is_due(start + ms(19)) && looks.is_due(start + ms(20)));
        looks.start(&BTreeSet::new(), start + ms(20));
        assert_eq!(looks.deadline(), None);
        assert_eq!(looks.first_change(start + ms(40)), start);
        looks.settled();
        assert_eq!(looks.first_change(start + ms(40)), start + ms(40));
    }

    #[test]
    fn a_look_is_due_at_the_earliest_of_what_was_asked_for() {
        let start = Instant::now();
        let mut looks = LookSchedule::default();
        looks.by(start + ms(5));
        looks.by(start + ms(7));
        assert_eq!(due(&looks, start), Some(5));
        looks.by(start + ms(3));
        assert_eq!(due(&looks, start), Some(3));
        looks.start(&BTreeSet::new(), start + ms(2));
        assert_eq!(due(&looks, start), Some(3), "it is not served before it is due");
    }

    #[test]
    fn names_of_systemd_binfmt_are_left_alone_for_a_quarter_of_a_second() {
        let start = Instant::now();
        let claimed: BTreeSet<String> = ["qemu-arm".to_owned()].into();
        let mut looks = LookSchedule::default();
        looks.changed(start);
        assert_eq!(looks.start(&claimed, start + ms(1)), claimed);
        assert!(!looks.wait_for_claimed(&["other".into()], start + ms(1)));
        assert_eq!(looks.deadline(), None);
        looks.settled();
        assert!(looks.wait_for_claimed(&["other".into(), "qemu-arm".into()], start));
        assert_eq!(due(&looks, start), Some(250));
        assert_eq!(looks.start(&claimed, start + ms(249)), claimed);
        assert_eq!(looks.start(&claimed, start + ms(250)), BTreeSet::new());
        assert!(!looks.wait_for_claimed(&["qemu-arm".into()], start + ms(250)));
    }

    #[test]
    fn a_busy_lock_is_tried_again_and_reported_once() {
        let start = Instant::now();
        let mut looks = LookSchedule::default();
        let (mut now, mut waits, mut reports) = (start, Vec::new(), Vec::new());
        while now < start + ms(30_000) {
            if looks.lock_busy(false, now) {
                reports.push((now - start).as_millis());
            }
            waits.push((looks.deadline().unwrap() - now).as_millis());
            now = looks.deadline().unwrap();
        }
        assert_eq!(waits[..7], [20, 40, 80, 160, 320, 640, 1000]);
        assert!(waits[7..].iter().all(|wait| *wait == 1000));
        assert_eq!(reports, [10_260]);
        looks.lock_taken();
        assert!(!looks.lock_busy(false, now));
        assert_eq!(looks.deadline(), Some(now + ms(20)));
        assert!(!looks.lock_busy(false, now + ms(9_999)));
        assert!(looks.lock_busy(false, now + REPORT_LOCK));
    }

    #[test]
    fn while_our_worker_has_the_lock_nothing_is_reported() {
        let start = Instant::now();
        let mut looks = LookSchedule::default();
        assert!(!looks.lock_busy(true, start));
        assert!(!looks.lock_busy(true, start + REPORT_LOCK * 3));
        assert!(!looks.lock_busy(false, start + ms(39_999)), "counted from then");
        assert!(looks.lock_busy(false, start + REPORT_LOCK * 4));
        assert_eq!(looks.deadline(), Some(start + REPORT_LOCK * 4 + ms(160)));
    }

    #[test]
    fn a_pause_goes_on_whatever_changes() {
        let start = Instant::now();
        let mut looks = LookSchedule::default();
        looks.pause(start + ms(500));
        looks.changed(start + ms(100));
        assert_eq!(due(&looks, start), Some(500));
        looks.pause_for_check();
        looks.changed(start + ms(600));
        assert_eq!(looks.deadline(), None, "the check brings the next look");
        looks.end_pause();
        looks.changed(start + ms(700));
        assert!(looks.is_due(start + ms(701)));
    }
}
