//! Where probes are written and run.

use std::collections::HashMap;
use std::fs::File;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::probes::{self, Again, Finish, Ran, Task};
use super::proof::{self, ARGV0, Proof, STATUS, Taken};
use crate::observation::FileId;
use crate::probe;
use crate::rule::Entry;
use crate::system::files::digest;
use crate::system::files::identity;
use crate::system::files::programs;
use crate::system::host::privilege;
use crate::system::process::batch::{BatchError, Limits};
use crate::system::process::child::{ExecError, Root};
use crate::system::process::signal::Interrupt;
use crate::target::Target;

/// How much to prove.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// One run, in an empty root: all but death by a signal and the version.
    Quick,
    /// Every level.
    Full,
}

/// How much to prove, and how often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scope {
    /// How much.
    pub depth: Depth,
    /// How often each program is run again, for what fails only now and then.
    pub again: u32,
    /// Whether to take the digest of each interpreter: megabytes for each, so only for who wants to know.
    /// Whether it is the file on disk is told without.
    pub digests: bool,
}

impl From<Depth> for Scope {
    fn from(depth: Depth) -> Self {
        Self { depth, again: 0, digests: depth == Depth::Full }
    }
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
    /// Whether that rule has the flag `C`: set-user-ID programs keep their rights.
    pub credentials: bool,
}

impl<'a> Subject<'a> {
    /// What the rule that takes the programs should do for them; `None` where none is seen.
    pub fn taken_by(target: &'a Target, machine: u16, entry: Option<&'a Entry>) -> Self {
        Self {
            target,
            machine,
            interpreter: entry.map(|entry| entry.interpreter.as_path()),
            credentials: entry.is_some_and(|entry| entry.flags.known.credentials),
        }
    }
}

/// A folder of probes to run.
#[derive(Debug)]
pub struct Laboratory {
    folder: TempDir,
    /// Who asks us to end waits until the folder is gone: fields are dropped in this order.
    interrupt: Interrupt,
}

/// The tasks of one subject, by their places in the batch.
#[derive(Default)]
struct Places {
    host: Option<usize>,
    empty: Option<usize>,
    version: Option<usize>,
    set_user_id: Option<usize>,
    cpu: Option<usize>,
    /// In an empty root, of the kind that ran on the host, when the other kind did not.
    fixed: Option<usize>,
}

impl Laboratory {
    /// Makes the folder; it goes when this is dropped.
    pub fn open() -> io::Result<Self> {
        let interrupt = Interrupt::catch()?;
        Ok(Self { folder: programs::executable_folder()?, interrupt })
    }

