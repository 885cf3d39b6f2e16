//! What the service writes down for others: state, metrics, and its beating heart.

use std::collections::BTreeSet;
use std::fs;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use binfmtd::daemon::State;

use crate::set_up;
use crate::support::Private;
use crate::support::daemon::{Daemon, Launch};
use crate::support::stage::{Stage, listing};

pub(crate) fn whole(stage: &Stage) -> Option<String> {
    set_up(stage, &["aarch64", "riscv64"], "[daemon]\npause-after = 1000000\n")?;
    let mut daemon = Daemon::ready(stage);
    let (over, reads, news) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    let files = ["state.json", "metrics.prom"].map(|name| stage.path("run").join(name));
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut last = 0;
            while !over.load(Ordering::Relaxed) {
                let text = fs::read(&files[0]).expect("a state at any time");
                let state: State = serde_json::from_slice(&text)
                    .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&text)));
                let heals = state.heals.values().sum();
                assert!(heals >= last, "back in time");
                news.fetch_add(usize::from(heals > last), Ordering::Relaxed);
                last = heals;
                let metrics = fs::read_to_string(&files[1]).expect("metrics at any time");
                assert!(metrics.ends_with("# EOF\n"), "half of the metrics: {metrics}");
                reads.fetch_add(1, Ordering::Relaxed);
            }
        });
        for round in 1..=50 {
            Private::flush().unwrap();
            daemon.until("the heal", |daemon| {
                (reader.is_finished() || daemon.heals("removed") == round * 2).then_some(())
            });
        }
        over.store(true, Ordering::Relaxed);
    });
    assert!(news.into_inner() > 10, "the reader saw nothing change");

    // The document is the one that the crate defines: no field more or less, and it says what is.
    let document = daemon.state();
    let state: State = serde_json::from_value(document.clone()).expect("a state");
    assert_eq!(serde_json::to_value(&state).unwrap(), document);
    assert_eq!((state.schema, state.pid), (State::SCHEMA, daemon.pid()));
    assert_eq!(state.version, env!("CARGO_PKG_VERSION"));
    let loaded = State::load(&stage.path("run")).expect("the state of a service that runs");
    assert_eq!((loaded.pid, loaded.pid_started), (state.pid, state.pid_started));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let heal = state.last_heal.expect("a heal");
    for moment in [state.started, heal.at] {
        assert!((0.0..120.0).contains(&(now.as_secs_f64() - moment)), "{moment}");
    }
    let mut names = listing(&stage.path("run"));
    names.sort();
    let expected = ["daemon.lock", "lock", "metrics.prom", "rules.json", "state.json"];
    assert_eq!(names, expected, "something half written was left");
    daemon.stop();
    assert_eq!(State::load(&stage.path("run")), None);
    stage.nothing_left("the service");
    Some(format!("read {} times while 50 heals were written", reads.into_inner()))
}

/// Each family, with its type and the labels of its samples.
const FAMILIES: &[(&str, &str, &[&str])] = &[
    ("binfmtd_build_info", "gauge", &["version"]),
    ("binfmtd_ready", "gauge", &[]),
    ("binfmtd_start_time_seconds", "gauge", &[]),
    ("binfmtd_rules_wanted", "gauge", &[]),
    ("binfmtd_rules_working", "gauge", &[]),
    ("binfmtd_heals", "counter", &["cause"]),
    ("binfmtd_conflicts", "counter", &[]),
    ("binfmtd_check_failed", "gauge", &[]),
    ("binfmtd_last_heal_seconds", "gauge", &[]),
    ("binfmtd_last_heal_timestamp_seconds", "gauge", &[]),
    ("binfmtd_rule_working", "gauge", &["target", "rule"]),
    ("binfmtd_probe_seconds", "gauge", &["target", "rule"]),
    ("binfmtd_interpreter_info", "gauge", &["target", "rule", "interpreter", "version", "sha256"]),
];

