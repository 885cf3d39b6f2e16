//! Rules that disappear, and what keeps the service from restoring them.

use super::*;

#[test]
fn a_removed_rule_is_restored_and_proved() {
    let mut service = Service::ready();
    service.remove("qemu-arm");
    service.run(5000);
    service.story(
        LONG,
        &[
            "1 look",
            "1 restore qemu-arm",
            r#"1 log restored 1 Removed Some("qemu-arm") after 1 ms"#,
            // Our own write.
            "2 look",
            "2001 start a check",
        ],
    );
    let heal = service.state().last_heal.unwrap();
    assert_eq!((heal.cause, heal.changes), (ChangeCause::Removed, 1));
    assert!((heal.seconds - 0.001).abs() < 1e-9 && (heal.at - 1010.001).abs() < 1e-6, "{heal:?}");
    assert_eq!(service.state().heals, [(ChangeCause::Removed, 1)].into());
    service.check_ends(|_| {});
    service.run(60_000);
    service.story(LONG, &["5000 look", "5000 look"]);
    assert_eq!(service.machine.deadline(), None, "at rest");
}

#[test]
fn several_are_restored_together_and_counted_by_cause() {
    let mut service = Service::ready();
    service.world.look.restorable =
        vec![plan::Action::EnableInstance, add("qemu-arm"), enable("qemu-mips"), add("qemu-ppc")];
    service.event(Event::InstanceChanged);
    service.run(100);
    service.story(
        LONG,
        &[
            "1 look",
            "1 restore the instance, qemu-arm, qemu-mips, qemu-ppc",
            "1 log restored 2 Removed, 1 Disabled, 1 InstanceDisabled None after 1 ms",
            "2 look",
        ],
    );
    assert_eq!(service.state().last_heal.unwrap().changes, 4);
    let heals = &service.state().heals;
    assert_eq!((heals[&ChangeCause::Removed], heals[&ChangeCause::InstanceDisabled]), (2, 1));
}

#[test]
fn a_flush_is_waited_for_but_no_more_than_20_ms() {
    let mut service = Service::ready();
    service.remove("qemu-arm");
    for _ in 0..35 {
        service.event(Event::InstanceChanged);
        service.now += Duration::from_micros(900);
        service.settle();
    }
    assert_eq!(service.times("look")[0], LONG + 20);
}

#[test]
fn each_heal_puts_its_proof_off() {
    let mut service = Service::ready();
    for _ in 0..3 {
        service.remove("qemu-arm");
        service.run(1500);
    }
    service.never("start a check");
    service.run(LONG);
    assert_eq!(service.times("start a check"), [LONG + 3001 + 2000]);
}

#[test]
fn names_that_systemd_binfmt_registers_too_wait_for_250_ms() {
    let mut service = Service::ready_with(|it| it.claimed = ["qemu-arm".to_owned()].into());
    service.remove("qemu-mips");
    service.remove("qemu-arm");
    service.run(1000);
    service.story(
        LONG,
        &[
            r#"1 look, leave {"qemu-arm"}"#,
            "1 restore qemu-mips",
            r#"1 log restored 1 Removed Some("qemu-mips") after 1 ms"#,
            // Counted from our own write, which is the first change that is left.
            r#"2 look, leave {"qemu-arm"}"#,
            "251 look",
            "251 restore qemu-arm",
            r#"251 log restored 1 Removed Some("qemu-arm") after 250 ms"#,
            r#"252 look, leave {"qemu-arm"}"#,
        ],
    );
    // Registered by systemd-binfmt meanwhile, it needs nothing.
    service.run(LONG);
    service.check_ends(|it| it.claimed = ["qemu-arm".to_owned()].into());
    service.run(LONG);
    service.all();
    let since = u64::try_from(service.now.as_millis()).unwrap();
    service.remove("qemu-arm");
    service.run(100);
    service.world.look.restorable.clear();
    service.world.look.missing.clear();
    service.event(Event::InstanceChanged);
    service.run(LONG);
    let look = r#"look, leave {"qemu-arm"}"#;
    service.story(since, &[&format!("1 {look}"), &format!("100 {look}")]);
}

