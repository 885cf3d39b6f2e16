//! How soon to act: at once, unless another program keeps undoing it.

use std::time::{Duration, Instant};

/// Work that is undone this soon was probably undone by a program that does so every time.
const SUSPICIOUS: Duration = Duration::from_secs(10);
/// The first pause; each one after it is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// Counts how often work was undone in a row, and says how long to pause because of it.
#[derive(Debug)]
pub(super) struct Pace {
    /// How often work may be undone before pauses begin.
    pub(super) free: u32,
    pub(super) longest: Duration,
    undone: u32,
    done: Option<Instant>,
    /// When the work may be done: set from the moment at which it appears until it is done.
    pause: Option<Instant>,
}

impl Pace {
    pub(super) fn new(free: u32, longest: Duration) -> Self {
        Self { free, longest, undone: 0, done: None, pause: None }
    }

    /// There is work to do. Returns the moment before which it should not be done, or `None` for now.
    pub(super) fn wait(&mut self, now: Instant) -> Option<Instant> {
        if self.pause.is_none() {
            self.pause = Some(self.done.map_or(now, |done| {
                let quiet = now.saturating_duration_since(done);
                let is_quiet = quiet > SUSPICIOUS.max(self.length() * 2);
                self.undone = if is_quiet { 0 } else { self.undone.saturating_add(1) };
                done + self.length()
            }));
        }
        self.pause.filter(|moment| *moment > now)
    }

    pub(super) fn has_work(&self) -> bool {
        self.pause.is_some()
    }

    pub(super) fn done(&mut self, now: Instant) {
        self.done = Some(now);
        self.pause = None;
    }

    /// How often work was undone in a row, once that is often enough to pause.
    pub(super) fn is_pausing(&self) -> Option<u32> {
        (self.undone > self.free).then_some(self.undone)
    }

    fn length(&self) -> Duration {
        let Some(beyond) = self.undone.checked_sub(self.free).filter(|beyond| *beyond > 0) else {
            return Duration::ZERO;
        };
        let factor = 1u32.checked_shl(beyond - 1).unwrap_or(u32::MAX);
        FIRST_PAUSE.saturating_mul(factor).min(self.longest)
    }
}

#[cfg(test)]
mod tests;
