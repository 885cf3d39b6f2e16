//! apply against a kernel, a prover and a store that do what a test says; no program runs.

mod cases;
mod fake;
mod in_place;
mod records;
mod restored;
mod standing;
mod tried;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::ffi::OsString;
use std::io;
use std::time::Duration;

use fake::FakeKernel;

use super::*;
use crate::config::Settings;
use crate::failure::FailureKind;
use crate::observation::{FileId, InstanceFacts, Observation, Owned, OwnershipRecord};
use crate::plan::{Action, Item, Reason};
use crate::rule::{Entry, InterpreterPath, Matcher, Rule};
use crate::system::binfmt_misc::instance::Refused;
use crate::verify::{Level, LevelOutcome, ProbeSubject, Proof};

const OLD: &str = "/usr/bin/old";
const NEW: &str = "/usr/bin/new";
const SWAP: &str = "qemu-aarch64.binfmtd-swap";

struct Fake(FakeKernel);

impl cases::Machine for Fake {
    fn registry(&mut self) -> &mut dyn Registry {
        &mut self.0
    }

    fn tell(&mut self, name: &str, word: &str) -> io::Result<()> {
        self.0.tell(name, word)
    }
}

#[test]
fn the_fake_kernel_does_what_the_kernel_does() {
    let steps = cases::check(&mut Fake(FakeKernel::with(&[cases::PRESENT]))).unwrap();
    assert!(steps > 30, "{steps}");
}

/// The table's rule of a target, under a name of choice.
fn named(name: &str, target: &str, interpreter: &str, flags: &str) -> Rule {
    let settings = Settings::default();
    let (_, magic) = settings.table.find(target).unwrap().rules().remove(0);
    let interpreter = InterpreterPath::new(interpreter).unwrap();
    let (name, flags) = (name.parse().unwrap(), flags.parse().unwrap());
    Rule::new(name, Matcher::Magic(magic), interpreter, flags).unwrap()
}

fn rule(target: &str, interpreter: &str) -> Rule {
    named(&format!("qemu-{target}"), target, interpreter, "POF")
}

fn line(target: &str, decision: Decision) -> Item {
    let settings = Settings::default();
    let machine = settings.table.find(target).unwrap().identity.machines.first().copied();
    Item {
        target: Some(target.to_owned()),
        machine,
        rule: Some(format!("qemu-{target}")),
        decision,
    }
}

fn add(target: &str) -> Item {
    line(target, Decision::Change(Action::Add(rule(target, NEW))))
}

fn replace(target: &str, old: &[&str]) -> Item {
    let (rule, why) = (rule(target, NEW), Reason::InterpreterReplaced);
    let old = old.iter().map(OsString::from).collect();
    line(target, Decision::Change(Action::Replace { rule, old, why }))
}

fn remove(name: &str) -> Item {
    let decision = Decision::Change(Action::Remove { name: name.into(), why: Reason::Unwanted });
    Item { target: None, machine: None, rule: Some(name.to_owned()), decision }
}

fn kept(target: &str) -> Item {
    let name = format!("qemu-{target}").into();
    line(target, Decision::Kept { name, gone: None })
}

fn proof(level: Level, outcome: LevelOutcome) -> Proof {
    let well = |level| (level, LevelOutcome::Pass("well".to_owned()));
    Proof {
        native: false,
        nobody: false,
        machine: None,
        pinned: None,
        version: None,
        levels: vec![well(Level::Status), (level, outcome)],
        time: Duration::ZERO,
        cost: None,
        cpu: None,
        failures: Vec::new(),
        tries: None,
    }
}

fn works() -> Proof {
    proof(Level::EmptyRoot, LevelOutcome::Pass("it ran".to_owned()))
}

fn fails() -> Proof {
    proof(Level::EmptyRoot, LevelOutcome::Fail("it crashed".to_owned()))
}

fn stale() -> Proof {
    proof(Level::Identity, LevelOutcome::Fail("older than the file".to_owned()))
}

fn shifted() -> Proof {
    proof(Level::Argv0, LevelOutcome::Fail("its arguments are shifted".to_owned()))
}

fn nobody() -> Proof {
    Proof { nobody: true, ..proof(Level::EmptyRoot, LevelOutcome::Fail("ENOEXEC".to_owned())) }
}

/// What a run of the prover does to the kernel and finds; without a proof of its own, a subject works.
type Run = Box<dyn FnOnce(&FakeKernel) -> Result<Vec<(usize, Proof)>, BatchError>>;

fn finds(found: Vec<(usize, Proof)>) -> Run {
    Box::new(|_| Ok(found))
}

type Trial = Result<Option<Vec<(usize, Tried)>>, BatchError>;

struct FakeProver {
    kernel: FakeKernel,
    runs: VecDeque<Run>,
    trial: Trial,
    candidates: Vec<(String, bool)>,
}

