//! Replacing a rule under load.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use binfmtd::testing::apply::{
    self, Candidate, Edge, Given, KernelRegistry, Prover, RuleError, Tried,
};
use binfmtd::testing::config::{Settings, Verify};
use binfmtd::testing::observation::{Observation, OwnershipRecord};
use binfmtd::testing::plan::{Action, Decision, Item, Plan, Reason};
use binfmtd::testing::rule::{Flags, InterpreterPath, Matcher, Name, Rule};
use binfmtd::testing::system::binfmt_misc::instance::Instance;
use binfmtd::testing::system::process::batch::BatchError;
use binfmtd::testing::verify::{ProbeSubject, Proof};

use crate::support::stage::{Qemu, Stage};
use crate::support::{INSTANCE, need};

const REPLACEMENTS: usize = 1000;
const STARTS: usize = 300;

/// Proves nothing: this is about the kernel.
struct Nobody;

impl Prover for Nobody {
    fn prove(
        &mut self,
        _: Vec<(usize, ProbeSubject<'_>)>,
        _: Option<&str>,
    ) -> Result<BTreeMap<usize, Proof>, BatchError> {
        Ok(BTreeMap::new())
    }

    fn trial(&mut self, _: &[Candidate<'_>]) -> Result<Option<BTreeMap<usize, Tried>>, BatchError> {
        Ok(None)
    }
}

/// Carries out a plan of one replacement.
fn replace_rule(
    registry: &mut KernelRegistry<'_>,
    rule: &Rule,
    old: OsString,
) -> Result<(), RuleError> {
    let settings = Settings { verify: Verify::Off, ..Settings::default() };
    let seen = Observation {
        host: String::new(),
        natives: Vec::new(),
        instance: apply::Registry::look(registry).expect("an instance"),
        interpreters: BTreeMap::new(),
        others: BTreeMap::new(),
        captured: BTreeMap::new(),
        serving: BTreeMap::new(),
        record: OwnershipRecord::default(),
    };
    let (rule, old, why) = (rule.clone(), vec![old], Reason::InterpreterReplaced);
    let decision = Decision::Change(Action::Replace { rule, old, why });
    let item = Item { target: None, machine: None, rule: None, decision };
    let given = Given { settings: &settings, seen: &seen, private: true };
    let edge = Edge { registry, prover: &mut Nobody, save: &|_| Ok(()) };
    let outcomes = apply::apply(Plan { items: vec![item] }, given, edge).expect("an answer");
    outcomes.into_iter().find_map(|outcome| outcome.error).map_or(Ok(()), Err)
}

pub(crate) fn replace(stage: &Stage) -> Option<String> {
    let qemu = need("a static QEMU", Qemu::any("aarch64"))?;
    let interpreters = [stage.install(&qemu, "one"), stage.install(&qemu, "two")];
    let (_, magic) = stage.table().find("aarch64").expect("a target").rules().remove(0);
    let flags = Flags { fix_binary: true, open_binary: true, ..Flags::default() };
    let rule = |name: &str, interpreter: &Path| {
        let name: Name = name.parse().expect("a name");
        let path = InterpreterPath::new(interpreter).expect("a path");
        Rule::new(name, Matcher::Magic(magic.clone()), path, flags).expect("a rule")
    };
    // Of one name, and of two names in turn.
    let same = interpreters.each_ref().map(|interpreter| rule("qemu-aarch64", interpreter));
    let renamed =
        [rule("qemu-aarch64", &interpreters[0]), rule("qemu-aarch64-other", &interpreters[1])];
    let program = stage.foreign("aarch64", None);
    let instance = Instance::open(Path::new(INSTANCE)).expect("the instance");
    let mut registrar = instance.registrar().expect("an open register");
    let mut registry = KernelRegistry::new(&instance);
    registrar.register(&same[1]).expect("a first rule");

    let mut said = Vec::new();
    for (rules, count) in [(&same, REPLACEMENTS), (&renamed, 200)] {
        let mut old: OsString = "qemu-aarch64".into();
        let mut rounds = 0;
        let (started, failed) = Stage::under_load(&program, |started, _| {
            // Both many replacements and many programs: whichever is slower decides.
            while rounds < count || started.load(Ordering::Relaxed) < STARTS {
                let rule = &rules[rounds % 2];
                replace_rule(&mut registry, rule, old).expect("a replacement");
                old = rule.name().as_str().into();
                rounds += 1;
            }
        });
        assert!(failed.is_empty(), "beside {started} programs that started: {failed:?}");
        assert!(started >= STARTS);
        assert_eq!(Stage::entries().len(), 1, "{:?}", Stage::entries().keys());
        said.push(format!("{rounds} replacements, {started} programs, 0 failed"));
        // The second round begins with the name that the first ended with.
        stage.reset();
        registrar.register(&same[1]).expect("a rule");
    }

    let mut rounds = 0_usize;
    let begin = Instant::now();
    let (started, failed) = Stage::under_load(&program, |_, failed| {
        while failed.load(Ordering::Relaxed) == 0 {
            assert!(begin.elapsed() < Duration::from_secs(60), "delete-then-add never failed");
            let rule = &same[rounds % 2];
            instance.remove(rule.name().as_str().as_ref()).expect("a rule to remove");
            registrar.register(rule).expect("a rule");
            rounds += 1;
        }
    });
    assert!(failed.iter().any(|why| why.contains("Exec format error")), "{failed:?}");
    let all = started + failed.len();
    said.push(format!("delete-then-add: {} of {all} failed in {rounds}", failed.len()));
    Some(said.join("; "))
}
