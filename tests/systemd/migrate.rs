//! The commands of docs/guide/migrate-package.md, as a reader runs them, on a machine whose rules are systemd-binfmt's.

use serde_json::Value;

use crate::load::Load;
use crate::machine::{LONG, Machine, TARGETS};
use crate::support::stage::eventually;

const PAGE: &str = include_str!("../../docs/guide/migrate-package.md");

/// The commands below a heading.
fn commands(heading: &str) -> String {
    let (_, below) = PAGE.split_once(&format!("\n## {heading}\n")).expect("the heading");
    let (_, block) = below.split_once("\n```sh\n").expect("a block of commands");
    block.split_once("\n```\n").expect("its end").0.to_owned()
}

/// Runs what the page says there. Who is root already needs no sudo.
fn follow(machine: &Machine, heading: &str) {
    machine.sh(&format!("sudo() {{ \"$@\"; }}\n{}", commands(heading)));
}

/// Whose each rule is.
fn owners(machine: &Machine) -> Vec<String> {
    let status = machine.well(&["binfmtd", "--format", "json", "status"]);
    let status: Value = serde_json::from_str(&status).unwrap();
    let rules = status["rules"].as_array().unwrap();
    rules.iter().map(|rule| rule["owner"].as_str().unwrap().to_owned()).collect()
}

#[track_caller]
fn are_all(machine: &Machine, whose: &str) {
    // What systemd-binfmt flushed takes the service a moment to put back.
    eventually("all rules", LONG, || owners(machine).len() == TARGETS.len());
    let owners = owners(machine);
    assert!(owners.iter().all(|owner| owner.starts_with(whose)), "{owners:?}");
    machine.runs_all();
}

pub(crate) fn package(machine: &mut Machine) -> String {
    machine.well(&["systemctl", "stop", "binfmtd.service"]);
    machine.well(&["binfmtd", "unregister", "--all"]);
    machine.sh("mkdir -p /usr/lib/binfmt.d /etc/binfmt.d");
    for target in TARGETS {
        let file = format!("/usr/lib/binfmt.d/qemu-{target}.conf");
        machine.sh(&format!("binfmtd export --as binfmt.d {target} >{file}"));
    }
    machine.well(&["systemctl", "restart", "systemd-binfmt.service"]);
    machine.well(&["systemctl", "start", "binfmtd.service"]);
    are_all(machine, "systemd-binfmt (/usr/lib/binfmt.d/qemu-");
    follow(machine, "What is there");

    let load = Load::begin(machine, TARGETS[0]);
    follow(machine, "By binfmtd alone");
    are_all(machine, "binfmtd");
    let answer = load.end(machine);
    assert_eq!(answer.failures, 0, "of {}: {}", answer.starts, machine.journal());
    machine.well(&["systemctl", "restart", "systemd-binfmt.service"]);
    are_all(machine, "binfmtd");

    follow(machine, "Back");
    are_all(machine, "systemd-binfmt (/usr/lib/binfmt.d/qemu-");
    format!("none of {} starts failed meanwhile", answer.starts)
}
