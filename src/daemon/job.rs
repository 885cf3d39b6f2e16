//! What the helper's workers do for the loop: everything that reads the configuration or runs a program.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::{OsStr, OsString};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::state::{Cause, Condition, RuleState};
use crate::apply::{self, Options, Outcome};
use crate::config::{self, Settings, Verify};
use crate::failure::Failure;
use crate::observation::{FileId, Observation, Record};
use crate::observe::{self, Manner};
use crate::plan::{self, Action, Decision, Native, Plan, Request};
use crate::probe;
use crate::rule::{Entry, Flags, Header, InterpreterPath, Matcher, Rule, parse_register, winner};
use crate::shown::quote;
use crate::system::binfmt_misc::instance::{Instance, MOUNT_POINT};
use crate::system::binfmt_misc::native;
use crate::system::binfmt_misc::record::Store;
use crate::system::files::watch::{Followed, Names};
use crate::system::host::manager;
use crate::system::process::batch::{BatchError, Limits};
use crate::system::process::helper;
use crate::verify::{Depth, Laboratory, Proof, Subject};

/// What the loop asks for.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Job {
    pub(super) task: Task,
    /// `st_dev` of the instance that the loop holds.
    pub(super) instance: u64,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Task {
    /// Observe, plan, apply, and prove every rule.
    Reconcile,
    /// Every level of every rule, with version and digest of the interpreters.
    Describe,
}

/// What comes of a job.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Answer {
    Reconciled(Box<Reconciled>),
    /// By the rule's name.
    Described(BTreeMap<String, Description>),
    Failed(Failure),
}

/// The state of things after a reconciliation.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Reconciled {
    /// `st_dev` of the instance.
    pub(super) instance: u64,
    /// Which rules of others matter.
    pub(super) relevant: Relevant,
    /// A digest of those, as they were seen.
    pub(super) others: u64,
    /// Whether a rule that was there was gone when its probe ran: what was found of it says nothing.
    pub(super) undone: bool,
    /// What takes the host's own programs, a sentence: then no probe tells anything.
    pub(super) captured: Option<String>,
    /// Each rule that is wanted.
    pub(super) rules: Vec<RuleState>,
    /// What was changed.
    pub(super) changes: Vec<Change>,
    /// Names of ours that systemd-binfmt's files have as well.
    pub(super) claimed: BTreeSet<String>,
    pub(super) follow: Vec<Followed>,
    pub(super) pause_after: u32,
    pub(super) longest_pause: Duration,
    pub(super) backstop: Option<Duration>,
    pub(super) metrics_file: Option<PathBuf>,
}

/// One thing that was written to the kernel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Change {
    pub(super) cause: Cause,
    pub(super) what: String,
    pub(super) rule: Option<String>,
    pub(super) target: Option<String>,
    pub(super) interpreter: Option<String>,
}

/// What only a thorough look tells.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Description {
    /// Which file the kernel runs.
    pub(super) file: Option<FileId>,
    pub(super) version: Option<String>,
    pub(super) sha256: Option<String>,
    /// The first level that failed.
    pub(super) failure: Option<String>,
}

/// What a worker needs to know.
pub(super) struct Worker<'a> {
    pub(super) config: Option<&'a Path>,
    pub(super) runtime: &'a Path,
    /// The instance that the service holds: there even when it is mounted nowhere any more.
    pub(super) held: &'a Instance,
}

