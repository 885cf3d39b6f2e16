//! Proofs of what stands: of rules that were there, and of those that a trial let pass.

use super::*;

fn prove_only(scene: &mut Scene, items: Vec<Item>) -> Vec<Outcome> {
    let seen = scene.seen();
    let given = Given { settings: &scene.settings, seen: &seen, private: scene.private };
    let registry = &mut scene.kernel.clone();
    let save = &|_: &OwnershipRecord| Ok(());
    prove(Plan { items }, given, Edge { registry, prover: &mut scene.prover, save }).unwrap()
}

#[test]
fn every_line_with_a_rule_is_proved_once() {
    let mut scene = Scene::new().ours("arm").theirs(&named("other", "mips", OLD, ""));
    let items = vec![
        kept("arm"),
        line("mips", Decision::Served { by: "other".into() }),
        line("x86_64", Decision::Native),
        add("aarch64"),
        remove("qemu-s390x"),
    ];
    let outcomes = scene.carry_out(items).unwrap();
    let proved: Vec<bool> = outcomes.iter().map(|outcome| outcome.proof.is_some()).collect();
    assert_eq!(proved, [true, true, false, true, false]);
    assert_eq!(scene.writes()[2..], ["prove arm mips aarch64"]);

    // What was proved in place needs no second proof, and what was not registered none.
    let mut scene = Scene::in_place().ours("arm");
    scene.kernel.fail("add qemu-mips");
    scene.carry_out(vec![kept("arm"), add("aarch64"), add("mips")]).unwrap();
    let writes = scene.writes();
    assert_eq!(
        writes.iter().filter(|line| line.starts_with("prove")).collect::<Vec<_>>(),
        ["prove aarch64", "prove arm"]
    );

    let mut scene = Scene::unverified().ours("arm");
    assert_eq!(scene.only(kept("arm")).proof, None);
    assert_eq!(prove_only(&mut scene, vec![kept("arm")])[0].proof, None);
    assert!(scene.kernel.journal().is_empty());
}

#[test]
fn without_the_lock_only_proofs_are_made() {
    let mut scene = Scene::new().ours("arm").ours("mips").run(finds(vec![(1, fails())]));
    let outcomes = prove_only(&mut scene, vec![kept("arm"), kept("mips")]);
    assert!(outcomes[0].is_well());
    says(&outcomes[1], "it crashed");
    assert_eq!(outcomes[1].proof, Some(fails()));
    assert_eq!(scene.kernel.journal(), ["prove arm mips"]);
}

#[test]
fn a_rule_that_was_away_for_a_moment_is_proved_again() {
    let mut scene = Scene::new().ours("arm").run(finds(vec![(0, nobody())]));
    let outcome = scene.only(kept("arm"));
    assert!(outcome.is_well() && outcome.proof == Some(works()));
    assert_eq!(scene.writes(), ["prove arm", "prove arm"]);

    // Nobody takes it twice, and it stands: it fails.
    let mut scene =
        Scene::new().ours("arm").run(finds(vec![(0, nobody())])).run(finds(vec![(0, nobody())]));
    says(&scene.only(kept("arm")), "ENOEXEC");
}

#[test]
fn a_rule_that_is_gone_is_undone() {
    let take = Box::new(|kernel: &FakeKernel| {
        kernel.tell("qemu-arm", "-1").unwrap();
        Ok(vec![(0, nobody())])
    });
    let mut scene = Scene::new().ours("arm").run(take);
    let outcome = scene.only(kept("arm"));
    assert!(outcome.is_undone() && outcome.proof == Some(nobody()));
    assert_eq!(scene.writes(), ["prove arm"]);

    // One that was just added is no change that stands, and stays recorded.
    let take = Box::new(|kernel: &FakeKernel| {
        kernel.tell("status", "-1").unwrap();
        Ok(vec![(0, nobody())])
    });
    let mut scene = Scene::new().run(take);
    let outcome = scene.only(add("arm"));
    assert!(outcome.is_undone() && !outcome.changed);
    assert!(scene.last_record().rules.contains_key("qemu-arm"));
}

