//! Make-before-break, rollback, and what gets in between.

use super::*;
use crate::config::PreserveArgv0;
use crate::plan::Refusal;

#[test]
fn a_replacement_of_the_same_name_leaves_no_gap() {
    let mut scene = Scene::in_place().ours("aarch64");
    let outcome = scene.only(replace("aarch64", &["qemu-aarch64"]));
    assert!(outcome.is_well() && outcome.changed && outcome.proof == Some(works()));
    let swap = [
        "add qemu-aarch64.binfmtd-swap",
        "prove aarch64",
        "remove qemu-aarch64",
        "add qemu-aarch64",
        "remove qemu-aarch64.binfmtd-swap",
    ];
    assert_eq!(scene.writes(), swap);
    assert_eq!(scene.runs("qemu-aarch64").as_deref(), Some(NEW));
    assert_eq!(scene.names(), ["qemu-aarch64"]);
}

#[test]
fn a_rule_with_a_free_name_takes_it_at_once() {
    let other = named("other", "aarch64", OLD, "F");
    let mut scene = Scene::in_place().theirs(&other);
    assert!(scene.only(replace("aarch64", &["other"])).is_well());
    assert_eq!(scene.writes(), ["add qemu-aarch64", "prove aarch64", "remove other"]);

    let mut scene = Scene::unverified();
    assert!(scene.only(add("aarch64")).is_well());
    assert_eq!(scene.writes(), ["add qemu-aarch64"]);
}

#[test]
fn a_rule_that_fails_in_place_is_taken_back() {
    let mut scene = Scene::in_place().ours("aarch64").run(finds(vec![(0, fails())]));
    let outcome = scene.only(replace("aarch64", &["qemu-aarch64"]));
    says(&outcome, "it crashed; the rule was taken back");
    assert!(!outcome.changed && outcome.proof.is_none());
    let wanted =
        ["add qemu-aarch64.binfmtd-swap", "prove aarch64", "remove qemu-aarch64.binfmtd-swap"];
    assert_eq!(scene.writes(), wanted);
    assert_eq!(scene.runs("qemu-aarch64").as_deref(), Some(OLD));
    // What is ours is what was.
    assert_eq!(scene.last_record(), scene.record);

    let mut scene = Scene::in_place().run(finds(vec![(0, fails())]));
    scene.kernel.fail("remove qemu-aarch64");
    let outcome = scene.only(add("aarch64"));
    let said = "it crashed; removing qemu-aarch64 again failed: Input/output error (os error 5)";
    says(&outcome, said);
    assert!(!outcome.changed && scene.names() == ["qemu-aarch64"]);
}

#[test]
fn proofs_that_break_off_take_everything_back() {
    let breaks = Box::new(|_: &FakeKernel| Err(BatchError::Interrupted));
    let mut scene = Scene::in_place().ours("aarch64").run(breaks);
    let items = vec![replace("aarch64", &["qemu-aarch64"]), add("arm")];
    let failure = scene.carry_out(items).unwrap_err();
    assert_eq!((failure.kind, failure.message.as_str()), (FailureKind::Unavailable, "interrupted"));
    assert_eq!(scene.names(), ["qemu-aarch64"]);
    assert_eq!(scene.runs("qemu-aarch64").as_deref(), Some(OLD));
    assert_eq!(scene.last_record(), scene.record);
}

#[test]
fn a_rule_that_is_gone_before_its_proof_is_undone() {
    let flush = Box::new(|kernel: &FakeKernel| {
        kernel.tell("status", "-1").unwrap();
        Ok(vec![(0, nobody())])
    });
    let mut scene = Scene::in_place().run(flush);
    let outcome = scene.only(add("aarch64"));
    assert!(outcome.is_undone() && !outcome.changed && !outcome.is_well());
    says(&outcome, "somebody removed or disabled the rule before it was proved");
    assert_eq!(scene.writes(), ["add qemu-aarch64", "prove aarch64"]);

    for (name, word) in [("qemu-aarch64", "0"), ("status", "0")] {
        let off = Box::new(move |kernel: &FakeKernel| {
            kernel.tell(name, word).unwrap();
            Ok(vec![(0, nobody())])
        });
        let mut scene = Scene::in_place().run(off);
        assert!(scene.only(add("aarch64")).is_undone(), "{name}");
    }

    // A rule that is in force and takes nothing has failed.
    let mut scene = Scene::in_place().run(finds(vec![(0, nobody())]));
    says(&scene.only(add("aarch64")), "ENOEXEC; the rule was taken back");
    assert!(scene.names().is_empty());
}

