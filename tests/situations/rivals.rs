//! Somebody else's rules for the same programs, and rules of ours that somebody took away.

use crate::finding;
use crate::support::fix::line;
use crate::world::{World, qemu};

#[test]
fn another_emulator_stays_and_ours_can_go() {
    let (Some(()), Some(world)) = (qemu(), World::mounted()) else { return };
    world.binfmtd("register aarch64").ended(0);
    // The very rule under another's name: newer, so it wins.
    let rule = "name() { awk -v key=$1 '$1 == key { print $2 }' $M/qemu-aarch64; }
        bytes() { name $1 | sed 's/../\\\\x&/g'; }
        printf '%s' \":rosetta:M::$(bytes magic):$(bytes mask):$(name interpreter):POF\" > $M/register";
    world.sh(rule);
    let document = world.json("doctor aarch64");
    let shadowed = finding(&document, "rule.shadowed", Some("aarch64"));
    assert_eq!(shadowed["status"], "warn", "{shadowed:#}");
    let evidence = shadowed["evidence"].as_str().unwrap();
    assert!(evidence.contains("rosetta (of Rosetta); behind it is qemu-aarch64 (of binfmtd)"));
    assert_eq!(line(shadowed), "sh -c 'echo -1 > /proc/sys/fs/binfmt_misc/qemu-aarch64'");
    world.sh(&line(shadowed));
    assert_eq!(world.rules(), ["rosetta"]);
    let document = world.json("doctor aarch64");
    assert_eq!(finding(&document, "rule.shadowed", Some("aarch64"))["status"], "pass");
}

#[test]
fn what_somebody_took_from_us_is_told_once() {
    let (Some(()), Some(world)) = (qemu(), World::mounted()) else { return };
    world.binfmtd("register").ended(0);
    let document = world.json("doctor");
    assert_eq!(finding(&document, "service.record", None)["status"], "pass");
    world.sh("echo -1 > $M/riscv64 2> /dev/null || echo -1 > $M/qemu-riscv64");
    // Asked about, its target says it.
    let document = world.binfmtd("--format json doctor").ended(1).document();
    let present = finding(&document, "rule.present", Some("riscv64"));
    let said = present["summary"].as_str().unwrap();
    assert!(said.contains("somebody removed binfmtd's, qemu-riscv64"), "{present:#}");
    assert_eq!(finding(&document, "service.record", None)["status"], "skip");
    // Else the host does.
    let document = world.json("doctor aarch64");
    let record = finding(&document, "service.record", None);
    assert_eq!(
        (record["status"].as_str(), line(record).as_str()),
        (Some("warn"), "binfmtd register")
    );
    assert!(record["summary"].as_str().unwrap().contains("qemu-riscv64"), "{record:#}");
    world.binfmtd("register").ended(0);
    let document = world.json("doctor aarch64");
    assert_eq!(finding(&document, "service.record", None)["status"], "pass");
}
