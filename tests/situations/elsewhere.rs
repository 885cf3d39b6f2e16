//! A container without the right to mount has the host's instance as a volume, where its runtime allows it one.

use std::ffi::OsString;

use crate::support::need;
use crate::world::{Said, World, qemu};
use crate::{finding, verdict};

/// As a runtime starts who gets `--cap-drop all`.
const POWERLESS: [&str; 4] =
    ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"];

fn powerless(world: &World, line: &str) -> Vec<OsString> {
    let words = POWERLESS.map(OsString::from);
    words.into_iter().chain(world.words(line)).collect()
}

fn with_a_volume() -> Option<World> {
    let (Some(()), Some(world)) = (qemu(), World::unmounted()) else { return None };
    let volume = world.folder().join("volume");
    let volume = volume.to_str().unwrap();
    world.sh(&format!("mkdir {volume}; mount -t binfmt_misc binfmt_misc {volume}"));
    world.configure("targets = [\"s390x\"]\n");
    Some(world)
}

fn rules(world: &World) -> Vec<String> {
    let names = world.sh(&format!("ls {}", world.folder().join("volume").display()));
    let names = names.lines().filter(|name| !matches!(*name, "register" | "status"));
    names.map(str::to_owned).collect()
}

fn document(world: &World, line: &str) -> serde_json::Value {
    Said::document(&world.run(powerless(world, &format!("--format json {line}"))))
}

#[test]
fn without_any_capability_it_registers_proves_and_unregisters() {
    let Some(world) = with_a_volume() else { return };
    world.run(powerless(&world, "register")).ended(0);
    assert_eq!(rules(&world), ["qemu-s390x"]);
    assert_eq!(world.mounts(), 1, "nothing else was mounted");

    let seen = document(&world, "doctor s390x");
    assert_eq!(verdict(&seen, "s390x"), "working", "{seen:#}");
    let mounted = finding(&seen, "kernel.mounted", None);
    assert_eq!(mounted["status"], "pass", "{mounted:#}");
    assert!(mounted["summary"].as_str().unwrap().contains("as a volume"), "{mounted:#}");

    let status = document(&world, "status");
    assert_eq!(status["rules"][0]["owner"], "binfmtd", "{status:#}");
    world.run(powerless(&world, "unregister --all")).ended(0);
    assert_eq!(rules(&world), [""; 0]);
}

#[test]
fn what_is_mounted_where_the_kernel_wants_it_comes_first() {
    let Some(world) = with_a_volume() else { return };
    need("the usual place", world.mount()).expect("it can be mounted twice");
    world.run(powerless(&world, "register")).ended(0);
    let seen = document(&world, "doctor s390x");
    let mounted = finding(&seen, "kernel.mounted", None);
    assert!(
        mounted["summary"].as_str().unwrap().ends_with("/proc/sys/fs/binfmt_misc"),
        "{mounted:#}"
    );
}
