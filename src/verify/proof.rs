//! What is proved of a target, level by level.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::laboratory::Subject;
use super::probes::{Again, Run};
use crate::observation::{FileId, Serving};
use crate::probe::CpuLevel;
use crate::system::binfmt_misc::mount;
use crate::system::files::digest;
use crate::system::files::identity;
use crate::system::files::read;
use crate::system::host::namespace;
use crate::system::process::batch::Ended;
use crate::system::process::child::{ExecError, Executable, SIGTERM};
use crate::system::process::signal::Interrupt;

/// The status that a probe is asked to exit with: no shell, kernel or QEMU uses it by itself.
pub(super) const STATUS: u8 = 42;
/// What a probe is told to be called; unlike its path, so that either can be told from the other.
pub(super) const ARGV0: &str = "called-by-another-name";
/// `ET_DYN`, where the kernel chooses the address of a program.
const ET_DYN: u16 = 3;
/// Enough of what was written to see why; a flood is no reason.
const MOST_WORDS: usize = 2000;
/// The longest version line that was seen has 75 characters.
const LONGEST_NAME: usize = 200;

/// What can be proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Level {
    /// It ran on the host, and answered.
    Host,
    /// It ran in an empty root.
    EmptyRoot,
    /// A position-independent program (`ET_DYN`) of it ran, too.
    Pie,
    /// It saw the argv\[0\] that it was started with, and its arguments in their places.
    Argv0,
    /// Its exit status came through.
    Status,
    /// It died by the signal that it was sent.
    Signal,
    /// The interpreter that runs is the file on disk.
    Identity,
    /// A set-user-ID program has its owner's rights: what the flag `C` is for.
    Credentials,
    /// It ran again, as often as was asked for.
    Repeat,
}

impl Level {
    /// All of them, in the order of a report.
    pub const ALL: [Self; 9] = [
        Self::Host,
        Self::EmptyRoot,
        Self::Pie,
        Self::Argv0,
        Self::Status,
        Self::Signal,
        Self::Identity,
        Self::Credentials,
        Self::Repeat,
    ];

    /// As it is written: what the check of it has behind `exec.`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::EmptyRoot => "empty-root",
            Self::Pie => "pie",
            Self::Argv0 => "argv0",
            Self::Status => "status",
            Self::Signal => "signal",
            Self::Identity => "identity",
            Self::Credentials => "credentials",
            Self::Repeat => "repeat",
        }
    }
}

/// What came of one level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Proved; what was seen.
    Pass(String),
    /// It works, with a loss that some programs notice; what was seen.
    Warn(String),
    /// Not so; what was seen.
    Fail(String),
    /// Not looked at, and why.
    Skip(String),
}

impl Outcome {
    /// Whether it is a failure.
    pub fn failed(&self) -> bool {
        matches!(self, Self::Fail(_))
    }
}

/// The interpreter as the kernel holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pinned {
    /// Which file runs.
    pub id: FileId,
    /// Where the kernel says it is.
    pub path: PathBuf,
    /// SHA-256 of what runs; `None` when it could not be read.
    pub sha256: Option<String>,
    /// Whether it is the file on disk, or at least the same bytes.
    pub is_on_disk: bool,
    /// Whether it is another root's, so that its path leads elsewhere in ours.
    pub is_elsewhere: bool,
    /// Whether it is linked for one address only (`ET_EXEC`), as builds with `--disable-pie` are;
    /// `None` when it could not be read.
    pub fixed_address: Option<bool>,
}

/// A run that did not answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What execve(2) said, when it never started.
    pub refused: Option<ExecError>,
    /// How it ended, when it did start.
    pub ended: Option<Ended>,
    /// What was written, standard error first: mostly the interpreter's complaint.
    pub words: String,
}

/// All that was proved of one probe.
#[derive(Debug, Clone, PartialEq)]
pub struct Proof {
    /// The kernel ran it without any interpreter.
    pub native: bool,
    /// No rule took it, and the kernel does not run it: the exec said ENOEXEC.
    pub nobody: bool,
    /// `uname -m` as it saw it.
    pub machine: Option<String>,
    /// The interpreter that ran it.
    pub pinned: Option<Pinned>,
    /// The first line of what QEMU says when asked for its version.
    pub version: Option<String>,
    /// Each level's outcome, in the order of [`Level::ALL`].
    pub levels: Vec<(Level, Outcome)>,
    /// How long the first run took.
    pub time: Duration,
    /// The quickest of all runs that answered: what one exec costs, least disturbed by the others.
    pub cost: Option<Duration>,
    /// The CPU that an x86-64 program sees; `None` for others, and where it could not be asked.
    pub cpu: Option<CpuLevel>,
    /// The first run of each level that did not answer.
    pub failures: Vec<(Level, Failure)>,
    /// How many of how many runs answered, where it was run more than once.
    pub tries: Option<(usize, usize)>,
}