#[test]
fn a_new_rule_that_fails_is_removed() {
    let mut scene = Scene::new().run(finds(vec![(0, fails())]));
    let outcome = scene.only(add("arm"));
    says(&outcome, "it crashed");
    assert!(!outcome.changed && scene.names().is_empty());
    assert!(scene.last_record().rules.is_empty());

    // An old interpreter is better than none.
    let mut scene = Scene::new().run(finds(vec![(0, stale())]));
    let outcome = scene.only(add("arm"));
    says(&outcome, "older than the file");
    assert!(outcome.changed && scene.names() == ["qemu-arm"]);

    // Of a replacement there is nothing to go back to.
    let mut scene = Scene::new().ours("arm").run(finds(vec![(0, fails())]));
    let outcome = scene.only(replace("arm", &["qemu-arm"]));
    assert!(!outcome.is_well() && outcome.changed && scene.names() == ["qemu-arm"]);

    // Its name is somebody else's rule by now.
    let theirs = named("qemu-arm", "arm", "/theirs", "");
    let mut scene = Scene::new().run(Box::new(move |kernel| {
        kernel.tell("qemu-arm", "-1").unwrap();
        kernel.plant(&theirs).unwrap();
        Ok(vec![(0, fails())])
    }));
    scene.only(add("arm"));
    assert_eq!(scene.runs("qemu-arm").as_deref(), Some("/theirs"));

    // It cannot be removed.
    let mut scene = Scene::new().run(finds(vec![(0, fails())]));
    scene.kernel.fail("remove qemu-arm");
    assert!(scene.only(add("arm")).changed);
    assert!(scene.last_record().rules.contains_key("qemu-arm"));
}

#[test]
fn an_error_that_is_known_is_not_replaced() {
    let mut scene = Scene::new().ours("arm").run(finds(vec![(0, fails())]));
    scene.kernel.fail("remove qemu-arm");
    let outcome = scene.only(replace("arm", &["qemu-arm"]));
    assert!(matches!(outcome.error, Some(RuleError::OldStays { .. })), "{outcome:?}");
    assert_eq!(outcome.proof, Some(fails()));
}

#[test]
fn a_proof_that_breaks_off_is_a_failure() {
    let breaks = Box::new(|_: &FakeKernel| Err(BatchError::Interrupted));
    let mut scene = Scene::new().ours("arm").run(breaks);
    assert_eq!(scene.carry_out(vec![kept("arm")]).unwrap_err().kind, FailureKind::Unavailable);
}

#[test]
fn what_is_proved_is_the_rule_that_serves() {
    let scene = Scene::new().theirs(&named("other", "mips", OLD, "CF"));
    let (settings, seen) = (Settings::default(), scene.seen());
    let given = Given { settings: &settings, seen: &seen, private: false };
    let of = |item: &Item| {
        let subject = subject(given, item)?;
        let path = subject.interpreter.map(|path| path.display().to_string());
        Some((subject.target.name.clone(), path, subject.credentials))
    };
    let of_mips = |path: Option<&str>, credentials| {
        Some(("mips".to_owned(), path.map(str::to_owned), credentials))
    };
    let served = |name: &str| line("mips", Decision::Served { by: name.into() });
    assert_eq!(of(&served("other")), of_mips(Some(OLD), true));
    assert_eq!(of(&served("gone")), of_mips(None, false));
    assert_eq!(of(&add("mips")), of_mips(Some(NEW), false));
    assert_eq!(of(&replace("mips", &["other"])), of_mips(Some(NEW), false));
    assert_eq!(of(&line("mips", Decision::Native)), None);
    assert_eq!(of(&Item { target: None, ..add("mips") }), None);
    assert_eq!(of(&Item { machine: None, ..add("mips") }), None);
}
