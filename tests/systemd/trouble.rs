//! What others do to the rules and to the service.

use std::time::Duration;

use crate::load::Load;
use crate::machine::{Held, LONG, Machine, TARGETS};
use crate::support::stage::eventually;

/// A heal is a matter of milliseconds; a busy machine may take more.
const LONGEST_GAP: Duration = Duration::from_secs(3);

pub(crate) fn flushed(machine: &mut Machine) -> String {
    machine.runs(TARGETS[0]);
    // Without a rule of its own it would not even start.
    machine.write("/etc/binfmt.d/other.conf", ":other:E::other::/bin/true:");
    let load = Load::begin(machine, TARGETS[0]);
    let before = heals(machine);
    machine.well(&["systemctl", "restart", "systemd-binfmt.service"]);
    eventually("a heal", LONG, || heals(machine) > before);
    eventually("a foreign program after it", LONG, || machine.can_run(TARGETS[0]));
    let answer = load.end(machine);
    machine.runs_all();
    assert!(answer.longest_gap < LONGEST_GAP, "{:?}: {}", answer.longest_gap, machine.journal());
    let rules = machine.rules();
    assert!(rules.iter().any(|name| name == "other"), "{rules:?}");
    assert_eq!(rules.len(), TARGETS.len() + 1, "{rules:?}");

    // Here the rules are still there, which a shutdown removes.
    let held = Held::of(machine);
    machine.cut_power();
    assert_eq!(held.rules(), rules);
    format!(
        "{} of {} starts failed, {:?} at most",
        answer.failures, answer.starts, answer.longest_gap
    )
}

/// How often the service changed something that worked before.
#[track_caller]
fn heals(machine: &Machine) -> u64 {
    let text = machine.well(&["cat", "/run/binfmtd/state.json"]);
    let state: serde_json::Value = serde_json::from_str(&text).unwrap();
    let heals = state["heals"].as_object().unwrap_or_else(|| panic!("no heals: {state:#}"));
    heals.values().map(|count| count.as_u64().unwrap()).sum()
}

pub(crate) fn killed(machine: &mut Machine) -> String {
    let load = Load::begin(machine, TARGETS[0]);

    let first = machine.daemon();
    machine.sh(&format!("kill -KILL {first}"));
    restarted(machine, &first, 1);

    machine.write(
        "/run/systemd/system/binfmtd.service.d/50-watchdog.conf",
        "[Service]\nWatchdogSec=2s",
    );
    machine.well(&["systemctl", "daemon-reload"]);
    machine.well(&["systemctl", "restart", "binfmtd.service"]);
    let stuck = machine.daemon();
    machine.sh(&format!("kill -STOP {stuck}"));
    restarted(machine, &stuck, 1);
    let journal = machine.well(&[
        "journalctl",
        "--quiet",
        "--unit=binfmtd.service",
        "--grep=[Ww]atchdog timeout",
    ]);
    assert!(!journal.is_empty());
    // It is fed: as often as it likes, systemd does not end it again.
    let alive = machine.daemon();
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(machine.daemon(), alive, "{}", machine.journal());

    let answer = load.end(machine);
    assert_eq!(answer.failures, 0, "of {}: {}", answer.starts, machine.journal());
    machine.runs_all();
    let rules = machine.rules();
    assert_eq!(rules.len(), TARGETS.len(), "{rules:?}");
    format!("none of {} starts failed", answer.starts)
}

/// Waits until systemd has put another process in the place of one.
#[track_caller]
fn restarted(machine: &Machine, process: &str, times: u32) {
    eventually("another process", LONG, || {
        !matches!(machine.property("MainPID").as_str(), "0" | "")
            && machine.property("MainPID") != process
    });
    machine.is_up("the service, restarted");
    assert_eq!(machine.property("NRestarts"), times.to_string(), "{}", machine.journal());
}