impl Worker<'_> {
    /// Does one job, given and answered as JSON.
    pub(super) fn work(&self, job: &[u8]) -> Vec<u8> {
        let answer = serde_json::from_slice(job)
            .map_err(|error| Failure::unavailable(format!("a job that is none: {error}")))
            .and_then(|Job { task, instance }| match task {
                Task::Reconcile => {
                    self.reconcile(instance).map(|answer| Answer::Reconciled(Box::new(answer)))
                }
                Task::Describe => self.describe(instance).map(Answer::Described),
            })
            .unwrap_or_else(Answer::Failed);
        serde_json::to_vec(&answer).unwrap_or_default()
    }

    fn reconcile(&self, held: u64) -> Result<Reconciled, Failure> {
        // Before anything is looked at, so that a later change shows.
        let configuration = self.follow_configuration();
        let settings = self.settings()?;
        let interpreters = follow_interpreters(&settings);
        let links = follow_links(settings.sources.files.iter());
        self.on_instance(held, |instance| {
            let request = Request::default();
            let limits = Limits::default();
            let manner = Manner {
                runtime: self.runtime,
                run_others: settings.verify != Verify::Off,
                limits,
            };
            let options = Options { verify: settings.verify, private: false, limits };
            let look = || -> Result<(Observation, Plan), Failure> {
                let seen = observe::observe(instance, &settings, &request, manner)?;
                let plan = plan::plan(&settings, &request, &seen)?;
                Ok((seen, plan))
            };
            let (mut seen, mut plan) = look()?;
            let outcomes = if plan.is_empty() && seen.record.coming.is_empty() {
                // Proofs take long, and while the lock is held nothing is put back.
                apply::prove(plan, instance, &settings, &seen, options, &mut |_, _, _| {})?
            } else {
                let store =
                    Store::open(self.runtime).map_err(Failure::io("record of ownership"))?;
                (seen, plan) = look()?;
                apply::apply(plan, instance, &store, &settings, &seen, options, &mut |_, _, _| {})?
            };
            let rules: Vec<_> = outcomes.iter().filter_map(|it| rule_state(it, &seen)).collect();
            let names: BTreeSet<&str> = rules.iter().map(|rule| rule.rule.as_str()).collect();
            // Where systemd is not, nobody registers them.
            let claimed =
                if manager::is_systemd() { observe::names_of_binfmt_d() } else { BTreeSet::new() };
            let relevant = Relevant::of(&settings, &request, &seen)?;
            Ok(Reconciled {
                instance: instance.device(),
                others: relevant.digest_of_others(&seen.instance.entries, &seen.record),
                relevant,
                undone: outcomes.iter().any(|outcome| outcome.undone),
                captured: captured(&settings, &seen),
                changes: outcomes.iter().filter_map(|it| change(it, &seen)).collect(),
                claimed: claimed.into_iter().filter(|name| names.contains(name.as_str())).collect(),
                rules,
                follow: [configuration, links, interpreters].concat(),
                pause_after: settings.daemon.pause_after,
                longest_pause: settings.daemon.longest_pause,
                backstop: settings.daemon.backstop,
                metrics_file: settings.daemon.metrics_file.clone(),
            })
        })
    }

    fn describe(&self, held: u64) -> Result<BTreeMap<String, Description>, Failure> {
        let settings = self.settings()?;
        // Nobody waits for this, and it reads megabytes for each interpreter.
        helper::step_back();
        self.on_instance(held, |instance| {
            let request = Request::default();
            let limits = Limits::default();
            let manner = Manner { runtime: self.runtime, run_others: false, limits };
            let seen = observe::observe(instance, &settings, &request, manner)?;
            let plan = plan::plan(&settings, &request, &seen)?;
            let mut names = Vec::new();
            let mut subjects = Vec::new();
            for item in &plan.items {
                let (Decision::Kept { name, .. } | Decision::Served { by: name }) = &item.decision
                else {
                    continue;
                };
                let target = item.target.as_ref().and_then(|name| settings.table.find(name).ok());
                let entry = seen.instance.entries.iter().find(|entry| entry.name == *name);
                let (Some(target), Some(machine), Some(rule), Some(entry)) =
                    (target, item.machine, &item.rule, entry)
                else {
                    continue;
                };
                names.push(rule.clone());
                let interpreter = Some(entry.interpreter.as_path());
                let credentials = entry.flags.known.credentials;
                subjects.push(Subject { target, machine, interpreter, credentials });
            }
            let laboratory = Laboratory::open().map_err(BatchError::from)?;
            let proofs = laboratory.prove(&subjects, Depth::Full, limits, &mut |_, _| {})?;
            let descriptions = proofs.into_iter().map(|proof| proof.map(Description::of));
            Ok(names
                .into_iter()
                .zip(descriptions)
                .filter_map(|(name, it)| Some((name, it?)))
                .collect())
        })
    }

    fn settings(&self) -> Result<Settings, Failure> {
        Ok(config::load(Path::new("/"), self.config)?)
    }

    /// What is mounted now; else what the service holds, whose rules go on.
    fn on_instance<T>(
        &self,
        held: u64,
        work: impl FnOnce(&Instance) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        match Instance::find() {
            Ok(instance) => work(&instance),
            Err(error) if self.held.device() == held => {
                tracing::info!("{error}; the rules that are held go on");
                work(self.held)
            }
            Err(error) => Err(Failure::unavailable(error)),
        }
    }

    fn follow_configuration(&self) -> Vec<Followed> {
        let places = config::places(Path::new("/"), self.config);
        let explicit = self.config.and_then(Path::file_name).and_then(|name| name.to_str());
        let folders = ["binfmtd.d", "tables.d"].into_iter().chain(explicit);
        let names = Names::Ending(".toml".to_owned(), folders.map(str::to_owned).collect());
        places.into_iter().map(|place| Followed::new(place, names.clone())).collect()
    }
}

