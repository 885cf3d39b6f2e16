//! How soon to put right what somebody did: at once, unless somebody keeps doing it.

use std::time::{Duration, Instant};

/// Work that is undone within this time after it was done may have been undone by somebody who does
/// so whenever it is done.
const SUSPICIOUS: Duration = Duration::from_secs(10);
/// The first pause; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// Counts how often our work was undone in a row.
#[derive(Debug)]
pub(super) struct Pace {
    /// How often that may be before pauses begin.
    pub(super) free: u32,
    /// The longest pause.
    pub(super) longest: Duration,
    undone: u32,
    done: Option<Instant>,
    /// Until when nothing is done; kept until the next work is done.
    pause: Option<Instant>,
}

impl Pace {
    /// Nothing was done yet.
    pub(super) fn new(free: u32, longest: Duration) -> Self {
        Self { free, longest, undone: 0, done: None, pause: None }
    }

    /// Something is to be put right: the moment before which it should not be, if there is one.
    pub(super) fn wait(&mut self, now: Instant) -> Option<Instant> {
        if self.pause.is_none() {
            let done = self.done?;
            let is_quiet = now.saturating_duration_since(done) > SUSPICIOUS.max(self.length() * 2);
            self.undone = if is_quiet { 0 } else { self.undone.saturating_add(1) };
            self.pause = Some(done + self.length());
        }
        self.pause.filter(|moment| *moment > now)
    }

    /// Whether something is to be put right, and was not yet.
    pub(super) fn is_awaited(&self) -> bool {
        self.pause.is_some()
    }

    /// It was put right.
    pub(super) fn done(&mut self, now: Instant) {
        self.done = Some(now);
        self.pause = None;
    }

    /// How often in a row, when it is often enough to pause.
    pub(super) fn is_pausing(&self) -> Option<u32> {
        (self.undone > self.free).then_some(self.undone)
    }

    /// The pause after so many times.
    fn length(&self) -> Duration {
        let Some(beyond) = self.undone.checked_sub(self.free).filter(|beyond| *beyond > 0) else {
            return Duration::ZERO;
        };
        let factor = 1u32.checked_shl(beyond - 1).unwrap_or(u32::MAX);
        FIRST_PAUSE.saturating_mul(factor).min(self.longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONGEST: Duration = Duration::from_secs(60);

    #[test]
    fn a_few_times_are_free_then_pauses_grow_and_end() {
        let mut pace = Pace::new(3, LONGEST);
        let mut now = Instant::now();
        assert_eq!(pace.wait(now), None, "the first time");
        pace.done(now);
        let mut pauses = Vec::new();
        for _ in 0..16 {
            now += Duration::from_millis(1);
            let until = pace.wait(now);
            assert_eq!(pace.wait(now), until, "asking again changes nothing");
            pauses.push(until.map_or(Duration::ZERO, |until| until - now));
            now = until.unwrap_or(now);
            assert_eq!(pace.wait(now), None, "then is the moment");
            pace.done(now);
        }
        assert_eq!(pauses[..3], [Duration::ZERO; 3]);
        assert!(pauses[3..].iter().all(|pause| !pause.is_zero()));
        assert!(pauses.is_sorted());
        assert!(*pauses.last().unwrap() <= LONGEST);
        assert!(*pauses.last().unwrap() > LONGEST / 2);
        assert_eq!(pace.is_pausing(), Some(16));
        now += LONGEST * 3;
        assert_eq!(pace.wait(now), None, "long after, all is forgotten");
        assert_eq!(pace.is_pausing(), None);
    }

    #[test]
    fn rare_work_is_never_paused() {
        let mut pace = Pace::new(0, LONGEST);
        let mut now = Instant::now();
        for _ in 0..100 {
            assert_eq!(pace.wait(now), None);
            pace.done(now);
            now += SUSPICIOUS * 2;
        }
    }
}