pub(crate) fn metrics(stage: &Stage) -> Option<String> {
    let file = stage.path("elsewhere.prom");
    set_up(stage, &["aarch64", "riscv64"], &format!("[daemon]\nmetrics-file = {file:?}\n"))?;
    let mut daemon = Daemon::ready(stage);
    // A family is there as soon as there is something to say.
    Private::tell("qemu-riscv64", "-1").unwrap();
    daemon.until("the versions", |daemon| {
        let rule = daemon.rule("qemu-riscv64");
        (daemon.heals("removed") == 1 && rule["version"].is_string()).then_some(())
    });
    let text = fs::read_to_string(&file).expect("metrics where the configuration wants them");
    let parsed = openmetrics_parser::openmetrics::parse_openmetrics(&text)
        .unwrap_or_else(|error| panic!("{error}\n{text}"));
    let expected: BTreeSet<&str> = FAMILIES.iter().map(|family| family.0).collect();
    let names: BTreeSet<&str> = parsed.families.keys().map(String::as_str).collect();
    assert_eq!(names, expected, "{text}");
    let mut samples = 0;
    for (name, kind, labels) in FAMILIES {
        let family = &parsed.families[*name];
        assert_eq!(format!("{:?}", family.family_type).to_lowercase(), *kind, "{name}");
        assert!(!family.help.is_empty(), "{name}");
        let own: BTreeSet<&str> = family.get_label_names().iter().map(String::as_str).collect();
        assert_eq!(own, labels.iter().copied().collect(), "{name}");
        samples += family.iter_samples().count();
        assert!(family.iter_samples().next().is_some(), "{name} has no sample");
    }
    // To Prometheus' older parser, which has fewer types and takes `# EOF` for a comment, it is text
    // as well, with the same samples.
    let older = text.trim_end_matches("# EOF\n");
    let parsed = openmetrics_parser::prometheus::parse_prometheus(older)
        .unwrap_or_else(|error| panic!("{error}\n{text}"));
    let again: usize = parsed.families.values().map(|family| family.iter_samples().count()).sum();
    assert_eq!(again, samples, "{text}");
    // What it says is what is.
    for line in [
        "binfmtd_ready 1",
        "binfmtd_rules_wanted 2",
        "binfmtd_rules_working 2",
        "binfmtd_heals_total{cause=\"removed\"} 1",
        "binfmtd_heals_total{cause=\"shadowed\"} 0",
        "binfmtd_rule_working{target=\"aarch64\",rule=\"qemu-aarch64\"} 1",
    ] {
        assert!(text.lines().any(|own| own == line), "no {line} in\n{text}");
    }
    assert!(text.contains("version=\"7.2"), "{text}");
    assert_eq!(listing(&stage.path("run")).iter().filter(|name| name.ends_with("prom")).count(), 0);
    daemon.stop();
    stage.nothing_left("the service");
    Some(format!("{} families, {samples} samples", FAMILIES.len()))
}

pub(crate) fn watchdog(stage: &Stage) -> Option<String> {
    const LIMIT: Duration = Duration::from_millis(400);
    set_up(stage, &["aarch64"], "")?;
    let microseconds = LIMIT.as_micros().to_string();
    let watched = |pid: &str| {
        let script = format!("export WATCHDOG_PID={pid}; exec \"$@\"");
        Launch::new(stage)
            .env("WATCHDOG_USEC", &microseconds)
            .wrapped(&["sh", "-c", &script, "sh"])
            .ready()
    };
    let mut daemon = watched("$$");
    daemon.listen_for(LIMIT * 5);
    let alive: Vec<_> =
        daemon.notices().iter().filter(|notice| notice.has("WATCHDOG=1")).map(|it| it.at).collect();
    // Half of the limit, as sd_watchdog_enabled(3) advises; never as late as the limit.
    assert!(alive.len() >= 8, "{daemon}");
    for pair in alive.windows(2) {
        let gap = pair[1] - pair[0];
        assert!(gap > LIMIT / 4 && gap < LIMIT, "{gap:?}: {daemon}");
    }
    let mean = (alive[alive.len() - 1] - alive[0]) / (u32::try_from(alive.len()).unwrap() - 1);
    assert!(mean > LIMIT * 2 / 5 && mean < LIMIT * 7 / 10, "{mean:?}: {daemon}");
    daemon.stop();
    // Meant for another process.
    let mut daemon = watched("1");
    daemon.listen_for(LIMIT);
    assert!(daemon.notices().iter().all(|notice| !notice.has("WATCHDOG=1")), "{daemon}");
    daemon.stop();
    stage.nothing_left("the service");
    Some(format!("every {} ms of {}", mean.as_millis(), LIMIT.as_millis()))
}
