//! A rootless container: root of a user namespace, in which somebody else's instance is seen.

use crate::world::{SOMEBODY, World, qemu};
use crate::{finding, verdict};

/// A world with rules of its root, and the words that enter a rootless container in it.
fn container() -> Option<(World, Vec<String>)> {
    qemu()?;
    let world = World::with_users()?;
    world.binfmtd("register aarch64").ended(0);
    let (copy, mut words) = world.as_somebody();
    let config = world.config();
    // In it, the owner of a file in /tmp is nobody whom it knows.
    world.sh(&format!("chown -R {SOMEBODY} {}", world.folder().display()));
    words.extend(["unshare", "--user", "--map-root-user", "--mount"].map(str::to_owned));
    words.extend([copy.to_str().unwrap(), "--config", config.to_str().unwrap()].map(str::to_owned));
    Some((world, words))
}

#[test]
fn it_may_not_change_the_hosts_rules_and_says_so() {
    let Some((world, words)) = container() else { return };
    let run =
        |line: &str| world.run(words.iter().map(String::as_str).chain(line.split_whitespace()));
    for line in ["register", "run --strict -- true"] {
        let text = run(line);
        let json = run(&format!("--format json {line}"));
        let sentence =
            "this user namespace may not change the host's rules; register them on the host";
        crate::holds(&text, &json, 4, &[sentence]);
    }
    run("run --strict --target aarch64 -- true").ended(0);
    let line = "unregister --all";
    crate::holds(&run(line), &run(&format!("--format json {line}")), 4, &["user namespace"]);
    assert_eq!(world.rules(), ["qemu-aarch64"]);
}

#[test]
fn the_hosts_rules_serve_it_and_the_doctor_knows() {
    let Some((world, words)) = container() else { return };
    let run =
        |line: &str| world.run(words.iter().map(String::as_str).chain(line.split_whitespace()));
    let document = run("--format json doctor aarch64").ended(0).document();
    assert_eq!(verdict(&document, "aarch64"), "working");
    assert_eq!(finding(&document, "kernel.writable", None)["status"], "skip");
    let document = run("--format json doctor riscv64").ended(1).document();
    assert_eq!(verdict(&document, "riscv64"), "missing");
    let document = run("--format json status").ended(0).document();
    assert_eq!((&document["writable"], &document["host"]), (&false.into(), &false.into()));
    // In a private instance of its own, everything goes.
    let document = run("--format json run --private -- true").ended(0);
    assert_eq!(document.out, "");
}