impl Proof {
    /// Whether every level that was looked at passed, and one was.
    pub fn works(&self) -> bool {
        self.levels.iter().any(|(_, outcome)| matches!(outcome, Outcome::Pass(_)))
            && !self.levels.iter().any(|(_, outcome)| outcome.failed())
    }

    /// What it says about the rule that served it.
    pub fn serving(&self) -> Serving {
        let mut failures = self.levels.iter().filter_map(|(level, outcome)| match outcome {
            Outcome::Fail(why) => Some((*level, why)),
            // It works, but nobody could register it again as it is.
            Outcome::Warn(why) if *level == Level::Identity => Some((*level, why)),
            _ => None,
        });
        match failures.next() {
            None if self.pinned.as_ref().is_some_and(|pinned| pinned.is_elsewhere) => {
                Serving::Elsewhere
            }
            None => Serving::Works,
            Some((Level::Identity, why)) => Serving::Stale(why.clone()),
            Some((_, why)) => Serving::Fails(why.clone()),
        }
    }

    /// The outcome of a level.
    pub fn level(&self, wanted: Level) -> Option<&Outcome> {
        self.levels.iter().find(|(level, _)| *level == wanted).map(|(_, outcome)| outcome)
    }

    /// How a level's run failed, where it gave no answer.
    pub fn failed_run(&self, wanted: Level) -> Option<&Failure> {
        self.failures.iter().find(|(level, _)| *level == wanted).map(|(_, failure)| failure)
    }

    /// Whether its arguments came shifted: the rule has `P`, and the interpreter does not expect it.
    pub fn arguments_are_shifted(&self) -> bool {
        self.level(Level::Argv0).is_some_and(Outcome::failed)
    }

    /// Whether some of several runs answered, and some did not.
    pub fn is_flaky(&self) -> bool {
        self.tries.is_some_and(|(answered, of)| answered > 0 && answered < of)
    }

    /// The first failure, as a sentence.
    pub fn failure(&self) -> Option<&str> {
        self.levels.iter().find_map(|(_, outcome)| match outcome {
            Outcome::Fail(why) => Some(why.as_str()),
            _ => None,
        })
    }
}

/// What came of a subject's runs.
pub(super) struct Taken {
    pub(super) host: Option<Run>,
    /// What came of further runs on the host.
    pub(super) again: Again,
    /// Of the position-independent kind, where not just a quick look was asked for.
    pub(super) empty: Option<Run>,
    /// Of the other kind, in the same root, where that did not answer.
    pub(super) fixed: Option<Run>,
    pub(super) version: Option<Run>,
    /// With the uid that owns the file; or why it was not run.
    pub(super) set_user_id: Result<(Run, u32), String>,
    /// Of the program that tells its CPU.
    pub(super) cpu: Option<Run>,
}

