//! Two at a time.

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

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
            // The second one found it done.
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
    // One registers and one removes: in either order, the record matches the kernel.
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

/// Somebody removes rules between a look at them and their proof, as each start of systemd-binfmt does.
pub(crate) fn undone(stage: &Stage) -> Option<String> {
    emulators(stage)?;
    configure(stage, "targets = \"auto\"");
    stage.well(&["register"]);
    let before = Stage::entries();
    let flush = || Private::flush().expect("an instance that can be emptied");
    // By then it has seen every rule and is about to prove them.
    let kept = undo(stage, 1, flush, || {
        stage.well(&["register"]);
    });
    assert_eq!(Stage::entries(), before);
    // By then it has tried both in a private instance, has added them, and is about to prove them here.
    let one = || Private::tell("qemu-riscv64", "-1").expect("a rule to remove");
    let added = undo(stage, 2, one, || stage.reset());
    assert_eq!(Stage::entries(), before);
    assert!(stage.well(&["register"]).changed_nothing());
    Some(format!("rules that were there, at try {kept}; new ones, at try {added}"))
}

/// Registers, and undoes it when probes are written for the `folder`th time; until that was before their end,
/// which takes this many tries. Both rules have to be new then, and proved.
fn undo(stage: &Stage, folder: usize, harm: impl Fn(), prepare: impl Fn()) -> usize {
    const TRIES: usize = 100;
    for tried in 1..=TRIES {
        prepare();
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC).expect("inotify");
        inotify.add_watch(&stage.path("scratch"), AddWatchFlags::IN_CREATE).expect("a watch");
        let child = stage.command(&["-v", "register"]).spawn().expect("binfmtd starts");
        let mut seen = 0;
        while seen < folder {
            seen += inotify.read_events().expect("folders of probes").len();
        }
        harm();
        let answer = Answer::of(&child.wait_with_output().expect("a child of ours"));
        stage.nothing_left("register");
        assert_eq!(answer.code, Some(0), "{answer}");
        if answer.errors.contains("was gone before it was proved; trying again") {
            for line in answer.rules() {
                assert_eq!(line["action"], "add", "{line:#}");
                assert_eq!((&line["changed"], &line["proved"]), (&true.into(), &true.into()));
            }
            return tried;
        }
    }
    panic!("in {TRIES} tries, the probes were always quicker")
}
