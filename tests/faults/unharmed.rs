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
    ("a_daemon_of_an_interpreter_is_ended", daemon),
    ("no_interpreter_reaches_a_terminal", terminal),
    ("what_an_interpreter_says_is_cut_and_plain", talks),
    ("nobody_waits_for_a_hundred_time_limits", hopeless),
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
    assert_eq!(left(&host), [""; 0]);
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

/// The programs that run from a host's folder.
fn left(host: &Host) -> Vec<String> {
    let left =
        host.sh("for process in /proc/[0-9]*; do readlink $process/exe || :; done 2> /dev/null");
    let folder = host.path("").display().to_string();
    left.lines().filter(|path| path.starts_with(&folder)).map(str::to_owned).collect()
}

fn daemon() -> Option<String> {
    let host = cast(&[("daemon", "ppc64le", "working")])?;
    let examined = host.doctor(HERE, "", "ppc64le");
    assert_eq!(examined.verdict("ppc64le"), Some("working"), "{examined}");
    assert_eq!(left(&host), [""; 0]);
    host.world.binfmtd("register ppc64le --takeover").ended(0);
    assert_eq!(left(&host), [""; 0]);
    // Who was there before, and is a child of ours all the same, is nobody's to end.
    let beside = host.script(
        HERE,
        "sleep 98764 > /dev/null 2>&1 & binfmtd doctor ppc64le > /dev/null; kill -0 $! && kill $! && echo was there",
    );
    assert_eq!(beside.out, "was there\n", "{beside:#?}");
    let exec = format!(
        "sleep 98763 > /dev/null 2>&1 & echo $! > $D/child; exec {} --config $D/binfmtd.toml doctor ppc64le",
        crate::world::BINFMTD
    );
    host.script(HERE, &exec).ended(0);
    assert_eq!(
        host.sh("kill -0 $(cat $D/child) && kill $(cat $D/child) && echo is there"),
        "is there"
    );
    Some("3 runs".to_owned())
}

fn terminal() -> Option<String> {
    let version = crate::world::World::host().run(["script", "--version"]);
    let found = if version.code == 0 { Ok(()) } else { Err(version.err) };
    crate::support::need("script (util-linux)", found)?;
    let host = cast(&[("terminal", "ppc64le", "working")])?;
    let on_terminal = |setting: &str| {
        host.script(
            HERE,
            &format!(
                "{setting} script -qec '{} --config '$D'/binfmtd.toml doctor ppc64le' /dev/null",
                crate::world::BINFMTD
            ),
        )
    };
    let said = on_terminal("TERM=xterm").ended(0);
    assert!(!said.out.contains("SPOOFED"), "{said:#?}");
    assert!(said.out.contains("1 working"), "{said:#?}");
    // How far it is, a terminal is told that can go back.
    assert!(said.out.contains("running probes"), "{said:#?}");
    for setting in ["TERM=dumb", "TERM=", "env -u TERM"] {
        let said = on_terminal(setting).ended(0);
        assert!(!said.out.contains("running probes"), "{setting}: {said:#?}");
    }
    Some("4 terminals".to_owned())
}

fn talks() -> Option<String> {
    let host = cast(&[("talks", "ppc64le", "working")])?;
    let examined = host.doctor(HERE, "", "ppc64le");
    let version = &examined.document["targets"][0]["interpreter"]["version"];
    let version = version.as_str().expect("a version");
    assert_eq!(version.chars().count(), 200, "{version}");
    let said = host.script(HERE, "binfmtd doctor -v ppc64le").ended(0);
    assert!(said.out.contains(r"version \u{202e}9\u{1b}[2JAAAA"), "{said:#?}");
    assert!(!said.out.contains(['\u{202e}', '\u{1b}']), "{said:#?}");
    Some("60000 letters".to_owned())
}

fn hopeless() -> Option<String> {
    let host = cast(&[("hangs", "ppc64le", "broken")])?;
    let begin = Instant::now();
    let examined = host.doctor(HERE, "", "--timeout 1 --repeat 100 ppc64le riscv64");
    let time = begin.elapsed();
    assert_eq!(examined.verdict("ppc64le"), Some("broken"), "{examined}");
    assert_eq!(examined.verdict("riscv64"), Some("working"), "{examined}");
    let of = |target: &str| {
        let targets = examined.document["targets"].as_array().expect("targets").iter();
        let mut found = targets.filter(|one| one["target"] == target);
        found.find_map(|one| one["tries"]["of"].as_u64()).expect("tries")
    };
    assert!(of("ppc64le") < 20, "{:#}", examined.document);
    assert_eq!(of("riscv64"), 100, "{:#}", examined.document);
    assert!(time < Duration::from_secs(15), "{time:?}");
    Some(format!("{:.1} s", time.as_secs_f64()))
}
