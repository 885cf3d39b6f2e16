//! Interpreters that are upgraded, broken, removed, or reached by links.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::Ordering;

use crate::support::Private;
use crate::support::daemon::Daemon;
use crate::support::stage::{Stage, inode};
use crate::{broken_program, configure, emulator, install, qemu, set_up, unchanged};

/// A foreign program that is held, to be looked at.
struct Held(Child);

impl Held {
    fn new(program: &Path) -> Self {
        let mut command = Command::new(program);
        let child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn();
        Self(child.unwrap_or_else(|error| panic!("{}: {error}", program.display())))
    }

    /// Which file runs it.
    fn interpreter(&self) -> (u64, u64) {
        inode(&Path::new("/proc").join(self.0.id().to_string()).join("exe"))
    }

    /// Lets it end, which it has to do well.
    fn end(mut self) {
        // Its standard input is closed by the wait.
        let status = self.0.wait().unwrap();
        assert!(status.success(), "{status}");
    }
}

fn runs(stage: &Stage, target: &str) -> (u64, u64) {
    let held = Held::new(&stage.foreign(target, None));
    let interpreter = held.interpreter();
    held.end();
    interpreter
}

fn on_disk(stage: &Stage, target: &str) -> (u64, u64) {
    inode(&stage.path("bin").join(emulator(target)))
}

pub(crate) fn upgrade(stage: &Stage) -> Option<String> {
    set_up(stage, &["aarch64", "riscv64"], "")?;
    let new = qemu("10.0")?;
    let mut daemon = Daemon::ready(stage);
    daemon.until("the old version", |daemon| {
        let rule = daemon.find_rule("qemu-aarch64")?;
        rule["version"].as_str().filter(|version| version.contains("7.2")).map(drop)
    });
    let before = Stage::entries();
    let old = on_disk(stage, "aarch64");
    let in_flight = Held::new(&stage.foreign("aarch64", None));
    let mark = daemon.mark();
    let (started, failures) = Stage::under_load(&stage.foreign("aarch64", None), |started, _| {
        install(stage, &new, "aarch64");
        daemon.until("the heal", |daemon| (daemon.heals("interpreter") == 1).then_some(()));
        let then = started.load(Ordering::Relaxed);
        daemon.until("more execs", |_| (started.load(Ordering::Relaxed) > then + 10).then_some(()));
    });
    assert!(failures.is_empty(), "{} of {started} failed: {failures:?}", failures.len());
    assert_ne!(on_disk(stage, "aarch64"), old);
    assert_eq!(runs(stage, "aarch64"), on_disk(stage, "aarch64"), "the old one runs");
    assert_eq!(in_flight.interpreter(), old, "what ran was disturbed");
    in_flight.end();
    daemon.wait_log(mark, &["replace qemu-aarch64 by", "its interpreter was replaced on disk"]);
    let heal = &daemon.state()["last-heal"];
    assert_eq!((&heal["cause"], &heal["changes"]), (&"interpreter".into(), &1.into()), "{heal}");
    let rule = daemon.until("the new version", |daemon| {
        daemon
            .find_rule("qemu-aarch64")
            .filter(|rule| rule["version"].as_str().is_some_and(|version| version.contains("10.0")))
    });
    assert_eq!(rule["condition"], "working", "{rule}");
    assert_eq!(rule["file"]["inode"], on_disk(stage, "aarch64").1, "{rule}");
    let other = daemon.rule("qemu-riscv64");
    assert!(other["version"].as_str().unwrap().contains("7.2"), "{other}");
    unchanged(&before);
    daemon.stop();
    stage.nothing_left("the service");
    Some(format!("{started} execs, none failed"))
}

pub(crate) fn broken(stage: &Stage) -> Option<String> {
    let broken = broken_program()?;
    set_up(stage, &["aarch64", "riscv64"], "")?;
    let qemu = qemu("7.2")?;
    let mut daemon = Daemon::ready(stage);
    let before = Stage::entries();
    let old = on_disk(stage, "riscv64");
    let (mark, notices) = (daemon.mark(), daemon.notices().len());
    stage.install_content(&broken, &emulator("riscv64"));
    daemon.wait_notice(notices, "STATUS=1 target working, 1 degraded: riscv64");
    daemon.wait_log(mark, &["ERROR", "riscv64 does not work: ", "exited with status 1"]);
    let rule = daemon.rule("qemu-riscv64");
    assert_eq!(rule["condition"], "degraded", "{rule}");
    unchanged(&before);
    assert_eq!(runs(stage, "riscv64"), old, "the old one does not go on");
    // Nor does the next check think otherwise, or say it again.
    daemon.signal(nix::sys::signal::Signal::SIGHUP);
    daemon.wait_notice(notices, "READY=1");
    assert_eq!(daemon.rule("qemu-riscv64")["condition"], "degraded", "{daemon}");
    assert_eq!(daemon.logged(mark, &["riscv64 does not work"]).len(), 1, "{daemon}");
    assert_eq!(daemon.heals("interpreter"), 0);

    let notices = daemon.notices().len();
    install(stage, &qemu, "riscv64");
    daemon.wait_log(mark, &["INFO", "riscv64 works again"]);
    daemon.wait_notice(notices, "STATUS=2 targets working");
    assert_eq!(daemon.heals("interpreter"), 1, "{daemon}");
    assert_eq!(runs(stage, "riscv64"), on_disk(stage, "riscv64"));
    unchanged(&before);
    daemon.stop();
    stage.nothing_left("the service");
    Some("degraded and recovered".to_owned())
}

