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
    const LONGEST: f64 = 1.0;
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
    // When each heal was, as the service has it: a busy machine has us see it late.
    let mut moments = Vec::new();
    let mut was_pausing = false;
    while begin.elapsed() < WAR {
        Private::tell("qemu-aarch64", "-1").unwrap();
        let heals = moments.len() as u64 + 1;
        moments.push(daemon.until("the heal", |daemon| {
            let now = daemon.state();
            let status = now["status"].as_str()?;
            was_pausing |= status.contains("pausing: another program keeps undoing changes");
            (now["heals"]["removed"] == heals).then(|| now["last-heal"]["at"].as_f64())?
        }));
        assert!(rule.exists(), "counted, and not there");
    }
    assert!(was_pausing, "the status never said so: {daemon}");
    let gaps: Vec<f64> = moments.windows(2).map(|pair| pair[1] - pair[0]).collect();
    // The first time counts, too, when the registration was a moment ago: then each is a step longer.
    let slack = 0.02;
    for (before, gap) in gaps.iter().enumerate() {
        let steps = (before + 1).checked_sub(FREE + 1);
        let wanted = steps.map_or(0.0, |steps| (0.1 * f64::from(1 << steps.min(16))).min(LONGEST));
        assert!(gap + slack >= wanted, "{before}: {wanted} s: {gaps:?}");
    }
    assert!(gaps.len() > FREE + 5, "{gaps:?}");
    assert!(gaps.last().is_some_and(|gap| gap + slack >= LONGEST), "{gaps:?}");

    // A report for each pause, and no more; who is slow to undo a heal may miss one.
    let reports = daemon.logged(mark, &["WARN", "another program undid binfmtd's changes"]);
    assert_eq!(daemon.state()["conflicts"], reports.len(), "{daemon}");
    assert!((5..=moments.len() - FREE).contains(&reports.len()), "{gaps:?}: {daemon}");
    let times = reports.iter().map(|report| {
        let number = report.split(' ').skip_while(|word| *word != "changes").nth(1);
        number.and_then(|word| word.parse().ok()).unwrap_or_else(|| panic!("no number: {report}"))
    });
    let times: Vec<usize> = times.collect();
    assert!(times[0] > FREE && times.is_sorted_by(|one, other| one < other), "{times:?}");
    let conflicts = reports.len();
    assert_eq!(daemon.state()["paused-until"], serde_json::Value::Null, "{daemon}");
    unchanged(&before);

    // After quiet all is forgotten: the next one is done at once.
    daemon.listen_for(Duration::from_millis(10_500));
    assert!(!daemon.state()["status"].as_str().unwrap().contains("pausing"), "{daemon}");
    for _ in 0..FREE {
        let heals = daemon.heals("removed");
        Private::tell("qemu-aarch64", "-1").unwrap();
        daemon.until("the heal", |daemon| (daemon.heals("removed") > heals).then_some(()));
    }
    assert_eq!(daemon.state()["conflicts"], conflicts);
    daemon.stop();
    stage.nothing_left("the service");
    let seconds: Vec<_> = gaps.iter().map(|gap| format!("{gap:.1}")).collect();
    Some(format!("pauses of {} s", seconds.join(", ")))
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
        let now = daemon.state();
        let mut rules = now["rules"].as_array()?.iter();
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