    /// Runs the probes of all subjects; the proofs come in the same order, `None` for a target
    /// without a probe.
    pub fn prove(
        &self,
        subjects: &[Subject<'_>],
        scope: impl Into<Scope>,
        limits: Limits,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Vec<Option<Proof>>, BatchError> {
        let scope = scope.into();
        let nonce = nonce();
        let mut files = Vec::with_capacity(subjects.len());
        for (index, subject) in subjects.iter().enumerate() {
            files.push(self.write(index, subject, scope.depth)?);
        }
        let mut tasks = Vec::new();
        let mut places = Vec::with_capacity(subjects.len());
        for file in &files {
            let file = file.as_ref();
            places.push(file.map(|file| plan(file, self.folder.path(), &nonce, scope, &mut tasks)));
        }
        let runs = probes::run(&tasks, limits, progress)?;
        let mut runs: Vec<Option<Ran>> = runs.into_iter().map(Some).collect();
        let mut more = Vec::new();
        for (file, places) in files.iter().zip(&mut places) {
            let (Some(file), Some(places)) = (file, places) else { continue };
            let done = runs.len() + more.len();
            more.extend(self.one_more(file, places, &nonce, scope.depth, &runs, done));
        }
        runs.extend(probes::run(&more, limits, &mut |_, _| {})?.into_iter().map(Some));
        let mut digests =
            if scope.digests { digests(&runs, &self.interrupt) } else { HashMap::new() };
        let mut proofs = Vec::with_capacity(subjects.len());
        for ((subject, places), file) in subjects.iter().zip(places).zip(files) {
            let (Some(places), Some(file)) = (places, file) else {
                proofs.push(None);
                continue;
            };
            let mut take =
                |place: Option<usize>| place.and_then(|place| runs.get_mut(place)?.take());
            let (host, again) = match take(places.host) {
                Some(Ran { first, again }) => (Some(first), again),
                None => (None, Again::default()),
            };
            let mut take = |place| take(place).map(|ran| ran.first);
            let taken = Taken {
                host,
                again,
                empty: take(places.empty),
                fixed: take(places.fixed),
                version: take(places.version),
                set_user_id: match file.set_user_id {
                    Ok(program) => take(places.set_user_id)
                        .map(|run| (run, program.owner))
                        .ok_or("not asked for".to_owned()),
                    Err(why) => Err(why),
                },
                cpu: take(places.cpu),
            };
            let probes: Vec<FileId> = [Some(file.id), file.shared.as_ref().map(|(_, id)| *id)]
                .into_iter()
                .flatten()
                .collect();
            proofs.push(Some(taken.judge(subject, &probes, &mut digests, &self.interrupt)));
        }
        // What could not be compared for that says nothing.
        if self.interrupt.is_pending() {
            return Err(BatchError::Interrupted);
        }
        Ok(proofs)
    }

    /// What else has to be run to tell what an empty root's run means; `place` is its own in the batch.
    fn one_more<'a>(
        &'a self,
        file: &'a ProbeFile,
        places: &mut Places,
        nonce: &'a str,
        depth: Depth,
        runs: &[Option<Ran>],
        place: usize,
    ) -> Option<Task<'a>> {
        let run = |place: Option<usize>| Some(&runs.get(place?)?.as_ref()?.first);
        let empty = run(places.empty)?;
        let refused = empty.started == Err(ExecError::NotPermitted);
        match depth {
            // Where this process may not change its root, the host is where a quick look can still be had.
            Depth::Quick if refused => {
                places.host = Some(place);
                Some(Task::new(&file.path, Root::Host, nonce, Finish::Release(STATUS)))
            }
            // It is the root that makes the difference, or the kind of program.
            Depth::Full
                if !refused
                    && empty.report.is_none()
                    && run(places.host).is_some_and(|host| host.report.is_some()) =>
            {
                places.fixed = Some(place);
                let root = Root::Folder(self.folder.path());
                Some(Task::new(&file.inside, root, nonce, Finish::Terminate))
            }
            _ => None,
        }
    }

    fn write(
        &self,
        index: usize,
        subject: &Subject<'_>,
        depth: Depth,
    ) -> io::Result<Option<ProbeFile>> {
        let Some(content) = probe::build(subject.target, subject.machine) else { return Ok(None) };
        let name = format!("{index}-{}", subject.target.name);
        let path = self.folder.path().join(&name);
        if !path.exists() {
            programs::write_program(&path, &content)?;
        }
        let set_user_id = match depth {
            Depth::Quick => Err("not asked for".to_owned()),
            Depth::Full => self.write_set_user_id(&name, subject, &content),
        };
        let cpu = match depth {
            Depth::Quick => None,
            Depth::Full => self.write_cpu(&name, subject)?,
        };
        let shared = match depth {
            Depth::Quick => None,
            Depth::Full => self.write_shared(&name, subject)?,
        };
        let inside = Path::new("/").join(&name);
        Ok(Some(ProbeFile { id: identity::id_of(&path)?, inside, path, shared, set_user_id, cpu }))
    }

    /// The position-independent kind of it: where it is in its own root, and which file it is.
    fn write_shared(
        &self,
        name: &str,
        subject: &Subject<'_>,
    ) -> io::Result<Option<(PathBuf, FileId)>> {
        let Some(content) = probe::build_shared(subject.target, subject.machine) else {
            return Ok(None);
        };
        let name = format!("{name}-pie");
        let path = self.folder.path().join(&name);
        programs::write_program(&path, &content)?;
        Ok(Some((Path::new("/").join(name), identity::id_of(&path)?)))
    }

    /// The program that tells which CPU it sees, where there is one for the target.
    fn write_cpu(&self, name: &str, subject: &Subject<'_>) -> io::Result<Option<PathBuf>> {
        let Some(content) = probe::build_cpu(subject.target, subject.machine) else {
            return Ok(None);
        };
        let path = self.folder.path().join(format!("{name}-cpu"));
        programs::write_program(&path, &content)?;
        Ok(Some(path))
    }

