//! Rules that binfmtd registered: removed, forgotten, changed.

use std::fs;

use crate::others::{aarch64, configure, emulators};
use crate::support::need;
use crate::support::stage::{Qemu, Stage, inode, says};

pub(crate) fn unregister(stage: &Stage) -> Option<String> {
    emulators(stage)?;
    configure(stage, r#"targets = ["aarch64", "riscv64"]"#);
    stage.well(&["register"]);
    stage.plant(":wine:M::MZ::/usr/bin/env:");
    let planned = stage.well(&["unregister", "arm64", "--dry-run"]);
    assert_eq!(planned.json["removed"], serde_json::json!(["qemu-aarch64"]));
    assert_eq!(Stage::entries().len(), 3);
    let answer = stage.well(&["unregister", "arm64"]);
    assert_eq!(answer.json["removed"], serde_json::json!(["qemu-aarch64"]));
    assert_eq!(Stage::entries().keys().collect::<Vec<_>>(), ["qemu-riscv64", "wine"]);
    assert!(stage.starts("riscv64"));
    assert!(!stage.starts("aarch64"));
    // Again: nothing of ours is there, and nothing is wrong.
    assert_eq!(stage.well(&["unregister", "arm64"]).json["removed"], serde_json::json!([]));

    // A rule of somebody else's with the same name.
    stage.plant(&aarch64("qemu-aarch64", &stage.path("bin/qemu-aarch64-static"), "POF"));
    let before = Stage::entries();
    let answer = stage.fails(&["unregister", "arm64"]);
    says(&answer.json["errors"][0], &["aarch64", "qemu-aarch64", "not ours"]);
    assert_eq!(Stage::entries(), before);
    let answer = stage.well(&["unregister", "--all"]);
    assert_eq!(answer.json["removed"], serde_json::json!(["qemu-riscv64"]));
    assert_eq!(Stage::entries().keys().collect::<Vec<_>>(), ["qemu-aarch64", "wine"]);

    // A rule of ours that somebody changed: its name is in the record, its content is not.
    stage.reset();
    stage.well(&["register"]);
    let record = stage.record();
    assert_eq!(record["rules"]["qemu-aarch64"]["target"], "aarch64");
    crate::support::Private::tell("qemu-aarch64", "-1").expect("a rule to remove");
    stage.plant(&aarch64("qemu-aarch64", &stage.path("bin/qemu-aarch64-static"), "F"));
    let theirs = Stage::entry("qemu-aarch64");
    stage.fails(&["unregister", "arm64"]);
    stage.well(&["unregister", "--all"]);
    assert_eq!(Stage::entry("qemu-aarch64"), theirs);
    Some("3 owners".to_owned())
}

pub(crate) fn lost_record(stage: &Stage) -> Option<String> {
    emulators(stage)?;
    stage.well(&["register"]);
    let ours = Stage::entries();
    // A record that is lost, damaged or of another instance counts as none.
    let changed = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut record = stage.record();
        let before = record.clone();
        change(&mut record);
        assert_ne!(record, before);
        record.to_string()
    };
    let contents = [
        String::new(),
        "{".to_owned(),
        changed(&|record| record["instance"] = 1.into()),
        changed(&|record| record["boot"] = "another".into()),
        changed(&|record| record["schema"] = 999.into()),
    ];
    for content in &contents {
        stage.forget();
        if !content.is_empty() {
            fs::write(stage.record_path(), content).expect("a record");
        }
        stage.well(&["unregister", "--all"]);
        assert_eq!(Stage::entries(), ours, "removed what nobody knows to be ours");
        let answer = stage.well(&["register"]);
        assert_eq!(answer.rule_of("aarch64")["action"], "served");
        assert!(answer.changed_nothing());
        assert_eq!(Stage::entries(), ours);
        // A rule does not become ours because the kernel has it.
        stage.well(&["unregister", "--all"]);
        assert_eq!(Stage::entries(), ours);
    }
    Some(format!("{} ways to lose it", contents.len()))
}

