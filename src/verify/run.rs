//! Runs probes. Each reports and then waits, is inspected, and is released.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::Path;
use std::time::Duration;

use crate::probe::Report;
use crate::system::process::batch::{self, Batch, BatchError, Ended, Finished, Limits};
use crate::system::process::child::{Child, ExecError, Executable, Launch, Root};

/// A report has some hundred bytes; more than this is a flood.
const LARGEST_OUTPUT: usize = 64 * 1024;
/// Give up on a program after this many timeouts in a row: `--repeat 1000` would take hours.
pub(super) const HANGS: usize = 3;

/// The status that a probe is asked to exit with: no shell, kernel or QEMU uses it by itself.
pub(super) const STATUS: u8 = 42;
/// The `argv[0]` of a probe: unlike its path, so that they can be told apart.
pub(super) const ARGV0: &str = "called-by-another-name";

/// What to do with a program once its report is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Finish {
    /// Release it with this byte.
    Release(u8),
    /// Send it SIGTERM while it waits.
    Terminate,
    /// Wait for its end: it writes no report, but the interpreter's version, say.
    Wait,
}

#[derive(Debug, Clone)]
pub(super) struct Task<'a> {
    pub(super) program: &'a Path,
    pub(super) root: Root<'a>,
    pub(super) nonce: &'a str,
    pub(super) environment: &'a [(&'a str, &'a str)],
    pub(super) finish: Finish,
    /// Whether to record its effective uid.
    pub(super) look_at_user: bool,
    /// How many further runs there are, once every task has been run.
    pub(super) again: u32,
}

#[derive(Debug)]
pub(super) struct Run {
    pub(super) started: Result<(), ExecError>,
    /// `None` unless it is whole and has our nonce in it.
    pub(super) report: Option<Report>,
    pub(super) output: String,
    /// Standard error: mostly the interpreter's complaint.
    pub(super) errors: String,
    /// Its effective uid, read while it waited.
    pub(super) effective_user: Option<u32>,
    /// `None` if it never started.
    pub(super) ended: Option<Ended>,
    /// From start to end.
    pub(super) time: Duration,
}

/// The results of a task.
#[derive(Debug)]
pub(super) struct Ran {
    pub(super) first: Run,
    /// What the first run executed, read while it waited.
    pub(super) executable: Option<Executable>,
    pub(super) again: Again,
}

/// A task's further runs. They are counted and not kept, since there may be thousands.
#[derive(Debug, Default)]
pub(super) struct Again {
    /// Fewer than were asked for where it hung every time.
    pub(super) runs: usize,
    pub(super) answered: usize,
    /// Of those that answered.
    pub(super) quickest: Option<Duration>,
    /// The first that did not answer.
    pub(super) failure: Option<Run>,
    hangs: usize,
}

struct Probes<'a, 'p> {
    tasks: &'a [Task<'a>],
    waiting: Waiting,
    held: HashMap<usize, Held>,
    runs: Vec<Option<(Run, Option<Executable>)>>,
    again: Vec<Again>,
    done: usize,
    progress: &'p mut dyn FnMut(usize),
}

/// The numbers of the runs to come: each task once, then round by round those that have further runs, so that
/// programs run beside each other as they do in a build.
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
        // All of them have the same number of runs.
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

/// What was read of a probe while it waited.
#[derive(Default)]
struct Held {
    answered: bool,
    executable: Option<Executable>,
    effective_user: Option<u32>,
}

/// Runs all tasks; the result has one element for each, in the same order. `progress` is told how many runs are done,
/// and how many there are.
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
        held: HashMap::new(),
        runs: tasks.iter().map(|_| None).collect(),
        again: tasks.iter().map(|_| Again::default()).collect(),
        done: 0,
        progress: &mut |done| progress(done, total),
    };
    batch::run(&mut probes, limits)?;
    let Probes { runs, again, .. } = probes;
    let ran = runs.into_iter().flatten().zip(again);
    Ok(ran.map(|((first, executable), again)| Ran { first, executable, again }).collect())
}