    /// The same program, to be run with another's rights; or why there is none.
    fn write_set_user_id(
        &self,
        name: &str,
        subject: &Subject<'_>,
        content: &[u8],
    ) -> Result<SetUserId, String> {
        if !subject.credentials {
            return Err(
                "the rule has no flag C: set-user-ID programs (sudo, su) get their caller's \
                        rights under emulation, which is the safe way"
                    .to_owned(),
            );
        }
        if privilege::has_no_new_privileges() {
            return Err(
                "this process has no_new_privs, which takes the set-user-ID bit away".to_owned()
            );
        }
        if identity::is_nosuid(self.folder.path()).unwrap_or(true) {
            let folder = self.folder.path().parent().unwrap_or(self.folder.path());
            return Err(format!("{} is mounted nosuid (set TMPDIR)", folder.display()));
        }
        let path = self.folder.path().join(format!("{name}-set-user-id"));
        programs::write_set_user_id(&path, content)
            .map(|owner| SetUserId { path, owner })
            .map_err(|error| format!("a program with another owner cannot be made here: {error}"))
    }
}

/// The digests of whatever ran, each file's once.
fn digests(runs: &[Option<Ran>], interrupt: &Interrupt) -> HashMap<FileId, Option<String>> {
    let executables = runs.iter().flatten().filter_map(|ran| ran.first.executable.as_ref());
    let files: HashMap<FileId, File> = executables
        .filter_map(|executable| Some((executable.id, executable.file.try_clone().ok()?)))
        .collect();
    digest::sha256_of_all(files.into_iter().collect(), &|| interrupt.is_pending())
}

struct ProbeFile {
    path: PathBuf,
    inside: PathBuf,
    id: FileId,
    /// The position-independent kind.
    shared: Option<(PathBuf, FileId)>,
    /// Or why there is none.
    set_user_id: Result<SetUserId, String>,
    cpu: Option<PathBuf>,
}

struct SetUserId {
    path: PathBuf,
    owner: u32,
}

fn plan<'a>(
    file: &'a ProbeFile,
    folder: &'a Path,
    nonce: &'a str,
    scope: Scope,
    tasks: &mut Vec<Task<'a>>,
) -> Places {
    let mut add = |task| {
        tasks.push(task);
        tasks.len() - 1
    };
    let inside = |path, finish| Task::new(path, Root::Folder(folder), nonce, finish);
    let on_host = |path, finish| Task::new(path, Root::Host, nonce, finish);
    let release = Finish::Release(STATUS);
    match scope.depth {
        Depth::Quick => {
            Places { empty: Some(add(inside(&file.inside, release))), ..Places::default() }
        }
        Depth::Full => Places {
            host: Some(add(Task { again: scope.again, ..on_host(&file.path, release) })),
            // Another root and another kind of program at once: mostly both are well.
            empty: Some(add(inside(
                file.shared.as_ref().map_or(&file.inside, |(path, _)| path),
                Finish::Terminate,
            ))),
            version: Some(add(Task {
                environment: &[("QEMU_VERSION", "1")],
                ..on_host(&file.path, Finish::Wait)
            })),
            set_user_id: file
                .set_user_id
                .as_ref()
                .ok()
                .map(|program| add(Task { whose: true, ..on_host(&program.path, release) })),
            cpu: file.cpu.as_ref().map(|program| add(on_host(program, Finish::Wait))),
            fixed: None,
        },
    }
}

impl<'a> Task<'a> {
    fn new(program: &'a Path, root: Root<'a>, nonce: &'a str, finish: Finish) -> Self {
        Self {
            program,
            root,
            argv0: ARGV0,
            nonce,
            environment: &[],
            finish,
            whose: false,
            again: 0,
        }
    }
}

/// What an interpreter says of itself when it is asked without a rule: the first line; `None` where that names no
/// version.
pub fn version_of(interpreter: &Path, limits: Limits) -> Result<Option<String>, BatchError> {
    // The only argument that a task has.
    let task = Task::new(interpreter, Root::Host, "--version", Finish::Wait);
    let ran = probes::run(&[task], limits, &mut |_, _| {})?.pop();
    Ok(ran.and_then(|ran| proof::version(&ran.first)))
}

/// Sixteen hex digits that nobody can guess from outside: the standard library's hash keys are random.
pub fn nonce() -> String {
    format!("{:016x}", RandomState::new().build_hasher().finish())
}
