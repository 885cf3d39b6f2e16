//! A deeper load than probes: real programs of a foreign root filesystem, run in it again and again.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::laboratory;
use crate::system::process::batch::{self, Batch, BatchError, Ended, Finished, Limits};
use crate::system::process::child::{Child, ExecError, Launch, Root, SIGTERM};

/// More output than this is a flood. A real program may say a lot.
const LARGEST_OUTPUT: usize = 1024 * 1024;
/// Who hangs so often hangs always: nobody waits for a thousand time limits.
const HANGS: usize = 3;

/// What a program finds in its environment; `PATH` is where a command without a slash is looked for, too.
const ENVIRONMENT: [(&str, &str); 4] =
    [("PATH", SEARCH_PATH), ("HOME", "/"), ("LC_ALL", "C"), ("TERM", "dumb")];
/// Where programs are in most root filesystems.
pub const SEARCH_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

// What shells have built in, so that nothing else has to be there: no /proc, no /dev, no file is written.
const LOADER: &str = r#"echo "loaded $0""#;
const SHELL: &str =
    r#"echo "$0" | (read -r word; echo "piped $word"); "$1" -c 'exit 7'; echo "status $?""#;
const SIGNAL: &str =
    r#"trap 'echo "caught $0"' TERM; kill -TERM $$; trap - TERM; kill -TERM $$; echo "still here""#;
const PIPES: &str = r#"for i in 0 1 2 3 4 5 6 7 8 9; do echo "$0 $i"; done | while read -r word i; do
    echo "$word" | (read -r again; (echo "$again $i"))
done"#;

/// What is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Part {
    /// A dynamic program's loader and libraries.
    Loader,
    /// A shell forks, makes a pipe, and starts a program.
    Shell,
    /// A shell catches a signal, and dies by one.
    Signal,
    /// A loop of pipes: forty processes.
    Pipes,
    /// A command of somebody's choice.
    Command,
}

impl Part {
    /// All of them, in the order of a report.
    pub const ALL: [Self; 5] =
        [Self::Loader, Self::Shell, Self::Signal, Self::Pipes, Self::Command];
}

/// What a program is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// What it writes to standard output; `None` for whatever it likes.
    pub output: Option<String>,
    /// How it ends.
    pub ended: Ended,
}

/// A program to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Where it is, as seen from its root.
    pub program: PathBuf,
    /// Its arguments, the name that it is called by first.
    pub words: Vec<OsString>,
    /// What it is to do.
    pub expected: Expected,
}

/// What came of all runs of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    /// How many runs there were.
    pub runs: usize,
    /// How many of them did what was expected.
    pub well: usize,
    /// What the first of the others did.
    pub failure: Option<String>,
    /// What execve(2) said of the first of the others, where it was that which failed.
    pub refused: Option<ExecError>,
    /// How long all of them took, one after the other.
    pub time: Duration,
    hangs: usize,
}

/// What was run, and what came of it; or why nothing was.
pub type Outcome = Result<(Job, Tally), String>;

impl Job {
    /// What a shell at `shell` is given for a part; each time with another nonce.
    pub fn of_shell(part: Part, shell: &Path) -> Option<Self> {
        let nonce = laboratory::nonce();
        let (script, output) = match part {
            Part::Loader => (LOADER, format!("loaded {nonce}\n")),
            Part::Shell => (SHELL, format!("piped {nonce}\nstatus 7\n")),
            Part::Signal => (SIGNAL, format!("caught {nonce}\n")),
            Part::Pipes => {
                let lines: Vec<String> = (0..10).map(|i| format!("{nonce} {i}\n")).collect();
                (PIPES, lines.concat())
            }
            Part::Command => return None,
        };
        let ended = match part {
            Part::Signal => Ended::Signaled(SIGTERM),
            _ => Ended::Exited(0),
        };
        let words = [OsStr::new("sh"), OsStr::new("-c"), OsStr::new(script), OsStr::new(&nonce)];
        let words = words.into_iter().chain([shell.as_os_str()]).map(OsStr::to_owned).collect();
        Some(Self {
            program: shell.to_owned(),
            words,
            expected: Expected { output: Some(output), ended },
        })
    }

    /// A program that is to end well, whatever it says.
    pub fn ends_well(program: PathBuf, words: Vec<OsString>) -> Self {
        Self { program, words, expected: Expected { output: None, ended: Ended::Exited(0) } }
    }
}

impl Tally {
    /// Hand-made, for tests.
    #[cfg(test)]
    pub(crate) fn of(runs: usize, well: usize) -> Self {
        let time = Duration::from_secs(1);
        Self { runs, well, failure: None, refused: None, time, hangs: 0 }
    }

    /// Whether it did what was expected, every time.
    pub fn is_well(&self) -> bool {
        self.well == self.runs
    }

    /// Whether it did now and then.
    pub fn is_flaky(&self) -> bool {
        self.well > 0 && self.well < self.runs
    }

    /// How long one run took, on average.
    pub fn each(&self) -> Option<Duration> {
        self.time.checked_div(u32::try_from(self.runs).ok()?)
    }

