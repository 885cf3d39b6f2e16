//! `binfmt`: the command line of tonistiigi/binfmt, for whoever calls the program by that name.
//!
//! What it says on standard output is what that tool says; how it goes about it, and how it ends, is ours.

mod line;
mod made;

use std::ffi::{OsStr, OsString};
use std::io::{self, Write as _};
use std::path::{Component, Path, PathBuf};
use std::process::ExitCode;

use super::{Exit, Failure, context};
use crate::apply::Outcome;
use crate::config::{Override, PreserveArgv0, Settings};
use crate::daemon::State;
use crate::observation::{InterpreterFault, Observation, Serving};
use crate::observe::{self, Manner};
use crate::plan::{self, Action, Decision, Request};
use crate::probe::CpuLevel;
use crate::reconcile::{self, Change, Mode, Planning, Reconciler, Unmounted};
use crate::report::BinfmtDocument;
use crate::rule::InterpreterPath;
use crate::shown::plain;
use crate::system::binfmt_misc::instance::{Instance, InstanceError, MOUNT_POINT};
use crate::system::binfmt_misc::mount::{self, Lifetime, Mount, MountError};
use crate::system::binfmt_misc::record::{self, Store};
use crate::system::host::machine;
use crate::system::host::namespace;
use crate::system::process::batch::{BatchError, Limits};
use crate::target::Target;
use crate::verify;
use crate::verify::{Depth, Laboratory, Level, Outcome as Proved, Proof, Subject};
use line::{Line, Stop};
use made::Made;

/// What the program is called then.
const NAME: &str = "binfmt";

/// Whether the program was called by that name.
pub(super) fn is_called(arguments: &[OsString]) -> bool {
    let called = arguments.first().and_then(|path| Path::new(path).file_name());
    called == Some(OsStr::new(NAME))
}

/// Runs it; `words` stand behind the program's name.
pub(super) fn main(words: &[OsString]) -> ExitCode {
    super::log(0, false);
    let (line, environment) = match understand(words) {
        Ok(understood) => understood,
        Err(Stop::Help) => return usage("", Exit::Well),
        Err(Stop::Bad(why)) => return usage(&why, Exit::Usage),
    };
    let exit = run(&line, &environment).unwrap_or_else(|failure| failed(&failure));
    if environment.exit_zero { Exit::Well.into() } else { exit.into() }
}

fn understand(words: &[OsString]) -> Result<(Line, Environment), Stop> {
    let line = line::parse(words)?;
    let environment = Environment::read(&from_process).map_err(Stop::Bad)?;
    if !line.rest.is_empty() {
        let rest = line.rest.join(" ");
        if !environment.exit_zero {
            return Err(Stop::Bad(format!(
                "{rest} is no flag (in a list there are commas: --install arm64,riscv64)"
            )));
        }
        // That tool takes no notice of it.
        say(&format!("note: {rest} is no flag, and left out"));
    }
    Ok((line, environment))
}

fn usage(why: &str, exit: Exit) -> ExitCode {
    if !why.is_empty() {
        say(why);
    }
    // Nobody is left to tell when this fails.
    let _ = io::stderr().lock().write_all(line::USAGE.as_bytes());
    exit.into()
}

/// One line on standard error, as it is.
fn say(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{}", plain(line));
}

fn failed(failure: &Failure) -> Exit {
    say(&format!("error: {}", failure.message));
    failure.kind.into()
}

fn worse(one: Exit, other: Exit) -> Exit {
    if other.code() > one.code() { other } else { one }
}

fn from_process(name: &str) -> Option<String> {
    let value = std::env::var_os(name)?;
    Some(value.to_string_lossy().into_owned()).filter(|value| !value.is_empty())
}

/// What the environment says.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Environment {
    /// `QEMU_BINARY_PATH`.
    folder: PathBuf,
    /// `QEMU_BINARY_PREFIX`.
    prefix: String,
    /// `QEMU_PRESERVE_ARGV0`.
    preserve_argv0: bool,
    /// `BINFMTD_COMPAT=exit-zero`.
    exit_zero: bool,
}