impl Prover for FakeProver {
    fn prove(
        &mut self,
        subjects: Vec<(usize, ProbeSubject<'_>)>,
        _: Option<&str>,
    ) -> Result<BTreeMap<usize, Proof>, BatchError> {
        let names: Vec<&str> =
            subjects.iter().map(|(_, subject)| subject.target.name.as_str()).collect();
        self.kernel.note(&format!("prove {}", names.join(" ")));
        let mut found: BTreeMap<usize, Proof> =
            subjects.iter().map(|(place, _)| (*place, works())).collect();
        if let Some(run) = self.runs.pop_front() {
            found.extend(run(&self.kernel)?);
        }
        Ok(found)
    }

    fn trial(
        &mut self,
        candidates: &[Candidate<'_>],
    ) -> Result<Option<BTreeMap<usize, Tried>>, BatchError> {
        let told = |it: &Candidate<'_>| (it.rule.name().to_string(), it.may_drop_p);
        self.candidates = candidates.iter().map(told).collect();
        self.kernel.note("try");
        let trial = std::mem::replace(&mut self.trial, Ok(None))?;
        Ok(trial.map(|tried| tried.into_iter().collect()))
    }
}

struct FakeStore {
    kernel: FakeKernel,
    saved: RefCell<Vec<OwnershipRecord>>,
    /// How many saves go well.
    room: Cell<usize>,
}

impl FakeStore {
    fn save(&self, record: &OwnershipRecord) -> io::Result<()> {
        self.kernel.note("save");
        let Some(room) = self.room.get().checked_sub(1) else {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        };
        self.room.set(room);
        self.saved.borrow_mut().push(record.clone());
        Ok(())
    }
}

/// A machine with the interpreters [`OLD`] and [`NEW`], where a trial finds that everything works.
struct Scene {
    kernel: FakeKernel,
    settings: Settings,
    record: OwnershipRecord,
    private: bool,
    prover: FakeProver,
    store: FakeStore,
}

impl Scene {
    fn new() -> Self {
        let kernel = FakeKernel::with(&[OLD, NEW]);
        let runs = VecDeque::new();
        let prover = FakeProver {
            kernel: kernel.clone(),
            runs,
            trial: Ok(Some(Vec::new())),
            candidates: vec![],
        };
        let store =
            FakeStore { kernel: kernel.clone(), saved: RefCell::default(), room: Cell::new(9) };
        let (settings, record) = (Settings::default(), OwnershipRecord::default());
        Self { kernel, settings, record, private: false, prover, store }
    }

    /// Without a trial: rules are proved where they stand.
    fn in_place() -> Self {
        let mut scene = Self::new();
        scene.settings.verify = Verify::After;
        scene
    }

    fn unverified() -> Self {
        let mut scene = Self::new();
        scene.settings.verify = Verify::Off;
        scene
    }

    /// A rule of ours that is in the kernel.
    fn ours(self, target: &str) -> Self {
        self.own(&rule(target, OLD), target)
    }

    fn own(mut self, rule: &Rule, target: &str) -> Self {
        self.kernel.plant(rule).unwrap();
        self.record.rules.insert(rule.name().to_string(), owned(rule, target));
        self
    }

    fn theirs(self, rule: &Rule) -> Self {
        self.kernel.plant(rule).unwrap();
        self
    }

    fn run(mut self, run: Run) -> Self {
        self.prover.runs.push_back(run);
        self
    }

    fn tried(mut self, trial: Trial) -> Self {
        self.prover.trial = trial;
        self
    }

    fn seen(&self) -> Observation {
        Observation {
            host: "x86_64".to_owned(),
            natives: vec!["x86_64".to_owned()],
            instance: self.facts(),
            interpreters: BTreeMap::new(),
            others: BTreeMap::new(),
            captured: BTreeMap::new(),
            serving: BTreeMap::new(),
            record: self.record.clone(),
        }
    }

    fn facts(&self) -> InstanceFacts {
        Registry::look(&self.kernel).unwrap()
    }

    fn carry_out(&mut self, items: Vec<Item>) -> Result<Vec<Outcome>, Failure> {
        let seen = self.seen();
        let given = Given { settings: &self.settings, seen: &seen, private: self.private };
        let registry = &mut self.kernel.clone();
        let save = &|record: &OwnershipRecord| self.store.save(record);
        apply(Plan { items }, given, Edge { registry, prover: &mut self.prover, save })
    }

    /// The one line's outcome.
    #[track_caller]
    fn only(&mut self, item: Item) -> Outcome {
        let mut outcomes = self.carry_out(vec![item]).unwrap();
        assert_eq!(outcomes.len(), 1);
        outcomes.remove(0)
    }

    /// What was written, without `save` and `try`.
    fn writes(&self) -> Vec<String> {
        let mut lines = self.kernel.journal();
        lines.retain(|line| line != "save" && line != "try");
        lines
    }

    /// Names of the entries, newest first.
    fn names(&self) -> Vec<String> {
        self.facts().entries.iter().map(Entry::display_name).collect()
    }

    /// What the interpreter of an entry is.
    fn runs(&self, name: &str) -> Option<String> {
        let facts = self.facts();
        let entry = facts.entries.iter().find(|entry| entry.name == name)?;
        Some(entry.interpreter.display().to_string())
    }

    fn last_record(&self) -> OwnershipRecord {
        self.store.saved.borrow().last().unwrap().clone()
    }
}

fn owned(rule: &Rule, target: &str) -> Owned {
    Owned {
        register: String::from_utf8_lossy(rule.register_string()).into_owned(),
        target: Some(target.to_owned()),
        interpreter: None,
    }
}

#[track_caller]
fn says(outcome: &Outcome, text: &str) {
    let error = outcome.error.as_ref().map(ToString::to_string);
    assert_eq!(error.as_deref(), Some(text));
    assert!(!outcome.is_well());
}
