//! Real programs of a foreign root filesystem, run in it again and again.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::prove::nonce;
use super::run::HANGS;
use crate::system::process::batch::{self, Batch, BatchError, Ended, Finished, Limits};
use crate::system::process::child::{Child, ExecError, Launch, Root, SIGTERM};

/// More output than this is a flood, even of a real program.
const LARGEST_OUTPUT: usize = 1024 * 1024;

/// A program's whole environment. A command without a slash is looked for in the same `PATH`.
const ENVIRONMENT: [(&str, &str); 4] =
    [("PATH", SEARCH_PATH), ("HOME", "/"), ("LC_ALL", "C"), ("TERM", "dumb")];
/// Where programs are in most root filesystems.
pub const SEARCH_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

// Builtins only, so that the shell is enough: no other program, no /proc, no /dev, and no file is written.
const LOADER: &str = r#"echo "loaded $0""#;
const SHELL: &str =
    r#"echo "$0" | (read -r word; echo "piped $word"); "$1" -c 'exit 7'; echo "status $?""#;
const SIGNAL: &str =
    r#"trap 'echo "caught $0"' TERM; kill -TERM $$; trap - TERM; kill -TERM $$; echo "still here""#;
const PIPES: &str = r#"for i in 0 1 2 3 4 5 6 7 8 9; do echo "$0 $i"; done | while read -r word i; do
    echo "$word" | (read -r again; (echo "$again $i"))
done"#;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Workload {
    /// A dynamic program's loader and libraries.
    Loader,
    /// A shell forks, makes a pipe, and starts a program.
    Shell,
    /// A shell catches a signal, and dies from one.
    Signal,
    /// A loop of pipes: forty processes.
    Pipes,
    /// The command of `--exec`.
    Command,
}

impl Workload {
    /// In the order of a report.
    pub const ALL: [Self; 5] =
        [Self::Loader, Self::Shell, Self::Signal, Self::Pipes, Self::Command];
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// Standard output; `None` for any.
    pub output: Option<String>,
    pub ended: Ended,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkloadCommand {
    /// As seen from its root.
    pub program: PathBuf,
    /// `argv[0]` first.
    pub words: Vec<OsString>,
    pub expected: Expected,
}

/// The results of all runs of a program.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    pub runs: usize,
    /// How many runs did what was expected.
    pub well: usize,
    /// What the first of the others did.
    pub failure: Option<String>,
    /// The error of execve(2), if that one did not start.
    pub refused: Option<ExecError>,
    /// Of all runs together.
    pub time: Duration,
    hangs: usize,
}

impl WorkloadCommand {
    /// The workload's script for the shell at `shell`, with a new nonce; `None` for [`Workload::Command`].
    pub fn of_shell(part: Workload, shell: &Path) -> Option<Self> {
        let nonce = nonce();
        let (script, output) = match part {
            Workload::Loader => (LOADER, format!("loaded {nonce}\n")),
            Workload::Shell => (SHELL, format!("piped {nonce}\nstatus 7\n")),
            Workload::Signal => (SIGNAL, format!("caught {nonce}\n")),
            Workload::Pipes => {
                let lines: Vec<String> = (0..10).map(|i| format!("{nonce} {i}\n")).collect();
                (PIPES, lines.concat())
            }
            Workload::Command => return None,
        };
        let ended = match part {
            Workload::Signal => Ended::Signaled(SIGTERM),
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

    /// For a program that has to exit with 0, whatever it writes.
    pub fn ends_well(program: PathBuf, words: Vec<OsString>) -> Self {
        Self { program, words, expected: Expected { output: None, ended: Ended::Exited(0) } }
    }
}

impl Tally {
    #[cfg(test)]
    pub(crate) fn of(runs: usize, well: usize) -> Self {
        Self { runs, well, time: Duration::from_secs(1), ..Self::default() }
    }

    pub fn is_well(&self) -> bool {
        self.well == self.runs
    }

    pub fn is_flaky(&self) -> bool {
        self.well > 0 && self.well < self.runs
    }

    /// The average of a run.
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

struct Runs<'a, 'p> {
    root: BorrowedFd<'a>,
    jobs: &'a [WorkloadCommand],
    waiting: VecDeque<usize>,
    total: usize,
    done: usize,
    tallies: Vec<Tally>,
    time: Duration,
    progress: &'p mut dyn FnMut(usize, usize),
}

/// Runs each program `times` times in `root`, as many at once as there are cores, with a time limit for each run. The
/// tallies are in the order of the programs. Processes that they leave running are killed.
pub fn load(
    root: BorrowedFd<'_>,
    jobs: &[WorkloadCommand],
    times: u32,
    limits: Limits,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Vec<Tally>, BatchError> {
    // Round by round, so that programs run beside each other as they do in a build.
    let waiting: VecDeque<usize> = (0..times).flat_map(|_| 0..jobs.len()).collect();
    let mut runs = Runs {
        root,
        jobs,
        total: waiting.len(),
        waiting,
        done: 0,
        tallies: vec![Tally::default(); jobs.len()],
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
                let written = Written { output: &child.output, errors: &child.errors };
                judge(&self.jobs[number].expected, ended, &written, self.time)
            }
            Err(error) => Err(Failed { why: error.to_string(), refused: Some(error), hung: false }),
        };
        self.tallies[number].add(outcome, time);
        self.done += 1;
        (self.progress)(self.done, self.total);
    }
}

struct Written<'a> {
    output: &'a [u8],
    errors: &'a [u8],
}

fn judge(
    expected: &Expected,
    ended: Ended,
    written: &Written<'_>,
    limit: Duration,
) -> Result<(), Failed> {
    let said = |wanted: &String| written.output == wanted.as_bytes();
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
        // It ended as expected.
        Ended::Signaled(_) | Ended::Exited(_) => {
            "it wrote something other than expected".to_owned()
        }
    };
    let why = format!("{what}{}", complaint(written, expected));
    Err(Failed { why, refused: None, hung: ended == Ended::TimedOut })
}

/// The last line that was not expected: mostly the interpreter's or the loader's complaint.
fn complaint(written: &Written<'_>, expected: &Expected) -> String {
    let texts = [written.errors, written.output].map(String::from_utf8_lossy);
    let wanted = expected.output.as_deref().unwrap_or_default();
    let line = texts.iter().find_map(|text| {
        text.lines()
            .rfind(|line| !line.trim().is_empty() && !wanted.lines().any(|wanted| wanted == *line))
    });
    line.map(|line| format!(" ({})", line.trim().chars().take(200).collect::<String>()))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests;