impl Environment {
    fn read(get: &dyn Fn(&str) -> Option<String>) -> Result<Self, String> {
        let folder =
            PathBuf::from(get("QEMU_BINARY_PATH").unwrap_or_else(|| "/usr/bin".to_owned()));
        if !folder.is_absolute() || folder.components().any(|part| part == Component::ParentDir) {
            let folder = folder.display();
            return Err(format!("QEMU_BINARY_PATH is {folder}; give a path from / on, without .."));
        }
        let prefix = get("QEMU_BINARY_PREFIX").unwrap_or_default();
        if prefix.contains('/') {
            return Err(format!(
                "QEMU_BINARY_PREFIX is {prefix}; give the beginning of file names here, and the folder in \
                 QEMU_BINARY_PATH"
            ));
        }
        let exit_zero = match get("BINFMTD_COMPAT").as_deref() {
            None => false,
            Some("exit-zero") => true,
            Some(other) => {
                return Err(format!("BINFMTD_COMPAT is {other}; all that it knows is exit-zero"));
            }
        };
        let preserve_argv0 = get("QEMU_PRESERVE_ARGV0").is_some();
        Ok(Self { folder, prefix, preserve_argv0, exit_zero })
    }

    /// As that tool goes about it: credentials always, and no file of ours is read.
    fn settings(&self) -> Result<Settings, Failure> {
        let mut settings = Settings {
            credentials: true,
            preserve_argv0: if self.preserve_argv0 {
                PreserveArgv0::Yes
            } else {
                PreserveArgv0::No
            },
            interpreter_directories: vec![self.folder.clone()],
            ..Settings::default()
        };
        if self.prefix.is_empty() {
            return Ok(settings);
        }
        for target in settings.table.targets() {
            let mut paths = target.interpreters.iter().map(|file| self.interpreter(file));
            let path = paths.clone().find(|path| path.exists()).or_else(|| paths.next_back());
            let interpreter = path.map(|path| InterpreterPath::new(&path)).transpose();
            let interpreter = interpreter.map_err(Failure::usage)?;
            settings
                .overrides
                .insert(target.name.clone(), Override { interpreter, ..Override::default() });
        }
        Ok(settings)
    }

    fn interpreter(&self, file: &str) -> PathBuf {
        self.folder.join(format!("{}{file}", self.prefix))
    }
}

/// All that the steps have in common.
struct Work {
    settings: Settings,
    made: Made,
    instance: Instance,
    /// How long the rules of it would live.
    lifetime: Lifetime,
    /// Ours, where the rules live no longer.
    _mount: Option<Mount>,
    /// The folder of the record of ownership.
    runtime: PathBuf,
    /// Whether paths in rules may be meant for another root than ours.
    in_container: bool,
}

fn run(line: &Line, environment: &Environment) -> Result<Exit, Failure> {
    let settings = environment.settings()?;
    if line.version {
        let version = version(&settings)?;
        say(&format!("{NAME}/{} qemu/{version}", env!("CARGO_PKG_VERSION")));
        return Ok(Exit::Well);
    }
    let work = Work::open(settings, environment, &line.mount)?;
    let mut worst = Exit::Well;
    let mut step = |result: Result<Exit, Failure>| {
        worst = worse(worst, result.unwrap_or_else(|failure| failed(&failure)));
    };
    if line::list(&line.uninstall).next().is_some() {
        step(work.uninstall(&line.uninstall));
    }
    if line::list(&line.install).next().is_some() {
        step(work.install(&line.install));
    }
    // Last, and whatever came of the rest.
    step(work.print());
    Ok(worst)
}

