//! Two at a time.

use crate::others::{configure, emulators};
use crate::support::Private;
use crate::support::stage::{Answer, Stage};

pub(crate) fn two(stage: &Stage) -> Option<String> {
    emulators(stage)?;
    configure(stage, "targets = \"auto\"");
    let mut rounds = 0;
    for arguments in [&["register"][..], &["register", "--no-verify"], &["register", "--takeover"]]
    {
        for _ in 0..4 {
            stage.reset();
            let commands: Vec<_> =
                (0..2).map(|_| stage.command(arguments).spawn().expect("binfmtd starts")).collect();
            let answers: Vec<_> = commands
                .into_iter()
                .map(|command| Answer::of(&command.wait_with_output().expect("a child of ours")))
                .collect();
            stage.nothing_left("two at once");
            let mut changed = 0;
            for answer in &answers {
                assert_eq!(answer.code, Some(0), "{answer}");
                changed += answer.rules().iter().filter(|line| line["changed"] == true).count();
            }
            // Whoever came second found it done.
            assert_eq!(changed, 2, "{answers:?}");
            let entries = Stage::entries();
            assert_eq!(entries.keys().collect::<Vec<_>>(), ["qemu-aarch64", "qemu-riscv64"]);
            let record = stage.record();
            let recorded: Vec<_> =
                record["rules"].as_object().expect("rules").keys().cloned().collect();
            assert_eq!(recorded, ["qemu-aarch64", "qemu-riscv64"]);
            assert!(stage.starts("aarch64") && stage.starts("riscv64"));
            assert!(stage.well(&["register"]).changed_nothing());
            rounds += 1;
        }
    }
    // One registers and one removes: whatever the order, the record says what there is.
    for _ in 0..4 {
        stage.reset();
        stage.well(&["register"]);
        Private::tell("qemu-riscv64", "-1").expect("a rule to remove");
        let pair = [&["register"][..], &["unregister", "--all"]];
        let commands = pair.map(|arguments| stage.command(arguments).spawn().expect("binfmtd"));
        for command in commands {
            let answer = Answer::of(&command.wait_with_output().expect("a child of ours"));
            assert_eq!(answer.code, Some(0), "{answer}");
        }
        let entries: Vec<_> = Stage::entries().into_keys().collect();
        let record = stage.record();
        let recorded: Vec<_> =
            record["rules"].as_object().expect("rules").keys().cloned().collect();
        assert_eq!(recorded, entries);
        stage.well(&["unregister", "--all"]);
        assert!(Stage::entries().is_empty());
        rounds += 1;
    }
    Some(format!("{rounds} rounds"))
}
