//! What the service writes down for others: state, metrics, and its beating heart.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use binfmtd::testing::daemon::State;

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
                let read: State = serde_json::from_slice(&text)
                    .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&text)));
                let heals = read.heals.values().sum();
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
    let known: State = serde_json::from_value(document.clone()).expect("a state");
    assert_eq!(serde_json::to_value(&known).unwrap(), document);
    assert_eq!((known.schema, known.pid), (State::SCHEMA, daemon.pid()));
    assert_eq!(known.version, env!("CARGO_PKG_VERSION"));
    let loaded = State::load(&stage.path("run")).expect("the state of a service that runs");
    assert_eq!((loaded.pid, loaded.pid_started), (known.pid, known.pid_started));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let heal = known.last_heal.expect("a heal");
    for moment in [known.started, heal.at] {
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
    set_up(
        stage,
        &["aarch64", "riscv64"],
        &format!("[daemon]\nmetrics-file = \"{}\"\n", file.display()),
    )?;
    let mut daemon = Daemon::ready(stage);
    // A family is there as soon as there is something to say.
    Private::tell("qemu-riscv64", "-1").unwrap();
    daemon.until("the versions", |daemon| {
        let rule = daemon.rule("qemu-riscv64");
        (daemon.heals("removed") == 1 && rule["version"].is_string()).then_some(())
    });
    // They are written after the state.
    let text = daemon.until("the metrics", |_| {
        let text = fs::read_to_string(&file).ok()?;
        text.contains(" version 7.2.").then_some(text)
    });
    let expected: BTreeSet<&str> = FAMILIES.iter().map(|family| family.0).collect();
    let documented = include_str!("../../docs/reference/metrics.md");
    for (name, kind, _) in FAMILIES {
        let suffix = if *kind == "counter" { "_total" } else { "" };
        assert!(documented.contains(&format!("`{name}{suffix}`")), "{name} is not documented");
    }
    let parsed = parse("prometheus_client.openmetrics.parser", &text);
    let names: BTreeSet<&str> = parsed.iter().map(|family| family.name.as_str()).collect();
    assert_eq!(names, expected, "{text}");
    for (name, kind, labels) in FAMILIES {
        let family = parsed.iter().find(|family| family.name == *name).unwrap();
        assert_eq!(family.kind, *kind, "{name}");
        assert!(!family.help.is_empty(), "{name}");
        assert!(!family.samples.is_empty(), "{name} has no sample");
        for sample in &family.samples {
            let own: BTreeSet<&str> = sample.keys().map(String::as_str).collect();
            assert_eq!(own, labels.iter().copied().collect(), "{name}");
        }
    }
    let count = |families: &[Family]| families.iter().map(|it| it.samples.len()).sum::<usize>();
    let samples = count(&parsed);
    // As node_exporter reads it, it is text of the older format, with the same samples.
    let older = parse("prometheus_client.parser", &text);
    assert_eq!(count(&older), samples, "{text}");
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
    assert_eq!(listing(&stage.path("run")).iter().filter(|name| name.ends_with("prom")).count(), 0);
    // Written elsewhere from now on, the old file does not go stale unnoticed.
    set_up(stage, &["aarch64", "riscv64"], "")?;
    let default = stage.path("run/metrics.prom");
    daemon.until("metrics in the usual place", |_| default.exists().then_some(()));
    assert!(!file.exists(), "two of them");
    daemon.stop();
    stage.nothing_left("the service");
    Some(format!("{} families, {samples} samples", FAMILIES.len()))
}

/// A family of metrics, as the client library of Prometheus reads it.
#[derive(serde::Deserialize)]
struct Family {
    name: String,
    kind: String,
    help: String,
    /// The labels of each.
    samples: Vec<BTreeMap<String, String>>,
}

/// What one of the library's parsers makes of a text; its complaint is the test's.
fn parse(parser: &str, text: &str) -> Vec<Family> {
    const SCRIPT: &str = "
import importlib, json, sys
parser = importlib.import_module(sys.argv[1])
families = parser.text_string_to_metric_families(sys.argv[2])
print(json.dumps([
    {'name': it.name, 'kind': it.type, 'help': it.documentation, 'samples': [one.labels for one in it.samples]}
    for it in families]))";
    let said =
        Command::new("/usr/bin/python3").args(["-c", SCRIPT, parser, text]).output().unwrap();
    let complaint = String::from_utf8_lossy(&said.stderr);
    assert!(said.status.success(), "{parser}: {complaint}\n{text}");
    serde_json::from_slice(&said.stdout).unwrap()
}

pub(crate) fn watchdog(stage: &Stage) -> Option<String> {
    const LIMIT: Duration = Duration::from_secs(1);
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
    daemon.listen_for(LIMIT * 3);
    let alive: Vec<_> =
        daemon.notices().iter().filter(|notice| notice.has("WATCHDOG=1")).map(|it| it.at).collect();
    // Half of the limit, as sd_watchdog_enabled(3) advises; never as late as the limit.
    assert!(alive.len() >= 5, "{daemon}");
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
