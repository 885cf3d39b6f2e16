use super::*;
use crate::probe::CpuLevel;
use crate::system::process::batch::Ended;
use crate::system::process::child::ExecError;
use crate::verify::{FailedRun, Pinned};

/// A host with a rule for arm that is binfmtd's, of which this was proved.
macro_rules! proved {
    ($host:ident, $proof:expr) => {
        let settings = Settings::default();
        let mut $host = host(&settings);
        $host.ours("arm", &sound(), "POF").ask("arm", None);
        $host.targets[0].proof = Some($proof);
    };
}

fn levels(levels: &[(Level, LevelOutcome)]) -> Proof {
    Proof { levels: levels.to_vec(), ..proof(Ran::Well) }
}

fn fail(words: &str) -> LevelOutcome {
    LevelOutcome::Fail(words.to_owned())
}

fn pass() -> LevelOutcome {
    LevelOutcome::Pass("it ran".to_owned())
}

/// Levels that failed by such a run.
fn failed(which: &[Level], failure: &FailedRun) -> Proof {
    let outcomes: Vec<_> = which.iter().map(|level| (*level, fail("no"))).collect();
    let failures = which.iter().map(|level| (*level, failure.clone())).collect();
    Proof { failures, ..levels(&outcomes) }
}

fn exited(words: &str) -> FailedRun {
    FailedRun { refused: None, ended: Some(Ended::Exited(1)), words: words.to_owned() }
}

fn refused(error: ExecError) -> FailedRun {
    FailedRun { refused: Some(error), ended: None, words: String::new() }
}

fn pinned(is_on_disk: bool) -> Pinned {
    let sha256 = Some("abc".to_owned());
    let (id, path) = (ID, sound());
    Pinned { id, path, sha256, is_on_disk, is_elsewhere: false, fixed_address: Some(false) }
}

#[test]
fn each_level_is_told_as_it_went() {
    proved!(
        host,
        levels(&[(Level::Host, pass()), (Level::Pie, LevelOutcome::Skip("why".to_owned()))])
    );
    host.holds("exec.host", PASS, &["it ran"]);
    host.holds("exec.pie", SKIP, &["why"]);
    host.holds("exec.repeat", SKIP, &["not run"]);
    host.targets[0].proof =
        Some(levels(&[(Level::Identity, LevelOutcome::Warn("gone".to_owned()))]));
    host.holds("exec.identity", SKIP, &["gone, as interpreter.exists reports"]);
    host.targets[0].proof = Some(levels(&[(Level::Argv0, LevelOutcome::Warn("lost".to_owned()))]));
    host.holds("exec.argv0", WARN, &["lost", "binfmtd register arm"]);
    host.targets[0].proof = None;
    for id in ["exec.host", "exec.version", "exec.cost"] {
        host.holds(id, SKIP, &["there is no probe"]);
    }
}

#[test]
fn one_fault_is_told_once() {
    proved!(host, proof(Ran::Not));
    // Why no rule took it, in the order in which it is found.
    host.holds("exec.host", FAIL, &["it did not", "binfmtd register arm"]);
    host.first_namespace = false;
    host.holds("exec.host", SKIP, &["uses another instance", "as kernel.instance reports"]);
    host.first_namespace = true;
    host.seen.instance.entries[0].enabled = false;
    host.holds("exec.host", SKIP, &["disabled", "as rule.enabled reports"]);
    host.seen.instance.enabled = false;
    host.holds("exec.host", SKIP, &["no rule is used", "as kernel.enabled reports"]);
    host.seen.instance.entries.clear();
    host.holds("exec.host", SKIP, &["no rule takes it", "as rule.present reports"]);
    host.trouble = Some(InstanceError::NotMounted);
    host.holds("exec.host", FAIL, &["binfmtd register arm"]);
}