/// Where links to these files lead.
fn follow_links<'a>(files: impl Iterator<Item = &'a PathBuf>) -> Vec<Followed> {
    let mut folders: BTreeMap<PathBuf, BTreeSet<String>> = BTreeMap::new();
    for file in files.filter(|file| file.canonicalize().is_ok_and(|real| real != **file)) {
        for (folder, name) in links_on(file) {
            folders.entry(folder).or_default().insert(name);
        }
    }
    let folders = folders.into_iter();
    folders.map(|(folder, names)| Followed::new(folder, Names::Only(names))).collect()
}

/// Where interpreters are, and where links to them lead.
fn follow_interpreters(settings: &Settings) -> Vec<Followed> {
    let programs: BTreeSet<String> =
        settings.table.targets().iter().flat_map(|target| target.interpreters.clone()).collect();
    let mut folders: BTreeMap<PathBuf, BTreeSet<String>> = BTreeMap::new();
    let overrides = settings.overrides.values().filter_map(|own| own.interpreter.as_ref());
    let customs = settings.rules.iter().map(|custom| custom.rule.interpreter());
    let mut files: Vec<PathBuf> =
        overrides.chain(customs).map(|path| path.as_path().to_owned()).collect();
    for folder in &settings.interpreter_directories {
        folders.entry(folder.clone()).or_default().extend(programs.iter().cloned());
        files.push(folder.clone());
        let links = programs.iter().map(|name| folder.join(name));
        files.extend(links.filter(|path| path.is_symlink()));
    }
    for file in files {
        if let (Some(folder), Some(name)) =
            (file.parent(), file.file_name().and_then(OsStr::to_str))
        {
            folders.entry(folder.to_owned()).or_default().insert(name.to_owned());
        }
        for (folder, name) in links_on(&file) {
            folders.entry(folder).or_default().insert(name);
        }
    }
    let folders = folders.into_iter();
    folders.map(|(folder, names)| Followed::new(folder, Names::Only(names))).collect()
}

/// Every link on the way along a path, of its folders too, and what is at the end of them all: where
/// it is, without links, and its name.
fn links_on(path: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut at = PathBuf::from("/");
    let mut todo: Vec<OsString> = Vec::new();
    let push = |todo: &mut Vec<OsString>, path: &Path| {
        todo.extend(path.components().rev().map(|it| it.as_os_str().to_owned()));
    };
    push(&mut todo, path);
    // The kernel follows 40 links and no more.
    let mut left = 40;
    while let Some(name) = todo.pop() {
        if name == ".." {
            at.pop();
            continue;
        }
        let here = at.join(&name);
        let link = std::fs::read_link(&here).ok().filter(|_| left > 0);
        if (link.is_some() || todo.is_empty())
            && let Some(name) = name.to_str()
        {
            found.push((at.clone(), name.to_owned()));
        }
        match link {
            Some(link) => {
                left -= 1;
                push(&mut todo, &link);
            }
            // A link's beginning at the root, and a plain name alike.
            None => at = here,
        }
    }
    found
}

/// Which rules of others matter: those that could take programs of a wanted target or of the host, or
/// have the name of a rule of ours. Others may come and go by the thousand.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Relevant {
    names: BTreeSet<String>,
    /// Register strings, of which the matcher counts.
    matchers: Vec<String>,
}

impl Relevant {
    fn of(settings: &Settings, request: &Request, seen: &Observation) -> Result<Self, Failure> {
        let mut relevant = Self::default();
        let mut add = |matcher: Matcher| {
            let nobody = "nobody".parse().ok()?;
            let nothing = InterpreterPath::new(Path::new("/")).ok()?;
            let rule = Rule::new(nobody, matcher, nothing, Flags::default()).ok()?;
            relevant.matchers.push(String::from_utf8_lossy(rule.register_string()).into_owned());
            Some(())
        };
        for target in plan::wanted(settings, request, seen)? {
            for (name, magic) in target.rules() {
                relevant.names.insert(name.to_string());
                add(Matcher::Magic(magic));
            }
        }
        for custom in &settings.rules {
            relevant.names.insert(custom.rule.name().to_string());
            add(custom.rule.matcher().clone());
        }
        for magic in Native::new(&settings.table, &seen.natives).magics() {
            add(Matcher::Magic(magic.clone()));
        }
        Ok(relevant)
    }

    /// Tells whether the rules of others that matter are still what they were.
    pub(super) fn digest_of_others(&self, entries: &[Entry], record: &Record) -> u64 {
        let matchers: Vec<Matcher> = self
            .matchers
            .iter()
            .filter_map(|string| Some(parse_register(string.as_bytes()).ok()?.matcher().clone()))
            .collect();
        let matters = |entry: &&Entry| {
            entry.name.to_str().is_some_and(|name| self.names.contains(name))
                || matchers.iter().any(|matcher| match (matcher, &entry.matcher) {
                    (Matcher::Magic(wanted), Matcher::Magic(theirs)) => wanted.overlaps(theirs),
                    (wanted, theirs) => wanted.is_same(theirs),
                })
        };
        let mut hasher = DefaultHasher::new();
        for entry in entries.iter().filter(matters).filter(|entry| !record.owns(entry)) {
            format!("{entry:?}").hash(&mut hasher);
        }
        hasher.finish()
    }
}

