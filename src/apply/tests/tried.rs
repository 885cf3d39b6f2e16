//! The trial: what follows from it, and how it comes to its result.

use super::super::trial::{Bench, trial};
use super::*;

#[test]
fn what_passes_is_registered_without_a_further_proof_in_place() {
    let mut scene = Scene::new().ours("arm");
    let outcomes = scene.carry_out(vec![replace("arm", &["qemu-arm"]), add("mips")]).unwrap();
    assert!(outcomes.iter().all(Outcome::is_well));
    let candidates = [("qemu-arm".to_owned(), true), ("qemu-mips".to_owned(), true)];
    assert_eq!(scene.prover.candidates, candidates);
    let journal = scene.kernel.journal();
    assert_eq!(journal[..2], ["try", "save"]);
    assert_eq!(journal.iter().filter(|line| line.starts_with("prove")).count(), 1);
    assert_eq!(scene.names(), ["qemu-arm", "qemu-mips"]);
}

#[test]
fn what_fails_never_reaches_the_kernel() {
    let fault = TrialFault::Probe("it crashed".to_owned());
    let mut scene = Scene::new().tried(Ok(Some(vec![(0, Tried::Fails(fault)), (1, Tried::Works)])));
    let outcomes = scene.carry_out(vec![add("arm"), add("mips")]).unwrap();
    says(&outcomes[0], "tried in a private instance: it crashed");
    assert!(outcomes[1].is_well());
    assert_eq!(scene.writes(), ["add qemu-mips", "prove mips"]);
    assert!(!scene.store.saved.borrow()[0].rules.contains_key("qemu-arm"));
}

#[test]
fn what_works_without_p_is_registered_without_it() {
    let mut scene = Scene::new().tried(Ok(Some(vec![(0, Tried::WorksWithoutP)])));
    let outcome = scene.only(add("arm"));
    let Decision::Change(Action::Add(rule)) = &outcome.item.decision else { panic!() };
    assert!(!rule.flags().preserve_argv0 && rule.flags().fix_binary);
    assert!(rule.is(&scene.facts().entries[0]));
    assert_eq!(scene.last_record().rules["qemu-arm"], owned(rule, "arm"));
}

#[test]
fn p_stays_where_somebody_asked_for_it_or_there_is_none() {
    let mut scene = Scene::new();
    let own = crate::config::Override {
        flags: Some("POF".parse().unwrap()),
        ..crate::config::Override::default()
    };
    scene.settings.overrides.insert("mips".to_owned(), own);
    let plain =
        line("s390x", Decision::Change(Action::Add(named("qemu-s390x", "s390x", NEW, "OF"))));
    let custom = Item { target: None, machine: None, ..add("riscv64") };
    scene.carry_out(vec![add("arm"), add("mips"), plain, custom]).unwrap();
    let may: Vec<bool> = scene.prover.candidates.iter().map(|(_, may)| *may).collect();
    assert_eq!(may, [true, false, false, false]);
}

#[test]
fn without_a_private_instance_rules_are_proved_in_place() {
    let mut scene = Scene::new().ours("arm").tried(Ok(None));
    assert!(scene.only(replace("arm", &["qemu-arm"])).is_well());
    assert_eq!(scene.writes()[..2], ["add qemu-arm.binfmtd-swap", "prove arm"]);
    // An instance of our own needs no other one.
    let mut scene = Scene { private: true, ..Scene::new() };
    assert!(scene.only(add("arm")).is_well());
    assert_eq!(scene.kernel.journal(), ["save", "add qemu-arm", "prove arm"]);
}

#[test]
fn a_trial_that_breaks_off_writes_nothing() {
    let broke = Err(BatchError::Io(io::Error::other("no memory")));
    let mut scene = Scene::new().tried(broke);
    let failure = scene.carry_out(vec![add("arm")]).unwrap_err();
    assert_eq!(failure.message, "run probes: no memory");
    assert_eq!(scene.kernel.journal(), ["try"]);
}

#[test]
fn nothing_is_tried_where_no_rule_is_new() {
    let mut scene = Scene::new().ours("arm").tried(Err(BatchError::Interrupted));
    assert!(scene.only(remove("qemu-arm")).is_well());
    assert_eq!(scene.writes(), ["remove qemu-arm"]);
}

struct FakeBench {
    kernel: FakeKernel,
    runs: VecDeque<Result<Vec<(usize, Proof)>, BatchError>>,
    harmed: Option<String>,
}

