//! What is proved of a target, level by level.

use std::collections::HashMap;
use std::fs::File;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use super::batch::{self, Ended, Finish, Limits, Run, Task, VerifyError};
use crate::observation::{FileId, Serving};
use crate::probe;
use crate::system::child::{ExecError, Executable, Root};
use crate::system::file;
use crate::system::signal::Interrupt;
use crate::target::Target;

/// The status that a probe is asked to exit with: no shell, kernel or QEMU uses it by itself.
const STATUS: u8 = 42;
const SIGTERM: i32 = 15;
/// What a probe is told to be called; unlike its path, so that either can be told from the other.
const ARGV0: &str = "called-by-another-name";

/// What can be proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Level {
    /// It ran on the host, and answered.
    Host,
    /// It ran in an empty root.
    EmptyRoot,
    /// It saw the argv\[0\] that it was started with, and its arguments in their places.
    Argv0,
    /// Its exit status came through.
    Status,
    /// It died by the signal that it was sent.
    Signal,
    /// The interpreter that runs is the file on disk.
    Identity,
}

impl Level {
    /// All of them, in the order of a report.
    pub const ALL: [Self; 6] =
        [Self::Host, Self::EmptyRoot, Self::Argv0, Self::Status, Self::Signal, Self::Identity];
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
            None => Serving::Works,
            Some((Level::Identity, why)) => Serving::Stale(why.clone()),
            Some((_, why)) => Serving::Fails(why.clone()),
        }
    }

    /// The outcome of a level.
    pub fn level(&self, wanted: Level) -> Option<&Outcome> {
        self.levels.iter().find(|(level, _)| *level == wanted).map(|(_, outcome)| outcome)
    }

    /// Whether its arguments came shifted: the rule has `P`, and the interpreter does not expect it.
    pub fn arguments_are_shifted(&self) -> bool {
        self.level(Level::Argv0).is_some_and(Outcome::failed)
    }

    /// The first failure, as a sentence.
    pub fn failure(&self) -> Option<&str> {
        self.levels.iter().find_map(|(_, outcome)| match outcome {
            Outcome::Fail(why) => Some(why.as_str()),
            _ => None,
        })
    }
}

/// How much to prove.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// One run, in an empty root: all but death by a signal and the version.
    Quick,
    /// Every level.
    Full,
}

/// What to prove something of.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The target.
    pub target: &'a Target,
    /// Which of its values of `e_machine`.
    pub machine: u16,
    /// The interpreter's path in the rule that should serve it.
    pub interpreter: Option<&'a Path>,
}

/// A folder of probes to run.
#[derive(Debug)]
pub struct Laboratory {
    folder: TempDir,
    /// Who asks us to end waits until the folder is gone: fields are dropped in this order.
    _interrupt: Interrupt,
}

/// The tasks of one subject, by their places in the batch.
struct Places {
    host: Option<usize>,
    empty: Option<usize>,
    version: Option<usize>,
}

impl Laboratory {
    /// Makes the folder; it goes when this is dropped.
    pub fn open() -> io::Result<Self> {
        let interrupt = Interrupt::catch()?;
        Ok(Self { folder: file::executable_folder()?, _interrupt: interrupt })
    }

