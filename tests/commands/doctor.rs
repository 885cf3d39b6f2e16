//! `binfmtd doctor`: the shape of what it says. What it finds is tested where the trouble is made.

use serde_json::Value;

use crate::world::{World, qemu};
use crate::{column, keys};

fn world() -> Option<World> {
    qemu()?;
    let world = World::mounted()?;
    world.binfmtd("register").ended(0);
    Some(world)
}

#[test]
fn the_document_has_the_documented_keys() {
    let Some(world) = world() else { return };
    let document = world.json("doctor");
    assert_eq!(keys(&document), ["checks", "host", "ok", "require", "schema", "targets"]);
    let host = &document["host"];
    assert_eq!(
        keys(host),
        [
            "container",
            "first-user-namespace",
            "kernel",
            "machine",
            "native-cost",
            "natives",
            "root"
        ]
    );
    assert_eq!(host["first-user-namespace"], false);
    assert_eq!(column(&document["targets"], "target"), ["aarch64", "riscv64", "s390x"]);
    for target in document["targets"].as_array().unwrap() {
        assert_eq!(
            keys(target),
            [
                "cost",
                "interpreter",
                "machines",
                "platforms",
                "required",
                "rule",
                "rules",
                "seconds",
                "target",
                "tries",
                "verdict"
            ]
        );
        assert_eq!(target["verdict"], "working", "{target:#}");
        assert_eq!((&target["required"], &target["tries"]), (&Value::Bool(true), &Value::Null));
        assert!(target["cost"].as_f64().unwrap() <= target["seconds"].as_f64().unwrap());
        let interpreter = &target["interpreter"];
        assert_eq!(keys(interpreter), ["path", "pinned", "sha256", "version"]);
        assert_eq!(interpreter["sha256"].as_str().unwrap().len(), 64);
        assert!(interpreter["version"].as_str().unwrap().contains("version"), "{interpreter:#}");
        assert_eq!(keys(&interpreter["pinned"]), ["device", "inode", "is-on-disk", "path"]);
        assert_eq!(interpreter["pinned"]["is-on-disk"], true);
    }
    for check in document["checks"].as_array().unwrap() {
        assert_eq!(
            keys(check),
            ["evidence", "fix", "id", "status", "subject", "summary", "target"]
        );
        let status = check["status"].as_str().unwrap();
        assert!(["pass", "warn", "fail", "skip", "error"].contains(&status), "{check:#}");
        assert_ne!(check["summary"], "", "{check:#}");
        if matches!(status, "fail" | "warn") {
            assert!(check["fix"].is_object(), "no way out: {check:#}");
        }
    }
}

#[test]
fn every_check_that_is_listed_is_reported() {
    let Some(world) = world() else { return };
    let list = world.json("doctor --list-checks");
    let listed = column(&list["checks"], "id");
    // One check is about x86-64 alone.
    let document = world.json("doctor aarch64 x86_64");
    let mut reported = column(&document["checks"], "id");
    reported.dedup();
    assert_eq!(reported, listed);
    let said = world.binfmtd("doctor --list-checks").ended(0);
    assert!(listed.iter().all(|id| said.out.contains(id)), "{said:#?}");
}

#[test]
fn text_is_short_when_all_is_well_and_long_when_asked() {
    let Some(world) = world() else { return };
    let said = world.binfmtd("doctor").ended(0);
    assert_eq!(said.err, "");
    assert_eq!(said.out.lines().count(), 2, "{said:#?}");
    assert!(said.out.contains("3 working  aarch64 riscv64 s390x"), "{said:#?}");
    assert!(said.out.lines().all(|line| line == line.trim_end()), "{said:#?}");
    let said = world.binfmtd("doctor -v arm64").ended(0);
    for part in ["aarch64 (linux/arm64): working", "pass  exec.empty-root", "pass  kernel.mounted"]
    {
        assert!(said.out.contains(part), "{part}: {said:#?}");
    }
}

#[test]
fn what_is_missing_is_named_with_the_way_out() {
    let Some(world) = world() else { return };
    world.binfmtd("unregister riscv64").ended(0);
    let said = world.binfmtd("doctor").ended(1);
    assert!(said.out.contains("riscv64 (linux/riscv64): missing"), "{said:#?}");
    assert!(said.out.contains("fix:  binfmtd register riscv64"), "{said:#?}");
    let document = world.binfmtd("--format json doctor").ended(1).document();
    let verdict = |name: &str| -> Value {
        let targets = document["targets"].as_array().unwrap();
        targets.iter().find(|target| target["target"] == name).unwrap()["verdict"].clone()
    };
    assert_eq!((verdict("riscv64"), verdict("aarch64")), ("missing".into(), "working".into()));
    // The others are well.
    world.binfmtd("doctor arm64,s390x").ended(0);
    // Two with one cause: it is said once, and one command does for both; for all it needs no names.
    world.binfmtd("unregister arm64").ended(0);
    let said = world.binfmtd("doctor").ended(1);
    assert!(said.out.contains("2 missing: aarch64 riscv64\n"), "{said:#?}");
    assert!(said.out.contains("fix:  binfmtd register aarch64 riscv64\n"), "{said:#?}");
    assert_eq!(said.out.matches("rule.present").count(), 1, "{said:#?}");
    world.binfmtd("unregister --all").ended(0);
    let said = world.binfmtd("doctor").ended(1);
    assert!(said.out.contains("fix:  binfmtd register\n"), "{said:#?}");
    let named = world.binfmtd("doctor arm64 riscv64").ended(1);
    assert!(named.out.contains("fix:  binfmtd register aarch64 riscv64\n"), "{named:#?}");
}

#[test]
fn a_native_target_is_well_without_a_rule() {
    let Some(world) = World::mounted() else { return };
    let host = std::env::consts::ARCH;
    let document = world.json(&format!("doctor {host}"));
    assert_eq!(document["targets"][0]["verdict"], "native", "{document:#}");
    assert!(document["targets"][0]["interpreter"].is_null(), "{document:#}");
}