impl Bench for FakeBench {
    fn registry(&mut self) -> &mut dyn Registry {
        &mut self.kernel
    }

    fn prove(
        &mut self,
        subjects: Vec<(usize, ProbeSubject<'_>)>,
    ) -> Result<BTreeMap<usize, Proof>, BatchError> {
        let mut found: BTreeMap<usize, Proof> =
            subjects.iter().map(|(place, _)| (*place, works())).collect();
        let told = self.runs.pop_front().unwrap_or_else(|| Ok(Vec::new()))?;
        found.extend(told);
        Ok(found)
    }

    fn harmed(&mut self) -> io::Result<Option<String>> {
        Ok(self.harmed.clone())
    }
}

fn bench(runs: Vec<Vec<(usize, Proof)>>) -> FakeBench {
    let kernel = FakeKernel::with(&[NEW]);
    FakeBench { kernel, runs: runs.into_iter().map(Ok).collect(), harmed: None }
}

/// Tries a rule for each target, in an empty instance; the last one has no probe.
fn try_with(bench: &mut FakeBench, targets: &[(&str, &str)]) -> Vec<(usize, Tried)> {
    let settings = Settings::default();
    let rules: Vec<Rule> = targets.iter().map(|(target, path)| rule(target, path)).collect();
    let candidates = rules.iter().enumerate().map(|(place, rule)| {
        let target = settings.table.find(targets[place].0).unwrap();
        let subject = ProbeSubject::taken_by(target, target.identity.machines[0], None);
        let subject = (place + 1 < targets.len()).then_some(subject);
        Candidate { place, rule, subject, may_drop_p: true }
    });
    trial(bench, &candidates.collect::<Vec<_>>()).unwrap().into_iter().collect()
}

#[test]
fn each_candidate_is_judged() {
    let targets = [("arm", NEW), ("mips", NEW), ("s390x", "/nowhere"), ("riscv64", NEW)];
    let mut bench = bench(vec![vec![(1, fails())]]);
    let refused = TrialFault::Refused("the interpreter is not there".to_owned());
    let crashed = TrialFault::Probe("it crashed".to_owned());
    let tried = try_with(&mut bench, &targets);
    assert_eq!(
        tried,
        [
            (0, Tried::Works),
            (1, Tried::Fails(crashed.clone())),
            (2, Tried::Fails(refused.clone())),
            (3, Tried::Works),
        ]
    );
    // A rule that no probe ran through may be the one that takes the host's programs.
    bench =
        FakeBench { harmed: Some("x86_64".to_owned()), ..self::bench(vec![vec![(1, fails())]]) };
    let harm = TrialFault::Harm("x86_64".to_owned());
    assert_eq!(harm.to_string(), "with it, x86_64 programs are no longer run natively");
    assert_eq!(
        try_with(&mut bench, &targets),
        [
            (0, Tried::Works),
            (1, Tried::Fails(crashed)),
            (2, Tried::Fails(refused)),
            (3, Tried::Fails(harm)),
        ]
    );
}

#[test]
fn a_rule_with_shifted_arguments_is_tried_without_p() {
    let targets = [("arm", NEW), ("mips", NEW)];
    let shifts = || vec![(0, shifted())];
    let mut works = bench(vec![shifts()]);
    assert_eq!(try_with(&mut works, &targets)[0], (0, Tried::WorksWithoutP));
    let entries = Registry::look(&works.kernel).unwrap().entries;
    assert!(!entries[0].flags.known.preserve_argv0 && entries[0].name == "qemu-arm");

    let fault = Tried::Fails(TrialFault::Probe("its arguments are shifted".to_owned()));
    let mut fails_too = bench(vec![shifts(), vec![(0, fails())]]);
    assert_eq!(try_with(&mut fails_too, &targets)[0], (0, fault.clone()));
    let mut stays = bench(vec![shifts()]);
    stays.kernel.fail("remove qemu-arm");
    assert_eq!(try_with(&mut stays, &targets)[0], (0, fault));
}

#[test]
fn a_trial_that_cannot_run_is_no_result() {
    let mut bench = bench(Vec::new());
    bench.runs.push_back(Err(BatchError::Interrupted));
    assert!(matches!(trial(&mut bench, &[]), Err(BatchError::Interrupted)));
    bench.kernel.fail("open");
    assert!(matches!(trial(&mut bench, &[]), Err(BatchError::Io(_))));
}
