//! Why a probe failed: each cause is made to happen, and the finding has to name it.

use std::ffi::{OsStr, OsString};
use std::fs::{self, OpenOptions};
use std::path::Path;
use std::process::Command;

use nix::mount::{MsFlags, mount};

use crate::misbehaving::{actor, dynamic_actor};
use crate::others::{aarch64, configure, emulators};
use crate::support::fix::line;
use crate::support::need;
use crate::support::stage::{Answer, Qemu, Stage, chmod, says};

/// One way in which execve(2) refuses, and what is to be said of it.
struct Refusal {
    what: &'static str,
    /// Plants a rule that fails; what is returned lives until the doctor is done.
    make: fn(&Stage, &Path) -> Option<Box<dyn std::any::Any>>,
    check: &'static str,
    says: &'static [&'static str],
    fix: &'static str,
}

const REFUSALS: &[Refusal] = &[
    Refusal {
        what: "ENOENT, no F and no file",
        make: |stage, theirs| {
            stage.plant(&aarch64("qemu-aarch64", theirs, "PO"));
            fs::remove_file(theirs).ok()?;
            Some(Box::new(()))
        },
        check: "interpreter.exists",
        says: &["qemu-theirs does not exist"],
        fix: "binfmtd register aarch64",
    },
    Refusal {
        what: "ENOENT in an empty root, no F",
        make: |stage, theirs| {
            stage.plant(&aarch64("qemu-aarch64", theirs, "PO"));
            Some(Box::new(()))
        },
        check: "exec.empty-root",
        says: &["the rule has no flag F"],
        fix: "binfmtd register aarch64",
    },
    Refusal {
        what: "ENOENT in an empty root, a loader",
        make: |stage, _| {
            let program = need("a C compiler", dynamic_actor(stage))?;
            let honest = stage.install(&program, "honest");
            stage.plant(&aarch64("qemu-aarch64", &honest, "POF"));
            Some(Box::new(()))
        },
        check: "exec.empty-root",
        says: &["honest is dynamic", "its loader /"],
        fix: "binfmtd register aarch64",
    },
    Refusal {
        what: "ETXTBSY",
        make: |stage, theirs| {
            stage.plant(&aarch64("qemu-aarch64", theirs, "PO"));
            Some(Box::new(OpenOptions::new().append(true).open(theirs).ok()?))
        },
        check: "exec.host",
        says: &["text file busy", "qemu-theirs open for writing"],
        fix: "fuser -v",
    },
    Refusal {
        what: "EACCES, no execute bit",
        make: |stage, theirs| {
            stage.plant(&aarch64("qemu-aarch64", theirs, "PO"));
            chmod(theirs, 0o644);
            Some(Box::new(()))
        },
        check: "interpreter.usable",
        says: &["qemu-theirs: not executable"],
        fix: "binfmtd register aarch64",
    },
    Refusal {
        what: "EACCES, noexec",
        make: |stage, theirs| {
            let folder = stage.path("noexec");
            fs::create_dir(&folder).ok()?;
            mount(Some("tmpfs"), &folder, Some("tmpfs"), MsFlags::MS_NOEXEC, None::<&str>).ok()?;
            let copy = folder.join("qemu-theirs");
            fs::copy(theirs, &copy).ok()?;
            stage.plant(&aarch64("qemu-aarch64", &copy, "PO"));
            Some(Box::new(()))
        },
        check: "interpreter.usable",
        says: &["on a filesystem that is mounted noexec"],
        fix: "binfmtd register aarch64",
    },
    Refusal {
        what: "ELOOP",
        make: |stage, _| {
            let foreign = stage.foreign("aarch64", None);
            stage.plant(&aarch64("qemu-aarch64", &foreign, "P"));
            Some(Box::new(()))
        },
        check: "exec.host",
        says: &["too many levels of symbolic links", "rule qemu-aarch64 takes"],
        fix: "echo -1 > /proc/sys/fs/binfmt_misc/qemu-aarch64",
    },
    Refusal {
        what: "the same with O",
        make: |stage, _| {
            let foreign = stage.foreign("aarch64", None);
            stage.plant(&aarch64("qemu-aarch64", &foreign, "PO"));
            Some(Box::new(()))
        },
        check: "exec.host",
        says: &["exec format error", "rule qemu-aarch64 takes"],
        fix: "echo -1 > /proc/sys/fs/binfmt_misc/qemu-aarch64",
    },
];

