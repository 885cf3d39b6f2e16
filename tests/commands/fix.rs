//! `binfmtd doctor --fix`: what it does, what it only says, and what it leaves alone.

use std::fs;

use serde_json::Value;

use crate::support::fix::line;
use crate::world::{World, failing_program, interpreter, qemu, with_interpreter};
use crate::{column, keys};

fn world() -> Option<World> {
    qemu()?;
    let world = World::mounted()?;
    world.binfmtd("register").ended(0);
    Some(world)
}

/// A rule of somebody else: ours of this target, with parts of it replaced.
fn plant(world: &World, target: &str, replace: &[(&str, &str)]) {
    let string = world.binfmtd(&format!("export --as binfmt.d {target}")).ended(0).out;
    let mut string = string.lines().last().unwrap().to_owned();
    for (from, to) in replace {
        assert!(string.contains(from), "{from} is not in {string}");
        string = string.replacen(from, to, 1);
    }
    let file = world.folder().join("string");
    fs::write(&file, string).unwrap();
    world.sh(&format!("cat {} > $M/register", file.display()));
}

#[track_caller]
fn one(document: &Value) -> &Value {
    let fixes = document["fixes"].as_array().unwrap();
    assert_eq!(fixes.len(), 1, "{document:#}");
    assert_eq!(keys(&fixes[0]), ["done", "error", "step", "target"]);
    &fixes[0]
}

#[test]
fn it_says_each_step_does_it_and_looks_again() {
    let Some(world) = world() else { return };
    world.binfmtd("unregister arm64").ended(0);
    world.sh("echo 0 > $M/qemu-riscv64");
    let before = world.rules();
    let said = world.binfmtd("doctor --fix --dry-run").ended(1);
    let steps: Vec<&str> = said.out.lines().take_while(|line| line.starts_with("to do")).collect();
    assert_eq!(steps.len(), 2, "{said:#?}");
    assert!(steps[0].contains("add qemu-aarch64 → "), "{said:#?}");
    assert!(steps[1].contains("enable qemu-riscv64"), "{said:#?}");
    assert_eq!(world.rules(), before);
    assert!(world.sh("cat $M/qemu-riscv64").starts_with("disabled"));

    let done = world.binfmtd("doctor --fix").ended(0);
    let lines: Vec<&str> = done.out.lines().collect();
    assert_eq!(lines[..2], steps[..], "what is printed is what is done");
    assert!(lines[2].starts_with("done") && lines[3].starts_with("done"), "{done:#?}");
    assert_eq!(lines[4], "2 of 2 done; state after the repair:");
    assert!(done.out.contains("3 working  aarch64 riscv64 s390x"), "{done:#?}");
    world.binfmtd("doctor").ended(0);

    // Nothing is left to do, and nothing is touched.
    let before = world.sh("cd $M; stat -c '%n %i %z' *");
    let document = world.json("doctor --fix");
    assert_eq!(document["fixes"], Value::Array(Vec::new()));
    assert_eq!(world.sh("cd $M; stat -c '%n %i %z' *"), before);
    // Who does not ask for it hears nothing of it.
    assert!(world.json("doctor").get("fixes").is_none());
}

#[test]
fn the_instance_is_switched_on() {
    let Some(world) = world() else { return };
    world.sh("echo 0 > $M/status");
    world.binfmtd("doctor").ended(1);
    let document = world.json("doctor --fix");
    let fix = one(&document);
    assert_eq!((&fix["done"], &fix["target"]), (&Value::Bool(true), &Value::Null));
    assert_eq!(world.sh("cat $M/status"), "enabled");
}

#[test]
fn a_rule_of_qemus_without_f_is_replaced_and_only_that() {
    let Some(world) = world() else { return };
    world.binfmtd("unregister s390x").ended(0);
    plant(&world, "s390x", &[(":POF", ":PO")]);
    // Ours that nobody asks for: somebody may have asked for it by name.
    world.configure("targets = [\"s390x\", \"riscv64\"]\n");
    let document = world.json("doctor --fix");
    let fix = one(&document);
    assert_eq!((&fix["done"], &fix["target"]), (&Value::Bool(true), &Value::from("s390x")));
    assert!(fix["step"].as_str().unwrap().starts_with("replace qemu-s390x by qemu-s390x"), "{fix}");
    assert_eq!(world.rules(), ["qemu-aarch64", "qemu-riscv64", "qemu-s390x"]);
    assert!(world.sh("cat $M/qemu-s390x").contains("flags: POF"));
}

#[test]
fn an_upgraded_interpreter_is_taken() {
    let Some(world) = world() else { return };
    let old = world.program("qemu-s390x-static", &fs::read(interpreter("s390x")).unwrap());
    world.configure(&with_interpreter("s390x", &old));
    world.binfmtd("register").ended(0);
    let mut newer = fs::read(&old).unwrap();
    newer.push(0);
    fs::remove_file(&old).unwrap();
    world.program("qemu-s390x-static", &newer);
    let said = world.binfmtd("doctor s390x").ended(1);
    assert!(said.out.contains("exec.identity"), "{said:#?}");
    let document = world.json("doctor s390x --fix");
    assert!(one(&document)["step"].as_str().unwrap().contains("replaced on disk"), "{document:#}");
    assert_eq!(column(&document["targets"], "verdict"), ["working"]);
}

