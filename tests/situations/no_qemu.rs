//! No emulator on the machine.

use std::fs;

use crate::fails;
use crate::verdict;
use crate::world::World;

fn world() -> Option<World> {
    let world = World::mounted()?;
    let empty = world.folder().join("empty");
    fs::create_dir(&empty).unwrap();
    world.configure(&format!("interpreter-directories = [\"{}\"]", empty.display()));
    Some(world)
}

#[test]
fn register_names_the_folders_and_the_package() {
    let Some(world) = world() else { return };
    let folder = world.folder().join("empty");
    let parts =
        ["no usable QEMU interpreter in", folder.to_str().unwrap(), "install qemu-user-static"];
    for line in ["register", "register --dry-run", "run --strict -- true", "run --private -- true"]
    {
        fails(&world, line, 3, &parts);
    }
    // An engine without emulators builds for its own CPU.
    let said = world.binfmtd("run -- echo ran").ended(0);
    assert!(said.out == "ran\n" && parts.iter().all(|part| said.err.contains(part)), "{said:#?}");
    assert!(world.rules().is_empty());
    fails(&world, "export --as binfmt.d", 3, &["nothing to export", "install qemu-user-static"]);
}

#[test]
fn a_target_that_is_asked_for_fails() {
    let Some(world) = world() else { return };
    let said = world.binfmtd("register arm64").ended(1);
    let why = "none of qemu-aarch64-static, qemu-aarch64 found (install qemu-user-static";
    assert!(said.out.contains("refused") && said.out.contains(why), "{said:#?}");
    let document = world.json("register arm64");
    assert_eq!(document["rules"][0]["action"], "refuse");
    assert!(document["rules"][0]["error"].as_str().unwrap().contains(why), "{document:#}");

    let said = world.binfmtd("doctor arm64").ended(1);
    assert!(said.out.contains("aarch64 (linux/arm64): missing"), "{said:#?}");
    assert_eq!(verdict(&world.json("doctor arm64"), "aarch64"), "missing");
}

#[test]
fn the_doctor_has_nothing_to_complain_of() {
    let Some(world) = world() else { return };
    let said = world.binfmtd("doctor").ended(0);
    assert!(said.out.contains("nothing is emulated here"), "{said:#?}");
    assert!(said.out.contains("install qemu-user-static"), "{said:#?}");
    let document = world.json("doctor");
    assert!(
        document["targets"].as_array().unwrap().iter().all(|target| target["verdict"] == "native"),
        "{document:#}"
    );
    world.configure("targets = []\n");
    let said = world.binfmtd("doctor").ended(0);
    assert!(said.out.contains("no target is configured"), "{said:#?}");
    assert!(!said.out.contains("install"), "{said:#?}");
}
