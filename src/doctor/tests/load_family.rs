use super::verdicts::rootfs;
use super::*;
use crate::doctor::rootfs::facts::NotRun;
use crate::system::process::child::ExecError;
use crate::verify::load::{Tally, Workload};

fn with(part: Workload, tally: Tally) -> (Settings, Workload, Tally) {
    (Settings::default(), part, tally)
}

/// A host with a rule for arm, and a root filesystem of which one part was run.
macro_rules! loaded {
    ($host:ident, $part:expr, $tally:expr) => {
        let (settings, part, tally) = with($part, $tally);
        let mut $host = host(&settings);
        $host.plant("qemu-arm", "arm", &sound(), "F").ask("arm", Some(Ran::Well));
        $host.0.rootfs = Some(rootfs(part, tally));
    };
}

fn refused(error: ExecError) -> Tally {
    let mut tally = Tally::of(3, 0);
    tally.refused = Some(error);
    tally.failure = Some("why".to_owned());
    tally
}

#[test]
fn nothing_is_said_where_nothing_was_asked_or_run() {
    loaded!(host, Workload::Shell, Tally::of(3, 3));
    let found = host.says("load.shell");
    assert_eq!(found.target.as_deref(), Some("arm"));
    assert_eq!(found.subject, Subject::Rootfs { path: "/r".to_owned() });
    host.holds("load.shell", PASS, &["3 of 3 runs", "/bin/true in /r, taken by qemu-arm"]);
    host.holds("load.pipes", SKIP, &["not run"]);
    host.0.rootfs.as_mut().unwrap().parts[0].outcome =
        Err(NotRun::NoShell { looked_for: &["/bin/sh"] });
    host.holds("load.shell", SKIP, &["there is no shell in it (/bin/sh)"]);
    host.0.rootfs = None;
    host.holds("load.shell", SKIP, &["--rootfs DIR"]);
    assert_eq!(host.says("load.shell").subject, Subject::Host);
}

#[test]
fn a_mount_that_forbids_programs() {
    loaded!(host, Workload::Loader, refused(ExecError::Denied));
    host.0.rootfs.as_mut().unwrap().noexec = true;
    let words = ["permission denied: /r is", "mount its filesystem without noexec"];
    host.holds("load.loader", FAIL, &words);
    host.0.rootfs.as_mut().unwrap().mount_point = Some("/r".into());
    host.holds("load.loader", FAIL, &["mount -o remount,exec /r"]);
}

#[test]
fn what_a_probe_ran_into_is_told_of_the_probe() {
    for (error, ran, told_by) in
        [(ExecError::Format, Ran::Not, "exec.host"), (ExecError::Denied, Ran::Badly, "exec.host")]
    {
        loaded!(host, Workload::Loader, refused(error));
        host.targets[0].proof = Some(proof(ran));
        host.holds("load.loader", SKIP, &["none of its programs starts", told_by]);
    }
    loaded!(host, Workload::Loader, refused(ExecError::Denied));
    let levels = [
        (Level::Host, LevelOutcome::Pass(String::new())),
        (Level::EmptyRoot, LevelOutcome::Fail(String::new())),
    ];
    host.targets[0].proof = Some(Proof { levels: levels.to_vec(), ..proof(Ran::Well) });
    host.holds("load.loader", SKIP, &["exec.empty-root reports"]);
}

#[test]
fn a_loader_that_is_not_there() {
    loaded!(host, Workload::Loader, Tally::of(2, 0));
    host.0.rootfs.as_mut().unwrap().missing_loader = Some("/lib/ld.so".into());
    let words = ["needs the loader /lib/ld.so, which is not in /r", "put /lib/ld.so", "into /r"];
    host.holds("load.loader", FAIL, &words);
    // Once it ran, it was there.
    loaded!(host, Workload::Loader, Tally::of(2, 1));
    host.0.rootfs.as_mut().unwrap().missing_loader = Some("/lib/ld.so".into());
    host.holds("load.loader", FAIL, &["1 of 2 runs"]);
}

#[test]
fn the_way_out_is_by_what_took_it() {
    loaded!(host, Workload::Shell, refused(ExecError::Format));
    host.0.rootfs.as_mut().unwrap().rule = None;
    assert_eq!(line(&host.says("load.shell")), "binfmtd register arm");
    loaded!(host, Workload::Shell, Tally::of(3, 0));
    host.holds("load.shell", FAIL, &["none of 3 runs", "another version of QEMU"]);
    host.0.rootfs.as_mut().unwrap().rule = Some("pie".to_owned());
    assert_eq!(line(&host.says("load.shell")), "binfmtd register arm --takeover");
    loaded!(host, Workload::Command, Tally::of(3, 0));
    assert_eq!(line(&host.says("load.command")), "chroot /r /bin/true");
    loaded!(host, Workload::Pipes, Tally::of(3, 1));
    let words = ["1 of 3 runs", "until then repeat", "kernel.randomize_va_space is 2"];
    host.holds("load.pipes", FAIL, &words);
    host.limits.randomize = None;
    host.holds("load.pipes", FAIL, &["kernel.randomize_va_space is unknown"]);
}

#[test]
fn a_reason_explains_only_the_runs_that_it_stopped() {
    loaded!(host, Workload::Loader, Tally::of(2, 0));
    host.0.rootfs.as_mut().unwrap().noexec = true;
    host.holds("load.loader", FAIL, &["none of 2 runs"]);
    let mut tally = refused(ExecError::Denied);
    tally.well = 1;
    loaded!(host, Workload::Loader, tally);
    host.0.rootfs.as_mut().unwrap().noexec = true;
    host.targets[0].proof = Some(proof(Ran::Badly));
    host.holds("load.loader", FAIL, &["1 of 3 runs"]);
    // The shell may be static.
    loaded!(host, Workload::Shell, Tally::of(2, 0));
    host.0.rootfs.as_mut().unwrap().missing_loader = Some("/lib/ld.so".into());
    host.holds("load.shell", FAIL, &["none of 2 runs"]);
}