impl Taken {
    /// `probes` are the files that were run.
    pub(super) fn judge(
        mut self,
        subject: &Subject<'_>,
        probes: &[FileId],
        digests: &mut HashMap<FileId, Option<String>>,
        interrupt: &Interrupt,
    ) -> Proof {
        let executable = [&mut self.host, &mut self.empty, &mut self.fixed]
            .into_iter()
            .flatten()
            .find_map(|run| run.executable.take());
        let quick = self.host.is_none();
        let first = if quick { self.empty.as_ref() } else { self.host.as_ref() };
        let native = executable
            .as_ref()
            .is_some_and(|executable| probes.iter().any(|probe| executable.id.is_same_file(probe)));
        let pinned = executable
            .filter(|_| !native)
            .map(|executable| pinned(executable, subject.interpreter, digests, interrupt));
        let empty = self.fixed.as_ref().or(self.empty.as_ref());
        let skip = |why: &str| Outcome::Skip(why.to_owned());
        let mut levels = Vec::with_capacity(Level::ALL.len());
        for level in Level::ALL {
            let outcome = match level {
                Level::Host | Level::Signal | Level::Pie if quick => skip("not asked for"),
                Level::Host => first.map_or_else(|| skip("not run"), ran),
                Level::EmptyRoot => empty.map_or_else(|| skip("not run"), ran_in_empty_root),
                Level::Pie => self.empty.as_ref().map_or_else(
                    || skip("not run"),
                    |run| {
                        let other = self.fixed.as_ref();
                        pie(run, other.is_some_and(|other| other.report.is_some()))
                    },
                ),
                Level::Argv0 => first.map_or_else(|| skip("not run"), argv0),
                Level::Status => first.map_or_else(|| skip("not run"), status),
                Level::Signal => empty.map_or_else(|| skip("not run"), signal),
                Level::Identity if native => skip("native: there is no interpreter"),
                Level::Identity => identity(pinned.as_ref(), subject.interpreter),
                Level::Credentials if native => skip("native: there is no rule"),
                Level::Credentials => match &self.set_user_id {
                    Ok((run, owner)) => credentials(run, *owner),
                    Err(why) => skip(why),
                },
                Level::Repeat => again(first, &self.again),
            };
            levels.push((level, outcome));
        }
        let nobody = first.is_some_and(|run| run.started == Err(ExecError::Format));
        let set_user_id = self.set_user_id.as_ref().ok().map(|(run, _)| run);
        let answered = first.into_iter().chain(&self.empty).chain(empty);
        let cost = answered.filter(|run| run.report.is_some()).map(|run| run.time);
        let cost = cost.chain(self.again.quickest).min();
        let failed_again = first.into_iter().chain(&self.again.failure);
        let failed_again = failed_again.into_iter().find(|run| run.report.is_none());
        let runs = [
            (Level::Host, self.host.as_ref()),
            (Level::EmptyRoot, empty),
            (Level::Pie, self.empty.as_ref().filter(|_| self.fixed.is_some())),
            (Level::Credentials, set_user_id),
            (Level::Repeat, failed_again),
        ];
        let failures =
            runs.into_iter().filter_map(|(level, run)| Some((level, Failure::of(run?)?))).collect();
        Proof {
            native,
            nobody,
            machine: first.and_then(|run| run.report.as_ref()).map(|report| short(&report.machine)),
            version: if native { None } else { self.version.as_ref().and_then(version) },
            time: first.map(|run| run.time).unwrap_or_default(),
            cost,
            cpu: self.cpu.as_ref().and_then(|run| CpuLevel::read(&run.output)),
            failures,
            tries: tries(first, &self.again),
            pinned,
            levels,
        }
    }
}

impl Failure {
    fn of(run: &Run) -> Option<Self> {
        run.report.is_none().then(|| Self {
            refused: run.started.as_ref().err().cloned(),
            ended: run.ended,
            words: run.errors.chars().chain(run.output.chars()).take(MOST_WORDS).collect(),
        })
    }
}

/// Whether the probe answered, and if not, why not.
fn ran(run: &Run) -> Outcome {
    if let Some(report) = &run.report {
        return Outcome::Pass(format!("it ran and saw the machine {}", short(&report.machine)));
    }
    Outcome::Fail(match (&run.started, run.ended) {
        (Err(error), _) => error.to_string(),
        (Ok(()), Some(Ended::TimedOut)) => {
            format!("it gave no answer in {:.0} s and was killed", run.time.as_secs_f64())
        }
        (Ok(()), Some(Ended::Flooded)) => "it wrote without end and was killed".to_owned(),
        (Ok(()), Some(Ended::Signaled(number))) => {
            format!("it died by signal {number}{}", complaint(run))
        }
        (Ok(()), Some(Ended::Exited(status))) => {
            format!(
                "it exited with status {status} and did not answer as the probe does{}",
                complaint(run)
            )
        }
        (Ok(()), None) => "it did not end".to_owned(),
    })
}

fn complaint(run: &Run) -> String {
    let line = run.errors.lines().chain(run.output.lines()).find(|line| !line.trim().is_empty());
    line.map(|line| format!(" ({})", line.trim().chars().take(200).collect::<String>()))
        .unwrap_or_default()
}