#[test]
fn leftovers_of_an_interrupted_run_keep_their_names() {
    let mut scene = Scene::unverified().ours("aarch64");
    let leftover = named(SWAP, "aarch64", OLD, "F");
    scene = scene.theirs(&leftover);
    assert!(scene.only(replace("aarch64", &["qemu-aarch64"])).is_well());
    assert_eq!(scene.names(), ["qemu-aarch64", SWAP]);
    assert_eq!(
        scene.writes()[..2],
        [format!("add {SWAP}"), "add qemu-aarch64.2.binfmtd-swap".to_owned()]
    );

    let mut scene = Scene::unverified().ours("aarch64");
    for name in crate::observation::swap_names("qemu-aarch64") {
        scene = scene.theirs(&named(&name, "aarch64", OLD, "F"));
    }
    let outcome = scene.only(replace("aarch64", &["qemu-aarch64"]));
    assert!(!outcome.changed);
    says(
        &outcome,
        "register qemu-aarch64.9.binfmtd-swap with interpreter /usr/bin/new: a rule of that name exists already",
    );
    assert_eq!(scene.runs("qemu-aarch64").as_deref(), Some(OLD));
}

#[test]
fn one_bad_rule_does_not_stop_the_rest() {
    let mut scene = Scene::unverified();
    scene.kernel.fail("add qemu-arm");
    let gone = line("s390x", Decision::Change(Action::Add(rule("s390x", "/nowhere"))));
    let refusal = Refusal::NameOfOther { name: "qemu-mips".to_owned() };
    let refused = line("mips", Decision::Refused(refusal));
    let outcomes = scene.carry_out(vec![add("arm"), gone, refused, add("aarch64")]).unwrap();
    let text = "register qemu-arm with interpreter /usr/bin/new: Input/output error (os error 5)";
    says(&outcomes[0], text);
    says(
        &outcomes[1],
        "register qemu-s390x with interpreter /nowhere: the interpreter is not there",
    );
    assert!(outcomes[2].error.is_none() && !outcomes[2].is_well());
    assert!(outcomes[3].is_well() && outcomes[3].changed);
    assert_eq!(scene.names(), ["qemu-aarch64"]);
    assert_eq!(scene.last_record().rules.keys().collect::<Vec<_>>(), ["qemu-aarch64"]);
}

#[test]
fn a_replacement_that_stops_in_the_middle_says_where() {
    let stopped = |write: &str| {
        let mut scene = Scene::unverified().ours("aarch64");
        scene.kernel.fail(write);
        let outcome = scene.only(replace("aarch64", &["qemu-aarch64"]));
        // Something of the new rule stands, so it is recorded.
        assert!(outcome.changed);
        assert_eq!(
            scene.last_record().rules["qemu-aarch64"],
            owned(&rule("aarch64", NEW), "aarch64")
        );
        (outcome, scene.names())
    };
    let io = "Input/output error (os error 5)";
    let (outcome, names) = stopped("remove qemu-aarch64");
    says(
        &outcome,
        &format!("remove qemu-aarch64: {io}; the old and the new rule are both registered now"),
    );
    assert_eq!(names, [SWAP, "qemu-aarch64"]);
    let (outcome, names) = stopped("add qemu-aarch64");
    says(
        &outcome,
        &format!(
            "register qemu-aarch64 with interpreter /usr/bin/new: {io}; it works under the name {SWAP}"
        ),
    );
    assert_eq!(names, [SWAP]);
    let (outcome, names) = stopped(&format!("remove {SWAP}"));
    says(&outcome, &format!("remove {SWAP}: {io}; a leftover rule of that name does no harm"));
    assert_eq!(names, ["qemu-aarch64", SWAP]);
}

#[test]
fn what_somebody_else_removed_is_removed() {
    let steals = |name: &'static str| {
        Box::new(move |kernel: &FakeKernel| {
            kernel.tell(name, "-1").unwrap();
            Ok(Vec::new())
        })
    };
    let mut scene = Scene::in_place().ours("aarch64").run(steals("qemu-aarch64"));
    assert!(scene.only(replace("aarch64", &["qemu-aarch64"])).is_well());
    assert_eq!(scene.names(), ["qemu-aarch64"]);
    // The temporary rule, after its proof.
    let mut scene = Scene::in_place().ours("aarch64").run(steals(SWAP));
    assert!(scene.only(replace("aarch64", &["qemu-aarch64"])).is_well());
    assert_eq!(scene.names(), ["qemu-aarch64"]);
}

