//! What goes wrong in the middle.

use std::fs;
use std::time::{Duration, Instant};

use crate::others::{configure, emulators};
use crate::support::Private;
use crate::support::stage::{Stage, children, eventually, says};

pub(crate) fn taken(stage: &Stage) -> Option<String> {
    emulators(stage)?;
    stage.install(&stage.path("bin/qemu-riscv64-static"), "other");
    let long = format!("/{}", "a/".repeat(1000));
    configure(
        stage,
        &format!(
            "targets = [\"aarch64\", \"arm\", \"riscv64\"]\n[target.arm]\ninterpreter = \"{long}x\""
        ),
    );
    // Another emulator than QEMU, under the name that our rule would have.
    let other = stage.path("bin/other");
    stage.plant(&format!(":qemu-riscv64:E::rv64::{}:F", other.display()));
    let theirs = Stage::entry("qemu-riscv64");
    for _ in 0..2 {
        let answer = stage.fails(&["register"]);
        let line = answer.rule_of("riscv64");
        assert_eq!(line["action"], "refuse", "{line:#}");
        says(&line["error"], &["qemu-riscv64 is taken", "not QEMU's", "remove or rename"]);
        let line = answer.rule_of("arm");
        assert_eq!(line["action"], "refuse", "{line:#}");
        assert_eq!(Stage::entry("qemu-riscv64"), theirs);
        assert_eq!(Stage::entries().keys().collect::<Vec<_>>(), ["qemu-aarch64", "qemu-riscv64"]);
        assert!(stage.starts("aarch64"));
    }
    // --takeover replaces rules that take the same programs, not rules that have the same name.
    stage.fails(&["register", "--takeover"]);
    assert_eq!(Stage::entry("qemu-riscv64"), theirs);
    Some("2 of 3 refused".to_owned())
}

/// The steps of a replacement: the record names the new rule, the new rule is registered under a temporary name, the old
/// one is removed, the new one is registered under its own name, the temporary one is removed, the record is finished.
/// It may be interrupted after each of them.
pub(crate) fn leftovers(stage: &Stage) -> Option<String> {
    emulators(stage)?;
    let program = stage.foreign("aarch64", None);
    let qemu = fs::read(stage.path("bin/qemu-aarch64-static")).expect("an emulator");
    for is_upgrade in [true, false] {
        for step in 0..5 {
            configure(stage, "targets = [\"aarch64\"]");
            stage.reset();
            stage.install_content(&qemu, "qemu-aarch64-static");
            stage.well(&["register"]);
            let mut record = stage.record();
            let mut coming = record["rules"]["qemu-aarch64"].clone();
            let old = coming["register"].as_str().expect("a string").to_owned();
            // From here on another file is behind the path, or other flags are wanted.
            let new = if is_upgrade {
                let path =
                    stage.install_content(&[&qemu[..], &[0]].concat(), "qemu-aarch64-static");
                coming["interpreter"] = file_id(&path);
                old.clone()
            } else {
                configure(stage, "targets = [\"aarch64\"]\n[target.aarch64]\nflags = \"OF\"");
                old.replace(":POF", ":OF")
            };
            coming["register"] = new.clone().into();
            record["coming"] = serde_json::json!({ "qemu-aarch64": coming });
            fs::write(stage.record_path(), record.to_string()).expect("a record");
            let swap = ".binfmtd-swap";
            if step > 0 {
                stage.plant(&new.replacen("qemu-aarch64", &format!("qemu-aarch64{swap}"), 1));
            }
            if step > 1 {
                Private::tell("qemu-aarch64", "-1").expect("a rule to remove");
            }
            if step > 2 {
                stage.plant(&new);
            }
            if step > 3 {
                Private::tell(&format!("qemu-aarch64{swap}"), "-1").expect("a rule to remove");
            }

            let what = format!("upgrade: {is_upgrade}, interrupted after step {step}");
            let before = Stage::entries();
            // A request for another target changes nothing here.
            stage.well(&["register", "riscv64"]);
            stage.well(&["unregister", "riscv64"]);
            assert_eq!(Stage::entries(), before, "{what}");
            let (_, failed) = Stage::under_load(&program, |_, _| {
                stage.well(&["register"]);
            });
            assert!(failed.is_empty(), "{what}: {failed:?}");
            assert_eq!(Stage::entries().keys().collect::<Vec<_>>(), ["qemu-aarch64"], "{what}");
            let flags = if is_upgrade { "flags: POF\n" } else { "flags: OF\n" };
            assert!(Stage::entry("qemu-aarch64").contains(flags), "{what}");
            let examined = stage.run(&["doctor", "aarch64"]);
            assert_eq!(examined.verdict("aarch64"), "working", "{what}");
            assert_eq!(examined.check("exec.identity", "aarch64")["status"], "pass", "{what}");
            let again = stage.well(&["register"]);
            assert_eq!(again.rule_of("aarch64")["action"], "keep", "{what}: {again}");
            assert_eq!(stage.record().get("coming"), None, "{what}");
            stage.well(&["unregister", "--all"]);
            assert!(Stage::entries().is_empty(), "{what}");
        }
    }
    unregistered(stage);
    Some("2 kinds, 5 steps each".to_owned())
}