/// What QEMU calls itself; the emulators of one folder are of one release.
fn version(settings: &Settings) -> Result<String, Failure> {
    let manner =
        Manner { runtime: &record::folder(), run_others: false, limits: Limits::default() };
    let seen = observe::observe_without_instance(settings, &Request::default(), manner)?;
    let Some(file) = seen.interpreters.values().find_map(|found| found.usable.as_ref()) else {
        return Ok("none".to_owned());
    };
    let said = verify::version_of(&file.path, Limits::default())?.unwrap_or_default();
    let version = said.split_whitespace().skip_while(|word| *word != "version").nth(1);
    Ok(version.map_or_else(|| "unknown".to_owned(), |version| format!("v{version}")))
}

/// The instance, where it is mounted at another place than the kernel's. Where nothing is, the kernel's will do:
/// there is one for all places.
fn elsewhere(at: &Path) -> Result<Option<Instance>, Failure> {
    if at == Path::new(MOUNT_POINT) {
        return Ok(None);
    }
    match Instance::open(at) {
        Ok(instance) => Ok(Some(instance)),
        Err(InstanceError::NotMounted | InstanceError::Foreign(_)) => Ok(None),
        Err(InstanceError::NoFolder) => {
            Err(Failure::unavailable(format!("--mount {}: no such folder", at.display())))
        }
        Err(_) => Err(Failure::unavailable(format!("--mount {}: cannot be opened", at.display()))),
    }
}

impl Work {
    fn open(settings: Settings, environment: &Environment, at: &Path) -> Result<Self, Failure> {
        let in_container = namespace::in_container();
        let (instance, lifetime, mount) = if let Some(instance) = elsewhere(at)? {
            (instance, Lifetime::Host, None)
        } else {
            let mounted = mount::ensure().map_err(|error| match error {
                MountError::NotPermitted if in_container => {
                    Failure::not_permitted(format!("{error}: docker run --privileged"))
                }
                other => other.into(),
            })?;
            (mounted.instance, mounted.lifetime, mounted.mount)
        };
        Ok(Self {
            made: Made::new(&settings, &environment.folder, &environment.prefix),
            settings,
            instance,
            lifetime,
            _mount: mount,
            runtime: record::folder(),
            in_container,
        })
    }