pub(crate) fn configuration(stage: &Stage) -> Option<String> {
    emulators(stage)?;
    stage.well(&["register"]);
    assert!(Stage::entry("qemu-aarch64").contains("flags: POF\n"));
    let other = stage.install(&stage.path("bin/qemu-aarch64-static"), "qemu-of-my-own");
    let other = other.display();
    let program = stage.foreign("aarch64", None);
    let changes = [
        ("[target.aarch64]\nflags = \"OF\"".to_owned(), "flags: OF\n".to_owned()),
        ("[target.aarch64]\nflags = \"F\"".to_owned(), "flags: F\n".to_owned()),
        ("credentials = true".to_owned(), "flags: POCF\n".to_owned()),
        ("preserve-argv0 = false".to_owned(), "flags: OF\n".to_owned()),
        (format!("[target.arm64]\ninterpreter = \"{other}\""), format!("interpreter {other}\n")),
        (String::new(), "qemu-aarch64-static\n".to_owned()),
    ];
    for (more, expected) in &changes {
        configure(stage, &format!("targets = [\"aarch64\"]\n{more}"));
        let (_, failed) = Stage::under_load(&program, |_, _| {
            let answer = Stage::well(stage, &["register"]);
            let line = answer.rule_of("aarch64");
            assert_eq!(line["action"], "replace", "{more}: {line:#}");
            says(&line["detail"], &["the configuration has changed"]);
        });
        assert!(failed.is_empty(), "{more}: {failed:?}");
        let entry = Stage::entry("qemu-aarch64");
        assert!(entry.contains(expected), "{more}: {entry}");
        assert_eq!(Stage::entries().len(), 1);
        let again = stage.well(&["register"]);
        assert!(again.changed_nothing(), "{more}: {again}");
    }

    // An upgrade: another file behind the same path.
    let (_, before) = inode(&stage.path("bin/qemu-aarch64-static"));
    let qemu = fs::read(stage.path("bin/qemu-aarch64-static")).expect("an emulator");
    let path = stage.install_content(&[qemu, vec![0]].concat(), "qemu-aarch64-static");
    assert_ne!(inode(&path).1, before);
    let examined = stage.fails(&["doctor", "aarch64"]);
    says(&examined.check("exec.identity", "aarch64")["summary"], &["older than the file"]);
    let answer = stage.well(&["register"]);
    says(&answer.rule_of("aarch64")["detail"], &["its interpreter was replaced on disk"]);
    let examined = stage.well(&["doctor", "aarch64"]);
    let pinned = &examined.json["targets"][0]["interpreter"]["pinned"];
    assert_eq!(pinned["inode"], inode(&path).1, "{pinned:#}");
    assert!(stage.well(&["register"]).changed_nothing());

    // A rule that somebody switched off is switched on, not replaced.
    crate::support::Private::tell("qemu-aarch64", "0").expect("a rule to disable");
    assert!(!stage.starts("aarch64"));
    assert_eq!(stage.well(&["register"]).rule_of("aarch64")["action"], "enable");
    assert!(stage.starts("aarch64"));
    // All of them.
    crate::support::Private::tell("status", "0").expect("an instance to disable");
    assert!(!stage.starts("aarch64"));
    let answer = stage.well(&["register"]);
    assert_eq!(answer.rules()[0]["action"], "enable-instance", "{answer}");
    assert!(stage.starts("aarch64"));
    assert!(stage.well(&["register"]).changed_nothing());
    Some(format!("{} changes", changes.len()))
}

pub(crate) fn removed(stage: &Stage) -> Option<String> {
    emulators(stage)?;
    for targets in [r#"["aarch64", "riscv64"]"#, "\"auto\""] {
        stage.reset();
        let qemu = need("a static QEMU", Qemu::any("aarch64"))?;
        let path = stage.install(&qemu, "qemu-aarch64-static");
        configure(stage, &format!("targets = {targets}"));
        stage.well(&["register"]);
        let before = Stage::entries();
        fs::remove_file(path).expect("an emulator");
        let answer = stage.well(&["register"]);
        let line = answer.rule_of("aarch64");
        assert_eq!(line["action"], "keep", "{line:#}");
        says(&line["detail"], &["no interpreter for aarch64", "the old one stays in use"]);
        assert!(answer.changed_nothing());
        assert_eq!(Stage::entries(), before);
        assert!(stage.starts("aarch64"));
        let examined = stage.run(&["doctor", "aarch64"]);
        says(&examined.check("interpreter.exists", "aarch64")["summary"], &["gone from the disk"]);
        assert_eq!(examined.verdict("aarch64"), "working");
        // It still runs after its interpreter came back, and is then replaced by the new one.
        stage.install_content(
            &[fs::read(qemu).expect("an emulator"), vec![0]].concat(),
            "qemu-aarch64-static",
        );
        let answer = stage.well(&["register"]);
        assert_eq!(answer.rule_of("aarch64")["action"], "replace");
        stage.well(&["doctor", "aarch64"]);
    }
    Some("with a list and with auto".to_owned())
}

pub(crate) fn dropped(stage: &Stage) -> Option<String> {
    emulators(stage)?;
    configure(stage, r#"targets = ["aarch64", "riscv64"]"#);
    stage.well(&["register"]);
    configure(stage, r#"targets = ["riscv64"]"#);
    let before = Stage::entries();
    stage.well(&["register", "riscv64"]);
    assert_eq!(Stage::entries(), before);
    let answer = stage.well(&["register"]);
    let gone = answer.rules().iter().find(|line| line["action"] == "remove").expect("a removal");
    assert_eq!(gone["rule"], "qemu-aarch64");
    says(&gone["detail"], &["ours", "no longer asked for"]);
    assert_eq!(Stage::entries().keys().collect::<Vec<_>>(), ["qemu-riscv64"]);
    assert!(stage.well(&["register"]).changed_nothing());

    // A rule of the configuration likewise.
    let rule = "\n[rule.mine]\nextension = \"mine\"\ninterpreter = \"/usr/bin/env\"";
    configure(stage, &format!("targets = [\"riscv64\"]{rule}"));
    stage.well(&["register"]);
    assert!(Stage::entry("mine").contains("extension .mine\n"));
    configure(stage, r#"targets = ["riscv64"]"#);
    stage.well(&["register", "riscv64"]);
    assert!(Stage::entries().contains_key("mine"));
    stage.well(&["register"]);
    assert_eq!(Stage::entries().keys().collect::<Vec<_>>(), ["qemu-riscv64"]);
    Some("a target and a rule".to_owned())
}
