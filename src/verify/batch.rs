//! Many programs at a time, over the cores, each with a time limit.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::io;
use std::os::fd::AsFd as _;
use std::path::Path;
use std::time::{Duration, Instant};

use thiserror::Error;

use crate::probe::Report;
use crate::system::child::{self, Child, ExecError, Executable, Launch, Root};
use crate::system::host;
use crate::system::signal::Interrupt;

/// How much a batch may take.
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

/// Why nothing could be verified: this is not a verdict about any target.
#[derive(Debug, Error)]
pub enum VerifyError {
    /// Somebody asked us to end.
    #[error("interrupted")]
    Interrupted,
    /// The edge failed.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// What to do with a program once its report is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Finish {
    /// Release it with this byte.
    Release(u8),
    /// Send it SIGTERM while it waits.
    Terminate,
    /// It writes no report (the interpreter's own version text): only wait for its end.
    Wait,
}

/// One program to run.
#[derive(Debug, Clone)]
pub(super) struct Task<'a> {
    pub(super) program: &'a Path,
    pub(super) root: Root<'a>,
    pub(super) argv0: &'a str,
    pub(super) nonce: &'a str,
    pub(super) environment: &'a [(&'a str, &'a str)],
    pub(super) finish: Finish,
    /// Whether to look at the rights that it runs with.
    pub(super) whose: bool,
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// With this status.
    Exited(i32),
    /// By this signal.
    Signaled(i32),
    /// It was ended because its time was over.
    TimedOut,
    /// It was ended because it wrote without end.
    Flooded,
}

/// One program that was run.
#[derive(Debug)]
pub struct Run {
    /// Whether it started at all.
    pub started: Result<(), ExecError>,
    /// Its report, when it was whole.
    pub report: Option<Report>,
    /// Standard output as text.
    pub output: String,
    /// Standard error as text: mostly the interpreter's complaint.
    pub errors: String,
    /// What ran, looked at while it was held.
    pub executable: Option<Executable>,
    /// The uid that it ran with the rights of, looked at while it was held.
    pub effective_user: Option<u32>,
    /// How it ended; `None` when it never started.
    pub ended: Option<Ended>,
    /// From start to end.
    pub time: Duration,
}

struct Running<'a> {
    index: usize,
    child: Child,
    finish: Finish,
    whose: bool,
    begun: Instant,
    executable: Option<Executable>,
    effective_user: Option<u32>,
    answered: bool,
    expected: &'a str,
}

/// Runs all tasks and returns their runs in the same order. `progress` hears how many are done.
pub(super) fn run(
    tasks: &[Task<'_>],
    limits: Limits,
    progress: &mut dyn FnMut(usize),
) -> Result<Vec<Run>, VerifyError> {
    let interrupt = Interrupt::catch()?;
    let parallel = if limits.parallel == 0 { host::cores() } else { limits.parallel };
    let mut waiting: VecDeque<usize> = (0..tasks.len()).collect();
    let mut running: Vec<Running<'_>> = Vec::with_capacity(parallel);
    let mut runs: Vec<Option<Run>> = tasks.iter().map(|_| None).collect();
    let mut done = 0;
    while done < tasks.len() {
        while running.len() < parallel
            && let Some(index) = waiting.pop_front()
        {
            match start(index, &tasks[index]) {
                Ok(child) => running.push(child),
                Err(error @ ExecError::Resources(_)) => {
                    return Err(VerifyError::Io(io::Error::other(error.to_string())));
                }
                Err(error) => {
                    runs[index] = Some(Run::never(error));
                    done += 1;
                }
            }
        }
        if running.is_empty() {
            continue;
        }
        let soonest =
            running.iter().map(|one| limits.time.saturating_sub(one.begun.elapsed())).min();
        let mut children: Vec<&mut Child> = running.iter_mut().map(|one| &mut one.child).collect();
        if child::wait(&mut children, Some(interrupt.as_fd()), soonest.unwrap_or(limits.time))? {
            // Dropping the children ends them.
            return Err(VerifyError::Interrupted);
        }
        let before = done;
        let mut still = Vec::with_capacity(parallel);
        for mut one in running {
            if let Some(ended) = one.step(limits.time) {
                let index = one.index;
                runs[index] = Some(one.into_run(ended));
                done += 1;
            } else {
                still.push(one);
            }
        }
        running = still;
        if done > before {
            progress(done);
        }
    }
    Ok(runs.into_iter().flatten().collect())
}

fn start<'a>(index: usize, task: &Task<'a>) -> Result<Running<'a>, ExecError> {
    let begun = Instant::now();
    let mut child = Child::start(&Launch {
        program: task.program,
        argv0: OsStr::new(task.argv0),
        arguments: &[OsStr::new(task.nonce)],
        environment: task.environment,
        root: task.root,
    })?;
    if task.finish == Finish::Wait {
        // A native program does not know QEMU's variable and would wait for its byte.
        child.release(0);
    }
    Ok(Running {
        index,
        child,
        finish: task.finish,
        whose: task.whose,
        begun,
        executable: None,
        effective_user: None,
        answered: false,
        expected: task.nonce,
    })
}

impl Running<'_> {
    /// Answers a report once, and says how the program ended if it has.
    fn step(&mut self, limit: Duration) -> Option<Ended> {
        if self.child.flooded {
            self.child.kill();
            return Some(Ended::Flooded);
        }
        if let Some(status) = self.child.ended {
            let signaled = self.child.ended_by().map(Ended::Signaled);
            return Some(signaled.unwrap_or(Ended::Exited(status.code().unwrap_or_default())));
        }
        if self.begun.elapsed() >= limit {
            self.child.kill();
            return Some(Ended::TimedOut);
        }
        if !self.answered && self.finish != Finish::Wait && Report::is_complete(&self.child.output)
        {
            self.answered = true;
            // It waits for its byte, so what it runs can be looked at in peace.
            self.executable = self.child.executable().ok();
            if self.whose {
                self.effective_user = self.child.effective_user().ok();
            }
            match self.finish {
                Finish::Release(byte) => self.child.release(byte),
                Finish::Terminate => self.child.terminate(),
                Finish::Wait => {}
            }
        }
        None
    }

    fn into_run(mut self, ended: Ended) -> Run {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        // A report without our nonce is somebody else's.
        let report = Report::parse(&self.child.output).filter(|report| {
            report.arguments.iter().any(|argument| argument == self.expected.as_bytes())
        });
        Run {
            started: Ok(()),
            report,
            output: text(&self.child.output),
            errors: text(&self.child.errors),
            executable: self.executable.take(),
            effective_user: self.effective_user,
            ended: Some(ended),
            time: self.begun.elapsed(),
        }
    }
}

impl Run {
    fn never(error: ExecError) -> Self {
        Self {
            started: Err(error),
            report: None,
            output: String::new(),
            errors: String::new(),
            executable: None,
            effective_user: None,
            ended: None,
            time: Duration::ZERO,
        }
    }
}