/// Leftovers of an interruption are ours, and `unregister --all` removes them.
fn unregistered(stage: &Stage) {
    stage.reset();
    stage.well(&["register"]);
    let register = stage.record()["rules"]["qemu-aarch64"]["register"].clone();
    let register = register.as_str().expect("a string");
    for name in ["qemu-aarch64.binfmtd-swap", "qemu-aarch64.2.binfmtd-swap"] {
        stage.plant(&register.replacen("qemu-aarch64", name, 1));
    }
    let answer = stage.well(&["unregister", "arm64"]);
    assert_eq!(answer.json["removed"].as_array().map(Vec::len), Some(3), "{answer}");
    assert!(Stage::entries().is_empty());
}

/// What the record keeps of a file.
fn file_id(path: &std::path::Path) -> serde_json::Value {
    use std::os::unix::fs::MetadataExt as _;
    let found = fs::metadata(path).expect("a file");
    serde_json::json!({
        "device": found.dev(),
        "inode": found.ino(),
        "size": found.len(),
        "modified": found.mtime() * 1_000_000_000 + found.mtime_nsec(),
    })
}

/// Killed at any moment, without a chance to clean up: programs start throughout, and the next
/// `register` puts everything right.
pub(crate) fn killed(stage: &Stage) -> Option<String> {
    emulators(stage)?;
    let program = stage.foreign("aarch64", None);
    let qemu = fs::read(stage.path("bin/qemu-aarch64-static")).expect("an emulator");
    // With a trial, and without one, where more of the time goes into the kernel's rules.
    let (mut rounds, mut hits) = (0_u32, 0);
    let (started, failed) = {
        stage.well(&["register"]);
        let whole = Instant::now();
        stage.well(&["register"]);
        let whole = whole.elapsed();
        Stage::under_load(&program, |_, _| {
            for arguments in [&["register"][..], &["register", "--no-verify"]] {
                for round in 0..12 {
                    let flags = ["POF", "OF"][usize::from(round) % 2];
                    if arguments.len() == 1 {
                        let qemu = [&qemu[..], &[round]].concat();
                        stage.install_content(&qemu, "qemu-aarch64-static");
                    } else {
                        configure(
                            stage,
                            &format!(
                                "targets = [\"aarch64\"]\n[target.aarch64]\nflags = \"{flags}\""
                            ),
                        );
                    }
                    let mut command = stage.command(arguments).spawn().expect("binfmtd starts");
                    // Spread over the time that it takes; not a synchronisation.
                    std::thread::sleep(whole * u32::from(round) / 10);
                    hits += u32::from(command.try_wait().expect("a child").is_none());
                    command.kill().expect("a child of ours");
                    command.wait().expect("a child of ours");
                    rounds += 1;
                    // A trial that is running gets a signal when its parent is gone.
                    eventually("no process is left", Duration::from_secs(20), || {
                        !children().iter().any(|line| line.contains("binfmtd"))
                    });
                    clear(stage);
                    let answer = stage.command(&["register"]).output().expect("binfmtd starts");
                    assert!(answer.status.success(), "{answer:?}");
                    let entries = Stage::entries();
                    assert_eq!(entries.keys().collect::<Vec<_>>(), ["qemu-aarch64"]);
                    let entry = Stage::entry("qemu-aarch64");
                    assert!(
                        arguments.len() == 1 || entry.contains(&format!("flags: {flags}\n")),
                        "{entry}"
                    );
                }
            }
        })
    };
    assert!(failed.is_empty(), "beside {started} programs that started: {failed:?}");
    assert_eq!(Stage::entries().keys().collect::<Vec<_>>(), ["qemu-aarch64"]);
    stage.well(&["doctor", "aarch64"]);
    Some(format!("{hits} of {rounds} killed in time, {started} programs, 0 failed"))
}

/// A killed process cannot remove its files.
fn clear(stage: &Stage) {
    let scratch = stage.path("scratch");
    fs::remove_dir_all(&scratch).expect("a folder of ours");
    fs::create_dir(&scratch).expect("a folder of ours");
}
