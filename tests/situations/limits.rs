//! Limits of the process: what cannot be tried is not judged.

use std::os::unix::fs::PermissionsExt as _;

use crate::support::fix::line;
use crate::support::need;
use crate::world::{BINFMTD, World};
use crate::{finding, verdict};

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
fn a_limit_of_the_doctors_own_says_nothing_about_the_host() {
    if crate::world::qemu().is_none() {
        return;
    }
    let Some(world) = World::mounted() else { return };
    world.binfmtd("register aarch64").ended(0);
    let command = format!(
        "ulimit -S -v 40000; exec {BINFMTD} --config {} --format json doctor aarch64",
        world.config().display()
    );
    let document = world.run(["sh", "-c", &command]).ended(3).document();
    assert_eq!(verdict(&document, "aarch64"), "unproved");
    let found = finding(&document, "exec.host", Some("aarch64"));
    assert_eq!(found["status"], "error", "{found:#}");
    assert!(found["summary"].as_str().unwrap().contains("RLIMIT_AS"), "{found:#}");
    assert_eq!(line(found), "prlimit --as=unlimited binfmtd doctor aarch64");
    world.binfmtd("doctor aarch64").ended(0);
}

#[test]
fn a_full_folder_is_named_and_another_one_taken() {
    let Some(world) = World::mounted() else { return };
    let folder = world.folder().join("full");
    std::fs::create_dir(&folder).unwrap();
    let (shown, config) = (folder.display(), world.config());
    world.sh(&format!(
        "mount -t tmpfs -o size=64k none {shown}; cat /dev/zero > {shown}/zeros || :"
    ));
    let doctor = format!("{BINFMTD} --config {} doctor x86_64", config.display());
    let said = world.run(["sh", "-c", &format!("TMPDIR={shown} {doctor}")]).ended(0);
    assert_eq!(said.err, "");
    // All of them are full; the program may be in one.
    let all = format!(
        "exec 7< {BINFMTD}
         for folder in /tmp /var/tmp /run /dev/shm; do
             mount -t tmpfs -o size=64k none $folder && {{ cat /dev/zero > $folder/zeros 2> /dev/null || :; }}
         done
         exec /proc/self/fd/7 doctor x86_64"
    );
    let said = world.run(["unshare", "--mount", "sh", "-c", &all]).ended(3);
    assert!(
        said.err.contains("/dev/shm: no space left (make room there, or set TMPDIR)"),
        "{said:#?}"
    );
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
            "ulimit -S -v 4000000; exec {BINFMTD} --config {} --format json doctor {targets}",
            world.config().display()
        );
        world.run(["sh", "-c", &command]).ended(1).document()
    };
    let document = doctor("arm s390x");
    let found = finding(&document, "kernel.address-space", None);
    assert_eq!(found["status"], "warn", "{found:#}");
    assert_eq!(line(found), "prlimit --as=unlimited binfmtd doctor");
    let document = doctor("s390x");
    assert_eq!(finding(&document, "kernel.address-space", None)["status"], "skip");
}
