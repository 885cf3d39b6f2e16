//! When a worker is started, and what happens when it fails.

use super::*;
use crate::daemon::protocol::Description;

const MINUTE: u64 = 60_000;

#[test]
fn the_first_check_starts_at_once() {
    let mut service = Service::new();
    service.run(MINUTE);
    service.story(0, &["0 start a check", r#"0 STATUS "first check""#]);
}

#[test]
fn if_the_first_check_fails_the_service_ends() {
    let mut service = Service::new();
    service.run(0);
    service.all();
    service.check_fails(Failure::usage("a faulty configuration"));
    service.story(0, &["0 end: a faulty configuration"]);
    assert_eq!(service.machine.deadline(), None);
    assert!(service.machine.handle(Event::ReloadRequested, service.now()).is_empty());

    let mut service = Service::new();
    service.run(0);
    service.event(Event::WorkerDied);
    let told = service.all();
    assert_eq!(told.last().unwrap().1, "end: the worker ended early: it was killed, or crashed");
}

#[test]
fn files_have_to_be_quiet_for_a_quarter_of_a_second_but_not_for_ever() {
    let mut service = Service::ready();
    service.event(Event::FilesChanged);
    service.run(200);
    service.event(Event::FilesChanged);
    service.run(LONG);
    service.story(LONG, &["450 start a check"]);
    service.check_ends(|_| {});
    service.run(LONG);
    service.all();
    let since = u64::try_from(service.now.as_millis()).unwrap();
    for _ in 0..70 {
        service.event(Event::FilesChanged);
        service.run(100);
    }
    service.story(since, &["5000 start a check"]);
    // What changed since then is for the next one, which is due by now.
    service.check_ends(|_| {});
    service.run(1000);
    assert_eq!(service.times("start a check"), [since + 7150]);
}

#[test]
fn lost_events_may_have_been_any() {
    let mut service = Service::ready();
    service.event(Event::EventsLost);
    service.run(LONG);
    service.story(LONG, &["1 look", "250 start a check"]);
}

#[test]
fn only_another_instance_or_folder_makes_a_mount_matter() {
    for (mounted, folders_moved, expected) in [
        (Some(INSTANCE), false, false),
        (Some(INSTANCE), true, true),
        (Some(8), false, true),
        (None, false, true),
    ] {
        let mut service = Service::ready();
        service.event(Event::MountsChanged { mounted, folders_moved });
        service.run(1000);
        let checks = service.times("start a check");
        assert_eq!(checks, [LONG + 250][..usize::from(expected)], "{mounted:?} {folders_moved}");
    }
    // What is known already is no change, nor is the held instance when it is mounted again.
    let mut service = Service::ready();
    service.event(Event::MountsChanged { mounted: None, folders_moved: false });
    service.run(1000);
    service.check_ends(|_| {});
    service.all();
    for mounted in [None, None, Some(INSTANCE)] {
        service.event(Event::MountsChanged { mounted, folders_moved: false });
        service.run(1000);
        service.never("start a check");
    }
}

#[test]
fn there_is_one_job_at_a_time() {
    let mut service = Service::ready();
    service.event(Event::ReloadRequested);
    service.event(Event::FilesChanged);
    service.event(Event::ReloadRequested);
    service.run(MINUTE);
    assert_eq!(service.times("start a check"), [LONG]);
    service.check_ends(|_| {});
    assert_eq!(service.times("start a check"), [LONG + MINUTE]);
    service.check_ends(|_| {});
    service.run(MINUTE);
    service.never("start a check");
}

#[test]
fn failed_checks_are_repeated_after_15_seconds_doubling_to_15_minutes() {
    let mut service = Service::ready();
    service.event(Event::ReloadRequested);
    let mut waits = Vec::new();
    for _ in 0..9 {
        service.check_fails(failure("no memory"));
        let failed = u64::try_from(service.now.as_millis()).unwrap();
        service.all();
        service.run(20 * MINUTE);
        let next = service.times("start a check");
        waits.push((next[0] - failed) / 1000);
    }
    assert_eq!(waits, [15, 30, 60, 120, 240, 480, 900, 900, 900]);
    // After one that succeeds, from the beginning.
    service.check_ends(|_| {});
    service.event(Event::ReloadRequested);
    service.check_fails(failure("no memory"));
    let failed = u64::try_from(service.now.as_millis()).unwrap();
    service.all();
    service.run(MINUTE);
    assert_eq!(service.times("start a check"), [failed + 15_000]);
}

#[test]
fn a_failure_is_told_once_and_forgotten_when_a_check_succeeds() {
    let mut service = Service::ready();
    service.event(Event::ReloadRequested);
    service.check_fails(failure("no memory"));
    service.run(15_000);
    assert_eq!(service.state().trouble.as_deref(), Some("no memory"));
    service.check_fails(failure("no memory"));
    let told = service.all();
    assert_eq!(told.iter().filter(|(_, it)| it == "log trouble no memory").count(), 1, "{told:?}");
    service.run(30_000);
    service.event(Event::WorkerDied);
    let told = service.all();
    assert!(told.iter().any(|(_, it)| it.starts_with("log trouble the worker ended early")));
    service.run(MINUTE);
    service.check_ends(|_| {});
    assert_eq!(service.state().trouble, None);
    assert_eq!(service.state().status, "1 target working");
}

#[test]
fn a_faulty_configuration_waits_for_its_next_change() {
    let mut service = Service::ready();
    service.event(Event::FilesChanged);
    service.run(250);
    service.all();
    service.check_fails(Failure::usage("line 3"));
    service.run(60 * MINUTE);
    service.story(
        LONG,
        &[
            "250 log trouble line 3",
            "250 look",
            r#"250 STATUS "1 target working; the last check failed: line 3""#,
        ],
    );
    assert_eq!(service.machine.deadline(), None);
}

#[test]
fn a_job_that_takes_half_an_hour_ends_the_service() {
    let mut service = Service::ready();
    service.event(Event::ReloadRequested);
    service.run(30 * MINUTE - 1);
    assert!(service.all().iter().all(|(_, it)| !it.starts_with("end")));
    service.run(2);
    service.story(LONG, &["1800000 end: a full check has not ended for 30 minutes"]);
    // Its late result is nothing to anybody.
    service.check_ends(|_| {});
    service.run(MINUTE);
    service.story(0, &[]);
}

#[test]
fn the_backstop_counts_from_the_last_check() {
    let minute = Duration::from_secs(60);
    let mut service = Service::ready_with(|it| it.backstop = Some(minute));
    service.run(MINUTE - LONG - 1);
    service.never("start a check");
    service.run(1);
    assert_eq!(service.times("start a check"), [MINUTE]);
    service.check_ends(|it| it.backstop = Some(minute));
    service.run(30_000);
    service.event(Event::ReloadRequested);
    assert_eq!(service.times("start a check"), [MINUTE + 30_000]);
    service.check_ends(|it| it.backstop = Some(minute));
    service.run(MINUTE);
    assert_eq!(service.times("start a check"), [2 * MINUTE + 30_000]);
    // Even if the configuration is faulty.
    service.check_fails(Failure::usage("line 3"));
    service.run(MINUTE);
    assert_eq!(service.times("start a check"), [3 * MINUTE + 30_000]);
    service.check_ends(|_| {});
    service.run(10 * MINUTE);
    service.never("start a check");
}

#[test]
fn interpreters_are_described_after_two_seconds_and_once() {
    let rule = || RuleState { file: Some(file(1)), ..working("arm") };
    let mut service = Service::new();
    service.run(0);
    service.check_ends(|it| it.rules = vec![rule()]);
    service.all();
    service.run(LONG);
    service.story(0, &["2000 start a description"]);
    let description = |failure: Option<&str>| Description {
        file: Some(file(1)),
        version: Some("7.2".to_owned()),
        sha256: None,
        failure: failure.map(str::to_owned),
    };
    let described = |failure: Option<&str>| {
        let found = [("qemu-arm".to_owned(), description(failure))];
        Event::JobEnded(JobResult::Described(found.into()))
    };
    service.event(described(None));
    service.story(LONG, &["0 look"]);
    assert_eq!(service.state().rules[0].version.as_deref(), Some("7.2"));
    service.event(Event::ReloadRequested);
    service.check_ends(|it| it.rules = vec![rule()]);
    service.run(MINUTE);
    service.never("start a description");
    assert_eq!(service.state().rules[0].version.as_deref(), Some("7.2"));

    service.event(Event::ReloadRequested);
    let other = RuleState { file: Some(file(2)), ..working("arm") };
    service.check_ends(|it| it.rules = vec![other]);
    service.run(2000);
    service.event(described(Some("no threads")));
    let told = service.all();
    assert!(told.iter().any(|(_, it)| it == "log degraded qemu-arm"), "{told:?}");
    assert_eq!(service.state().status, "0 targets working, 1 degraded: arm");
}

#[test]
fn a_description_that_fails_is_told_and_not_repeated() {
    let mut service = Service::new();
    service.run(0);
    service.check_ends(|it| it.rules = vec![RuleState { file: Some(file(1)), ..working("arm") }]);
    service.run(2000);
    service.all();
    service.check_fails(failure("no memory"));
    service.run(60 * MINUTE);
    let told = service.all();
    assert_eq!(told.iter().filter(|(_, it)| it == "log trouble no memory").count(), 1);
    assert!(told.iter().all(|(_, it)| !it.starts_with("start")), "{told:?}");
    assert_eq!(service.machine.deadline(), None);
}

#[test]
fn a_check_comes_before_a_description() {
    let mut service = Service::new();
    service.run(0);
    service.check_ends(|it| it.rules = vec![RuleState { file: Some(file(1)), ..working("arm") }]);
    service.run(1750);
    service.event(Event::FilesChanged);
    service.all();
    service.run(1000);
    service.story(0, &["2000 start a check"]);
}
