//! Interpreters that do harm, several at once: neither the doctor nor what it says of others suffers.
//! `tests/qemu` has what it says of each, and that none is registered.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::Plain;
use crate::actor::actor;
use crate::fault::HERE;
use crate::host::{Examined, Host, OTHER, VICTIM};

pub(crate) const TESTS: &[(&str, Plain)] = &[
    ("harmful_interpreters_harm_nobody_else", neighbours),
    ("a_slow_interpreter_is_waited_for", slow),
];

/// What each does, and for which target.
const ACTS: &[(&str, &str, &str)] = &[
    ("hangs", "arm", "broken"),
    ("crashes", "s390x", "broken"),
    ("floods", "mips", "broken"),
    ("lies", "m68k", "broken"),
    ("silent", "sparc", "broken"),
    ("deaf", "alpha", "broken"),
    ("slow", "ppc64le", "working"),
];
/// Seconds for each program; the slow one takes half of them.
const LIMIT: u64 = 3;

/// A host whose configuration has these actors as interpreters, registered unseen.
fn cast(acts: &[(&str, &str, &str)]) -> Option<Host> {
    let host = Host::mounted()?;
    let mut targets = vec![VICTIM, OTHER];
    let mut more = String::new();
    for (act, target, _) in acts {
        let path = actor(&host, act)?;
        targets.push(target);
        let _ = write!(more, "[target.{target}]\ninterpreter = {path:?}\n");
    }
    host.configure_targets(&targets, &more);
    host.world.binfmtd("register --no-verify").ended(0);
    Some(host)
}

/// Every check of a target, by id: its status.
fn statuses(examined: &Examined, target: &str) -> Vec<(String, String)> {
    let checks = examined.document["checks"].as_array().map_or(&[][..], Vec::as_slice);
    let text = |check: &Value, key: &str| check[key].as_str().unwrap_or_default().to_owned();
    let own = checks.iter().filter(|check| check["target"] == target);
    own.map(|check| (text(check, "id"), text(check, "status"))).collect()
}

fn neighbours() -> Option<String> {
    let host = cast(ACTS)?;
    let alone = host.doctor(HERE, "", &format!("{VICTIM} {OTHER}"));
    alone.is_green("the two that are well");
    let begin = Instant::now();
    let all = host.doctor(HERE, "", &format!("--timeout {LIMIT}"));
    let time = begin.elapsed();
    assert_eq!(all.code, 1, "{all}");
    for target in [VICTIM, OTHER] {
        assert_eq!(statuses(&all, target), statuses(&alone, target), "{target}: {all}");
        assert_eq!(all.verdict(target), Some("working"), "{all}");
    }
    for (act, target, verdict) in ACTS {
        assert_eq!(all.verdict(target), Some(*verdict), "{act}: {all}");
    }
    // Two of them take their whole time, in at most four programs each, one after another.
    assert!(time < Duration::from_secs(LIMIT * 10), "{time:?}");
    // What it says is for people: nobody's flood is in it.
    let length = all.document.to_string().len();
    assert!(length < 400_000, "{length} bytes");
    let left =
        host.sh("for process in /proc/[0-9]*; do readlink $process/exe || :; done 2> /dev/null");
    let folder = host.path("").display().to_string();
    let left: Vec<&str> = left.lines().filter(|path| path.starts_with(&folder)).collect();
    assert!(left.is_empty(), "left behind: {left:?}");
    Some(format!("{} at once in {:.1} s", ACTS.len(), time.as_secs_f64()))
}

fn slow() -> Option<String> {
    let host = cast(&[("slow", "ppc64le", "working")])?;
    let patient = host.doctor(HERE, "", "ppc64le");
    assert_eq!(patient.verdict("ppc64le"), Some("working"), "{patient}");
    // Who has less time is told that the time was over, and what it was.
    let hasty = host.doctor(HERE, "", "--timeout 1 ppc64le");
    assert_eq!(hasty.verdict("ppc64le"), Some("broken"), "{hasty}");
    let faults = hasty.faults();
    let found =
        faults.iter().find(|found| found.id == "exec.host").unwrap_or_else(|| panic!("{hasty}"));
    assert!(found.summary.contains("1 s"), "{hasty}");
    Some("1.5 s for each program".to_owned())
}