impl<'a> Task<'a> {
    pub(super) fn new(program: &'a Path, root: Root<'a>, nonce: &'a str, finish: Finish) -> Self {
        let environment = &[];
        Self { program, root, nonce, environment, finish, look_at_user: false, again: 0 }
    }
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
            argv0: OsStr::new(ARGV0),
            arguments: &[OsStr::new(task.nonce)],
            environment: &environment,
            root: task.root,
            largest_output: LARGEST_OUTPUT,
        })?;
        if task.finish == Finish::Wait {
            // A native program ignores QEMU_VERSION and would wait for its byte.
            child.release(0);
        }
        Ok(child)
    }

    /// Releases a probe that has reported.
    fn hear(&mut self, number: usize, child: &mut Child) {
        let (task, is_again) = self.waiting.task(number);
        let (task, held) = (&self.tasks[task], self.held.entry(number).or_default());
        if held.answered || task.finish == Finish::Wait || !Report::is_complete(&child.output) {
            return;
        }
        held.answered = true;
        // While it waits for its byte, what it executes cannot change. Only for the first run, because the file stays
        // open.
        held.executable = if is_again { None } else { child.executable().ok() };
        if task.look_at_user {
            held.effective_user = child.effective_user().ok();
        }
        match task.finish {
            Finish::Release(byte) => child.release(byte),
            Finish::Terminate => child.terminate(),
            Finish::Wait => {}
        }
    }

    fn end(&mut self, number: usize, outcome: Result<Finished, ExecError>, time: Duration) {
        let held = self.held.remove(&number).unwrap_or_default();
        let (task, is_again) = self.waiting.task(number);
        let run = match outcome {
            Ok(finished) => Run::of(&finished, held.effective_user, self.tasks[task].nonce, time),
            Err(error) => Run::never(error),
        };
        if is_again {
            self.again[task].add(run);
        } else {
            self.runs[task] = Some((run, held.executable));
        }
        self.progressed();
    }
}

impl Probes<'_, '_> {
    fn progressed(&mut self) {
        self.done += 1;
        (self.progress)(self.done);
    }

    /// Whether a task never answered and has hung often enough.
    fn is_hopeless(&self, task: usize) -> bool {
        let (first, again) = (self.runs[task].as_ref().map(|(run, _)| run), &self.again[task]);
        let hung = first.is_some_and(Run::hung);
        let answered = first.is_some_and(Run::answered);
        !answered && again.answered == 0 && again.hangs + usize::from(hung) >= HANGS
    }
}

impl Again {
    pub(super) fn add(&mut self, run: Run) {
        self.runs += 1;
        self.hangs += usize::from(run.hung());
        if !run.answered() {
            self.failure.get_or_insert(run);
            return;
        }
        self.answered += 1;
        self.quickest = Some(self.quickest.map_or(run.time, |known| known.min(run.time)));
    }
}

impl Run {
    fn of(finished: &Finished, user: Option<u32>, nonce: &str, time: Duration) -> Self {
        let Finished { child, ended } = finished;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        // A report without our nonce is not this probe's.
        let report = Report::parse(&child.output)
            .filter(|report| report.arguments.iter().any(|argument| argument == nonce.as_bytes()));
        Self {
            started: Ok(()),
            report,
            output: text(&child.output),
            errors: text(&child.errors),
            effective_user: user,
            ended: Some(*ended),
            time,
        }
    }

    pub(super) fn answered(&self) -> bool {
        self.report.is_some()
    }

    fn hung(&self) -> bool {
        self.ended == Some(Ended::TimedOut)
    }

    pub(super) fn never(error: ExecError) -> Self {
        Self {
            started: Err(error),
            report: None,
            output: String::new(),
            errors: String::new(),
            effective_user: None,
            ended: None,
            time: Duration::ZERO,
        }
    }
}
