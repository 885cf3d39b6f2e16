//! Runs many programs in parallel, each with a time limit.

use std::io;
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use thiserror::Error;

use super::child::{self, Child, ExecError};
use super::orphan::Orphans;
use super::signal::Interrupt;
use crate::failure::Failure;
use crate::system::host::machine;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// For each program, from its start.
    pub time: Duration,
    /// Programs at once; 0 means as many as there are cores.
    pub parallel: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { time: Duration::from_secs(10), parallel: 0 }
    }
}

/// Why a batch was given up. It says nothing about any of its programs.
#[derive(Debug, Error)]
pub enum BatchError {
    #[error("interrupted")]
    Interrupted,
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl From<BatchError> for Failure {
    fn from(error: BatchError) -> Self {
        match &error {
            BatchError::Io(io) => Self::of_io(io, format!("run probes: {io}")),
            BatchError::Interrupted => Self::unavailable(error),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    Exited(i32),
    Signaled(i32),
    /// Killed after the time limit.
    TimedOut,
    /// Killed because it wrote without end.
    Flooded,
}

#[derive(Debug)]
pub struct Finished {
    /// The child, with all that it wrote.
    pub child: Child,
    pub ended: Ended,
}

/// Programs to run, each known by a number.
pub trait Batch {
    /// The next one to start; `None` when none is left.
    fn next(&mut self) -> Option<usize>;

    fn start(&mut self, number: usize) -> Result<Child, ExecError>;

    /// Called when the program wrote something and is still running.
    fn hear(&mut self, _number: usize, _child: &mut Child) {}

    /// Whether processes that the programs leave running are killed with the batch. A client of somebody else's
    /// server may have started that server, which has to survive.
    fn ends_orphans(&self) -> bool {
        false
    }

    /// Called when the program has ended after this time, or did not start. A lack of resources ends the batch
    /// instead, because it says nothing about the program.
    fn end(&mut self, number: usize, outcome: Result<Finished, ExecError>, time: Duration);
}

struct BatchChild {
    number: usize,
    child: Child,
    begun: Instant,
}

/// Runs a batch to its end. When it is given up, running programs are killed.
pub fn run(batch: &mut impl Batch, limits: Limits) -> Result<(), BatchError> {
    let interrupt = Interrupt::catch()?;
    // Created first, so that it is dropped last. Without /proc orphans cannot be identified.
    let orphans = if batch.ends_orphans() { Orphans::adopt().ok() } else { None };
    let parallel = if limits.parallel == 0 { machine::cores() } else { limits.parallel };
    let mut running: Vec<BatchChild> = Vec::with_capacity(parallel);
    loop {
        while running.len() < parallel
            && let Some(number) = batch.next()
        {
            let begun = Instant::now();
            match batch.start(number) {
                Ok(child) => running.push(BatchChild { number, child, begun }),
                Err(error @ ExecError::Resources(_)) => {
                    return Err(BatchError::Io(io::Error::other(error.to_string())));
                }
                Err(error) => batch.end(number, Err(error), begun.elapsed()),
            }
        }
        if running.is_empty() {
            orphans.map_or(Ok(()), |orphans| orphans.end())?;
            return Ok(());
        }
        let left = running.iter().map(|one| limits.time.saturating_sub(one.begun.elapsed()));
        let soonest = left.min().unwrap_or(limits.time);
        let mut children: Vec<&mut Child> = running.iter_mut().map(|one| &mut one.child).collect();
        if child::wait(&mut children, Some(interrupt.as_fd()), soonest)? {
            // Dropping the children ends them.
            return Err(BatchError::Interrupted);
        }
        let mut still = Vec::with_capacity(parallel);
        for mut one in running {
            if let Some(ended) = one.ended(limits.time) {
                let BatchChild { number, child, begun } = one;
                batch.end(number, Ok(Finished { child, ended }), begun.elapsed());
            } else {
                batch.hear(one.number, &mut one.child);
                still.push(one);
            }
        }
        running = still;
    }
}

impl BatchChild {
    /// How it ended, or was ended.
    fn ended(&mut self, limit: Duration) -> Option<Ended> {
        let ended = if self.child.flooded {
            Ended::Flooded
        } else if let Some(status) = self.child.ended {
            let signaled = self.child.ended_by().map(Ended::Signaled);
            return Some(signaled.unwrap_or(Ended::Exited(status.code().unwrap_or_default())));
        } else if self.begun.elapsed() >= limit {
            Ended::TimedOut
        } else {
            return None;
        };
        self.child.kill();
        Some(ended)
    }
}
