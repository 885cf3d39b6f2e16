//! Limits of the process: what cannot be tried is not judged.

use std::os::unix::fs::PermissionsExt as _;

use crate::finding;
use crate::support::need;
use crate::world::{BINFMTD, World};

#[test]
fn what_could_be_native_is_never_taken_for_foreign() {
    let Some(world) = World::mounted() else { return };
    let mut refused = 0;
    // From too few to start at all to enough: somewhere between, nobody can ask what is native.
    for descriptors in 4..20 {
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
fn natives_are_told_where_no_file_in_memory_is_executed() {
    let Some(world) = World::mounted() else { return };
    let folder = world.folder().join("tmp");
    std::fs::create_dir(&folder).unwrap();
    // The setting is one of the PID namespace.
    let script = format!(
        "echo 2 > /proc/sys/vm/memfd_noexec || exit 77
         export TMPDIR={} && exec {BINFMTD} --config {} --format json targets",
        folder.display(),
        world.config().display()
    );
    let said = world.run(["unshare", "--pid", "--fork", "--mount-proc", "sh", "-c", &script]);
    let said = if said.code == 77 { Err(said.err) } else { Ok(said) };
    let Some(said) = need("vm.memfd_noexec, to be set", said) else { return };
    assert_eq!(said.ended(0).document()["targets"], world.json("targets")["targets"]);
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0, "something was left behind");
}

#[test]
fn nobody_else_can_hold_the_lock() {
    let Some(world) = World::mounted() else { return };
    world.binfmtd("register --no-verify").ended(0);
    let mode = world.runtime().join("lock").metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "whoever may read a file can lock it");
}

#[test]
fn a_limit_that_32_bit_targets_would_feel_is_told_before_they_do() {
    let Some(world) = World::mounted() else { return };
    let doctor = |targets: &str| {
        let command = format!(
            "ulimit -S -v 2000000; exec {BINFMTD} --config {} --format json doctor {targets}",
            world.config().display()
        );
        world.run(["sh", "-c", &command]).ended(1).document()
    };
    let document = doctor("arm s390x");
    let found = finding(&document, "kernel.address-space", None);
    assert_eq!((&found["status"], &found["fix"]), (&"warn".into(), &"ulimit -v unlimited".into()));
    let document = doctor("s390x");
    assert_eq!(finding(&document, "kernel.address-space", None)["status"], "skip");
}