#[test]
fn what_follows_from_the_first_failure_is_not_told_again() {
    use Level::{Credentials, EmptyRoot, Host, Pie, Repeat};
    let all = [Host, EmptyRoot, Pie, Credentials, Repeat];
    proved!(host, failed(&all, &exited("")));
    host.holds("exec.host", FAIL, &["no"]);
    for id in ["exec.pie", "exec.credentials"] {
        host.holds(id, SKIP, &["it fails like all programs of this target"]);
    }
    host.holds("exec.empty-root", SKIP, &["it fails as on the host"]);
    host.holds("exec.repeat", SKIP, &["none of 0 runs answered, as exec.host reports"]);
    // Now and then.
    host.targets[0].proof = Some(Proof { tries: Some((1, 3)), ..failed(&all, &exited("")) });
    for id in ["exec.host", "exec.empty-root", "exec.credentials"] {
        host.holds(id, SKIP, &["sometimes, as exec.repeat reports"]);
    }
    host.holds("exec.repeat", FAIL, &["no", "another version of QEMU"]);
    // Its own failure, with an answer.
    let answered = levels(&[(Host, fail("no")), (Credentials, fail("another uid"))]);
    host.targets[0].proof = Some(answered);
    host.holds("exec.credentials", FAIL, &["another uid"]);
}

#[test]
fn an_interpreter_that_may_not_be_started_is_told_of_the_file() {
    proved!(host, failed(&[Level::Host], &refused(ExecError::Denied)));
    host.holds("exec.host", FAIL, &["no"]);
    let file = InterpreterFile { noexec: true, ..program() };
    host.files.insert(sound(), found(Ok(file)));
    host.holds("exec.host", SKIP, &["as interpreter.usable reports"]);
    let file = InterpreterFile { mode: 0o644, ..program() };
    host.files.insert(sound(), found(Ok(file)));
    host.holds("exec.host", FAIL, &["no"]);
    host.seen.instance.entries[0].flags.known.fix_binary = false;
    host.holds("exec.host", SKIP, &["as interpreter.usable reports"]);
    host.files.insert(sound(), found(Err(InterpreterFault::Missing)));
    host.holds("exec.host", SKIP, &["as interpreter.exists reports"]);
    host.seen.instance.entries[0].flags.known.fix_binary = true;
    host.holds("exec.host", FAIL, &["no"]);
}

#[test]
fn programs_that_another_rule_takes() {
    proved!(host, levels(&[(Level::Host, pass()), (Level::Pie, fail("no"))]));
    host.holds("exec.pie", FAIL, &["no", "another version of QEMU"]);
    let mut first = host.seen.instance.entries[0].clone();
    let (_, magic) = host.settings.table.find("arm").unwrap().rules().swap_remove(0);
    let narrow = |byte: u8| {
        let (mut bytes, mut mask) = (magic.magic().to_vec(), magic.mask().to_vec());
        (bytes[16], mask[16]) = (byte, 0xff);
        Matcher::Magic(crate::rule::Magic::new(0, bytes, Some(mask)).unwrap())
    };
    first.name = "pie".into();
    first.matcher = narrow(3);
    host.seen.instance.entries.insert(0, first);
    host.holds("exec.pie", SKIP, &["as rule.shadowed reports"]);
    host.seen.instance.entries.truncate(1);
    host.seen.instance.entries[0].matcher = narrow(2);
    host.holds("exec.pie", SKIP, &["as rule.matcher reports"]);
}

#[test]
fn a_cause_names_whose_fault_it_is() {
    let words = "qemu: mprotect failed: Permission denied";
    proved!(host, failed(&[Level::Host], &exited(words)));
    let words = ["no: a sandbox", "see systemd.exec(5)", "systemd-run --wait"];
    host.holds("exec.host", Status::Error, &words);
    let words = "x: Value too large for defined data type";
    host.targets[0].proof = Some(failed(&[Level::Host], &exited(words)));
    host.holds("exec.host", FAIL, &["inode number", "inode32"]);
    // A rule that takes the interpreter itself.
    host.targets[0].proof = Some(failed(&[Level::Host], &refused(ExecError::Loop)));
    host.holds("exec.host", FAIL, &["no", "another version of QEMU"]);
    host.plant("greedy", "x86_64", &sound(), "");
    host.holds("exec.host", FAIL, &["greedy takes", "echo -1 > /proc/sys/fs/binfmt_misc/greedy"]);
    // A limit of this process.
    host.limits.processes = Some(7);
    let words = "qemu_thread_create: Resource temporarily unavailable";
    host.targets[0].proof = Some(failed(&[Level::Host], &exited(words)));
    let words = ["7 processes", "prlimit --nproc=unlimited binfmtd doctor arm"];
    host.holds("exec.host", Status::Error, &words);
}

