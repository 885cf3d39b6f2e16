//! `binfmtd register` and `unregister`: the command line. What they do to the kernel is tested with
//! many targets elsewhere.

use std::path::Path;

use crate::world::{World, probe, qemu, with_interpreter};
use crate::{column, keys};

#[test]
fn targets_have_many_names() {
    let (Some(()), Some(world)) = (qemu(), World::mounted()) else { return };
    let all = ["aarch64", "riscv64", "s390x"];
    for (names, targets) in [
        ("arm64 linux/riscv64 s390x", &all[..]),
        ("arm64,s390x", &["aarch64", "s390x"]),
        ("linux/arm64,riscv64 linux/s390x", &all),
        ("ARM64 Linux/RISCV64", &["aarch64", "riscv64"]),
        ("aarch64 arm64 linux/arm64 linux/arm64/v8", &["aarch64"]),
        (",arm64,", &["aarch64"]),
        ("", &all),
    ] {
        let document = world.json(&format!("register --dry-run {names}"));
        let mut found = column(&document["rules"], "target");
        found.sort_unstable();
        assert_eq!(found, targets, "{names}");
    }
}

#[test]
fn an_unknown_name_is_bad_usage_and_the_nearest_is_suggested() {
    // Before anything is looked at: this needs no instance.
    let Some(world) = World::unmounted() else { return };
    for (name, nearest) in [
        ("amr64", Some("arm64")),
        ("aarch46", Some("aarch64")),
        ("linux/risc64", Some("linux/riscv64")),
        ("s930x", Some("s390x")),
        ("arm64,s930x", Some("s390x")),
        ("zx-spectrum", None),
    ] {
        for command in ["register", "unregister", "doctor", "targets", "export --as debian"] {
            let said = world.binfmtd(&format!("{command} {name}")).ended(2);
            assert_eq!(said.out, "");
            match nearest {
                Some(nearest) => {
                    let hint = format!("(did you mean {nearest}?)");
                    assert!(said.err.contains(&hint), "{hint} {said:#?}");
                }
                None => assert!(!said.err.contains("did you mean"), "{said:#?}"),
            }
            assert!(said.err.contains("binfmtd targets lists all"), "{said:#?}");
        }
    }
    let said = world.binfmtd("run --private --target amr64 -- true").ended(2);
    assert!(said.err.contains("(did you mean arm64?)"), "{said:#?}");
}

#[test]
fn names_that_are_all_empty_are_bad_usage() {
    let Some(world) = World::unmounted() else { return };
    let run = |words: &str, names: &[&str]| {
        let names = names.iter().map(Into::into);
        let said = world.run(world.words(words).into_iter().chain(names)).ended(2);
        assert_eq!(said.out, "");
        assert!(said.err.contains("no target is asked for"), "{said:#?}");
    };
    for names in [&[""][..], &[","], &[" "], &["", " ,"]] {
        for command in ["register", "unregister", "doctor", "targets", "export --as debian"] {
            run(command, names);
        }
    }
    run("run --strict --target", &["", "--", "echo", "ran"]);
}

#[test]
fn a_dry_run_prints_what_is_done_then_and_changes_nothing() {
    let (Some(()), Some(world)) = (qemu(), World::mounted()) else { return };
    let said = world.binfmtd("register --dry-run").ended(0);
    for name in ["aarch64", "riscv64", "s390x"] {
        assert!(said.out.contains(&format!("qemu-{name} → ")), "{said:#?}");
    }
    let planned = world.json("register --dry-run");
    assert_eq!(planned["dry-run"], true);
    assert_eq!(world.rules(), [""; 0]);
    assert!(!world.runtime().exists(), "not even a folder");

    let done = world.json("register");
    assert_eq!(keys(&done), ["dry-run", "ok", "rules", "schema"]);
    assert_eq!(
        keys(&done["rules"][0]),
        ["action", "changed", "detail", "error", "fix", "proved", "remark", "rule", "target"]
    );
    for field in ["action", "detail", "rule", "target"] {
        assert_eq!(column(&planned["rules"], field), column(&done["rules"], field));
    }
    assert!(done["rules"].as_array().unwrap().iter().all(|rule| rule["proved"] == true));

    // Doing it again changes nothing, and the plan says so.
    let before = world.sh("cd $M; stat -c '%n %i %z' *");
    for line in ["register --dry-run", "register"] {
        let document = world.json(line);
        assert_eq!(column(&document["rules"], "action"), ["keep"; 3], "{document:#}");
    }
    assert_eq!(world.sh("cd $M; stat -c '%n %i %z' *"), before);
}