#[test]
fn what_the_kernel_refuses_is_not_tried_again_until_a_file_changes() {
    let mut service = Service::ready();
    service.world.refuses = vec!["qemu-arm"];
    service.remove("qemu-arm");
    service.run(1000);
    service.story(
        LONG,
        &[
            "1 look",
            "1 restore qemu-arm",
            "1 log trouble qemu-arm is refused",
            "1 look",
            // It is missing now, which is for a check.
            "1 start a check",
        ],
    );
    service.check_ends(|it| it.rules = vec![degraded("arm", "it is missing")]);
    service.event(Event::InstanceChanged);
    service.run(LONG);
    service.story(
        LONG,
        &[
            "1000 look",
            "1000 log degraded qemu-arm",
            "1000 look",
            r#"1000 STATUS "0 targets working, 1 degraded: arm""#,
            "1001 look",
        ],
    );
    assert_eq!(service.machine.deadline(), None, "at rest");

    service.world.refuses.clear();
    service.event(Event::FilesChanged);
    service.run(1000);
    service.story(LONG + 11_000, &["250 start a check"]);
    service.check_ends(|_| {});
    let told = service.all();
    assert!(told.iter().any(|(_, what)| what == "restore qemu-arm"), "{told:?}");
}

#[test]
fn what_the_kernel_refuses_does_not_keep_the_rest_waiting() {
    let mut service = Service::ready();
    service.world.refuses = vec!["qemu-mips"];
    service.world.look.restorable = vec![add("qemu-arm"), add("qemu-mips")];
    service.event(Event::InstanceChanged);
    service.run(1000);
    service.story(
        LONG,
        &[
            "1 look",
            "1 restore qemu-arm, qemu-mips",
            "1 log trouble qemu-mips is refused",
            r#"1 log restored 1 Removed Some("qemu-arm") after 1 ms"#,
            "1 look",
            "2 look",
        ],
    );
}

#[test]
fn what_the_worker_could_register_is_restored_again() {
    for (name, expected) in [("qemu-arm", true), ("qemu-mips", false)] {
        let mut service = Service::ready();
        service.world.refuses = vec!["qemu-arm"];
        service.remove("qemu-arm");
        service.run(1);
        service.all();
        service.world.refuses.clear();
        service.check_ends(|it| it.changes = vec![changed(ChangeCause::Wanted, name)]);
        service.run(5);
        let told = service.all();
        assert_eq!(told.iter().any(|(_, it)| it == "restore qemu-arm"), expected, "{told:?}");
    }
}

#[test]
fn a_busy_lock_is_tried_again_and_reported_after_ten_seconds() {
    let mut service = Service::ready();
    service.world.lock_is_busy = true;
    service.remove("qemu-arm");
    service.run(2300);
    service.story(
        LONG,
        &[
            "1 look",
            "21 look",
            "61 look",
            "141 look",
            "301 look",
            "621 look",
            "1261 look",
            "2261 look",
        ],
    );
    service.run(10_000);
    let told = service.all();
    let troubles: Vec<_> = told.iter().filter(|(_, it)| it.starts_with("log trouble")).collect();
    assert_eq!(troubles.len(), 1, "{told:?}");
    assert_eq!(troubles[0].0, LONG + 10_261);
    assert!(troubles[0].1.contains("/run/binfmtd/lock") && troubles[0].1.contains("fuser"));
    assert_eq!(service.state().trouble, None, "a rule may be missing, but nothing failed");
    service.world.lock_is_busy = false;
    service.run(1000);
    assert_eq!(service.times("restore qemu-arm"), [LONG + 12_261 + 1000]);
}

#[test]
fn while_our_own_worker_has_the_lock_nothing_is_reported() {
    let mut service = Service::ready();
    service.event(Event::ReloadRequested);
    service.world.lock_is_busy = true;
    service.remove("qemu-arm");
    service.run(60_000);
    let told = service.all();
    assert!(!told.iter().any(|(_, it)| it.starts_with("log trouble")), "{told:?}");
    assert!(told.iter().filter(|(_, it)| it == "look").count() > 50, "{told:?}");
}

