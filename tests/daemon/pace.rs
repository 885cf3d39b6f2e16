//! Somebody who undoes every heal, and quiet after one.

use std::time::{Duration, Instant};

use crate::support::Private;
use crate::support::daemon::{Daemon, status_of};
use crate::support::stage::Stage;
use crate::{set_up, unchanged};

/// How long somebody keeps doing it.
const WAR: Duration = Duration::from_secs(5);

pub(crate) fn conflict(stage: &Stage) -> Option<String> {
    const FREE: usize = 3;
    let longest = Duration::from_secs(1);
    let settings = format!("[daemon]\npause-after = {FREE}\nlongest-pause-seconds = 1\n");
    set_up(stage, &["aarch64"], &settings)?;
    let mut daemon = Daemon::ready(stage);
    let (before, rule) = (Stage::entries(), Private::path("qemu-aarch64"));
    // The first proof is behind us: no other job gets in between.
    daemon.until("the versions", |daemon| {
        daemon.rule("qemu-aarch64")["version"].is_string().then_some(())
    });
    let mark = daemon.mark();
    let begin = Instant::now();
    let mut gaps = Vec::new();
    let mut was_pausing = false;
    while begin.elapsed() < WAR {
        let undone = Instant::now();
        Private::tell("qemu-aarch64", "-1").unwrap();
        daemon.until("the rule to be back", |daemon| {
            let status = daemon.state()["status"].as_str()?.to_owned();
            was_pausing |= status.contains("pausing: somebody keeps undoing our work");
            rule.exists().then_some(())
        });
        gaps.push(undone.elapsed());
    }
    assert!(was_pausing, "the status never said so: {daemon}");
    let undone = gaps.len() as u64;
    daemon.until("the heals", |daemon| (daemon.heals("removed") == undone).then_some(()));

    // A report for each pause, and no more. The first time counts when the registration was a moment ago.
    let reports = daemon.logged(mark, &["WARN", "somebody undid our work"]);
    let conflicts = daemon.state()["conflicts"].as_u64().unwrap();
    assert_eq!(reports.len() as u64, conflicts, "{daemon}");
    let (free, pauses) = gaps.split_at(gaps.len() - reports.len());
    assert!(free.len() == FREE || free.len() == FREE + 1, "{gaps:?}: {daemon}");
    assert!(pauses.len() > 5, "{gaps:?}");
    for (number, report) in reports.iter().enumerate() {
        let times = format!("{} times in a row", FREE + 1 + number);
        assert!(report.contains(&times), "{report}");
    }

    // What is free is done at once; where systemd runs, its names wait for 250 ms.
    let at_once = Duration::from_millis(500);
    assert!(free.iter().all(|gap| *gap < at_once), "{gaps:?}");
    // A pause begins with the last heal, which was a moment before it was undone.
    let slack = Duration::from_millis(50);
    for (number, gap) in pauses.iter().enumerate() {
        let wanted = Duration::from_millis(100 << number.min(16)).min(longest);
        assert!(*gap + slack >= wanted, "pause {number} of {wanted:?}: {gaps:?}");
        assert!(*gap < wanted + at_once, "pause {number} of {wanted:?}: {gaps:?}");
    }
    assert_eq!(daemon.state()["paused-until"], serde_json::Value::Null, "{daemon}");
    unchanged(&before);

    // After quiet all is forgotten: the next one is done at once.
    daemon.listen_for(Duration::from_millis(10_500));
    assert!(!daemon.state()["status"].as_str().unwrap().contains("pausing"), "{daemon}");
    for _ in 0..=FREE {
        Private::tell("qemu-aarch64", "-1").unwrap();
        let undone = Instant::now();
        daemon.until("the rule to be back", |_| rule.exists().then_some(()));
        assert!(undone.elapsed() < at_once.min(longest), "{:?}: {daemon}", undone.elapsed());
    }
    assert_eq!(daemon.state()["conflicts"], conflicts);
    daemon.stop();
    stage.nothing_left("the service");
    let milliseconds: Vec<_> = gaps.iter().map(Duration::as_millis).collect();
    Some(format!("pauses of {milliseconds:?} ms"))
}

/// How often the loop and its helper woke up.
fn wakes(daemon: &Daemon) -> u64 {
    [daemon.pid(), daemon.helper()]
        .map(|pid| status_of(pid, "voluntary_ctxt_switches").parse::<u64>().unwrap())
        .iter()
        .sum()
}

pub(crate) fn quiet(stage: &Stage) -> Option<String> {
    set_up(stage, &["aarch64", "riscv64", "s390x"], "")?;
    let mut daemon = Daemon::ready(stage);
    daemon.until("the versions", |daemon| {
        let state = daemon.state();
        let mut rules = state["rules"].as_array()?.iter();
        rules.all(|rule| rule["version"].is_string()).then_some(())
    });
    let before = wakes(&daemon);
    Private::flush().unwrap();
    daemon.until("the heal", |daemon| (daemon.heals("removed") == 3).then_some(()));
    daemon.listen_for(Duration::from_millis(500));
    let for_the_heal = wakes(&daemon) - before;
    // Events, a look, those of its own writes, a look: not one that brings the next for ever.
    assert!(for_the_heal < 40, "{for_the_heal} wakes for one heal: {daemon}");
    // Then the proof, which changes nothing.
    let before = wakes(&daemon);
    daemon.wait_worker();
    daemon.until("the end of the proof", |daemon| daemon.workers().is_empty().then_some(()));
    daemon.listen_for(Duration::from_millis(300));
    let for_the_proof = wakes(&daemon) - before;
    // The loop's own look after it holds the lock; the watches are the same as before.
    assert!(for_the_proof < 100, "{for_the_proof} wakes for one proof: {daemon}");
    let before = wakes(&daemon);
    // Nothing that is left of a heal comes as late as this.
    daemon.listen_for(Duration::from_millis(2500));
    assert_eq!(wakes(&daemon), before, "it does not come to rest: {daemon}");
    assert!(daemon.workers().is_empty());
    assert_eq!(daemon.heals("removed"), 3);
    daemon.stop();
    stage.nothing_left("the service");
    Some(format!("{for_the_heal} wakes for a heal, {for_the_proof} for its proof, then none"))
}
