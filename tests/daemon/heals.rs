//! Rules that somebody took away or switched off.

use serde_json::Value;

use crate::support::Private;
use crate::support::daemon::Daemon;
use crate::support::stage::Stage;
use crate::{set_up, unchanged};

const TARGETS: &[&str] = &["aarch64", "riscv64", "s390x"];

/// What is done to the rules, and what is to come of it.
struct Harm {
    what: &'static str,
    inflict: fn(),
    cause: &'static str,
    changes: u64,
    sentence: &'static str,
}

const HARMS: &[Harm] = &[
    Harm {
        what: "all removed",
        inflict: || Private::flush().unwrap(),
        cause: "removed",
        changes: 3,
        sentence: "3 rules were removed and are back in ",
    },
    Harm {
        what: "one removed",
        inflict: || Private::tell("qemu-riscv64", "-1").unwrap(),
        cause: "removed",
        changes: 1,
        sentence: "1 rule was removed and is back in ",
    },
    Harm {
        what: "one disabled",
        inflict: || Private::tell("qemu-s390x", "0").unwrap(),
        cause: "disabled",
        changes: 1,
        sentence: "1 rule was disabled and is enabled again in ",
    },
    Harm {
        what: "the instance disabled",
        inflict: || Private::tell("status", "0").unwrap(),
        cause: "instance-disabled",
        changes: 1,
        sentence: "binfmt_misc was disabled and is enabled again in ",
    },
];

/// Whether everything is enabled and as it was.
fn is_as(before: &crate::support::stage::Entries) -> bool {
    Stage::entry("status") == "enabled\n"
        // While it is being put back, an entry may go between the list and the look at it.
        && before.iter().all(|(name, content)| {
            std::fs::read(Private::path(name)).is_ok_and(|now| now == *content)
        })
}

pub(crate) fn restored(stage: &Stage) -> Option<String> {
    set_up(stage, TARGETS, "")?;
    let mut daemon = Daemon::ready(stage);
    let before = Stage::entries();
    assert_eq!(before.len(), TARGETS.len());
    assert_eq!(daemon.state()["heals"]["wanted"], 3, "{daemon}");
    let mut slowest: f64 = 0.0;
    for Harm { what, inflict, cause, changes, sentence } in HARMS {
        let mark = daemon.mark();
        let heals = daemon.heals(cause);
        inflict();
        daemon.until(what, |_| is_as(&before).then_some(()));
        for target in TARGETS {
            assert!(stage.starts(target), "{what}: {target} does not start");
        }
        let heal = daemon.until(what, |daemon| {
            let now = daemon.state();
            (now["heals"][cause].as_u64()? == heals + changes).then(|| now["last-heal"].clone())
        });
        assert_eq!(heal["cause"], *cause, "{what}: {heal}");
        assert_eq!(heal["changes"], *changes, "{what}: {heal}");
        let seconds = heal["seconds"].as_f64().unwrap();
        // Where systemd runs, names that it registers as well wait for 250 ms; a busy machine takes its time.
        assert!(seconds > 0.0 && seconds < 5.0, "{what}: {heal}");
        slowest = slowest.max(seconds);
        let line = daemon.wait_log(mark, &[sentence]);
        assert!(line.contains("INFO") && line.ends_with(" ms"), "{line}");
    }
    // What was put back is proved, which finds nothing to do.
    let notices = daemon.notices().len();
    let heals = daemon.state()["heals"].clone();
    let proved = |daemon: &Daemon| {
        let now = daemon.state();
        let rules = now["rules"].as_array()?;
        rules.iter().all(|rule| !rule["version"].is_null()).then(|| rules.clone())
    };
    let rules = daemon.until("versions of the interpreters", proved);
    for rule in rules {
        assert_eq!(rule["condition"], "working", "{rule:#}");
        assert_eq!((&rule["ours"], &rule["by"]), (&Value::Bool(true), &rule["rule"]), "{rule:#}");
        assert!(rule["version"].as_str().unwrap().contains("7.2"), "{rule:#}");
        assert_eq!(rule["sha256"].as_str().unwrap().len(), 64, "{rule:#}");
    }
    assert_eq!(daemon.state()["heals"], heals);
    assert_eq!(daemon.notices().len(), notices, "a status that is no news: {daemon}");
    assert!(daemon.logged(0, &["ERROR"]).is_empty(), "{daemon}");
    unchanged(&before);
    daemon.stop();
    unchanged(&before);
    stage.nothing_left("the service");
    Some(format!("{} kinds of harm, the slowest healed in {:.1} ms", HARMS.len(), slowest * 1e3))
}
