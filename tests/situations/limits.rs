//! Limits of the process: what cannot be tried is not judged.

use std::os::unix::fs::PermissionsExt as _;

use crate::world::{BINFMTD, World};

#[test]
fn what_could_be_native_is_never_taken_for_foreign() {
    let Some(world) = World::mounted() else { return };
    let mut refused = 0;
    // From too few to start at all to enough: somewhere between, the native probes cannot be started.
    for descriptors in 10..30 {
        let command = format!("ulimit -n {descriptors}; exec {BINFMTD} register --no-verify");
        let said = world.run(["sh", "-c", &command]);
        let captured = |name: &String| name.contains("i386") || name.contains("i486");
        assert!(!world.rules().iter().any(captured), "{descriptors} descriptors: {said:#?}");
        if said.err.contains("no resources to start it") {
            assert_eq!(said.code, 3, "{said:#?}");
            refused += 1;
        }
    }
    assert!(refused > 0, "the limit was never felt where it matters");
}

#[test]
fn nobody_else_can_hold_the_lock() {
    let Some(world) = World::mounted() else { return };
    world.binfmtd("register --no-verify").ended(0);
    let mode = world.runtime().join("lock").metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "whoever may read a file can lock it");
}
