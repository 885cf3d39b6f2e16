//! `binfmtd doctor --require`: what decides the exit code.

use serde_json::Value;

use crate::column;
use crate::world::{World, qemu};

fn world() -> Option<World> {
    qemu()?;
    let world = World::mounted()?;
    world.binfmtd("register").ended(0);
    world.binfmtd("unregister riscv64").ended(0);
    Some(world)
}

fn doctor(world: &World, line: &str, code: i32) -> Value {
    world.binfmtd(&format!("--format json doctor {line}")).ended(code).document()
}

/// Names of the targets that decide, in the order of the report.
fn required(document: &Value) -> Vec<&str> {
    let targets = document["targets"].as_array().unwrap();
    let required = targets.iter().filter(|target| target["required"] == true);
    required.map(|target| target["target"].as_str().unwrap()).collect()
}

#[test]
fn without_it_everything_counts() {
    let Some(world) = world() else { return };
    let document = doctor(&world, "", 1);
    assert!(document["require"].is_null(), "{document:#}");
    assert_eq!(required(&document), ["aarch64", "riscv64", "s390x"]);
    assert_eq!(required(&doctor(&world, "arm64", 0)), ["aarch64"]);
}

#[test]
fn others_are_reported_and_do_not_count() {
    let Some(world) = world() else { return };
    let document = doctor(&world, "--require linux/arm64", 0);
    assert_eq!(document["require"], serde_json::json!(["aarch64"]));
    assert_eq!(column(&document["targets"], "target"), ["aarch64", "riscv64", "s390x"]);
    assert_eq!(column(&document["targets"], "verdict"), ["working", "missing", "working"]);
    assert_eq!(required(&document), ["aarch64"]);
    let fails = |check: &&Value| check["target"] == "riscv64" && check["status"] == "fail";
    assert!(document["checks"].as_array().unwrap().iter().any(|check| fails(&check)));
    let said = world.binfmtd("doctor --require linux/arm64").ended(0);
    let lines: Vec<&str> = said.out.lines().skip(1).collect();
    let others = "not required, 2: 1 working, 1 missing (riscv64)";
    assert_eq!(lines, ["  1 working  aarch64", others, "-v lists every check of each target"]);
    let said = world.binfmtd("doctor -v --require linux/arm64").ended(0);
    assert!(said.out.contains("riscv64 (linux/riscv64): missing, not required"), "{said:#?}");
    assert!(said.out.contains("aarch64 (linux/arm64): working  "), "{said:#?}");
}

#[test]
fn what_is_missing_fails() {
    let Some(world) = world() else { return };
    assert_eq!(required(&doctor(&world, "--require riscv64", 1)), ["riscv64"]);
    // The configuration does not name it.
    let document = doctor(&world, "--require ppc64le", 1);
    assert_eq!(
        column(&document["targets"], "target"),
        ["aarch64", "riscv64", "s390x", "ppc64le"],
        "{document:#}"
    );
    assert_eq!(required(&document), ["ppc64le"]);
    // Nor does anything here hint at it.
    let empty = world.folder().join("empty");
    std::fs::create_dir(&empty).unwrap();
    world.binfmtd("unregister --all").ended(0);
    world.configure(&format!("interpreter-directories = [\"{}\"]", empty.display()));
    let document = doctor(&world, "--require ppc64le", 1);
    assert_eq!(required(&document), ["ppc64le"]);
    assert!(!column(&document["targets"], "target").contains(&"riscv64"), "{document:#}");
    let host = std::env::consts::ARCH;
    assert_eq!(required(&doctor(&world, &format!("--require {host}"), 0)), [host]);
}

#[test]
fn names_and_the_list_are_looked_at_and_the_list_counts() {
    let Some(world) = world() else { return };
    let document = doctor(&world, "riscv64 --require arm64", 0);
    assert_eq!(column(&document["targets"], "target"), ["riscv64", "aarch64"]);
    assert_eq!(required(&document), ["aarch64"]);
    doctor(&world, "arm64 --require riscv64", 1);
    let document = doctor(&world, "--require arm64,s390x --require aarch64", 0);
    assert_eq!(document["require"], serde_json::json!(["aarch64", "s390x"]));
    doctor(&world, "--require s390x,riscv64", 1);
}

#[test]
fn a_list_that_names_nothing_is_a_mistake() {
    let world = World::host();
    for (list, part) in [("arn", "did you mean arm?"), (",", "no target is asked for")] {
        let said = world.binfmtd(&format!("doctor --require {list}")).ended(2);
        assert!(said.err.contains(part), "{said:#?}");
    }
    // As of an empty variable in a script.
    let said = world.run([crate::world::BINFMTD, "doctor", "--require", ""]).ended(2);
    assert!(said.err.contains("no target is asked for"), "{said:#?}");
    let said = world.run([crate::world::BINFMTD, "doctor", ""]).ended(2);
    assert!(said.err.contains("no target is asked for"), "{said:#?}");
}
