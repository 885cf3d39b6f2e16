//! `binfmt_misc` is mounted, and nobody may write to it.

use crate::world::{World, qemu};
use crate::{fails, finding};

fn refused(remount: &str) {
    let (Some(()), Some(world)) = (qemu(), World::mounted()) else { return };
    world.binfmtd("register aarch64").ended(0);
    world.sh(remount);
    let parts = ["read-only", "mount -o remount,rw /proc/sys/fs/binfmt_misc"];
    for line in ["register", "unregister --all", "run --strict -- true"] {
        fails(&world, line, 4, &parts);
    }
    // aarch64 is all that is asked for, and runs: nothing is to be said.
    let said = world.binfmtd("run --strict --target aarch64 -- echo ran").ended(0);
    assert_eq!((said.out.as_str(), said.err.as_str()), ("ran\n", ""));
    // Looking is allowed, and so is a plan.
    let document = world.json("status");
    assert_eq!(document["writable"], false);
    let document = world.json("register --dry-run");
    assert_eq!(document["rules"][0]["action"], "keep", "{document:#}");
    let document = world.json("doctor aarch64");
    let writable = finding(&document, "kernel.writable", None);
    assert_eq!(writable["status"], "warn", "{writable:#}");
    assert!(writable["summary"].as_str().unwrap().contains("read-only"), "{writable:#}");
    assert_eq!(world.rules(), ["qemu-aarch64"]);
}

#[test]
fn the_filesystem() {
    refused("mount -o remount,ro $M");
}

#[test]
fn only_the_mount_as_in_a_container() {
    refused("mount --bind $M $M; mount -o remount,bind,ro $M");
}
