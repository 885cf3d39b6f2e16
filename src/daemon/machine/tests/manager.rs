//! The service manager, and everybody else who asks something of the service.

use super::*;

#[test]
fn a_reload_ends_with_ready_once_the_check_is_over() {
    let mut service = Service::ready();
    service.event(Event::ReloadRequested);
    service.run(500);
    service.story(LONG, &["0 Reloading", "0 start a check"]);
    service.check_ends(|_| {});
    service.run(LONG);
    service.story(LONG, &["500 look", "500 look", r#"500 READY "1 target working""#]);
}

#[test]
fn a_reload_waits_for_the_check_that_comes_after_it() {
    // One is running that began before.
    let mut service = Service::ready();
    service.event(Event::FilesChanged);
    service.run(250);
    service.event(Event::ReloadRequested);
    service.all();
    service.check_ends(|_| {});
    service.story(LONG, &["250 look", "250 look", "250 start a check"]);
    service.check_ends(|_| {});
    service.story(LONG, &["250 look", "250 look", r#"250 READY "1 target working""#]);
    // Its result is not to be believed.
    service.event(Event::ReloadRequested);
    service.check_ends(|it| it.undone = true);
    service.run(249);
    assert!(service.all().iter().all(|(_, it)| !it.starts_with("READY")));
    service.run(1);
    service.check_ends(|_| {});
    assert!(service.all().iter().any(|(_, it)| it.starts_with("READY")));
}

#[test]
fn a_reload_that_fails_ends_with_ready_as_well() {
    for result in [Failure::usage("line 3"), failure("no memory")] {
        let mut service = Service::ready();
        service.event(Event::ReloadRequested);
        service.all();
        service.check_fails(result.clone());
        let status = format!("1 target working; the last check failed: {result}");
        service.story(
            LONG,
            &[&format!("0 log trouble {result}"), "0 look", &format!("0 READY {status:?}")],
        );
    }
}

#[test]
fn several_reloads_are_ended_by_one_ready() {
    let mut service = Service::ready();
    for _ in 0..3 {
        service.event(Event::ReloadRequested);
    }
    for _ in 0..2 {
        service.check_ends(|_| {});
    }
    let told: Vec<String> = service.all().into_iter().map(|(_, it)| it).collect();
    let told = told.iter().filter(|it| it.starts_with("READY") || *it == "Reloading");
    assert_eq!(
        told.collect::<Vec<_>>(),
        ["Reloading", "Reloading", "Reloading", r#"READY "1 target working""#]
    );
}

#[test]
fn before_ready_a_reload_is_another_check() {
    let mut service = Service::new();
    service.run(0);
    service.check_ends(|it| it.rules = vec![degraded("arm", "signal 11")]);
    service.all();
    service.event(Event::ReloadRequested);
    service.story(0, &["0 start a check"]);
    service.check_ends(|it| it.rules = vec![degraded("arm", "signal 11")]);
    assert!(service.all().iter().all(|(_, it)| !it.starts_with("READY")));
}

#[test]
fn a_reload_tries_again_what_the_kernel_refused() {
    let mut service = Service::ready();
    service.world.refuses = vec!["qemu-arm"];
    service.remove("qemu-arm");
    service.run(1);
    service.world.refuses.clear();
    service.event(Event::ReloadRequested);
    service.all();
    service.event(Event::InstanceChanged);
    service.run(10);
    assert_eq!(service.times("restore qemu-arm"), [LONG + 2]);
}

#[test]
fn a_reload_that_the_manager_did_not_hear_of_ends_like_any_other() {
    // It may have heard of an earlier one that is not over yet.
    let mut service = Service::ready();
    service.event(Event::ReloadRequested);
    service.world.manager_is_deaf = true;
    service.event(Event::ReloadRequested);
    service.world.manager_is_deaf = false;
    service.check_ends(|_| {});
    service.check_ends(|_| {});
    service.run(LONG);
    assert_eq!(service.times(r#"READY "1 target working""#), [LONG]);
}

#[test]
fn a_ready_that_was_lost_is_not_sent_during_a_reload() {
    let mut service = Service::new();
    service.run(0);
    service.world.manager_is_deaf = true;
    service.check_ends(|_| {});
    service.world.manager_is_deaf = false;
    service.event(Event::ReloadRequested);
    service.all();
    service.run(LONG);
    assert!(service.all().iter().all(|(_, it)| !it.starts_with("READY")));
    service.check_ends(|_| {});
    assert_eq!(service.times(r#"READY "1 target working""#), [LONG]);
}

#[test]
fn what_a_deaf_manager_missed_is_told_again_each_second() {
    let mut service = Service::new();
    service.run(0);
    service.world.manager_is_deaf = true;
    service.check_ends(|_| {});
    service.run(2500);
    let ready = r#"READY "1 target working""#;
    assert_eq!(service.times(ready), [0, 1000, 2000]);
    service.world.manager_is_deaf = false;
    service.run(LONG);
    assert_eq!(service.times(ready), [3000]);
    assert_eq!(service.machine.deadline(), None);
}

#[test]
fn the_watchdog_is_told_at_its_interval_whatever_happens() {
    let mut service = Service::set_up(false, Some(Duration::from_millis(500)));
    service.run(1750);
    assert_eq!(service.times("Watchdog"), [500, 1000, 1500]);
    service.check_ends(|_| {});
    service.run(1000);
    assert_eq!(service.times("Watchdog"), [2000, 2500]);
}

#[test]
fn asked_to_stop_it_ends_and_does_nothing_more() {
    let mut service = Service::ready();
    service.event(Event::FilesChanged);
    service.event(Event::StopRequested);
    service.run(LONG);
    service.event(Event::ReloadRequested);
    service.event(Event::InstanceChanged);
    service.run(LONG);
    service.story(LONG, &["0 Stopping", "0 remove /run/binfmtd/metrics.prom", "0 end"]);
    assert_eq!(service.machine.deadline(), None);
}

#[test]
fn rules_that_end_with_the_service_are_told_of() {
    for only_here in [true, false] {
        let mut service = Service::set_up(only_here, None);
        service.run(0);
        assert_eq!(service.times("log only here").len(), usize::from(only_here));
    }
}

#[test]
fn a_state_that_stays_is_written_once() {
    let mut service = Service::ready();
    for _ in 0..5 {
        service.event(Event::InstanceChanged);
        service.run(100);
    }
    let told = service.all();
    assert!(told.iter().all(|(_, it)| it == "look" || it == "unlock"), "{told:?}");
    service.remove("qemu-arm");
    service.run(100);
    let told = service.all();
    assert_eq!(told.iter().filter(|(_, it)| it.starts_with("publish")).count(), 1, "{told:?}");
}
