//! Probes: held once they have reported, looked at, and released.

use std::ffi::OsStr;
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use crate::probe::Report;
use crate::system::batch::{self, Batch, BatchError, Ended, Finished, Limits};
use crate::system::child::{Child, ExecError, Executable, Launch, Root};

/// More output than this is a flood: a report has some hundred bytes.
const LARGEST_OUTPUT: usize = 64 * 1024;

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

/// The probes of a batch, and what came of them.
struct Probes<'a, 'p> {
    tasks: &'a [Task<'a>],
    waiting: Range<usize>,
    seen: Vec<Seen>,
    runs: Vec<Option<Run>>,
    done: usize,
    progress: &'p mut dyn FnMut(usize),
}

/// What was seen of a probe while it was held.
#[derive(Default)]
struct Seen {
    answered: bool,
    executable: Option<Executable>,
    effective_user: Option<u32>,
}

/// Runs all tasks and returns their runs in the same order. `progress` hears how many are done.
pub(super) fn run(
    tasks: &[Task<'_>],
    limits: Limits,
    progress: &mut dyn FnMut(usize),
) -> Result<Vec<Run>, BatchError> {
    let mut probes = Probes {
        tasks,
        waiting: 0..tasks.len(),
        seen: tasks.iter().map(|_| Seen::default()).collect(),
        runs: tasks.iter().map(|_| None).collect(),
        done: 0,
        progress,
    };
    batch::run(&mut probes, limits)?;
    Ok(probes.runs.into_iter().flatten().collect())
}

impl Batch for Probes<'_, '_> {
    fn next(&mut self) -> Option<usize> {
        self.waiting.next()
    }

    fn start(&mut self, number: usize) -> Result<Child, ExecError> {
        let task = &self.tasks[number];
        let environment: Vec<(&OsStr, &OsStr)> = task
            .environment
            .iter()
            .map(|(name, value)| (OsStr::new(name), OsStr::new(value)))
            .collect();
        let mut child = Child::start(&Launch {
            program: task.program,
            argv0: OsStr::new(task.argv0),
            arguments: &[OsStr::new(task.nonce)],
            environment: &environment,
            root: task.root,
            largest_output: LARGEST_OUTPUT,
        })?;
        if task.finish == Finish::Wait {
            // A native program does not know QEMU's variable and would wait for its byte.
            child.release(0);
        }
        Ok(child)
    }

    /// Answers a report, once.
    fn hear(&mut self, number: usize, child: &mut Child) {
        let (task, seen) = (&self.tasks[number], &mut self.seen[number]);
        if seen.answered || task.finish == Finish::Wait || !Report::is_complete(&child.output) {
            return;
        }
        seen.answered = true;
        // It waits for its byte, so what it runs can be looked at in peace.
        seen.executable = child.executable().ok();
        if task.whose {
            seen.effective_user = child.effective_user().ok();
        }
        match task.finish {
            Finish::Release(byte) => child.release(byte),
            Finish::Terminate => child.terminate(),
            Finish::Wait => {}
        }
    }

    fn end(&mut self, number: usize, outcome: Result<Finished, ExecError>, time: Duration) {
        let seen = std::mem::take(&mut self.seen[number]);
        self.runs[number] = Some(match outcome {
            Ok(finished) => Run::of(&finished, seen, self.tasks[number].nonce, time),
            Err(error) => Run::never(error),
        });
        self.done += 1;
        (self.progress)(self.done);
    }
}

impl Run {
    fn of(finished: &Finished, seen: Seen, nonce: &str, time: Duration) -> Self {
        let Finished { child, ended } = finished;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        // A report without our nonce is somebody else's.
        let report = Report::parse(&child.output)
            .filter(|report| report.arguments.iter().any(|argument| argument == nonce.as_bytes()));
        Self {
            started: Ok(()),
            report,
            output: text(&child.output),
            errors: text(&child.errors),
            executable: seen.executable,
            effective_user: seen.effective_user,
            ended: Some(*ended),
            time,
        }
    }

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