    fn manner(&self) -> Manner<'_> {
        Manner { runtime: &self.runtime, run_others: true, limits: Limits::default() }
    }

    /// Registers what is in a list, each for itself.
    fn install(&self, words: &str) -> Result<Exit, Failure> {
        reconcile::check_lifetime(self.lifetime).map_err(would_vanish)?;
        let writable = reconcile::check_writable(&self.instance, Change::Register);
        writable.map_err(Failure::not_permitted)?;
        let (targets, mut worst) = self.wanted(words)?;
        if targets.is_empty() {
            return Ok(worst);
        }
        if let Some(state) = State::load(&self.runtime) {
            say(&format!(
                "note: the service runs (process {}), and takes away what its configuration does not ask for",
                state.pid
            ));
        }
        let only = targets.iter().map(|target| target.name.clone()).collect();
        let request = Request { only: Some(only), takeover: false };
        let (outcomes, others) = self.carry_out(&request)?;
        for outcome in outcomes.iter().filter(|outcome| outcome.item.target.is_none()) {
            if let Some(why) = self.failure(outcome) {
                worst = worse(worst, failed(&Failure::unavailable(why)));
            }
        }
        for target in targets {
            let of_target = || {
                let name = Some(&target.name);
                outcomes.iter().filter(move |outcome| outcome.item.target.as_ref() == name)
            };
            let why = of_target().find_map(|outcome| self.failure(outcome));
            let answer = why.as_deref().unwrap_or("OK");
            say(&format!("installing: {} {answer}", architecture(target)));
            let well = of_target().filter(|_| why.is_none());
            for note in well.filter_map(|outcome| note(target, outcome, &others)) {
                say(&format!("note: {note}"));
            }
            worst = worse(worst, Exit::of(why.is_none()));
        }
        Ok(worst)
    }

    /// The targets that a list names, each once; what no target is called is said and left out.
    fn wanted(&self, words: &str) -> Result<(Vec<&Target>, Exit), Failure> {
        let mut worst = Exit::Well;
        let is_all = |word: &&str| *word == "all";
        let mut targets: Vec<&Target> =
            if line::list(words).any(|word| is_all(&word)) { self.all()? } else { Vec::new() };
        for word in line::list(words).filter(|word| !is_all(word)) {
            match self.settings.table.find(word) {
                Ok(target) if targets.iter().any(|known| known.name == target.name) => {}
                Ok(target) => targets.push(target),
                Err(error) => {
                    say(&format!("installing: {word} {error}"));
                    worst = Exit::Usage;
                }
            }
        }
        Ok((targets, worst))
    }

    /// Each target that there is an emulator for, less what this machine runs itself.
    fn all(&self) -> Result<Vec<&Target>, Failure> {
        let request = Request::default();
        let seen = observe::observe_without_instance(&self.settings, &request, self.manner())?;
        let is_there = |target: &&Target| {
            seen.interpreters.get(&target.name).is_some_and(|found| {
                let there = |(_, fault): &(_, _)| *fault != InterpreterFault::Missing;
                found.usable.is_some() || found.faulty.iter().any(there)
            })
        };
        let targets: Vec<&Target> = self.settings.table.targets().iter().filter(is_there).collect();
        if targets.is_empty() {
            return Err(Failure::unavailable(format!(
                "no QEMU interpreter in {} (say by QEMU_BINARY_PATH and QEMU_BINARY_PREFIX where they are)",
                self.made.folder().display()
            )));
        }
        Ok(targets)
    }

    /// As `register` does it. Beside what became of each line, the rules that are somebody else's.
    fn carry_out(&self, request: &Request) -> Result<(Vec<Outcome>, Vec<OsString>), Failure> {
        let reconciler = Reconciler {
            instance: &self.instance,
            runtime: &self.runtime,
            settings: &self.settings,
            request,
            planning: Planning::Custom(&|seen| {
                if self.in_container {
                    let others = self.others(seen);
                    judge_by_owner(seen, &others);
                }
                Ok(plan::plan(&self.settings, request, seen)?)
            }),
            mode: Mode::Command,
            private: false,
            limits: Limits::default(),
        };
        let done = reconciler.run(&mut |_, _, _| {})?;
        Ok((done.outcomes, self.others(&done.seen)))
    }

    fn others(&self, seen: &Observation) -> Vec<OsString> {
        let entries = seen.instance.entries.iter();
        let theirs = entries.filter(|entry| self.made.whose(entry, &seen.record).is_err());
        theirs.map(|entry| entry.name.clone()).collect()
    }

    /// Why a line of the plan is not as it was asked for.
    fn failure(&self, outcome: &Outcome) -> Option<String> {
        let is_stale = |proof: &Proof| matches!(proof.serving(), Serving::Stale(_));
        match (&outcome.error, &outcome.item.decision) {
            // By a path that is another root's: see above.
            (Some(_), Decision::Served { .. })
                if self.in_container && outcome.proof.as_ref().is_some_and(is_stale) =>
            {
                None
            }
            (Some(error), _) => Some(in_our_words(error)),
            (None, Decision::Refused(refusal)) => Some(in_our_words(&refusal.to_string())),
            (None, _) => None,
        }
    }

    /// Removes what a list names, as far as it is of this image.
    fn uninstall(&self, words: &str) -> Result<Exit, Failure> {
        reconcile::check_writable(&self.instance, Change::Remove)?;
        let store = Store::open(&self.runtime)?;
        let facts = self.instance.look()?;
        let mut record = record::load(&self.runtime, self.instance.device())?;
        let known = record.clone();
        let mut worst = Exit::Well;
        let mut gone: Vec<OsString> = Vec::new();
        for word in line::list(words) {
            let is_pattern = line::is_pattern(word);
            let is_meant = self.made.meant(word, &facts.entries);
            let mut found = false;
            for entry in facts.entries.iter().filter(|entry| is_meant(entry)) {
                found = true;
                let name = entry.display_name();
                if gone.contains(&entry.name) {
                    continue;
                }
                let answer = match self.made.whose(entry, &known) {
                    Ok(()) => self.instance.remove(&entry.name).map_err(|error| error.to_string()),
                    Err(why) => {
                        // A pattern means whatever is ours of it.
                        say(&format!("uninstalling: {name} left alone: {why}"));
                        worst = worse(worst, Exit::of(is_pattern));
                        continue;
                    }
                };
                match answer {
                    Ok(()) => {
                        record.forget(&name);
                        gone.push(entry.name.clone());
                        say(&format!("uninstalling: {name} OK"));
                    }
                    Err(why) => {
                        say(&format!("uninstalling: {name} {why}"));
                        worst = worse(worst, Exit::Failed);
                    }
                }
            }
            if !found {
                say(&format!("uninstalling: {word} not found"));
                let bare = word.strip_prefix("qemu-").unwrap_or(word);
                if !is_pattern && self.settings.table.find(bare).is_err() {
                    worst = worse(worst, Exit::Usage);
                }
            }
        }
        store.save(&record)?;
        Ok(worst)
    }

    fn print(&self) -> Result<Exit, Failure> {
        let document = self.look()?;
        context::print(|out| document.write(out))?;
        Ok(Exit::Well)
    }

    /// What runs now, as BuildKit would find out, and which rules there are.
    fn look(&self) -> Result<BinfmtDocument, Failure> {
        let host = observe::host_target(&self.settings)?;
        let host_platform = host.platform(&machine::describe()?.machine);
        let known = BinfmtDocument::ARCHITECTURES.map(|name| self.settings.table.find(name));
        let known: Vec<&Target> = known.into_iter().collect::<Result<_, _>>()?;
        let laboratory = Laboratory::open().map_err(BatchError::from)?;
        let prove = |targets: &[&Target], depth| {
            let subjects: Vec<Subject<'_>> = targets.iter().filter_map(|it| subject(it)).collect();
            laboratory.prove(&subjects, depth, Limits::default(), &mut |_, _| {})
        };
        let proofs = prove(&known, Depth::Quick)?;
        let running: Vec<&Target> = known
            .into_iter()
            .zip(&proofs)
            .filter(|(_, proof)| proof.as_ref().is_some_and(ran))
            .map(|(target, _)| target)
            .collect();
        let amd64: Vec<&Target> =
            running.iter().copied().filter(|target| target.name == "x86_64").collect();
        let cpu = if amd64.is_empty() {
            None
        } else {
            prove(&amd64, Depth::Full)?.pop().flatten().and_then(|proof| proof.cpu)
        };
        let facts = self.instance.look()?;
        Ok(BinfmtDocument::new(host, host_platform, &running, cpu.unwrap_or(CpuLevel::V1), &facts))
    }
}

