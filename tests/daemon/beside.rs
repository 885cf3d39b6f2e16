//! Commands that somebody runs while the service does its work.

use crate::support::daemon::Daemon;
use crate::support::stage::{Answer, Stage};
use crate::{install, qemu, set_up, unchanged};

fn run(stage: &Stage, words: &[&str]) -> Answer {
    Answer::of(&stage.command(words).output().expect("binfmtd starts"))
}

pub(crate) fn commands(stage: &Stage) -> Option<String> {
    set_up(stage, &["aarch64", "riscv64"], "")?;
    install(stage, &qemu("7.2")?, "s390x");
    let mut daemon = Daemon::ready(stage);
    let before = Stage::entries();

    // What is there already is seen as it is.
    let answer = run(stage, &["register"]);
    assert_eq!(answer.code, Some(0), "{answer}");
    assert!(answer.changed_nothing(), "{answer}");
    assert_eq!(run(stage, &["doctor"]).code, Some(0));
    unchanged(&before);

    // The configuration asks for it, so it comes back; or is said to be missing.
    let answer = run(stage, &["unregister", "riscv64"]);
    assert_eq!(answer.code, Some(0), "{answer}");
    daemon.until("riscv64 to be registered again", |_| (Stage::entries() == before).then_some(()));
    assert!(stage.starts("riscv64"));
    daemon.until("the state to be in step", |daemon| {
        (daemon.rule("qemu-riscv64")["condition"] == "working").then_some(())
    });

    // All of them, as well.
    let answer = run(stage, &["unregister", "--all"]);
    assert_eq!(answer.code, Some(0), "{answer}");
    daemon.until("all to be registered again", |_| (Stage::entries() == before).then_some(()));
    assert!(stage.starts("aarch64"));

    // What only the command line asks for is there as long as nobody checks, and no longer.
    // (1: the service was quicker than the proof.)
    let answer = run(stage, &["register", "s390x"]);
    assert!(matches!(answer.code, Some(0 | 1)), "{answer}");
    let notices = daemon.notices().len();
    daemon.signal(nix::sys::signal::Signal::SIGHUP);
    daemon.wait_notice(notices, "READY=1");
    unchanged(&before);
    daemon.wait_log(0, &["remove qemu-s390x: it is ours, and no longer asked for"]);

    // Many at once, while it heals: none gets in another's way.
    let children: Vec<_> = (0..3)
        .map(|_| {
            let _ = crate::support::Private::tell("qemu-aarch64", "-1");
            stage.command(&["register"]).spawn().expect("binfmtd starts")
        })
        .collect();
    for child in children {
        let answer = Answer::of(&child.wait_with_output().unwrap());
        assert_eq!(answer.code, Some(0), "{answer}");
    }
    daemon.until("all to be there", |_| (Stage::entries() == before).then_some(()));
    assert!(daemon.logged(0, &["ERROR"]).is_empty(), "{daemon}");
    daemon.stop();
    unchanged(&before);
    stage.nothing_left("the service");
    Some("register, unregister, doctor".to_owned())
}
