//! Another program that keeps undoing what the service does.

use super::*;

/// Rules are removed `times` times, each as soon as they are back; when they were restored.
fn removed_again_and_again(service: &mut Service, times: usize) -> Vec<u64> {
    let mut restored = Vec::new();
    for _ in 0..times {
        service.remove("qemu-arm");
        while !service.world.look.restorable.is_empty() {
            service.run(1);
        }
        restored.push(u64::try_from(service.now.as_millis()).unwrap());
    }
    restored
}

fn gaps(moments: &[u64]) -> Vec<u64> {
    moments.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

#[test]
fn pauses_grow_until_the_longest_and_each_is_reported() {
    let mut service = Service::ready_with(|it| it.longest_pause = Duration::from_millis(700));
    let restored = removed_again_and_again(&mut service, 10);
    assert_eq!(gaps(&restored), [1, 1, 1, 100, 200, 400, 700, 700, 700]);
    let told = service.all();
    let reports: Vec<_> = told.iter().filter(|(_, it)| it.starts_with("log conflict")).collect();
    let words: Vec<_> = reports.iter().map(|(_, it)| it.as_str()).collect();
    assert_eq!(
        words,
        [
            // A millisecond has passed since the rule was restored.
            "log conflict 4, 99 ms",
            "log conflict 5, 199 ms",
            "log conflict 6, 399 ms",
            "log conflict 7, 699 ms",
            "log conflict 8, 699 ms",
            "log conflict 9, 699 ms",
        ]
    );
    assert_eq!(service.state().conflicts, 6);
    assert_eq!(service.state().paused_until, None);
    assert!(!service.state().status.contains("pausing"));
}

#[test]
fn during_a_pause_nothing_is_looked_at_and_the_state_says_so() {
    let mut service = Service::ready();
    removed_again_and_again(&mut service, 7);
    service.all();
    let begin = service.now;
    service.remove("qemu-arm");
    service.run(2);
    let until = service.state().paused_until.expect("a pause");
    assert!((until - 1000.0 - begin.as_secs_f64() - 0.8).abs() < 1e-6, "{until}");
    assert!(service.state().status.ends_with("; pausing: another program keeps undoing changes"));
    let conflicts = service.state().conflicts;
    service.all();
    for _ in 0..100 {
        service.event(Event::InstanceChanged);
        service.run(7);
    }
    service.story(0, &[]);
    service.run(98);
    assert_eq!(
        service.times("restore qemu-arm"),
        [u64::try_from(begin.as_millis()).unwrap() + 800]
    );
    assert_eq!(service.state().conflicts, conflicts, "one pause is one conflict");
    assert_eq!(service.state().paused_until, None);
}

#[test]
fn a_pause_ends_early_for_nobody_but_its_end_is_known_at_once() {
    let mut service = Service::ready();
    removed_again_and_again(&mut service, 7);
    service.remove("qemu-arm");
    service.run(2);
    assert!(service.state().paused_until.is_some());
    // The other program puts it back itself.
    service.world.look.restorable.clear();
    service.world.look.missing.clear();
    service.all();
    service.run(798);
    assert_eq!(service.times("look").len(), 1);
    assert_eq!(service.state().paused_until, None);
    assert_eq!(service.state().status, "1 target working");
}

#[test]
fn after_quiet_all_is_forgotten() {
    let mut service = Service::ready();
    removed_again_and_again(&mut service, 6);
    service.run(10_500);
    service.check_ends(|_| {});
    let conflicts = service.state().conflicts;
    let restored = removed_again_and_again(&mut service, 4);
    assert_eq!(gaps(&restored), [1, 1, 1]);
    assert_eq!(service.state().conflicts, conflicts);
}

#[test]
fn rules_of_others_that_come_and_go_bring_a_check_each_time_but_not_one_after_the_other() {
    let mut service = Service::ready_with(|it| it.pause_after = 0);
    let begin = LONG;
    let mut checks = Vec::new();
    let mut others = OTHERS;
    while checks.len() < 7 {
        others += 1;
        service.world.look.others = others;
        service.event(Event::InstanceChanged);
        service.run(2);
        service.run(20);
        let started: Vec<u64> = service.times("start a check");
        if !started.is_empty() {
            checks.extend(started.iter().map(|at| at - begin));
            service.check_ends(|it| (it.pause_after, it.others) = (0, others));
        }
    }
    assert_eq!(checks[0], 1, "the first at once");
    let gaps = gaps(&checks);
    assert!(gaps.is_sorted() && gaps[0] >= 100 && gaps[5] >= 3200, "{gaps:?}");
    assert_eq!(service.state().conflicts, 0, "nobody undid anything");
}

#[test]
fn a_check_that_would_continue_a_war_waits_as_well() {
    let mut service = Service::ready();
    removed_again_and_again(&mut service, 7);
    let restored = service.now;
    service.all();
    // Now it is a rule of theirs before ours, which a check would replace.
    service.world.look.others = OTHERS + 1;
    service.event(Event::InstanceChanged);
    service.run(2);
    assert!(service.state().paused_until.is_some());
    let reports = service.all();
    assert!(reports.iter().any(|(_, it)| it.starts_with("log conflict 7")), "{reports:?}");
    service.event(Event::InstanceChanged);
    service.run(LONG);
    let since = u64::try_from(restored.as_millis()).unwrap();
    service.story(since, &["800 start a check"]);
    // The check's own look ends the pause.
    service.check_ends(|it| it.others = OTHERS + 1);
    assert_eq!(service.state().paused_until, None);
}

#[test]
fn what_a_check_changed_counts_as_work_that_may_be_undone() {
    let mut service = Service::ready_with(|it| it.pause_after = 0);
    service.event(Event::ReloadRequested);
    service.check_ends(|it| {
        it.pause_after = 0;
        it.changes = vec![changed(ChangeCause::Wanted, "qemu-arm")];
    });
    service.all();
    service.remove("qemu-arm");
    service.run(1000);
    assert_eq!(service.times("restore qemu-arm"), [LONG + 100]);
}