fn ran_in_empty_root(run: &Run) -> Outcome {
    match &run.started {
        Err(ExecError::NotPermitted) => Outcome::Skip(
            "this process may not change its root, and user namespaces are forbidden (run it as root)".to_owned(),
        ),
        _ => ran(run),
    }
}

/// Of a program that ran in an empty root, as far as that can be told from it.
fn pie(run: &Run, other_ran: bool) -> Outcome {
    match ran_in_empty_root(run) {
        Outcome::Pass(_) => Outcome::Pass("a position-independent program (ET_DYN) ran".to_owned()),
        Outcome::Fail(why) if other_ran => {
            Outcome::Fail(format!("a position-independent program (ET_DYN): {why}"))
        }
        Outcome::Fail(_) => Outcome::Skip("no program of it ran in an empty root".to_owned()),
        other => other,
    }
}

fn argv0(run: &Run) -> Outcome {
    let Some(report) = &run.report else { return Outcome::Skip("it did not run".to_owned()) };
    let seen: Vec<_> =
        report.arguments.iter().map(|argument| short(&String::from_utf8_lossy(argument))).collect();
    if seen.len() != 2 {
        return Outcome::Fail(format!(
            "its arguments are shifted: it sees {seen:?} where two were given"
        ));
    }
    if seen[0] == ARGV0 {
        Outcome::Pass("argv[0] came through".to_owned())
    } else {
        // What happens without the flag P; arguments come through, only the name is lost.
        Outcome::Warn(format!("it sees argv[0] {:?} in place of {ARGV0:?}", seen[0]))
    }
}

fn status(run: &Run) -> Outcome {
    match (&run.report, run.ended) {
        (None, _) => Outcome::Skip("it did not run".to_owned()),
        (Some(_), Some(Ended::Exited(status))) if status == i32::from(STATUS) => {
            Outcome::Pass(format!("exit status {STATUS} came through"))
        }
        (Some(_), ended) => {
            Outcome::Fail(format!("it was to exit with status {STATUS}: {}", end(ended)))
        }
    }
}

fn signal(run: &Run) -> Outcome {
    match (&run.report, run.ended) {
        (None, _) => Outcome::Skip("it did not run".to_owned()),
        (Some(_), Some(Ended::Signaled(SIGTERM))) => {
            Outcome::Pass("it died by the signal it was sent".to_owned())
        }
        (Some(_), ended) => Outcome::Fail(format!("it was to die by SIGTERM: {}", end(ended))),
    }
}

/// The rights are those of the process while it waited.
fn credentials(run: &Run, owner: u32) -> Outcome {
    match (&run.report, run.effective_user) {
        (None, _) => match ran(run) {
            Outcome::Fail(why) => Outcome::Fail(format!("a set-user-ID program: {why}")),
            other => other,
        },
        (Some(_), Some(user)) if user == owner => {
            Outcome::Pass(format!("a set-user-ID program of uid {owner} ran as that"))
        }
        (Some(_), Some(user)) => Outcome::Fail(format!(
            "a set-user-ID program of uid {owner} ran as uid {user}, though the rule has the flag C"
        )),
        (Some(_), None) => Outcome::Skip("it did not run long enough to be looked at".to_owned()),
    }
}

fn tries(first: Option<&Run>, again: &Again) -> Option<(usize, usize)> {
    let first = usize::from(first.is_some_and(|run| run.report.is_some()));
    (again.runs > 0).then_some((first + again.answered, again.runs + 1))
}

fn again(first: Option<&Run>, again: &Again) -> Outcome {
    let Some((answered, of)) = tries(first, again) else {
        return Outcome::Skip("run once; --repeat N runs it again".to_owned());
    };
    let runs = first.into_iter().chain(&again.failure);
    let mut failures = runs.filter(|run| run.report.is_none());
    match failures.next().map(ran) {
        None => Outcome::Pass(format!("{answered} of {of} runs answered")),
        Some(Outcome::Fail(why)) => {
            Outcome::Fail(format!("{answered} of {of} runs answered; one of the others: {why}"))
        }
        Some(other) => other,
    }
}

fn end(ended: Option<Ended>) -> String {
    match ended {
        Some(Ended::Exited(status)) => format!("it exited with status {status}"),
        Some(Ended::Signaled(number)) => format!("it died by signal {number}"),
        Some(Ended::TimedOut) => "it did not end in time".to_owned(),
        Some(Ended::Flooded) => "it wrote without end".to_owned(),
        None => "it did not end".to_owned(),
    }
}