/// A rule that takes the host's own programs, by what the kernel itself says: then nothing starts any
/// more as it should, probes included.
fn captured(settings: &Settings, seen: &Observation) -> Option<String> {
    let host = settings.table.find(&seen.host).ok()?;
    let program = probe::truncated(host, probe::ElfType::Executable);
    let header = Header::new(&program);
    if native::ask(&[program]).ok()?.first() != Some(&native::RunBy::Rule) {
        return None;
    }
    let entry = winner(&seen.instance.entries, &header, Path::new("/"))?;
    let name = entry.display_name();
    Some(format!(
        "rule {name}, which is not ours, takes this host's own programs (remove it: \
         echo -1 > {})",
        quote(&Path::new(MOUNT_POINT).join(&entry.name))
    ))
}

fn rule_state(outcome: &Outcome, seen: &Observation) -> Option<RuleState> {
    let item = &outcome.item;
    let named = |name: &std::ffi::OsStr| {
        let entry = seen.instance.entries.iter().find(|entry| entry.name == name)?;
        Some(entry.interpreter.display().to_string())
    };
    let (by, interpreter) = match &item.decision {
        // What goes, or never was a rule, is no rule that is wanted.
        Decision::Change(Action::EnableInstance | Action::Remove { .. }) => return None,
        Decision::Kept { name, .. } | Decision::Served { by: name } => {
            (Some(name.to_string_lossy().into_owned()), named(name))
        }
        Decision::Change(
            Action::Add(rule) | Action::Enable(rule) | Action::Replace { rule, .. },
        ) => (Some(rule.name().to_string()), Some(rule.interpreter().to_string())),
        Decision::Native | Decision::Refused(_) => (None, None),
    };
    let why = match (&outcome.error, &item.decision) {
        (Some(error), _) => Some(error.clone()),
        (None, Decision::Refused(refusal)) => Some(refusal.to_string()),
        (None, kept @ Decision::Kept { .. }) => kept.remark(),
        _ => None,
    };
    let proof = outcome.proof.as_ref();
    Some(RuleState {
        target: item.target.clone(),
        rule: item.rule.clone().unwrap_or_default(),
        condition: if outcome.is_well() { Condition::Working } else { Condition::Degraded },
        why,
        by,
        ours: matches!(item.decision, Decision::Kept { .. } | Decision::Change(_)),
        interpreter,
        file: proof.and_then(|proof| proof.pinned.as_ref()).map(|pinned| pinned.id),
        version: None,
        sha256: None,
        probe_seconds: proof.map(|proof| proof.time.as_secs_f64()),
    })
}

fn change(outcome: &Outcome, seen: &Observation) -> Option<Change> {
    let Decision::Change(action) = &outcome.item.decision else { return None };
    if !outcome.changed {
        return None;
    }
    let is_ours = |name: &std::ffi::OsString| {
        seen.instance.entries.iter().any(|entry| entry.name == *name && seen.record.owns(entry))
    };
    let (cause, interpreter) = match action {
        Action::EnableInstance => (Cause::InstanceDisabled, None),
        Action::Enable(rule) => (Cause::Disabled, Some(rule.interpreter())),
        Action::Add(rule) if seen.record.rules.contains_key(rule.name().as_str()) => {
            (Cause::Removed, Some(rule.interpreter()))
        }
        Action::Add(rule) => (Cause::Wanted, Some(rule.interpreter())),
        Action::Replace { rule, old, .. } if old.iter().all(is_ours) => {
            (Cause::Interpreter, Some(rule.interpreter()))
        }
        Action::Replace { rule, .. } => (Cause::Shadowed, Some(rule.interpreter())),
        Action::Remove { .. } => (Cause::Wanted, None),
    };
    Some(Change {
        cause,
        what: action.to_string(),
        rule: outcome.item.rule.clone(),
        target: outcome.item.target.clone(),
        interpreter: interpreter.map(ToString::to_string),
    })
}

impl Description {
    fn of(proof: Proof) -> Self {
        Self {
            failure: proof.failure().map(str::to_owned),
            file: proof.pinned.as_ref().map(|pinned| pinned.id),
            sha256: proof.pinned.and_then(|pinned| pinned.sha256),
            version: proof.version,
        }
    }
}

/// Which interpreter file has which version and digest, so that nobody reads megabytes again.
pub(super) type Described = HashMap<FileId, (Option<String>, Option<String>)>;
