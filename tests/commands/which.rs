//! `binfmtd which`

use std::path::Path;

use crate::world::{World, probe, qemu};
use crate::{column, keys};

fn line(options: &str, file: &Path) -> String {
    format!("which {options} {}", file.display())
}

#[test]
fn the_rule_that_takes_a_foreign_program() {
    let (Some(()), Some(world)) = (qemu(), World::mounted()) else { return };
    let program = world.program("hello", &probe("s390x"));
    let said = world.binfmtd(&line("", &program)).ended(1);
    assert!(said.out.contains("a program for s390x: nothing runs it"), "{said:#?}");

    world.binfmtd("register").ended(0);
    let said = world.binfmtd(&line("", &program)).ended(0);
    assert!(said.out.contains("a program for s390x: qemu-s390x runs it with /"), "{said:#?}");
    assert_eq!(said.out.lines().count(), 1, "{said:#?}");
    let document = world.json(&line("", &program));
    assert_eq!(
        keys(&document),
        ["file", "interpreter", "native", "ok", "rules", "schema", "target", "winner"]
    );
    assert_eq!((&document["winner"], &document["target"]), (&"qemu-s390x".into(), &"s390x".into()));
    assert_eq!(document["native"], false);
    assert_eq!(keys(&document["rules"][0]), ["rule", "verdict", "why"]);
    assert_eq!(column(&document["rules"], "verdict"), ["wins", "differs", "differs"]);
    let said = world.binfmtd(&line("-v", &program)).ended(0);
    assert!(said.out.contains("byte 5 is 02, the rule wants 01"), "{said:#?}");
}

#[test]
fn rules_that_do_not_run_it_say_why() {
    let (Some(()), Some(world)) = (qemu(), World::mounted()) else { return };
    let program = world.program("hello", &probe("s390x"));
    world.binfmtd("register s390x").ended(0);
    world.sh(r"printf '%s' ':newer:M::\x7fELF\x02\x02\x01\x00::/bin/true:' > $M/register
        printf '%s' ':newest:M::\x7fELF\x02\x02\x01\x00::/bin/true:' > $M/register
        echo 0 > $M/newest");
    let document = world.json(&line("", &program));
    assert_eq!(document["winner"], "newer", "{document:#}");
    assert_eq!(column(&document["rules"], "verdict"), ["disabled", "wins", "shadowed"]);
    let said = world.binfmtd(&line("", &program)).ended(0);
    for part in
        ["newer runs it with /bin/true", "a newer rule takes the file first", "switched off"]
    {
        assert!(said.out.contains(part), "{part} {said:#?}");
    }
    world.sh("echo 0 > $M/status");
    let document = world.binfmtd(&line("--format json", &program)).ended(1).document();
    assert!(document["winner"].is_null(), "{document:#}");
}

#[test]
fn what_the_kernel_runs_by_itself() {
    let Some(world) = World::mounted() else { return };
    let script = world.program("script", b"#!/bin/sh\n");
    let native = world.program("native", &probe(std::env::consts::ARCH));
    for file in [&script, &native] {
        let said = world.binfmtd(&line("", file)).ended(0);
        assert!(said.out.contains("no rule; the kernel runs it by itself"), "{said:#?}");
        assert_eq!(world.json(&line("", file))["native"], true);
    }
    // A rule for all of its kind stands before the kernel's own loader: for every program from then
    // on, so nothing but a shell's builtins may be used until it is gone.
    let file = native.display();
    let script = format!(
        r"printf '%s' ':grabs:E::grabbed::/bin/true:' > $M/register
        cp {file} {file}.grabbed"
    );
    world.sh(&script);
    let grabbed = native.with_file_name("native.grabbed");
    let said = world.binfmtd(&line("", &grabbed)).ended(0);
    assert!(said.out.contains("grabs runs it with /bin/true"), "{said:#?}");
    assert!(said.out.contains("this rule captures native programs"), "{said:#?}");
}

#[test]
fn an_extension_takes_any_file() {
    let Some(world) = World::mounted() else { return };
    world.sh("printf ':byname:E::ext::/bin/true:' > $M/register");
    let file = world.program("some.ext", b"text");
    let document = world.json(&line("", &file));
    assert_eq!((&document["winner"], &document["target"]), (&"byname".into(), &().into()));
    let other = world.program("some.other", b"text");
    let document = world.binfmtd(&line("--format json", &other)).ended(1).document();
    assert_eq!(document["rules"][0]["verdict"], "other-extension");
}

#[test]
fn what_nothing_runs() {
    let Some(world) = World::mounted() else { return };
    for (name, content) in
        [("empty", &b""[..]), ("short", b"\x7fELF"), ("text", b"text\n"), ("zeros", &[0; 300])]
    {
        let file = world.program(name, content);
        let said = world.binfmtd(&line("", &file)).ended(1);
        assert!(said.out.contains("nothing runs it (exec format error)"), "{said:#?}");
        world.binfmtd(&line("--format json", &file)).ended(1).document();
    }
}

#[test]
fn what_is_no_file_is_bad_usage() {
    let Some(world) = World::mounted() else { return };
    for (path, part) in [
        ("/no/such/file", "No such file"),
        ("/usr/bin", "not a regular file"),
        ("/bin/sh/x", "Not a directory"),
    ] {
        let said = world.binfmtd(&format!("which {path}")).ended(2);
        assert!(said.err.starts_with(&format!("binfmtd: {path}: ")), "{said:#?}");
        assert!(said.err.contains(part), "{said:#?}");
        let document = world.binfmtd(&format!("--format json which {path}")).ended(2).document();
        assert_eq!(document["error"]["kind"], "usage");
    }
}