/// No configuration is read here: what says where interpreters are is the environment.
fn in_our_words(why: &str) -> String {
    let ours = "QEMU_BINARY_PATH and QEMU_BINARY_PREFIX say where it is";
    why.replace(plan::WITHOUT_INTERPRETER, ours)
}

/// In a container, that somebody else's rule works is enough: where its path leads to in this root says nothing about
/// the file that the kernel runs. A rule of ours that runs another root's file is an older image's.
fn judge_by_owner(seen: &mut Observation, others: &[OsString]) {
    for (name, serving) in &mut seen.serving {
        match serving {
            Serving::Stale(_) if others.contains(name) => *serving = Serving::Works,
            Serving::Elsewhere if !others.contains(name) => {
                *serving =
                    Serving::Stale("it runs the interpreter of another container".to_owned());
            }
            _ => {}
        }
    }
}

/// What is to be said of one that is well; `others` are the rules that were somebody else's.
fn note(target: &Target, outcome: &Outcome, others: &[OsString]) -> Option<String> {
    let target = architecture(target);
    match &outcome.item.decision {
        Decision::Native => Some(format!("{target} is native: this machine runs it itself")),
        Decision::Served { by } if others.contains(by) => {
            let by = by.display();
            Some(format!("{target} is served by {by}, which is not of this image and works"))
        }
        Decision::Change(Action::Replace { rule, why, .. }) => {
            Some(format!("{} was replaced without a gap: {why}", rule.name()))
        }
        _ => None,
    }
}