pub(crate) fn removed(stage: &Stage) -> Option<String> {
    set_up(stage, &["aarch64", "s390x"], "")?;
    let qemu = qemu("7.2")?;
    let mut daemon = Daemon::ready(stage);
    let before = Stage::entries();
    let old = on_disk(stage, "s390x");
    fs::remove_file(stage.path("bin").join(emulator("s390x"))).unwrap();
    let rule = daemon.until("the remark", |daemon| {
        daemon.find_rule("qemu-s390x").filter(|rule| !rule["why"].is_null())
    });
    assert!(rule["why"].as_str().unwrap().contains("the old one stays in use"), "{rule}");
    assert_eq!(rule["condition"], "working", "{rule}");
    assert_eq!(runs(stage, "s390x"), old);
    unchanged(&before);

    // With the rule, the last that had it goes: nothing can be put back.
    let (mark, notices) = (daemon.mark(), daemon.notices().len());
    Private::tell("qemu-s390x", "-1").unwrap();
    daemon.wait_log(mark, &["ERROR", "s390x does not work: no interpreter for s390x"]);
    daemon.wait_notice(notices, "STATUS=1 target working, 1 degraded: s390x");
    assert!(!stage.starts("s390x"));
    assert!(stage.starts("aarch64"));

    install(stage, &qemu, "s390x");
    daemon.wait_log(mark, &["INFO", "s390x works again"]);
    assert_eq!(runs(stage, "s390x"), on_disk(stage, "s390x"));
    unchanged(&before);
    daemon.stop();
    stage.nothing_left("the service");
    Some("removed, lost, and back".to_owned())
}

/// A link to a file, and one by way of a folder that is a link itself, as alternatives, stow and Nix
/// make them.
pub(crate) fn links(stage: &Stage) -> Option<String> {
    let (old, new) = (qemu("7.2")?, qemu("10.0")?);
    // Programs of two releases, in a folder each.
    let releases = stage.path("releases");
    for (name, from) in [("7.2", &old), ("10.0", &new)] {
        fs::create_dir_all(releases.join(name)).unwrap();
        for target in ["aarch64", "riscv64"] {
            install(stage, from, target);
            let program = stage.path("bin").join(emulator(target));
            fs::rename(program, releases.join(name).join(emulator(target))).unwrap();
        }
    }
    let relink = |to: &str, link: &Path| {
        let new = link.with_extension("new");
        symlink(to, &new).unwrap();
        fs::rename(new, link).unwrap();
    };
    let alternatives = stage.path("alternatives");
    fs::create_dir(&alternatives).unwrap();
    let choice = alternatives.join("aarch64");
    relink("../releases/7.2/qemu-aarch64-static", &choice);
    symlink("../alternatives/aarch64", stage.path("bin").join(emulator("aarch64"))).unwrap();
    let current = stage.path("current");
    relink("releases/7.2", &current);
    symlink("../current/qemu-riscv64-static", stage.path("bin").join(emulator("riscv64"))).unwrap();
    configure(stage, r#"targets = ["aarch64", "riscv64"]"#);
    let mut daemon = Daemon::ready(stage);
    let program =
        |release: &str, target: &str| inode(&releases.join(release).join(emulator(target)));
    for target in ["aarch64", "riscv64"] {
        assert_eq!(runs(stage, target), program("7.2", target));
    }

    let healed = |daemon: &mut Daemon, what: &str, heals: u64| {
        daemon.until(what, |daemon| (daemon.heals("interpreter") == heals).then_some(()));
    };
    relink("../releases/10.0/qemu-aarch64-static", &choice);
    healed(&mut daemon, "the link in the middle to be followed", 1);
    assert_eq!(runs(stage, "aarch64"), program("10.0", "aarch64"));
    // What it leads to now is followed as well.
    let copy = releases.join("copy");
    fs::copy(releases.join("7.2").join(emulator("aarch64")), &copy).unwrap();
    fs::rename(&copy, releases.join("10.0").join(emulator("aarch64"))).unwrap();
    healed(&mut daemon, "the new file at the end of the links", 2);
    assert_eq!(runs(stage, "aarch64"), program("10.0", "aarch64"));
    relink("releases/10.0", &current);
    healed(&mut daemon, "the folder that is a link to be followed", 3);
    assert_eq!(runs(stage, "riscv64"), program("10.0", "riscv64"));
    daemon.stop();
    stage.nothing_left("the service");
    Some("3 changes behind links".to_owned())
}
