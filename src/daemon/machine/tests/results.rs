//! What a check found, and when that is not to be believed.

use super::*;

#[test]
fn the_service_is_ready_as_soon_as_something_works_or_nothing_is_wanted() {
    let ready = |status: &str| vec!["log ready".to_owned(), format!("READY {status:?}")];
    for (rules, expected) in [
        (vec![working("arm")], ready("1 target working")),
        (
            vec![working("arm"), degraded("mips", "signal 11")],
            ready("1 target working, 1 degraded: mips"),
        ),
        (
            vec![degraded("arm", "signal 11"), degraded("mips", "signal 11")],
            vec![r#"STATUS "0 targets working, 2 degraded: arm, mips""#.to_owned()],
        ),
    ] {
        let mut service = Service::new();
        service.run(0);
        service.all();
        service.check_ends(|it| it.rules = rules);
        let told: Vec<String> = service.all().into_iter().map(|(_, what)| what).collect();
        let told = told
            .into_iter()
            .filter(|it| ["log ready", "READY", "STATUS"].iter().any(|word| it.starts_with(word)));
        assert_eq!(told.collect::<Vec<_>>(), expected);
        assert_eq!(service.state().ready, expected.len() == 2);
    }
    let mut service = Service::new();
    service.run(0);
    service.check_ends(|it| it.rules.clear());
    assert!(service.state().ready);
    assert!(service.state().status.starts_with("nothing to register"));
}

#[test]
fn ready_is_told_once_and_after_the_files_are_written() {
    let mut service = Service::new();
    service.run(0);
    service.check_ends(|_| {});
    let told: Vec<String> = service.all().into_iter().map(|(_, what)| what).collect();
    let at = |word: &str| told.iter().rposition(|it| it.starts_with(word)).unwrap();
    assert!(at("publish") < at("READY"), "{told:?}");
    assert!(at("log ready") < at("READY"), "{told:?}");
    for _ in 0..3 {
        service.event(Event::FilesChanged);
        service.run(250);
        service.check_ends(|_| {});
    }
    assert!(service.all().iter().all(|(_, it)| !it.starts_with("READY")));
}

#[test]
fn changes_are_told_counted_and_timed_from_the_first_event() {
    let mut service = Service::ready();
    service.event(Event::FilesChanged);
    service.run(100);
    service.event(Event::FilesChanged);
    service.run(900);
    service.check_ends(|it| {
        it.changes = vec![
            changed(ChangeCause::Wanted, "qemu-arm"),
            changed(ChangeCause::Interpreter, "qemu-mips"),
            changed(ChangeCause::Wanted, "qemu-ppc"),
        ];
    });
    service.run(LONG);
    service.story(
        LONG,
        &[
            "350 start a check",
            "1000 look",
            "1000 log changed Wanted",
            "1000 log changed Interpreter",
            "1000 log changed Wanted",
            "1000 look",
        ],
    );
    assert_eq!(
        service.state().heals,
        [(ChangeCause::Wanted, 2), (ChangeCause::Interpreter, 1)].into()
    );
    let heal = service.state().last_heal.unwrap();
    assert_eq!((heal.cause, heal.changes), (ChangeCause::Interpreter, 3));
    assert!((heal.seconds - 1.0).abs() < 1e-9, "{heal:?}");
}

#[test]
fn what_was_disabled_is_checked_again_at_once() {
    for (cause, expected) in [
        (ChangeCause::Disabled, true),
        (ChangeCause::InstanceDisabled, true),
        (ChangeCause::Removed, false),
    ] {
        let mut service = Service::ready();
        service.event(Event::ReloadRequested);
        service.all();
        service.check_ends(|it| it.changes = vec![changed(cause, "qemu-arm")]);
        assert_eq!(service.times("start a check").len(), usize::from(expected), "{cause:?}");
    }
}

#[test]
fn a_check_during_which_rules_were_restored_is_repeated() {
    // Before its end, or by the look right after it.
    for early in [true, false] {
        let mut service = Service::ready();
        service.event(Event::FilesChanged);
        service.run(250);
        if early {
            service.remove("qemu-arm");
            service.run(100);
        } else {
            service.world.look.restorable.push(add("qemu-arm"));
        }
        service.all();
        let since = u64::try_from(service.now.as_millis()).unwrap();
        service.check_ends(|it| it.rules = vec![degraded("arm", "it was missing")]);
        service.run(1900);
        let told = service.all();
        assert!(told.iter().all(|(_, it)| !it.contains("degraded")), "{told:?}");
        assert_eq!(service.state().rules, [working("arm")], "not believed");
        service.run(LONG);
        // The proof of the heal, and the repetition, whichever is first.
        assert_eq!(service.times("start a check"), [since + if early { 1901 } else { 2000 }]);
        service.check_ends(|it| it.rules = vec![degraded("arm", "signal 11")]);
        assert_eq!(service.state().rules, [degraded("arm", "signal 11")]);
    }
}

#[test]
fn a_heal_before_a_check_does_not_disturb_it() {
    let mut service = Service::ready();
    service.remove("qemu-arm");
    service.run(LONG);
    service.check_ends(|it| it.rules = vec![degraded("arm", "signal 11")]);
    assert_eq!(service.state().rules, [degraded("arm", "signal 11")]);
}

#[test]
fn a_check_whose_rules_were_undone_is_repeated() {
    let mut service = Service::ready();
    service.event(Event::ReloadRequested);
    service.all();
    service.check_ends(|it| {
        it.undone = true;
        it.rules = vec![degraded("arm", "it was missing")];
    });
    service.run(1000);
    service.story(LONG, &["0 look", "0 look", "250 start a check"]);
    assert_eq!(service.state().rules, [working("arm")]);
    // Each time later, if it goes on.
    let mut starts = vec![250];
    for _ in 0..8 {
        service.check_ends(|it| it.undone = true);
        service.run(60_000);
        starts.extend(service.times("start a check").iter().map(|at| at - LONG));
    }
    assert_eq!(starts.len(), 9, "{starts:?}");
}

#[test]
fn a_rule_that_takes_the_hosts_programs_is_the_only_fault_that_is_told() {
    let mut service = Service::ready();
    service.event(Event::FilesChanged);
    service.run(250);
    service.all();
    service.check_ends(|it| {
        it.captured = Some("careless takes the host's programs".to_owned());
        it.rules = vec![degraded("arm", "signal 11")];
    });
    service.run(3_600_000);
    service.story(
        LONG,
        &[
            "250 look",
            "250 log trouble careless takes the host's programs",
            "250 look",
            "250 STATUS \"1 target working; the last check failed: careless takes the host's programs\"",
        ],
    );
    assert_eq!(service.state().rules, [working("arm")]);
    assert_eq!(service.machine.deadline(), None, "nothing is tried again by the clock");
}

#[test]
fn while_the_lock_is_busy_a_result_is_believed() {
    for failing in [false, true] {
        let mut service = Service::ready();
        service.event(Event::ReloadRequested);
        service.world.lock_is_busy = !failing;
        service.world.look_fails = failing;
        service.check_ends(|it| it.rules = vec![degraded("arm", "signal 11")]);
        assert_eq!(service.state().rules, [degraded("arm", "signal 11")]);
    }
    let mut service = Service::ready();
    service.event(Event::ReloadRequested);
    service.world.restore_fails = true;
    service.world.look.restorable.push(add("qemu-arm"));
    service.check_ends(|it| it.rules = vec![degraded("arm", "signal 11")]);
    assert_eq!(service.state().rules, [degraded("arm", "signal 11")]);
}

#[test]
fn a_metrics_file_that_moves_does_not_leave_the_old_one() {
    let mut service = Service::ready();
    let check = |service: &mut Service, file: Option<&str>| {
        service.event(Event::ReloadRequested);
        service.check_ends(|it| it.metrics_file = file.map(Into::into));
        let told = service.all().into_iter().map(|(_, what)| what);
        told.filter(|it| it.starts_with("remove")).collect::<Vec<_>>()
    };
    let usual = Path::new("/run/binfmtd/metrics.prom");
    assert_eq!(service.machine.metrics_file(), usual);
    assert_eq!(check(&mut service, Some("/a.prom")), ["remove /run/binfmtd/metrics.prom"]);
    assert_eq!(service.machine.metrics_file(), Path::new("/a.prom"));
    assert_eq!(check(&mut service, Some("/a.prom")), [""; 0]);
    assert_eq!(check(&mut service, None), ["remove /a.prom"]);
    assert_eq!(service.machine.metrics_file(), usual);
}

#[test]
fn the_instance_that_the_worker_found_is_held() {
    let mut service = Service::ready();
    service.world.refuses = vec!["qemu-arm"];
    service.remove("qemu-arm");
    service.run(1);
    service.world.mounted = Ok(8);
    service.all();
    service.check_ends(|it| it.instance = 8);
    let told = service.all();
    assert_eq!(told.iter().filter(|(_, it)| it == "hold").count(), 1, "{told:?}");
    assert_eq!(service.state().instance, 8);
    // What the other one refused is nothing to this one.
    assert!(told.iter().any(|(_, it)| it == "restore qemu-arm"), "{told:?}");

    service.event(Event::ReloadRequested);
    service.world.mounted = Err("it is gone".to_owned());
    service.check_ends(|it| it.instance = 9);
    assert_eq!(service.state().instance, 8);
    let told = service.all();
    assert!(told.iter().any(|(_, it)| it == "log trouble it is gone"), "{told:?}");
    assert_eq!(service.state().trouble, None);
}

#[test]
fn files_that_changed_before_they_were_watched_bring_a_check() {
    let mut service = Service::ready();
    service.event(Event::ReloadRequested);
    service.all();
    service.world.follow = Ok(true);
    service.check_ends(|_| {});
    service.world.follow = Ok(false);
    service.run(1000);
    assert_eq!(service.times("start a check"), [LONG + 250]);
}

#[test]
fn files_that_cannot_be_watched_are_told_and_tried_again() {
    let mut service = Service::new();
    service.run(0);
    service.world.follow = Err(failure("watch files: no more watches"));
    service.check_ends(|_| {});
    let told = service.all();
    assert!(
        told.iter().any(|(_, it)| it == "log trouble watch files: no more watches"),
        "{told:?}"
    );
    assert!(service.state().ready, "it does what it can");
    assert!(service.state().status.contains("no more watches"));
    service.run(20_000);
    assert_eq!(service.times("start a check"), [15_000]);
}

#[test]
fn rules_that_were_missing_at_a_check_bring_no_other() {
    let mut service = Service::ready();
    service.world.look.missing.push("qemu-mips".into());
    service.event(Event::InstanceChanged);
    service.run(100);
    assert_eq!(service.times("start a check"), [LONG + 1]);
    service.check_ends(|it| it.rules = vec![working("arm"), degraded("mips", "no interpreter")]);
    service.event(Event::InstanceChanged);
    service.run(LONG);
    service.never("start a check");
    // It is back, by somebody else's hand.
    service.world.look.missing.clear();
    service.event(Event::InstanceChanged);
    service.run(LONG);
    assert_eq!(service.times("start a check"), [2 * LONG + 101]);
}