/// No rule is named, as none is compared with.
fn subject(target: &Target) -> Option<Subject<'_>> {
    let machine = *target.identity.machines.first()?;
    Some(Subject::taken_by(target, machine, None))
}

/// In an empty root, or where that is forbidden on the host.
fn ran(proof: &Proof) -> bool {
    let passed = |level| matches!(proof.level(level), Some(Proved::Pass(_)));
    passed(Level::EmptyRoot) || passed(Level::Host)
}

/// As that tool calls it: `arm64`; QEMU's name where images have none.
fn architecture(target: &Target) -> &str {
    let platform = target.platforms.first().and_then(|platform| platform.split('/').nth(1));
    platform.unwrap_or(&target.name)
}

fn would_vanish(unmounted: Unmounted) -> Failure {
    let more = match unmounted {
        Unmounted::Host => "let this container do that (docker run --privileged --pid=host), ",
        Unmounted::UserNamespace => "",
    };
    Failure::unavailable(format!(
        "{unmounted}, so rules registered in this container would vanish when it ends; mount it on the host first \
         (mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc), {more}or have a container that stays hold \
         the rules: docker run --privileged --detach --entrypoint binfmtd IMAGE daemon"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &str)]) -> Result<Environment, String> {
        Environment::read(&|wanted| {
            let found = variables.iter().find(|(name, _)| *name == wanted);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_environment_says_where_and_how() {
        let plain = of(&[]).unwrap();
        assert_eq!(plain.folder, Path::new("/usr/bin"));
        assert!(!plain.preserve_argv0 && !plain.exit_zero);
        let settings = plain.settings().unwrap();
        assert!(settings.credentials && settings.overrides.is_empty());
        assert_eq!(settings.preserve_argv0, PreserveArgv0::No);

        let all = of(&[
            ("QEMU_BINARY_PATH", "/opt"),
            ("QEMU_BINARY_PREFIX", "my-"),
            ("QEMU_PRESERVE_ARGV0", "0"),
            ("BINFMTD_COMPAT", "exit-zero"),
        ]);
        let all = all.unwrap();
        assert!(all.exit_zero);
        let settings = all.settings().unwrap();
        assert_eq!(settings.preserve_argv0, PreserveArgv0::Yes);
        let interpreter = settings.overrides["aarch64"].interpreter.as_ref().unwrap();
        assert_eq!(interpreter.as_path(), Path::new("/opt/my-qemu-aarch64"));

        for (name, value, word) in [
            ("QEMU_BINARY_PATH", "bin", "from / on"),
            ("QEMU_BINARY_PATH", "/usr/../bin", "without .."),
            ("QEMU_BINARY_PREFIX", "a/b", "QEMU_BINARY_PATH"),
            ("BINFMTD_COMPAT", "exit-one", "exit-zero"),
        ] {
            let error = of(&[(name, value)]).unwrap_err();
            assert!(error.contains(value) && error.contains(word), "{error}");
        }
    }

    #[test]
    fn it_is_called_by_its_name_alone() {
        for (called, wanted) in [
            ("binfmt", true),
            ("/usr/bin/binfmt", true),
            ("binfmtd", false),
            ("/opt/binfmt/binfmtd", false),
            ("", false),
        ] {
            assert_eq!(is_called(&[called.into(), "binfmt".into()]), wanted, "{called}");
        }
        assert!(!is_called(&[]));
    }
}