#[test]
fn what_is_somebody_elses_is_left_and_the_way_out_named() {
    let Some(world) = world() else { return };
    let Some(broken) = failing_program() else { return };
    world.binfmtd("unregister arm64").ended(0);
    let broken = world.program("FEX", &broken);
    let qemu = interpreter("aarch64");
    let paths = (qemu.to_str().unwrap(), broken.to_str().unwrap());
    plant(&world, "arm64", &[(":qemu-aarch64:", ":FEX-arm:"), paths, (":POF", ":F")]);
    let before = world.sh("cat $M/FEX-arm");
    let said = world.binfmtd("--format json doctor --fix").ended(1);
    let document = said.document();
    let fix = one(&document);
    assert_eq!(fix["done"], false);
    let error = fix["error"].as_str().unwrap();
    assert!(error.contains("FEX-arm of another emulator"), "{error}");
    assert!(error.contains("repair or remove FEX-arm, or use --takeover"), "{error}");
    assert_eq!(world.sh("cat $M/FEX-arm"), before);
    let said = world.binfmtd("doctor --fix").ended(1);
    assert!(said.out.starts_with("left  aarch64  register qemu-aarch64: "), "{said:#?}");
}

#[test]
fn a_rule_that_could_take_native_programs_is_for_its_owner_to_remove() {
    let Some(world) = world() else { return };
    // It looks at the last byte of the padding, which no program fills: nobody is harmed by this test.
    let machine = match std::env::consts::ARCH {
        "x86_64" => r"\x3e",
        "aarch64" => r"\xb7",
        _ => return,
    };
    let magic =
        format!(r"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x77\x02\x00{machine}\x00");
    let file = world.folder().join("string");
    fs::write(&file, format!(":theirs:M::{magic}::/bin/true:")).unwrap();
    world.sh(&format!("cat {} > $M/register", file.display()));
    let document = world.binfmtd("--format json doctor --fix").ended(1).document();
    assert_eq!(document["fixes"], Value::Array(Vec::new()));
    let checks = document["checks"].as_array().unwrap();
    let native = checks.iter().find(|check| check["id"] == "rule.native").unwrap();
    assert_eq!(native["status"], "fail", "{native:#}");
    assert!(line(native).contains("echo -1 > "), "{native:#}");
    assert!(world.rules().contains(&"theirs".to_owned()));
    let said = world.binfmtd("doctor --fix").ended(1);
    assert!(said.out.contains("nothing here is binfmtd's to change"), "{said:#?}");
}

#[test]
fn without_an_interpreter_the_package_is_named() {
    let Some(world) = world() else { return };
    world.binfmtd("unregister arm64").ended(0);
    world.configure("targets = [\"aarch64\"]\ninterpreter-directories = [\"/nowhere\"]\n");
    let document = world.binfmtd("--format json doctor --fix").ended(1).document();
    let error = one(&document)["error"].as_str().unwrap();
    assert!(error.contains("install qemu-user-static"), "{error}");
}

#[test]
fn without_root_it_says_what_it_would_do() {
    let (Some(()), Some(world)) = (qemu(), World::with_users()) else { return };
    world.binfmtd("register").ended(0);
    world.binfmtd("unregister arm64").ended(0);
    let said = world.binfmtd_as_somebody("--format json doctor --fix").ended(4);
    let document = said.document();
    let fix = one(&document);
    assert!(fix["step"].as_str().unwrap().starts_with("add qemu-aarch64 → "), "{fix}");
    assert_eq!(fix["done"], false);
    assert!(fix["error"].as_str().unwrap().contains("needs root"), "{fix}");
    let said = world.binfmtd_as_somebody("doctor --fix").ended(4);
    assert!(said.out.starts_with("to do  aarch64  add qemu-aarch64 → "), "{said:#?}");
    assert!(said.err.contains("nothing was done: registering rules needs root"), "{said:#?}");
    assert_eq!(world.rules(), ["qemu-riscv64", "qemu-s390x"]);
    // To look takes no right, and where all is well nothing is missed.
    world.binfmtd_as_somebody("doctor --fix --dry-run").ended(1);
    world.binfmtd_as_somebody("doctor --fix riscv64").ended(0);
}

#[test]
fn nothing_is_mounted_in_a_user_namespace_and_the_host_is_told_to() {
    let (Some(()), Some(world)) = (qemu(), World::unmounted()) else { return };
    let said = world.binfmtd("--format json doctor --fix").ended(1);
    assert_eq!(said.document()["fixes"], Value::Array(Vec::new()));
    assert_eq!(world.mounts(), 0);
    // In the host's own, it would be; a dry run does not.
    let Some(world) = World::privileged() else { return };
    let said = world.binfmtd("doctor --fix --dry-run").ended(1);
    let first = said.out.lines().next().unwrap();
    assert_eq!(
        first.trim_start_matches("to do").trim_start(),
        "binfmt_misc  mount binfmt_misc on /proc/sys/fs/binfmt_misc"
    );
    assert_eq!(world.mounts(), 0);
}

#[test]
fn a_dry_run_of_nothing_is_bad_usage() {
    let said = World::host().binfmtd("doctor --dry-run").ended(2);
    assert!(said.err.contains("--fix"), "{said:#?}");
}