#[test]
fn of_several_targets_the_same_end_is_one_fault() {
    for (end, level) in [
        (
            FailedRun { ended: Some(Ended::Exited(1)), ..exited("jit buffer: Permission denied") },
            Level::Host,
        ),
        (
            FailedRun {
                ended: Some(Ended::Signaled(6)),
                ..exited("jit buffer: Permission denied")
            },
            Level::Pie,
        ),
        (
            FailedRun { ended: Some(Ended::TimedOut), ..exited("jit buffer: Permission denied") },
            Level::EmptyRoot,
        ),
        (
            FailedRun { ended: Some(Ended::Flooded), ..exited("jit buffer: Permission denied") },
            Level::Credentials,
        ),
        (FailedRun { ended: None, ..exited("jit buffer: Permission denied") }, Level::Repeat),
    ] {
        let settings = Settings::default();
        let mut host = host(&settings);
        for target in ["arm", "mips"] {
            host.ours(target, &sound(), "POCF").ask(target, None);
            let what = format!("how it went for {target}");
            let mut proof = levels(&[(level, fail(&what))]);
            proof.failures = vec![(level, end.clone())];
            host.targets.last_mut().unwrap().proof = Some(proof);
        }
        let id = checks().find(|check| level_of(check.id) == Some(level)).unwrap().id;
        let found = host.all(id.as_str());
        assert!(found[0].is_like(&found[1]), "{found:#?}");
        assert_ne!(found[0].summary.to_string(), found[1].summary.to_string());
    }
}

#[test]
fn what_runs_is_told_with_what_failed() {
    let mut proof = levels(&[(Level::Identity, fail("another file than the one on disk"))]);
    proof.pinned = Some(pinned(false));
    proof.version = Some("qemu-arm version 7.2.22 (Debian)".to_owned());
    proved!(host, proof);
    let words = ["another file", "interpreter /usr/bin/emulator, qemu-arm version 7.2.22"];
    host.holds("exec.identity", FAIL, &words);
    assert_eq!(
        line(&host.says("exec.identity")),
        "install QEMU's static emulators (qemu-user-static); then run binfmtd register arm"
    );
    host.usable("arm", &sound());
    assert_eq!(line(&host.says("exec.identity")), "binfmtd register arm");
}

#[test]
fn the_way_out_of_somebody_elses_rule_is_to_insist() {
    let settings = Settings::default();
    let mut host = host(&settings);
    host.usable("arm", &sound());
    host.plant("mine", "arm", &sound(), "F").ask("arm", None);
    for (level, id) in [
        (Level::Argv0, "exec.argv0"),
        (Level::Signal, "exec.signal"),
        (Level::Status, "exec.status"),
        (Level::EmptyRoot, "exec.empty-root"),
    ] {
        host.targets[0].proof = Some(levels(&[(level, fail("no"))]));
        assert_eq!(line(&host.says(id)), "binfmtd register arm --takeover", "{id}");
    }
    // Of a rule of binfmtd's own, which its proof let pass.
    host.seen.instance.entries.clear();
    host.ours("arm", &sound(), "F");
    for (level, id) in [
        (Level::Signal, "exec.signal"),
        (Level::Status, "exec.status"),
        (Level::EmptyRoot, "exec.empty-root"),
    ] {
        host.targets[0].proof = Some(levels(&[(level, fail("no"))]));
        host.holds(id, FAIL, &["install another version of QEMU; then run binfmtd register arm"]);
    }
    host.targets[0].proof = Some(levels(&[(Level::Argv0, fail("no"))]));
    assert_eq!(line(&host.says("exec.argv0")), "binfmtd register arm");
    // Without F it is the flag.
    host.seen.instance.entries.clear();
    host.ours("arm", &sound(), "P");
    host.targets[0].proof = Some(levels(&[(Level::EmptyRoot, fail("no"))]));
    assert_eq!(line(&host.says("exec.empty-root")), "binfmtd register arm");
}

#[test]
fn credentials_that_were_asked_for() {
    let settings = Settings { credentials: true, ..Settings::default() };
    let mut host = host(&settings);
    host.ours("arm", &sound(), "F").ask("arm", Some(Ran::Well));
    let words = ["qemu-arm has no flag C", "flags F", "binfmtd register arm"];
    host.holds("exec.credentials", FAIL, &words);
    assert!(!line(&host.says("exec.credentials")).contains("--takeover"));
    host.seen.record.rules.clear();
    host.holds("exec.credentials", FAIL, &["binfmtd register arm --takeover"]);
    host.targets[0].proof = Some(proof(Ran::Badly));
    host.holds("exec.credentials", SKIP, &["not run"]);
}