#[test]
fn a_look_that_fails_is_told_and_a_check_follows() {
    let mut service = Service::ready();
    service.world.look_fails = true;
    service.event(Event::InstanceChanged);
    service.run(14_999);
    service.story(
        LONG,
        &[
            "1 look",
            "1 log trouble cannot look",
            r#"1 STATUS "1 target working; the last check failed: cannot look""#,
        ],
    );
    service.run(2);
    service.story(LONG, &["15001 start a check"]);
    service.world.look_fails = false;
    service.check_ends(|_| {});
    assert_eq!(service.state().trouble, None);
}

#[test]
fn a_look_that_fails_does_not_keep_the_lock_busy() {
    let mut service = Service::ready();
    service.world.lock_is_busy = true;
    service.event(Event::InstanceChanged);
    service.run(700);
    (service.world.lock_is_busy, service.world.look_fails) = (false, true);
    service.run(2000);
    (service.world.lock_is_busy, service.world.look_fails) = (true, false);
    service.all();
    service.event(Event::InstanceChanged);
    service.run(50);
    let looks = service.times("look");
    assert_eq!(looks[1] - looks[0], 20, "the waits begin anew: {looks:?}");
}

#[test]
fn an_instance_that_is_read_only_is_told_and_checked() {
    let mut service = Service::ready();
    service.world.restore_fails = true;
    service.remove("qemu-arm");
    service.run(16_000);
    service.story(
        LONG,
        &[
            "1 look",
            "1 restore qemu-arm",
            "1 log trouble read-only",
            r#"1 STATUS "1 target working; the last check failed: read-only""#,
            "15001 start a check",
        ],
    );
    assert!(service.state().heals.is_empty());
}

#[test]
fn every_look_releases_the_lock() {
    let mut service = Service::ready();
    service.remove("qemu-arm");
    service.run(LONG);
    service.check_ends(|_| {});
    let told = service.all();
    let count = |word: &str| told.iter().filter(|(_, it)| it.starts_with(word)).count();
    assert_eq!(count("look"), 4, "{told:?}");
    assert_eq!(count("look"), count("unlock") + count("restore"), "{told:?}");
}

#[test]
fn a_record_that_somebody_changed_brings_a_check() {
    let mut service = Service::ready();
    service.world.look.record_changed = true;
    service.event(Event::InstanceChanged);
    service.run(1000);
    service.story(LONG, &["1 look", "251 start a check"]);
    // One that our worker wrote does not.
    service.world.look.record_changed = true;
    service.check_ends(|_| {});
    service.run(LONG);
    service.story(LONG, &["1000 look", "1000 look"]);
    service.world.look.record_changed = true;
    service.event(Event::InstanceChanged);
    service.run(1000);
    service.story(LONG + 11_000, &["1 look", "251 start a check"]);
}

#[test]
fn a_rule_that_was_unregistered_brings_a_check() {
    let mut service = Service::ready();
    service.world.look.owned.clear();
    service.event(Event::InstanceChanged);
    service.run(1000);
    service.story(LONG, &["1 look", "1 start a check"]);
    // One of others that serves is not in the record, nor is one that does not work.
    for rule in [RuleState { ours: false, ..working("arm") }, degraded("arm", "no interpreter")] {
        let mut service = Service::ready_with(|it| it.rules = vec![rule, working("mips")]);
        service.world.look.owned = ["qemu-mips".to_owned()].into();
        service.event(Event::InstanceChanged);
        service.run(1000);
        service.story(LONG, &["1 look"]);
    }
}

#[test]
fn before_the_first_check_nothing_is_looked_at() {
    let mut service = Service::new();
    service.run(0);
    service.all();
    service.remove("qemu-arm");
    service.run(1000);
    service.story(0, &[]);
    service.check_ends(|_| {});
    let told = service.all();
    assert!(told.iter().any(|(at, it)| *at == 1000 && it == "restore qemu-arm"), "{told:?}");
}
