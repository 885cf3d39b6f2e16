//! Set-user-ID programs under emulation: with the flag C they have their owner's rights, without it
//! their caller's.

use std::fs;

use crate::others::{aarch64, configure, emulators};
use crate::support::fix::line;
use crate::support::stage::{Stage, says};

pub(crate) fn kept(stage: &Stage) -> Option<String> {
    emulators(stage)?;
    // Off by default, and that is no fault.
    stage.well(&["register"]);
    let examined = stage.well(&["doctor"]);
    let check = examined.check("exec.credentials", "aarch64");
    assert_eq!(check["status"], "skip", "{check:#}");
    says(&check["summary"], &["no flag C", "the safe choice"]);
    assert_eq!(examined.verdict("aarch64"), "working");

    configure(stage, "targets = [\"aarch64\"]\ncredentials = true");
    stage.well(&["register"]);
    assert!(Stage::entry("qemu-aarch64").contains("flags: POCF"));
    let examined = stage.well(&["doctor"]);
    let check = examined.check("exec.credentials", "aarch64");
    assert_eq!(check["status"], "pass", "{check:#}");
    says(&check["summary"], &["a set-user-ID program of uid 65534 ran with that uid"]);

    // Asked for, and somebody's rule has it not: the fix is run as it is said.
    stage.reset();
    let theirs = stage.install(&stage.path("bin/qemu-aarch64-static"), "qemu-theirs");
    stage.plant(&aarch64("qemu-aarch64", &theirs, "POF"));
    let examined = stage.fails(&["doctor"]);
    let check = examined.check("exec.credentials", "aarch64");
    assert_eq!(check["status"], "fail", "{check:#}");
    says(&check["summary"], &["asks for credentials", "qemu-aarch64 has no flag C"]);
    assert_eq!(examined.verdict("aarch64"), "broken");
    let fix = line(check).strip_prefix("binfmtd ")?.to_owned();
    stage.well(&fix.split(' ').collect::<Vec<_>>());
    let examined = stage.well(&["doctor"]);
    assert_eq!(examined.check("exec.credentials", "aarch64")["status"], "pass");

    // A folder that takes the bit away: not the rule's fault.
    let scratch = stage.path("nosuid");
    fs::create_dir(&scratch).expect("a folder");
    nix::mount::mount(
        Some("tmpfs"),
        &scratch,
        Some("tmpfs"),
        nix::mount::MsFlags::MS_NOSUID,
        None::<&str>,
    )
    .expect("a tmpfs");
    let output = stage.command(&["doctor"]).env("TMPDIR", &scratch).output().expect("binfmtd");
    let examined = crate::support::stage::Answer::of(&output);
    let check = examined.check("exec.credentials", "aarch64");
    assert_eq!(check["status"], "skip", "{check:#}");
    says(&check["summary"], &["nosuid"]);
    Some("uid 65534".to_owned())
}