    fn add(&mut self, outcome: Result<(), Failed>, time: Duration) {
        self.runs += 1;
        self.time += time;
        match outcome {
            Ok(()) => self.well += 1,
            Err(failed) => {
                self.hangs += usize::from(failed.hung);
                if self.failure.is_none() {
                    self.failure = Some(failed.why);
                    self.refused = failed.refused;
                }
            }
        }
    }

    fn is_hopeless(&self) -> bool {
        self.well == 0 && self.hangs >= HANGS
    }
}

struct Failed {
    why: String,
    refused: Option<ExecError>,
    hung: bool,
}

/// The runs of a load, and what came of them.
struct Runs<'a, 'p> {
    root: BorrowedFd<'a>,
    jobs: &'a [Job],
    waiting: VecDeque<usize>,
    total: usize,
    done: usize,
    tallies: Vec<Tally>,
    time: Duration,
    progress: &'p mut dyn FnMut(usize, usize),
}

/// Runs each job `times` times in `root`, over the cores, with a time limit for each run; the tallies come
/// in the jobs' order. Whatever the programs leave running is ended.
pub fn load(
    root: BorrowedFd<'_>,
    jobs: &[Job],
    times: u32,
    limits: Limits,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Vec<Tally>, BatchError> {
    // Round by round: what fails when others run beside it shows.
    let waiting: VecDeque<usize> = (0..times).flat_map(|_| 0..jobs.len()).collect();
    let mut runs = Runs {
        root,
        jobs,
        total: waiting.len(),
        waiting,
        done: 0,
        tallies: jobs.iter().map(|_| Tally::none()).collect(),
        time: limits.time,
        progress,
    };
    batch::run(&mut runs, limits)?;
    (runs.progress)(runs.total, runs.total);
    Ok(runs.tallies)
}

impl Batch for Runs<'_, '_> {
    fn next(&mut self) -> Option<usize> {
        loop {
            let job = self.waiting.pop_front()?;
            if !self.tallies[job].is_hopeless() {
                return Some(job);
            }
            self.done += 1;
        }
    }

    fn start(&mut self, number: usize) -> Result<Child, ExecError> {
        let job = &self.jobs[number];
        let words: Vec<&OsStr> = job.words.iter().map(OsString::as_os_str).collect();
        let (argv0, arguments) = words
            .split_first()
            .map_or((job.program.as_os_str(), &[][..]), |(first, rest)| (*first, rest));
        let mut child = Child::start(&Launch {
            program: &job.program,
            argv0,
            arguments,
            environment: &ENVIRONMENT.map(|(name, value)| (OsStr::new(name), OsStr::new(value))),
            root: Root::Open(self.root),
            largest_output: LARGEST_OUTPUT,
        })?;
        child.close_input();
        Ok(child)
    }

    fn ends_orphans(&self) -> bool {
        true
    }

    fn end(&mut self, number: usize, outcome: Result<Finished, ExecError>, time: Duration) {
        let outcome = match outcome {
            Ok(Finished { child, ended }) => {
                judge(&self.jobs[number].expected, ended, &child, self.time)
            }
            Err(error) => Err(Failed::refused(error)),
        };
        self.tallies[number].add(outcome, time);
        self.done += 1;
        (self.progress)(self.done, self.total);
    }
}

fn judge(expected: &Expected, ended: Ended, child: &Child, limit: Duration) -> Result<(), Failed> {
    let said = |wanted: &String| child.output == wanted.as_bytes();
    if ended == expected.ended && expected.output.as_ref().is_none_or(said) {
        return Ok(());
    }
    let what = match ended {
        Ended::TimedOut => format!("it did not end in {:.0} s and was killed", limit.as_secs_f64()),
        Ended::Flooded => "it wrote without end and was killed".to_owned(),
        Ended::Signaled(number) if ended != expected.ended => format!("it died by signal {number}"),
        Ended::Exited(status) if ended != expected.ended => {
            format!("it exited with status {status}")
        }
        // Ended as it should.
        Ended::Signaled(_) | Ended::Exited(_) => "it said something else than it should".to_owned(),
    };
    let why = format!("{what}{}", complaint(child, expected));
    Err(Failed { why, refused: None, hung: ended == Ended::TimedOut })
}

/// The last that it said: mostly the interpreter's or the loader's complaint.
fn complaint(child: &Child, expected: &Expected) -> String {
    let texts = [&child.errors, &child.output].map(|bytes| String::from_utf8_lossy(bytes));
    let wanted = expected.output.as_deref().unwrap_or_default();
    let line = texts.iter().find_map(|text| {
        text.lines()
            .rfind(|line| !line.trim().is_empty() && !wanted.lines().any(|wanted| wanted == *line))
    });
    line.map(|line| format!(" ({})", line.trim().chars().take(200).collect::<String>()))
        .unwrap_or_default()
}

impl Failed {
    fn refused(error: ExecError) -> Self {
        Self { why: error.to_string(), refused: Some(error), hung: false }
    }
}

impl Tally {
    fn none() -> Self {
        Self { runs: 0, well: 0, failure: None, refused: None, time: Duration::ZERO, hangs: 0 }
    }
}