#[test]
fn one_entry_makes_way_for_two_rules() {
    // It has the name of one of them.
    let shared = named("qemu-arm", "aarch64", OLD, "F");
    let mut scene = Scene::unverified().theirs(&shared);
    let items = vec![replace("arm", &["qemu-arm"]), replace("aarch64", &["qemu-arm"])];
    let outcomes = scene.carry_out(items).unwrap();
    assert!(outcomes.iter().all(Outcome::is_well));
    assert_eq!(scene.writes().iter().filter(|line| *line == "remove qemu-arm").count(), 1);
    assert_eq!(scene.runs("qemu-arm").as_deref(), Some(NEW));
    assert_eq!(scene.runs("qemu-aarch64").as_deref(), Some(NEW));
}

#[test]
fn rules_are_removed_and_switched_on() {
    let mut scene = Scene::unverified().ours("arm").ours("aarch64");
    scene.kernel.tell("qemu-arm", "0").unwrap();
    scene.kernel.tell("status", "0").unwrap();
    let all = Item {
        target: None,
        machine: None,
        rule: None,
        decision: Decision::Change(Action::EnableInstance),
    };
    let on = |target| line(target, Decision::Change(Action::Enable(rule(target, OLD))));
    let items = vec![all.clone(), on("arm"), remove("qemu-aarch64")];
    let outcomes = scene.carry_out(items).unwrap();
    assert!(outcomes.iter().all(|outcome| outcome.is_well() && outcome.changed));
    assert_eq!(scene.writes(), ["enable all", "enable qemu-arm", "remove qemu-aarch64"]);
    let facts = scene.facts();
    assert!(facts.enabled && facts.entries.len() == 1 && facts.entries[0].enabled);

    let mut scene = Scene::unverified().ours("aarch64");
    for write in ["enable all", "remove qemu-aarch64"] {
        scene.kernel.fail(write);
    }
    let items = vec![all, on("mips"), remove("qemu-aarch64")];
    let outcomes = scene.carry_out(items).unwrap();
    assert!(outcomes.iter().all(|outcome| !outcome.changed));
    let io = "Input/output error (os error 5)";
    says(&outcomes[0], &format!("enable binfmt_misc: {io}"));
    assert!(
        matches!(&outcomes[1].error, Some(RuleError::Enable { rule, .. }) if rule.as_str() == "qemu-mips")
    );
    says(&outcomes[2], &format!("remove qemu-aarch64: {io}"));
}

#[test]
fn an_interpreter_that_expects_no_argv0_gets_none() {
    let mut scene = Scene::in_place().ours("aarch64").run(finds(vec![(0, shifted())]));
    let outcome = scene.only(replace("aarch64", &["qemu-aarch64"]));
    assert!(outcome.is_well() && outcome.changed && outcome.proof == Some(works()));
    let Decision::Change(Action::Replace { rule, .. }) = &outcome.item.decision else { panic!() };
    assert!(!rule.flags().preserve_argv0);
    let flags = scene.facts().entries[0].flags.known;
    assert!(!flags.preserve_argv0 && flags.fix_binary);
    let swap = format!("add {SWAP}");
    let wanted = [&swap, "prove aarch64", &format!("remove {SWAP}"), &swap, "prove aarch64"];
    assert_eq!(scene.writes()[..5], wanted);

    // Without it as well: it fails for another reason.
    let mut scene =
        Scene::in_place().run(finds(vec![(0, shifted())])).run(finds(vec![(0, fails())]));
    says(&scene.only(add("aarch64")), "it crashed; the rule was taken back");
    assert!(scene.names().is_empty());

    // Somebody said that it has to have P.
    let mut scene = Scene::in_place().run(finds(vec![(0, shifted())]));
    scene.settings.preserve_argv0 = PreserveArgv0::Yes;
    says(&scene.only(add("aarch64")), "its arguments are shifted; the rule was taken back");

    // The rule without P is refused.
    let mut scene = Scene::in_place().run(Box::new(|kernel| {
        kernel.fail("add qemu-aarch64");
        Ok(vec![(0, shifted())])
    }));
    let outcome = scene.only(add("aarch64"));
    assert!(matches!(outcome.error, Some(RuleError::Register { refused: Refused::Other(_), .. })));
    assert!(!outcome.changed);
}
