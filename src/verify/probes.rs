//! Probes: held once they have reported, looked at, and released.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::Path;
use std::time::Duration;

use crate::probe::Report;
use crate::system::process::batch::{self, Batch, BatchError, Ended, Finished, Limits};
use crate::system::process::child::{Child, ExecError, Executable, Launch, Root};

/// More output than this is a flood: a report has some hundred bytes.
const LARGEST_OUTPUT: usize = 64 * 1024;
/// Who hangs so often hangs always: nobody waits for a thousand time limits.
pub(super) const HANGS: usize = 3;

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
    /// How often it is run again, once all have been run.
    pub(super) again: u32,
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

/// What came of a task: its run, and what came of those after it.
#[derive(Debug)]
pub(super) struct Ran {
    pub(super) first: Run,
    pub(super) again: Again,
}

/// What came of a task's further runs: no more of them than can be told.
#[derive(Debug, Default)]
pub(super) struct Again {
    /// How many there were; fewer than were asked for, where it hangs and hangs.
    pub(super) runs: usize,
    /// How many of them answered.
    pub(super) answered: usize,
    /// The quickest of these.
    pub(super) quickest: Option<Duration>,
    /// The first of the others.
    pub(super) failure: Option<Run>,
    hangs: usize,
}

/// The probes of a batch, and what came of them.
struct Probes<'a, 'p> {
    tasks: &'a [Task<'a>],
    waiting: Waiting,
    seen: HashMap<usize, Seen>,
    runs: Vec<Option<Run>>,
    again: Vec<Again>,
    done: usize,
    progress: &'p mut dyn FnMut(usize),
}

/// What is still to be run, by numbers: first each task once, then round by round those that are run again.
/// What fails when others run beside it so shows.
struct Waiting {
    next: usize,
    tasks: usize,
    repeated: Vec<usize>,
    total: usize,
}

impl Waiting {
    fn new(tasks: &[Task<'_>]) -> Self {
        let repeated = tasks.iter().enumerate().filter(|(_, task)| task.again > 0);
        let repeated: Vec<usize> = repeated.map(|(index, _)| index).collect();
        // All of them are run equally often.
        let rounds = tasks.iter().map(|task| task.again).max().unwrap_or_default();
        let total = tasks.len() + repeated.len() * usize::try_from(rounds).unwrap_or_default();
        Self { next: 0, tasks: tasks.len(), repeated, total }
    }

    /// The task that a number stands for, and whether that is a further run of it.
    fn task(&self, number: usize) -> (usize, bool) {
        match number.checked_sub(self.tasks) {
            None => (number, false),
            Some(place) => (self.repeated[place % self.repeated.len()], true),
        }
    }
}

impl Iterator for Waiting {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let number = self.next;
        (number < self.total).then(|| {
            self.next += 1;
            number
        })
    }
}

/// What was seen of a probe while it was held.
#[derive(Default)]
struct Seen {
    answered: bool,
    executable: Option<Executable>,
    effective_user: Option<u32>,
}

/// Runs all tasks and returns what came of them in the same order. `progress` hears how many runs are done,
/// and of how many.
pub(super) fn run(
    tasks: &[Task<'_>],
    limits: Limits,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Vec<Ran>, BatchError> {
    let waiting = Waiting::new(tasks);
    let total = waiting.total;
    let mut probes = Probes {
        tasks,
        waiting,
        seen: HashMap::new(),
        runs: tasks.iter().map(|_| None).collect(),
        again: tasks.iter().map(|_| Again::default()).collect(),
        done: 0,
        progress: &mut |done| progress(done, total),
    };
    batch::run(&mut probes, limits)?;
    let Probes { runs, again, .. } = probes;
    let ran = runs.into_iter().flatten().zip(again);
    Ok(ran.map(|(first, again)| Ran { first, again }).collect())
}

impl Batch for Probes<'_, '_> {
    fn next(&mut self) -> Option<usize> {
        loop {
            let number = self.waiting.next()?;
            let (task, is_again) = self.waiting.task(number);
            if !is_again || !self.is_hopeless(task) {
                return Some(number);
            }
            self.progressed();
        }
    }

    fn ends_orphans(&self) -> bool {
        true
    }

    fn start(&mut self, number: usize) -> Result<Child, ExecError> {
        let task = &self.tasks[self.waiting.task(number).0];
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
        let (task, is_again) = self.waiting.task(number);
        let (task, seen) = (&self.tasks[task], self.seen.entry(number).or_default());
        if seen.answered || task.finish == Finish::Wait || !Report::is_complete(&child.output) {
            return;
        }
        seen.answered = true;
        // It waits for its byte, so what it runs can be looked at in peace; once, for that stays open.
        seen.executable = if is_again { None } else { child.executable().ok() };
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
        let seen = self.seen.remove(&number).unwrap_or_default();
        let (task, is_again) = self.waiting.task(number);
        let run = match outcome {
            Ok(finished) => Run::of(&finished, seen, self.tasks[task].nonce, time),
            Err(error) => Run::never(error),
        };
        if is_again {
            self.again[task].add(run);
        } else {
            self.runs[task] = Some(run);
        }
        self.progressed();
    }
}

impl Probes<'_, '_> {
    fn progressed(&mut self) {
        self.done += 1;
        (self.progress)(self.done);
    }

    /// Whether a task never answered, and hung every time that it was to.
    fn is_hopeless(&self, task: usize) -> bool {
        let (first, again) = (&self.runs[task], &self.again[task]);
        let hung = first.as_ref().is_some_and(Run::hung);
        let answered = first.as_ref().is_some_and(|run| run.report.is_some());
        !answered && again.answered == 0 && again.hangs + usize::from(hung) >= HANGS
    }
}

impl Again {
    fn add(&mut self, run: Run) {
        self.runs += 1;
        self.hangs += usize::from(run.hung());
        if run.report.is_none() {
            self.failure.get_or_insert(run);
            return;
        }
        self.answered += 1;
        self.quickest = Some(self.quickest.map_or(run.time, |known| known.min(run.time)));
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

    /// Whether it was ended because its time was over.
    fn hung(&self) -> bool {
        self.ended == Some(Ended::TimedOut)
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