#[test]
fn nothing_is_run_when_told_so() {
    let (Some(()), Some(world)) = (qemu(), World::mounted()) else { return };
    let document = world.json("register --no-verify");
    let rules = document["rules"].as_array().unwrap();
    assert!(rules.iter().all(|rule| rule["proved"].is_null()), "{document:#}");
    assert_eq!(world.rules().len(), 3);
}

#[test]
fn one_that_fails_does_not_stop_the_others() {
    let (Some(()), Some(world)) = (qemu(), World::mounted()) else { return };
    world.configure(&with_interpreter("riscv64", Path::new("/gone")));
    let said = world.binfmtd("register").ended(1);
    assert!(said.out.contains("refused"), "{said:#?}");
    assert!(
        said.out.contains("interpreter /gone: not found (install qemu-user-static"),
        "{said:#?}"
    );
    let document = world.binfmtd("--format json register").ended(1).document();
    let lines = document["rules"].as_array().unwrap();
    let refused: Vec<_> = lines.iter().filter(|line| line["action"] == "refuse").collect();
    let fix = &refused[0]["fix"]["text"];
    assert!(fix.as_str().unwrap().starts_with("install qemu-user-static"), "{document:#}");
    assert!(lines.iter().all(|line| line["fix"].is_object() == (line["action"] == "refuse")));
    assert_eq!(world.rules(), ["qemu-aarch64", "qemu-s390x"]);
    let program = world.program("hello", &probe("s390x"));
    assert!(world.run([program]).ended(0).out.contains("s390x"));
}

#[test]
fn unregister_takes_what_is_ours_and_says_what_is_not() {
    let (Some(()), Some(world)) = (qemu(), World::mounted()) else { return };
    world.sh("printf ':other:E::other::/bin/true:' > $M/register");
    world.binfmtd("register").ended(0);

    let said = world.binfmtd("unregister --dry-run arm64").ended(0);
    assert_eq!(said.out, "would remove qemu-aarch64\n");
    assert_eq!(world.rules().len(), 4);
    let said = world.binfmtd("unregister arm64").ended(0);
    assert_eq!(said.out, "removed qemu-aarch64\n");
    let said = world.binfmtd("unregister arm64").ended(0);
    assert_eq!(said.out, "binfmtd had registered no such rule\n");

    let document = world.json("unregister --all");
    assert_eq!(keys(&document), ["dry-run", "errors", "ok", "removed", "schema", "warnings"]);
    assert_eq!(world.rules(), ["other"]);

    // Somebody else's, of a name and a content that could be ours.
    let string = world.binfmtd("export --as binfmt.d s390x").ended(0).out;
    let string = string.lines().last().unwrap();
    let file = world.folder().join("string");
    std::fs::write(&file, string).unwrap();
    world.sh(&format!("cat {} > $M/register", file.display()));
    let said = world.binfmtd("unregister s390x").ended(1);
    assert!(said.out.contains("served by qemu-s390x, which is not ours"), "{said:#?}");
    world.binfmtd("unregister --all").ended(0);
    assert_eq!(world.rules(), ["other", "qemu-s390x"]);
}

#[test]
fn unregister_wants_to_know_what() {
    let Some(world) = World::unmounted() else { return };
    world.binfmtd("unregister").ended(2);
    world.binfmtd("unregister --all arm64").ended(2);
}