    /// Runs the probes of all subjects; the proofs come in the same order, `None` for a target
    /// without a probe.
    pub fn prove(
        &self,
        subjects: &[Subject<'_>],
        depth: Depth,
        limits: Limits,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Vec<Option<Proof>>, VerifyError> {
        let nonce = nonce();
        let mut files = Vec::with_capacity(subjects.len());
        for (index, subject) in subjects.iter().enumerate() {
            files.push(self.write(index, subject)?);
        }
        let mut tasks = Vec::new();
        let mut places = Vec::with_capacity(subjects.len());
        for file in &files {
            places.push(
                file.as_ref().map(|file| plan(file, self.folder.path(), &nonce, depth, &mut tasks)),
            );
        }
        let total = tasks.len();
        let mut runs: Vec<Option<Run>> =
            batch::run(&tasks, limits, &mut |done| progress(done, total))?
                .into_iter()
                .map(Some)
                .collect();
        if depth == Depth::Quick {
            Self::again_on_host(&files, &nonce, limits, &mut places, &mut runs)?;
        }
        let mut digests = HashMap::new();
        let mut proofs = Vec::with_capacity(subjects.len());
        for ((subject, places), file) in subjects.iter().zip(places).zip(&files) {
            let (Some(places), Some(file)) = (places, file) else {
                proofs.push(None);
                continue;
            };
            let mut take =
                |place: Option<usize>| place.and_then(|place| runs.get_mut(place)?.take());
            let taken = Taken {
                host: take(places.host),
                empty: take(places.empty),
                version: take(places.version),
            };
            proofs.push(Some(taken.judge(subject, file, &mut digests)));
        }
        Ok(proofs)
    }

    /// Where this process may not change its root, the host is where a quick look can still be had.
    fn again_on_host(
        files: &[Option<ProbeFile>],
        nonce: &str,
        limits: Limits,
        places: &mut [Option<Places>],
        runs: &mut Vec<Option<Run>>,
    ) -> Result<(), VerifyError> {
        let mut tasks = Vec::new();
        let done = runs.len();
        for (file, places) in files.iter().zip(places) {
            let (Some(file), Some(places)) = (file, places) else { continue };
            let run = places.empty.and_then(|place| runs[place].as_ref());
            if run.is_some_and(|run| run.started == Err(ExecError::NotPermitted)) {
                places.host = Some(done + tasks.len());
                tasks.push(Task {
                    program: &file.path,
                    root: Root::Host,
                    argv0: ARGV0,
                    nonce,
                    environment: &[],
                    finish: Finish::Release(STATUS),
                });
            }
        }
        runs.extend(batch::run(&tasks, limits, &mut |_| {})?.into_iter().map(Some));
        Ok(())
    }

    fn write(&self, index: usize, subject: &Subject<'_>) -> io::Result<Option<ProbeFile>> {
        let Some(content) = probe::build(subject.target, subject.machine) else { return Ok(None) };
        let name = format!("{index}-{}", subject.target.name);
        let path = self.folder.path().join(&name);
        if !path.exists() {
            file::write_program(&path, &content)?;
        }
        Ok(Some(ProbeFile { id: file::id_of(&path)?, inside: Path::new("/").join(&name), path }))
    }
}

struct ProbeFile {
    path: PathBuf,
    inside: PathBuf,
    id: FileId,
}

fn plan<'a>(
    file: &'a ProbeFile,
    folder: &'a Path,
    nonce: &'a str,
    depth: Depth,
    tasks: &mut Vec<Task<'a>>,
) -> Places {
    let mut add = |program, root, environment, finish| {
        tasks.push(Task { program, root, argv0: ARGV0, nonce, environment, finish });
        Some(tasks.len() - 1)
    };
    let inside = Root::Folder(folder);
    match depth {
        Depth::Quick => Places {
            host: None,
            empty: add(&file.inside, inside, &[], Finish::Release(STATUS)),
            version: None,
        },
        Depth::Full => Places {
            host: add(&file.path, Root::Host, &[], Finish::Release(STATUS)),
            empty: add(&file.inside, inside, &[], Finish::Terminate),
            version: add(&file.path, Root::Host, &[("QEMU_VERSION", "1")], Finish::Wait),
        },
    }
}

struct Taken {
    host: Option<Run>,
    empty: Option<Run>,
    version: Option<Run>,
}

impl Taken {
    fn judge(
        mut self,
        subject: &Subject<'_>,
        probe: &ProbeFile,
        digests: &mut HashMap<FileId, Option<String>>,
    ) -> Proof {
        let executable = [&mut self.host, &mut self.empty]
            .into_iter()
            .flatten()
            .find_map(|run| run.executable.take());
        let quick = self.host.is_none();
        let first = if quick { self.empty.as_ref() } else { self.host.as_ref() };
        let native =
            executable.as_ref().is_some_and(|executable| executable.id.is_same_file(&probe.id));
        let pinned = executable
            .filter(|_| !native)
            .map(|executable| pinned(executable, subject.interpreter, quick, digests));
        let skip = |why: &str| Outcome::Skip(why.to_owned());
        let mut levels = Vec::with_capacity(Level::ALL.len());
        for level in Level::ALL {
            let outcome = match level {
                Level::Host | Level::Signal if quick => skip("not asked for"),
                Level::Host => first.map_or_else(|| skip("not run"), ran),
                Level::EmptyRoot => {
                    self.empty.as_ref().map_or_else(|| skip("not run"), ran_in_empty_root)
                }
                Level::Argv0 => first.map_or_else(|| skip("not run"), argv0),
                Level::Status => first.map_or_else(|| skip("not run"), status),
                Level::Signal => self.empty.as_ref().map_or_else(|| skip("not run"), signal),
                Level::Identity if native => skip("native: there is no interpreter"),
                Level::Identity => identity(pinned.as_ref(), subject.interpreter),
            };
            levels.push((level, outcome));
        }
        let nobody = first.is_some_and(|run| run.started == Err(ExecError::Format));
        Proof {
            native,
            nobody,
            machine: first.and_then(|run| run.report.as_ref()).map(|report| report.machine.clone()),
            version: if native { None } else { self.version.as_ref().and_then(version) },
            time: first.map(|run| run.time).unwrap_or_default(),
            pinned,
            levels,
        }
    }
}

/// Whether the probe answered, and if not, why not.
fn ran(run: &Run) -> Outcome {
    if let Some(report) = &run.report {
        return Outcome::Pass(format!("it ran and saw the machine {}", report.machine));
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

fn argv0(run: &Run) -> Outcome {
    let Some(report) = &run.report else { return Outcome::Skip("it did not run".to_owned()) };
    let seen: Vec<_> =
        report.arguments.iter().map(|argument| String::from_utf8_lossy(argument)).collect();
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
        (Some(_), Some(path)) if !path.exists() => Outcome::Warn(format!(
            "{} is gone from the disk; the kernel goes on with the one it pinned",
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
    quick: bool,
    digests: &mut HashMap<FileId, Option<String>>,
) -> Pinned {
    let Executable { file, id, path } = executable;
    let mut digest = |id: FileId, file: io::Result<File>| {
        digests
            .entry(id)
            .or_insert_with(|| file.and_then(|mut file| file::sha256(&mut file)).ok())
            .clone()
    };
    let there = interpreter.and_then(|on_disk| Some((on_disk, file::id_of(on_disk).ok()?)));
    let same = there.is_some_and(|(_, there)| there == id);
    // Megabytes for each target: only who wants to know pays.
    let sha256 = if quick && same { None } else { digest(id, Ok(file)) };
    // Another mount of the same bytes (an image's own copy) serves as well.
    let copy = !same
        && sha256.is_some()
        && there.is_some_and(|(on_disk, there)| digest(there, File::open(on_disk)) == sha256);
    Pinned { id, path, sha256, is_on_disk: same || copy }
}

/// QEMU's own words: `qemu-aarch64 version 7.2.17 (Debian 1:7.2+dfsg-7+deb12u13)`.
fn version(run: &Run) -> Option<String> {
    let line = run.output.lines().next()?;
    line.contains("version").then(|| line.trim().to_owned())
}

/// Sixteen hex digits that nobody can guess from outside: the standard library's hash keys are random.
fn nonce() -> String {
    format!("{:016x}", RandomState::new().build_hasher().finish())
}
