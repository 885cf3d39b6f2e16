//! Runs the probes of subjects, and has the results judged.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::path::Path;

use super::files::{ProbeFiles, ProbeFolder};
use super::judge::{self, NoSetUserId, RunEvidence};
use super::pinned::{self, Digests};
use super::proof::Proof;
use super::run::{self, Again, Finish, Ran, STATUS, Task};
use super::subject::{Depth, ProbeSubject, Scope};
use crate::system::process::batch::{BatchError, Limits};
use crate::system::process::child::{ExecError, Root};

/// Proves the subjects in this order; targets without a probe are missing from the result. `progress` is told how
/// many runs are done, and how many there are.
pub fn prove<'a, K: Ord>(
    subjects: impl IntoIterator<Item = (K, ProbeSubject<'a>)>,
    scope: impl Into<Scope>,
    limits: Limits,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<BTreeMap<K, Proof>, BatchError> {
    let (keys, subjects): (Vec<K>, Vec<ProbeSubject<'a>>) = subjects.into_iter().unzip();
    if subjects.is_empty() {
        return Ok(BTreeMap::new());
    }
    let proofs = prove_all(&subjects, scope.into(), limits, progress)?;
    Ok(keys.into_iter().zip(proofs).filter_map(|(key, proof)| Some((key, proof?))).collect())
}

/// One proof for each subject, in the same order.
fn prove_all(
    subjects: &[ProbeSubject<'_>],
    scope: Scope,
    limits: Limits,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Vec<Option<Proof>>, BatchError> {
    let folder = ProbeFolder::make()?;
    let nonce = nonce();
    let files: Vec<Option<ProbeFiles>> = subjects
        .iter()
        .enumerate()
        .map(|(number, subject)| folder.write(number, subject, scope.depth))
        .collect::<Result<_, _>>()?;
    let mut plan = TaskList { folder: folder.path(), nonce: &nonce, scope, tasks: Vec::new() };
    let mut places: Vec<Option<Places>> =
        files.iter().map(|files| Some(plan.of(files.as_ref()?))).collect();
    let mut ran = run::run(&plan.tasks, limits, progress)?;
    let first = plan.tasks.len();
    for (files, places) in files.iter().zip(&mut places) {
        if let (Some(files), Some(places)) = (files, places) {
            plan.one_more(files, places, &ran);
        }
    }
    ran.extend(run::run(&plan.tasks[first..], limits, &mut |_, _| {})?);
    let mut digests = Digests::new(folder.interrupt());
    if scope.digests {
        let executables = ran.iter().filter_map(|ran| ran.executable.as_ref());
        let files = executables.filter_map(|it| Some((it.id, it.file.try_clone().ok()?)));
        digests.take(files.collect::<HashMap<_, _>>());
    }
    let mut ran: Vec<Option<Ran>> = ran.into_iter().map(Some).collect();
    let mut proofs = Vec::with_capacity(subjects.len());
    for (subject, (files, places)) in subjects.iter().zip(files.into_iter().zip(places)) {
        let (Some(files), Some(places)) = (files, places) else {
            proofs.push(None);
            continue;
        };
        let seen = collect(subject, files, &mut places.take(&mut ran), &mut digests);
        proofs.push(Some(judge::judge(seen)));
    }
    // A file that could not be compared because of a signal says nothing.
    if folder.interrupt().is_pending() {
        return Err(BatchError::Interrupted);
    }
    Ok(proofs)
}

fn collect<'a>(
    subject: &ProbeSubject<'a>,
    files: ProbeFiles,
    ran: &mut RanTasks,
    digests: &mut Digests<'_>,
) -> RunEvidence<'a> {
    let tasks = [&mut ran.host, &mut ran.empty, &mut ran.fixed];
    let executable = tasks.into_iter().flatten().find_map(|ran| ran.executable.take());
    let rule_path = subject.interpreter;
    let executed = pinned::executed(executable, &files.ids(), rule_path, digests);
    let run = |ran: &mut Option<Ran>| ran.take().map(|ran| ran.first);
    let (host, again) = match ran.host.take() {
        Some(ran) => (Some(ran.first), ran.again),
        None => (None, Again::default()),
    };
    let set_user_id = files.set_user_id.and_then(|program| {
        let run = run(&mut ran.set_user_id).ok_or(NoSetUserId::NotAsked)?;
        Ok((run, program.owner))
    });
    RunEvidence {
        host,
        again,
        empty: run(&mut ran.empty),
        fixed: run(&mut ran.fixed),
        version: run(&mut ran.version),
        set_user_id,
        cpu: run(&mut ran.cpu),
        executed,
        rule_path,
    }
}

/// The tasks of one subject: for each, its place among all tasks (`Places`), or what was seen of it (`RanTasks`).
#[derive(Default)]
struct Tasks<T> {
    host: Option<T>,
    empty: Option<T>,
    version: Option<T>,
    set_user_id: Option<T>,
    cpu: Option<T>,
    /// In an empty root: the program that ran on the host, if the position-independent one did not.
    fixed: Option<T>,
}

type Places = Tasks<usize>;
type RanTasks = Tasks<Ran>;

impl Places {
    fn take(self, ran: &mut [Option<Ran>]) -> RanTasks {
        let mut take = |place: Option<usize>| ran.get_mut(place?)?.take();
        Tasks {
            host: take(self.host),
            empty: take(self.empty),
            version: take(self.version),
            set_user_id: take(self.set_user_id),
            cpu: take(self.cpu),
            fixed: take(self.fixed),
        }
    }
}

/// The tasks of all subjects.
struct TaskList<'a> {
    folder: &'a Path,
    nonce: &'a str,
    scope: Scope,
    tasks: Vec<Task<'a>>,
}

impl<'a> TaskList<'a> {
    fn add(&mut self, task: Task<'a>) -> usize {
        self.tasks.push(task);
        self.tasks.len() - 1
    }

    fn on_host(&self, program: &'a Path, finish: Finish) -> Task<'a> {
        Task::new(program, Root::Host, self.nonce, finish)
    }

    fn inside(&self, program: &'a Path, finish: Finish) -> Task<'a> {
        Task::new(program, Root::Folder(self.folder), self.nonce, finish)
    }

    /// What is run first.
    fn of(&mut self, files: &'a ProbeFiles) -> Places {
        let release = Finish::Release(STATUS);
        if self.scope.depth == Depth::Quick {
            let task = self.inside(&files.inside, release);
            return Places { empty: Some(self.add(task)), ..Places::default() };
        }
        let host = Task { again: self.scope.again, ..self.on_host(&files.path, release) };
        // Another root and another kind of program in one run: mostly both work.
        let shared = files.shared.as_ref().map_or(&files.inside, |(path, _)| path);
        let empty = self.inside(shared, Finish::Terminate);
        let environment: &[(&str, &str)] = &[("QEMU_VERSION", "1")];
        let version = Task { environment, ..self.on_host(&files.path, Finish::Wait) };
        let set_user_id = files.set_user_id.as_ref().ok();
        let set_user_id = set_user_id
            .map(|program| Task { look_at_user: true, ..self.on_host(&program.path, release) });
        let cpu = files.cpu.as_ref().map(|program| self.on_host(program, Finish::Wait));
        Places {
            host: Some(self.add(host)),
            empty: Some(self.add(empty)),
            version: Some(self.add(version)),
            set_user_id: set_user_id.map(|task| self.add(task)),
            cpu: cpu.map(|task| self.add(task)),
            fixed: None,
        }
    }

    /// Adds the run that tells what a failed run in an empty root means.
    fn one_more(&mut self, files: &'a ProbeFiles, places: &mut Places, ran: &[Ran]) {
        let first = |place: Option<usize>| Some(&ran.get(place?)?.first);
        let Some(empty) = first(places.empty) else { return };
        let refused = empty.started == Err(ExecError::NotPermitted);
        let runs_on_host = || first(places.host).is_some_and(run::Run::answered);
        match self.scope.depth {
            // If this process may not change its root, the host has to do at quick depth.
            Depth::Quick if refused => {
                let task = self.on_host(&files.path, Finish::Release(STATUS));
                places.host = Some(self.add(task));
            }
            // Either the root makes the difference, or the kind of program.
            Depth::Full if !refused && !empty.answered() && runs_on_host() => {
                let task = self.inside(&files.inside, Finish::Terminate);
                places.fixed = Some(self.add(task));
            }
            Depth::Quick | Depth::Full => {}
        }
    }
}

/// The first line of what an interpreter says of itself when it is started without a rule; `None` where that names no
/// version.
pub fn version_of(interpreter: &Path, limits: Limits) -> Result<Option<String>, BatchError> {
    // The nonce is the only argument of a task.
    let task = Task::new(interpreter, Root::Host, "--version", Finish::Wait);
    let ran = run::run(&[task], limits, &mut |_, _| {})?.pop();
    Ok(ran.and_then(|ran| judge::version(&ran.first)))
}

/// Sixteen hex digits that nobody can guess from outside: the standard library's hash keys are random.
pub fn nonce() -> String {
    format!("{:016x}", RandomState::new().build_hasher().finish())
}