fn identity(pinned: Option<&Pinned>, interpreter: Option<&Path>) -> Outcome {
    match (pinned, interpreter) {
        (None, _) => Outcome::Skip("it did not run long enough to be looked at".to_owned()),
        (Some(_), None) => {
            Outcome::Skip("no visible rule names an interpreter to compare with".to_owned())
        }
        (Some(pinned), Some(path)) if pinned.is_on_disk => {
            Outcome::Pass(format!("the interpreter that runs is {}", path.display()))
        }
        (Some(pinned), Some(path)) if pinned.is_elsewhere => Outcome::Skip(format!(
            "the kernel runs a file of another root than this one, where {} says nothing of it",
            path.display()
        )),
        (Some(_), Some(path)) if !path.exists() => Outcome::Warn(format!(
            "{} is gone from the disk; the kernel goes on with the one it pinned",
            path.display()
        )),
        (Some(pinned), Some(path)) if !path.is_file() => Outcome::Fail(format!(
            "the kernel runs {}, and {} is now no regular file: the rule is older than what is there",
            pinned.path.display(),
            path.display()
        )),
        (Some(pinned), Some(path)) => Outcome::Fail(format!(
            "the kernel runs {}, which is not the file that {} is now: the rule is older than the file",
            pinned.path.display(),
            path.display()
        )),
    }
}

fn pinned(
    executable: Executable,
    interpreter: Option<&Path>,
    digests: &mut HashMap<FileId, Option<String>>,
    interrupt: &Interrupt,
) -> Pinned {
    let Executable { file, id, path } = executable;
    let known = digests.contains_key(&id);
    let mut digest = |id: FileId, file: io::Result<File>| {
        digests
            .entry(id)
            .or_insert_with(|| {
                file.and_then(|mut file| digest::sha256(&mut file, &|| interrupt.is_pending())).ok()
            })
            .clone()
    };
    let fixed_address = fixed_address(&file);
    let there = interpreter.and_then(|on_disk| Some((on_disk, identity::id_of(on_disk).ok()?)));
    let same = there.is_some_and(|(_, there)| there == id);
    let is_other_root = !same && interpreter.is_some() && is_of_another_root(&file, there);
    // What has another size has other bytes.
    let copy = there.filter(|_| !same);
    let copy =
        copy.and_then(|(on_disk, there)| Some((there, read::open_regular(on_disk, id.size).ok()?)));
    // Megabytes for each target: only who wants to know pays.
    let sha256 = if known || copy.is_some() { digest(id, Ok(file)) } else { None };
    // Another mount of the same bytes (an image's own copy) serves as well.
    let copy =
        copy.is_some_and(|(there, file)| sha256.is_some() && digest(there, Ok(file)) == sha256);
    let is_on_disk = same || copy;
    Pinned {
        id,
        path,
        sha256,
        is_on_disk,
        is_elsewhere: is_other_root && !is_on_disk,
        fixed_address,
    }
}

/// Whether a file that runs, and that is not the one at its path (`there`), is another root's: this is a container, and
/// the file is not deleted, and of a mount that is none of ours. On the host a path means what it says: a
/// file that only a container's image has is one that nobody will upgrade.
fn is_of_another_root(file: &File, there: Option<(&Path, FileId)>) -> bool {
    let Ok(metadata) = file.metadata() else { return false };
    namespace::has_another_root()
        && metadata.nlink() > 0
        && there.is_none_or(|(_, there)| there.device != metadata.dev())
        && mount::is_elsewhere(file).unwrap_or(false)
}

/// By `e_type`; what runs here has the byte order of this program.
fn fixed_address(file: &File) -> Option<bool> {
    let mut kind = [0; 2];
    file.read_exact_at(&mut kind, 16).ok()?;
    Some(u16::from_ne_bytes(kind) != ET_DYN)
}

/// QEMU's own words: `qemu-aarch64 version 7.2.17 (Debian 1:7.2+dfsg-7+deb12u13)`.
pub(super) fn version(run: &Run) -> Option<String> {
    let line = run.output.lines().next()?;
    line.contains("version").then(|| short(line.trim()))
}

/// An interpreter may say what it likes, and as long as it likes; enough of it to know it by.
fn short(text: &str) -> String {
    text.chars().take(LONGEST_NAME).collect()
}
