//! Not root, on a machine whose instance is mounted.

use crate::world::{World, qemu};
use crate::{fails_for_somebody, finding, verdict};

fn world() -> Option<World> {
    qemu()?;
    let world = World::with_users()?;
    world.binfmtd("register aarch64").ended(0);
    Some(world)
}

#[test]
fn changing_rules_is_not_permitted() {
    let Some(world) = world() else { return };
    let hint = "binfmtd run --private -- COMMAND";
    fails_for_somebody(&world, "register", 4, &["needs root", hint]);
    fails_for_somebody(&world, "run --strict -- true", 4, &["needs root", hint]);
    fails_for_somebody(&world, "unregister --all", 4, &["needs root"]);
    fails_for_somebody(&world, "unregister arm64", 4, &["needs root"]);
    assert_eq!(world.rules(), ["qemu-aarch64"]);
}

#[test]
fn a_command_runs_all_the_same_and_what_it_lacks_is_told() {
    let Some(world) = world() else { return };
    // The rule is root's, and serves everybody.
    let said = world.binfmtd_as_somebody("run --strict --target arm64 -- echo ran").ended(0);
    assert_eq!((said.out.as_str(), said.err.as_str()), ("ran\n", ""));
    let said = world.binfmtd_as_somebody("-v run --target arm64 -- true").ended(0);
    assert!(said.err.contains("every target that was asked for runs"), "{said:#?}");

    let said = world.binfmtd_as_somebody("run -- echo ran").ended(0);
    assert_eq!(said.out, "ran\n");
    for part in [
        "WARN nothing was registered, and the command runs all the same: ",
        "needs root",
        "WARN riscv64: no rule takes its programs",
        "WARN s390x: no rule takes its programs",
    ] {
        assert!(said.err.contains(part), "{part:?} is missing: {said:#?}");
    }
    assert!(!said.err.contains("aarch64: "), "{said:#?}");
    let said = world.binfmtd_as_somebody("run --no-verify -- echo ran").ended(0);
    assert!(said.out == "ran\n" && !said.err.contains("riscv64"), "nothing was run: {said:#?}");
    // What was not looked at is not there.
    fails_for_somebody(
        &world,
        "run --strict --no-verify --target arm64 -- true",
        4,
        &["needs root"],
    );
    assert_eq!(world.rules(), ["qemu-aarch64"]);
}

#[test]
fn looking_is() {
    let Some(world) = world() else { return };
    let said = world.binfmtd_as_somebody("status").ended(0);
    assert!(said.out.contains("qemu-aarch64"), "{said:#?}");
    let document = world.binfmtd_as_somebody("--format json status").ended(0).document();
    assert_eq!(document["writable"], false);
    assert_eq!(document["rules"][0]["owner"], "binfmtd", "the record is for everybody to read");

    let document = world.binfmtd_as_somebody("--format json doctor aarch64").ended(0).document();
    assert_eq!(verdict(&document, "aarch64"), "working");
    assert_eq!(finding(&document, "exec.empty-root", Some("aarch64"))["status"], "pass");
    let document = world.binfmtd_as_somebody("--format json doctor").ended(1).document();
    assert_eq!(verdict(&document, "s390x"), "missing");

    let document =
        world.binfmtd_as_somebody("--format json register --dry-run").ended(0).document();
    assert_eq!(document["rules"].as_array().unwrap().len(), 3, "{document:#}");
    let document = world.binfmtd_as_somebody("--format json unregister --all --dry-run");
    assert_eq!(document.ended(0).document()["removed"][0], "qemu-aarch64");
}

#[test]
fn a_private_instance_needs_no_root() {
    let Some(world) = world() else { return };
    let (copy, _) = world.as_somebody();
    let copy = copy.to_str().unwrap();
    let line = format!("run --private --target s390x -- {copy} doctor s390x");
    let said = world.binfmtd_as_somebody(&line).ended(0);
    assert!(said.out.contains("1 working  s390x"), "{said:#?}");
    assert_eq!(world.rules(), ["qemu-aarch64"], "the host does not notice");
}
