//! `binfmt_misc` is not mounted, and whoever mounts it here takes the rules along when it ends.

use std::sync::Mutex;

use crate::support::need;
use crate::world::{Said, World, qemu};
use crate::{fails, finding, verdict};

/// There is one instance for the first user namespace; tests that mount it take turns.
pub(crate) static FIRST: Mutex<()> = Mutex::new(());

const NOT_MOUNTED: &str = "binfmt_misc is not mounted on /proc/sys/fs/binfmt_misc";

/// What holds in every container that could have an instance of its own.
fn refuses_what_would_vanish(world: &World, whose: &str) {
    fails(
        world,
        "register",
        3,
        &[
            whose,
            "would vanish when it ends",
            "mount it on the host first (mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc)",
            "binfmtd run -- COMMAND",
        ],
    );
    assert_eq!(world.mounts(), 0, "it took its mount back");
    assert!(!world.runtime().exists(), "nothing was written");
    fails(world, "register --dry-run", 3, &[NOT_MOUNTED]);
    fails(world, "status", 3, &[NOT_MOUNTED]);
    fails(world, "unregister --all", 3, &[NOT_MOUNTED]);
    fails(world, "which /bin/sh", 3, &[NOT_MOUNTED]);
    let said = world.binfmtd("doctor s390x").ended(1);
    assert!(said.out.contains(NOT_MOUNTED), "{said:#?}");
    let document = world.json("doctor s390x");
    assert_eq!(finding(&document, "kernel.mounted", None)["status"], "fail");
    assert_eq!(verdict(&document, "s390x"), "missing");
    assert_eq!(world.mounts(), 0, "looking mounts nothing");
}

/// While a command runs, it sees the rules; afterwards they are gone.
fn holds_rules_for_a_command(world: &World) {
    let mut words = world.words("run --target s390x --");
    words.extend(world.words("--format json status"));
    let document = Said::document(&world.run(words).ended(0));
    let rules = document["rules"].as_array().unwrap();
    assert_eq!(rules.len(), 1, "{document:#}");
    assert_eq!((&rules[0]["name"], &rules[0]["owner"]), (&"qemu-s390x".into(), &"binfmtd".into()));

    let mut words = world.words("run --target s390x --");
    words.extend(world.words("doctor s390x"));
    world.run(words).ended(0);

    assert_eq!(world.mounts(), 0, "the mount went with the command");
    world.mount().unwrap();
    assert_eq!(world.rules(), [""; 0], "and the rules with it");
}

#[test]
fn in_a_user_namespace() {
    let (Some(()), Some(world)) = (qemu(), World::unmounted()) else { return };
    refuses_what_would_vanish(&world, "this user namespace has its own binfmt_misc");
    holds_rules_for_a_command(&world);
}

#[test]
fn in_a_privileged_container() {
    let _turn = FIRST.lock();
    let (Some(()), Some(world)) = (qemu(), World::privileged()) else { return };
    if !is_free(&world) {
        return;
    }
    refuses_what_would_vanish(&world, "the host has not mounted binfmt_misc");
    holds_rules_for_a_command(&world);
    // While such a command runs, the doctor knows how long the rules live.
    let mut words = world.words("run --target s390x --");
    words.extend(world.words("--format json doctor s390x"));
    let document = world.run(words).ended(0).document();
    let lifetime = finding(&document, "kernel.lifetime", None);
    assert_eq!(lifetime["status"], "warn", "{lifetime:#}");
    let said = lifetime["summary"].as_str().unwrap();
    assert!(said.contains("the rules vanish with the container"), "{said}");
}

/// The host's instance is nobody's: not mounted, and held by no other namespace. Else this situation
/// cannot be had on this machine, and touching the rules of others is out of the question.
pub(crate) fn is_free(world: &World) -> bool {
    let mounts = world.mounts();
    // An instance that is made by this mount is empty and a moment old.
    let age = "mount -t binfmt_misc binfmt_misc $M
        ls $M | wc -l
        echo $(($(date +%s) - $(stat -c %Z $M/register)))
        umount $M";
    let free = mounts == 0 && matches!(world.sh(age).as_str(), "2\n0" | "2\n1");
    let found = if free { Ok(()) } else { Err("somebody has mounted it".to_owned()) };
    need("this machine's own binfmt_misc, unmounted,", found).is_some()
}

#[test]
fn without_root() {
    let Some(world) = World::with_users() else { return };
    world.sh("umount $M");
    crate::fails_for_somebody(
        &world,
        "register",
        4,
        &[NOT_MOUNTED, "needs root (CAP_SYS_ADMIN)", "binfmtd run --private -- COMMAND"],
    );
    crate::fails_for_somebody(&world, "status", 3, &[NOT_MOUNTED]);
    let said = world.binfmtd_as_somebody("doctor s390x").ended(1);
    assert!(said.out.contains(NOT_MOUNTED), "{said:#?}");
}