#[test]
fn versions_that_are_known_to_fail() {
    let version = |line: &str| Proof { version: Some(line.to_owned()), ..proof(Ran::Well) };
    proved!(host, Proof { native: true, ..proof(Ran::Well) });
    host.holds("exec.version", SKIP, &["native"]);
    host.targets[0].proof = Some(proof(Ran::Well));
    host.holds("exec.version", SKIP, &["does not report a version"]);
    let good = Proof { pinned: Some(pinned(true)), ..version("qemu-arm version 7.2.22") };
    host.targets[0].proof = Some(good);
    host.holds("exec.version", PASS, &["qemu-arm version 7.2.22", "sha256 abc"]);
    host.targets.clear();
    host.ask("aarch64", None);
    host.targets[0].proof = Some(version("qemu-aarch64 version 9.2.1"));
    let words =
        ["is known to fail: ldconfig", "tonistiigi/binfmt#231", "then run binfmtd register"];
    host.holds("exec.version", WARN, &words);
    // Every program is hit by this one, a probe as well: it is told there, or this build has the fix.
    host.targets.clear();
    host.ask("microblazeel", None);
    host.targets[0].proof = Some(version("qemu-microblazeel version 10.0.2"));
    host.holds("exec.version", PASS, &["10.0.2"]);
    let failing =
        Proof { version: host.targets[0].proof.take().unwrap().version, ..proof(Ran::Badly) };
    host.targets[0].proof = Some(failing);
    host.holds("exec.version", SKIP, &["exec.host reports"]);
}

#[test]
fn what_one_start_costs() {
    let cost = |ms| Proof { cost: Some(Duration::from_millis(ms)), ..proof(Ran::Well) };
    proved!(host, proof(Ran::Well));
    host.holds("exec.cost", SKIP, &["it did not run"]);
    host.targets[0].proof = Some(cost(12));
    host.holds("exec.cost", PASS, &["12.0 ms", "no native one to compare with"]);
    host.native_cost = Some(Duration::ZERO);
    host.holds("exec.cost", PASS, &["no native one to compare with"]);
    host.native_cost = Some(Duration::from_millis(1));
    host.holds("exec.cost", PASS, &["12.0 ms from start to end, 12 times"]);
    host.targets[0].proof = Some(cost(3000));
    host.holds(
        "exec.cost",
        WARN,
        &["3000 times", "more than emulation explains", "qemu-user-static"],
    );
    host.targets[0].proof = Some(Proof { native: true, ..cost(3000) });
    host.holds("exec.cost", PASS, &["natively"]);
}

#[test]
fn which_cpu_programs_see() {
    let settings = Settings::default();
    let mut host = host(&settings);
    host.native = Native::new(&settings.table, &["aarch64".to_owned()]);
    host.ask("arm", Some(Ran::Well));
    assert!(host.all("exec.cpu-level").is_empty());
    host.targets.clear();
    host.ask("x86_64", None);
    host.holds("exec.cpu-level", SKIP, &["no probe"]);
    host.targets[0].proof = Some(proof(Ran::Badly));
    host.holds("exec.cpu-level", SKIP, &["did not run"]);
    for (level, status, words) in [
        (CpuLevel::V1, WARN, "\"CPU does not support x86-64-v2\""),
        (CpuLevel::V2, WARN, "\"CPU does not support x86-64-v3\""),
        (CpuLevel::V3, PASS, "programs see x86-64-v3"),
        (CpuLevel::V4, PASS, "programs see x86-64-v4"),
    ] {
        host.targets[0].proof = Some(Proof { cpu: Some(level), ..proof(Ran::Well) });
        host.holds("exec.cpu-level", status, &[words]);
    }
    let own = Proof { native: true, cpu: Some(CpuLevel::V1), ..proof(Ran::Well) };
    host.targets[0].proof = Some(own);
    host.holds("exec.cpu-level", PASS, &["the host's own CPU is x86-64-v1"]);
}