pub(crate) fn refused(stage: &Stage) -> Option<String> {
    emulators(stage)?;
    for refusal in REFUSALS {
        stage.reset();
        let theirs = stage.install(&stage.path("bin/qemu-aarch64-static"), "qemu-theirs");
        let held = (refusal.make)(stage, &theirs)?;
        let examined = stage.fails(&["doctor", "aarch64"]);
        drop(held);
        let check = examined.check(refusal.check, "aarch64");
        assert_eq!(check["status"], "fail", "{}: {check:#}", refusal.what);
        says(&check["summary"], refusal.says);
        says(&line(check).into(), &[refusal.fix]);
        let is_told_by_exec = refusal.check.starts_with("exec.");
        if is_told_by_exec {
            says(&check["evidence"], &["see "]);
        }
        // The same fault is not told a second time, in another root or by another check.
        if refusal.check != "exec.empty-root" {
            assert_eq!(examined.check("exec.empty-root", "aarch64")["status"], "skip");
        }
        if !is_told_by_exec {
            let host = examined.check("exec.host", "aarch64");
            assert_eq!(host["status"], "skip", "{host:#}");
            says(&host["summary"], &[refusal.check]);
        }
    }
    Some(format!("{} causes", REFUSALS.len()))
}

/// Runs `binfmtd` by way of a command that limits it.
fn within(stage: &Stage, limit: &[&OsStr], arguments: &[&str]) -> Answer {
    let plain = stage.command(arguments);
    let mut command = Command::new(limit[0]);
    command.args(&limit[1..]).arg(plain.get_program()).args(plain.get_args());
    command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = command.output().expect("a command that limits");
    stage.nothing_left("a doctor with a limit");
    Answer::of(&output)
}

pub(crate) fn limited(stage: &Stage) -> Option<String> {
    emulators(stage)?;
    let program = need("a static QEMU", Qemu::any("arm"))?;
    stage.install(&program, "qemu-arm-static");
    configure(stage, "targets = [\"arm\", \"aarch64\"]");
    stage.well(&["register"]);

    // A 64-bit program does with less.
    let limit = ["prlimit", "--as=2000000000"].map(OsStr::new);
    let examined = within(stage, &limit, &["doctor"]);
    assert_eq!(examined.code, Some(3), "a limit of the doctor's own: {examined}");
    assert_eq!(examined.verdict("aarch64"), "working");
    assert_eq!(examined.verdict("arm"), "unproved");
    let check = examined.check("exec.host", "arm");
    assert_eq!(check["status"], "error", "{check:#}");
    says(&check["summary"], &["Unable to reserve", "limited to 2000000000 bytes", "RLIMIT_AS"]);
    says(&line(check).into(), &["prlimit --as=unlimited"]);

    // What this process may not do says nothing about the host, so nothing is said of it.
    let program = need("a C compiler with a static libc", actor(stage))?;
    let mdwe = OsString::from(stage.install(&program, "mdwe"));
    let examined = within(stage, &[&mdwe], &["doctor"]);
    assert_ne!(examined.code, Some(0), "{examined}");
    for target in ["arm", "aarch64"] {
        assert_eq!(examined.verdict(target), "unproved");
        let check = examined.check("exec.host", target);
        assert_eq!(check["status"], "error", "{check:#}");
        says(&check["summary"], &["PR_SET_MDWE", "says nothing about the host"]);
        says(&line(check).into(), &["systemd-run"]);
        assert_eq!(examined.check("exec.empty-root", target)["status"], "skip");
    }
    stage.well(&["doctor"]);
    Some("2 limits".to_owned())
}

pub(crate) fn known(stage: &Stage) -> Option<String> {
    let qemu = need("QEMU 10.0", Qemu::release("10.0"))?;
    stage.configure(&format!(
        "interpreter-directories = [\"{}\"]\ntargets = [\"microblazeel\", \"aarch64\"]\n",
        qemu.folder.display()
    ));
    stage.well(&["register", "--no-verify"]);
    let examined = stage.fails(&["doctor"]);
    assert_eq!(examined.verdict("aarch64"), "working");
    let version = examined.check("exec.version", "aarch64");
    assert_eq!(version["status"], "pass", "{version:#}");
    says(&version["summary"], &["version 10.0."]);
    says(&version["evidence"], &["sha256 "]);
    let check = examined.check("exec.host", "microblazeel");
    assert_eq!(check["status"], "fail", "{check:#}");
    says(&check["summary"], &["died by signal 11", "this version of QEMU is known for it"]);
    says(&line(check).into(), &["QEMU 10.1.2", "binfmtd register microblazeel"]);
    assert_eq!(examined.check("exec.version", "microblazeel")["status"], "skip");
    Some(qemu.package)
}
