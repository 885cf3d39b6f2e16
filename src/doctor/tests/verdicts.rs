use super::*;
use crate::doctor::rootfs::facts::{LoadedPart, NotRun, RootfsFacts};
use crate::system::process::batch::Ended;
use crate::verify::FailedRun;
use crate::verify::load::{Tally, Workload, WorkloadCommand};

/// A root filesystem of arm, one part of which ran so often.
pub(super) fn rootfs(part: Workload, tally: Tally) -> RootfsFacts {
    let job = WorkloadCommand::ends_well("/bin/true".into(), vec!["/bin/true".into()]);
    RootfsFacts {
        folder: "/r".into(),
        told_by: "/bin/true".into(),
        target: "arm".to_owned(),
        machine: 40,
        rule: Some("qemu-arm".to_owned()),
        noexec: false,
        mount_point: None,
        missing_loader: None,
        parts: vec![LoadedPart { part, outcome: Ok((job, tally)) }],
    }
}

fn of(host: &Example<'_>) -> Verdict {
    verdict(&host.0, &host.targets[0])
}

#[test]
fn without_a_probe_the_listing_is_left() {
    let settings = Settings::default();
    let mut host = host(&settings);
    host.ask("arm", None);
    assert_eq!(of(&host), Verdict::Missing);
    host.plant("qemu-arm", "arm", &sound(), "F");
    assert_eq!(of(&host), Verdict::Unproved);
    host.targets.clear();
    host.ask("i386", None);
    assert_eq!(of(&host), Verdict::Native);
}

#[test]
fn what_ran_decides() {
    let settings = Settings::default();
    let mut host = host(&settings);
    host.plant("qemu-arm", "arm", &sound(), "F").ask("arm", Some(Ran::Not));
    let mut judge = |proof: Proof| {
        host.targets[0].proof = Some(proof);
        of(&host)
    };
    assert_eq!(judge(proof(Ran::Not)), Verdict::Missing);
    assert_eq!(judge(proof(Ran::Badly)), Verdict::Broken);
    assert_eq!(judge(proof(Ran::Well)), Verdict::Working);
    assert_eq!(judge(Proof { native: true, ..proof(Ran::Badly) }), Verdict::Native);
    // Some of several: whatever the levels say.
    assert_eq!(judge(Proof { tries: Some((3, 9)), ..proof(Ran::Badly) }), Verdict::Flaky);
    assert_eq!(judge(Proof { tries: Some((9, 9)), ..proof(Ran::Well) }), Verdict::Working);
    assert_eq!(judge(Proof { tries: Some((0, 9)), ..proof(Ran::Badly) }), Verdict::Broken);
}

#[test]
fn credentials_that_were_asked_for_belong_to_it() {
    let settings = Settings { credentials: true, ..Settings::default() };
    let mut host = host(&settings);
    host.plant("qemu-arm", "arm", &sound(), "F").ask("arm", Some(Ran::Well));
    assert_eq!(of(&host), Verdict::Broken);
    host.seen.instance.entries[0].flags.known.credentials = true;
    assert_eq!(of(&host), Verdict::Working);
}

#[test]
fn what_only_this_process_may_not_do_proves_nothing() {
    let settings = Settings::default();
    let mut host = host(&settings);
    host.plant("qemu-arm", "arm", &sound(), "F").ask("arm", Some(Ran::Badly));
    let words = "qemu: mprotect failed: Permission denied".to_owned();
    let failure = FailedRun { refused: None, ended: Some(Ended::Exited(1)), words };
    let failures = vec![(Level::Host, failure)];
    host.targets[0].proof = Some(Proof { failures, ..proof(Ran::Badly) });
    assert_eq!(of(&host), Verdict::Unproved);
}

#[test]
fn real_programs_tell_more_than_a_probe() {
    let settings = Settings::default();
    let mut host = host(&settings);
    host.plant("qemu-arm", "arm", &sound(), "F").ask("arm", Some(Ran::Well));
    for (well, runs, verdict) in
        [(3, 3, Verdict::Working), (1, 3, Verdict::Flaky), (0, 3, Verdict::Broken)]
    {
        host.0.rootfs = Some(rootfs(Workload::Shell, Tally::of(runs, well)));
        assert_eq!(of(&host), verdict);
    }
    // Of another target, or another value of e_machine.
    host.0.rootfs.as_mut().unwrap().machine = 41;
    assert_eq!(of(&host), Verdict::Working);
    host.0.rootfs =
        Some(RootfsFacts { target: "mips".to_owned(), ..rootfs(Workload::Shell, Tally::of(3, 0)) });
    assert_eq!(of(&host), Verdict::Working);
    // Nothing was run.
    host.0.rootfs = Some(rootfs(Workload::Shell, Tally::of(3, 0)));
    host.0.rootfs.as_mut().unwrap().parts[0].outcome = Err(NotRun::NoCommand);
    assert_eq!(of(&host), Verdict::Working);
}

#[test]
fn words_and_what_they_mean() {
    for verdict in Verdict::ALL {
        assert_eq!(serde_json::to_value(verdict).unwrap(), verdict.as_str());
        let sound = matches!(verdict, Verdict::Working | Verdict::Native);
        assert_eq!(verdict.is_sound(), sound);
        assert_eq!(verdict.is_failure(), !sound && verdict != Verdict::Unproved);
    }
    for status in [PASS, WARN, FAIL, SKIP, Status::Error] {
        assert_eq!(serde_json::to_value(status).unwrap(), status.as_str());
        assert_eq!(status.is_trouble(), !matches!(status, Status::Pass | Status::Skip));
    }
}
