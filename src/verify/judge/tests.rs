//! Each branch of the judgement, with runs that nobody ever saw.

use std::time::Duration;

use super::*;
use crate::observation::{FileId, Serving};
use crate::probe::Report;
use crate::system::process::batch::Ended::{Exited, Flooded, Signaled, TimedOut};

const NONCE: &str = "0123456789abcdef";
const PATH: &str = "/usr/bin/qemu-aarch64";

/// A run that answered and ended like this.
fn answered(ended: Ended) -> Run {
    let arguments = [ARGV0, NONCE].map(|word| word.as_bytes().to_vec()).to_vec();
    let report = Some(Report { machine: "aarch64".to_owned(), arguments });
    Run { report, ..silent(ended) }
}

fn silent(ended: Ended) -> Run {
    Run {
        started: Ok(()),
        report: None,
        output: String::new(),
        errors: String::new(),
        effective_user: None,
        ended: Some(ended),
        time: Duration::from_millis(7),
    }
}

fn released() -> Run {
    answered(Exited(i32::from(STATUS)))
}

fn terminated() -> Run {
    answered(Signaled(SIGTERM))
}

fn saw(words: &[&str]) -> Run {
    let mut run = released();
    let arguments = words.iter().map(|word| word.as_bytes().to_vec()).collect();
    run.report.as_mut().unwrap().arguments = arguments;
    run
}

fn pinned() -> Pinned {
    Pinned {
        id: FileId { device: 1, inode: 2, size: 3, modified: 4 },
        path: "/old/qemu".into(),
        sha256: None,
        is_on_disk: true,
        is_elsewhere: false,
        fixed_address: None,
    }
}

/// Every level was asked for, and all is well.
fn full() -> RunEvidence<'static> {
    RunEvidence {
        host: Some(released()),
        again: Again::default(),
        empty: Some(terminated()),
        fixed: None,
        version: None,
        set_user_id: Err(NoSetUserId::NotAsked),
        cpu: None,
        executed: Executed::Interpreter(pinned(), AtPath::File),
        rule_path: Some(Path::new(PATH)),
    }
}

fn quick(empty: Run) -> RunEvidence<'static> {
    RunEvidence { host: None, empty: Some(empty), ..full() }
}

#[track_caller]
fn level(seen: RunEvidence<'_>, level: Level) -> LevelOutcome {
    judge(seen).level(level).unwrap().clone()
}

#[track_caller]
fn passes(outcome: &LevelOutcome, part: &str) {
    assert!(matches!(outcome, LevelOutcome::Pass(what) if what.contains(part)), "{outcome:?}");
}

#[track_caller]
fn warns(outcome: &LevelOutcome, part: &str) {
    assert!(matches!(outcome, LevelOutcome::Warn(what) if what.contains(part)), "{outcome:?}");
}

#[track_caller]
fn fails(outcome: &LevelOutcome, part: &str) {
    assert!(matches!(outcome, LevelOutcome::Fail(what) if what.contains(part)), "{outcome:?}");
}

#[track_caller]
fn skips(outcome: &LevelOutcome, part: &str) {
    assert!(matches!(outcome, LevelOutcome::Skip(why) if why.contains(part)), "{outcome:?}");
}

#[test]
fn everything_works() {
    let proof = judge(full());
    assert_eq!(proof.levels.iter().map(|(level, _)| *level).collect::<Vec<_>>(), Level::ALL);
    for (level, outcome) in &proof.levels {
        match level {
            Level::Credentials => skips(outcome, "not asked for"),
            Level::Repeat => skips(outcome, "--repeat N"),
            _ => passes(outcome, ""),
        }
    }
    passes(proof.level(Level::Host).unwrap(), "saw the machine aarch64");
    assert!(proof.works() && !proof.native && !proof.nobody && !proof.is_flaky());
    assert_eq!(proof.machine.as_deref(), Some("aarch64"));
    assert_eq!((proof.pinned, proof.tries), (Some(pinned()), None));
    assert_eq!((proof.failures.len(), proof.cpu, proof.version), (0, None, None));
}

#[test]
fn a_quick_look_is_one_run_in_an_empty_root() {
    let proof = judge(quick(released()));
    for level in [Level::Host, Level::Pie, Level::Signal] {
        skips(proof.level(level).unwrap(), "not asked for");
    }
    for level in [Level::EmptyRoot, Level::Argv0, Level::Status, Level::Identity] {
        passes(proof.level(level).unwrap(), "");
    }
    assert!(proof.works());
    assert_eq!(proof.failed_run(Level::Host), None);

    let nothing =
        judge(RunEvidence { executed: Executed::Unknown, empty: None, ..quick(released()) });
    for level in [Level::EmptyRoot, Level::Argv0, Level::Status] {
        skips(nothing.level(level).unwrap(), "not run");
    }
    assert!(!nothing.works());
    assert_eq!((nothing.time, nothing.cost), (Duration::ZERO, None));
}

#[test]
fn where_the_root_may_not_be_changed_the_host_tells() {
    let refused = || Run::never(ExecError::NotPermitted);
    let proof = judge(RunEvidence { empty: Some(refused()), ..full() });
    skips(proof.level(Level::EmptyRoot).unwrap(), "may not change its root");
    skips(proof.level(Level::Pie).unwrap(), "may not change its root");
    skips(proof.level(Level::Signal).unwrap(), "did not run");
    passes(proof.level(Level::Host).unwrap(), "");
    assert!(proof.works());
    // On the host the same answer is one about the program.
    fails(&level(RunEvidence { host: Some(refused()), ..full() }, Level::Host), "not permitted");
}

#[test]
fn a_run_without_an_answer_says_how_it_ended() {
    let complains = |ended, errors: &str, output: &str| Run {
        errors: errors.to_owned(),
        output: output.to_owned(),
        ..silent(ended)
    };
    let slow = Run { time: Duration::from_secs(10), ..silent(TimedOut) };
    for (run, said) in [
        (Run::never(ExecError::Busy), "text file busy"),
        (slow, "it gave no answer in 10 s and was killed"),
        (silent(Flooded), "it wrote without end and was killed"),
        (silent(Signaled(11)), "it died by signal 11"),
        (complains(Signaled(6), "\n  no memory \nmore", "out"), "it died by signal 6 (no memory)"),
        (silent(Exited(3)), "it exited with status 3 and did not answer as the probe does"),
        (complains(Exited(3), " \n", "hello\n"), "did not answer as the probe does (hello)"),
        (Run { ended: None, ..silent(Exited(0)) }, "it did not end"),
    ] {
        let outcome = ran(&run);
        assert_eq!(ran_in_empty_root(&run), outcome);
        let LevelOutcome::Fail(why) = outcome else { panic!("{outcome:?}") };
        assert!(why.ends_with(said) || why.starts_with(said), "{why}");
    }
    let long = complains(Exited(1), &"x".repeat(300), "");
    let LevelOutcome::Fail(why) = ran(&long) else { panic!() };
    assert!(why.ends_with(&format!(" ({})", "x".repeat(200))), "{why}");
}

#[test]
fn a_failure_may_be_of_the_kind_of_program() {
    let with =
        |empty: Run, fixed: Option<Run>| judge(RunEvidence { empty: Some(empty), fixed, ..full() });
    let proof = with(silent(Signaled(11)), Some(terminated()));
    fails(proof.level(Level::Pie).unwrap(), "a position-independent program (ET_DYN): it died");
    passes(proof.level(Level::EmptyRoot).unwrap(), "");
    passes(proof.level(Level::Signal).unwrap(), "");
    assert!(proof.failed_run(Level::Pie).is_some() && proof.failed_run(Level::EmptyRoot).is_none());

    let proof = with(silent(Signaled(11)), Some(silent(Exited(1))));
    skips(proof.level(Level::Pie).unwrap(), "no program of it ran in an empty root");
    fails(proof.level(Level::EmptyRoot).unwrap(), "status 1");

    let proof = with(silent(Signaled(11)), None);
    skips(proof.level(Level::Pie).unwrap(), "no program of it ran");
    fails(proof.level(Level::EmptyRoot).unwrap(), "signal 11");
    assert!(proof.failed_run(Level::Pie).is_none() && proof.failed_run(Level::EmptyRoot).is_some());
    skips(&level(RunEvidence { empty: None, ..full() }, Level::Pie), "not run");
}

#[test]
fn arguments_come_through_or_not() {
    let of = |words: &[&str]| level(RunEvidence { host: Some(saw(words)), ..full() }, Level::Argv0);
    passes(&of(&[ARGV0, NONCE]), "argv[0] was passed on");
    warns(&of(&["/tmp/probe", NONCE]), "it sees argv[0] \"/tmp/probe\" in place of");
    fails(&of(&["/tmp/probe", ARGV0, NONCE]), "its arguments are shifted");
    fails(&of(&[NONCE]), "its arguments are shifted");
    skips(
        &level(RunEvidence { host: Some(silent(Exited(0))), ..full() }, Level::Argv0),
        "did not run",
    );

    let shifted = judge(quick(saw(&["/tmp/probe", ARGV0, NONCE])));
    assert!(shifted.arguments_are_shifted() && !shifted.works());
    let renamed = judge(quick(saw(&["/tmp/probe", NONCE])));
    assert!(!renamed.arguments_are_shifted() && renamed.works());
    assert_eq!(renamed.serving(), Serving::Works);
}

#[test]
fn a_status_comes_through_or_not() {
    let of = |run| level(RunEvidence { host: Some(run), ..full() }, Level::Status);
    passes(&of(released()), "exit status 42 was passed on");
    for (ended, said) in [
        (Some(Exited(0)), "should have exited with status 42: it exited with status 0"),
        (Some(Signaled(42)), ": it died by signal 42"),
        (Some(TimedOut), ": it did not end in time"),
        (Some(Flooded), ": it wrote without end"),
        (None, ": it did not end"),
    ] {
        fails(&of(Run { ended, ..released() }), said);
    }
    skips(&of(silent(Exited(42))), "did not run");
}

#[test]
fn a_signal_ends_it_or_not() {
    let of = |run| level(RunEvidence { empty: Some(run), ..full() }, Level::Signal);
    passes(&of(terminated()), "it died by the signal");
    fails(&of(answered(Signaled(9))), "SIGTERM should have killed it: it died by signal 9");
    fails(
        &of(answered(Exited(SIGTERM))),
        "SIGTERM should have killed it: it exited with status 15",
    );
    skips(&of(silent(Signaled(SIGTERM))), "did not run");
}

#[test]
fn a_set_user_id_program_has_its_owners_rights_or_not() {
    let of = |set_user_id| level(RunEvidence { set_user_id, ..full() }, Level::Credentials);
    let user = |effective_user| Run { effective_user, ..released() };
    passes(&of(Ok((user(Some(65534)), 65534))), "of uid 65534 ran with that uid");
    fails(&of(Ok((user(Some(0)), 65534))), "of uid 65534 ran as uid 0, though");
    skips(&of(Ok((user(None), 65534))), "ended before it could be inspected");
    fails(&of(Ok((silent(Exited(1)), 65534))), "a set-user-ID program: it exited with status 1");
    for (why, said) in [
        (NoSetUserId::NoFlag, "no flag C"),
        (NoSetUserId::NoNewPrivileges, "no_new_privs"),
        (NoSetUserId::Nosuid("/tmp".into()), "/tmp is mounted nosuid"),
        (NoSetUserId::Unmakable("EPERM".to_owned()), "cannot be made here: EPERM"),
    ] {
        skips(&of(Err(why)), said);
    }
    let failed = judge(RunEvidence { set_user_id: Ok((silent(Exited(1)), 1)), ..full() });
    assert_eq!(failed.failed_run(Level::Credentials).unwrap().ended, Some(Exited(1)));
}

#[test]
fn further_runs_are_counted() {
    let of = |first: Run, more: Vec<Run>| {
        let mut again = Again::default();
        for run in more {
            again.add(run);
        }
        judge(RunEvidence { host: Some(first), again, ..full() })
    };
    let proof = of(released(), vec![released(), released()]);
    passes(proof.level(Level::Repeat).unwrap(), "3 of 3 runs answered");
    assert_eq!((proof.tries, proof.is_flaky()), (Some((3, 3)), false));

    let proof = of(released(), vec![released(), silent(Signaled(11)), silent(Exited(1))]);
    let said = "2 of 4 runs answered; one of the others: it died by signal 11";
    fails(proof.level(Level::Repeat).unwrap(), said);
    assert_eq!((proof.tries, proof.is_flaky()), (Some((2, 4)), true));
    assert_eq!(proof.failed_run(Level::Repeat).unwrap().ended, Some(Signaled(11)));

    // The first run counts as well, and its failure comes first.
    let proof = of(silent(Exited(5)), vec![released(), silent(Exited(6))]);
    fails(
        proof.level(Level::Repeat).unwrap(),
        "1 of 3 runs answered; one of the others: it exited",
    );
    assert_eq!(proof.failed_run(Level::Repeat).unwrap().ended, Some(Exited(5)));
    assert_eq!(proof.failed_run(Level::Host).unwrap().ended, Some(Exited(5)));

    let proof = of(silent(Exited(5)), vec![silent(Exited(6))]);
    assert_eq!((proof.tries, proof.is_flaky()), (Some((0, 2)), false));
}

#[test]
fn the_interpreter_is_the_file_on_disk_or_not() {
    let of =
        |executed, rule_path| level(RunEvidence { executed, rule_path, ..full() }, Level::Identity);
    let path = Some(Path::new(PATH));
    let other = || Pinned { is_on_disk: false, ..pinned() };
    let elsewhere = || Pinned { is_elsewhere: true, ..other() };
    let runs = Executed::Interpreter;
    passes(
        &of(runs(pinned(), AtPath::File), path),
        &format!("the interpreter that runs is {PATH}"),
    );
    skips(&of(Executed::Unknown, path), "ended before it could be inspected");
    skips(&of(runs(other(), AtPath::File), None), "no visible rule names an interpreter");
    skips(&of(runs(elsewhere(), AtPath::Nothing), path), "a file of another root");
    warns(&of(runs(other(), AtPath::Nothing), path), "is gone from the disk");
    fails(&of(runs(other(), AtPath::NoFile), path), "is no longer a regular file");
    fails(&of(runs(other(), AtPath::File), path), "runs /old/qemu, which is not the file that");

    let serving = |pinned, at_path| {
        judge(RunEvidence { executed: runs(pinned, at_path), ..full() }).serving()
    };
    assert_eq!(serving(pinned(), AtPath::File), Serving::Works);
    assert_eq!(serving(elsewhere(), AtPath::Nothing), Serving::Elsewhere);
    for at_path in [AtPath::Nothing, AtPath::NoFile, AtPath::File] {
        assert!(matches!(serving(other(), at_path), Serving::Stale(_)), "{at_path:?}");
    }
    let proof = judge(RunEvidence { host: Some(silent(Exited(1))), ..full() });
    assert!(matches!(proof.serving(), Serving::Fails(why) if why.contains("status 1")));
}

#[test]
fn a_native_program_has_neither_rule_nor_interpreter() {
    let version = Some(Run { output: "it is version 1".to_owned(), ..silent(Exited(0)) });
    let set_user_id = Ok((silent(Exited(1)), 1));
    let proof = judge(RunEvidence { executed: Executed::Itself, version, set_user_id, ..full() });
    assert!(proof.native && proof.works());
    assert_eq!((&proof.pinned, &proof.version), (&None, &None));
    skips(proof.level(Level::Identity).unwrap(), "there is no interpreter");
    skips(proof.level(Level::Credentials).unwrap(), "there is no rule");
}

#[test]
fn nobody_took_it_only_where_execve_says_so() {
    let nobody = |error| judge(quick(Run::never(error))).nobody;
    assert!(nobody(ExecError::Format));
    assert!(!nobody(ExecError::NoInterpreter));
    // The host's run decides where there is one.
    let proof = judge(RunEvidence { empty: Some(Run::never(ExecError::Format)), ..full() });
    assert!(!proof.nobody);
    assert_eq!(proof.failed_run(Level::EmptyRoot).unwrap().refused, Some(ExecError::Format));
    assert_eq!(proof.failure(), Some(ExecError::Format.to_string().as_str()));
}

#[test]
fn times_are_of_runs_that_answered() {
    let lasting = |run: Run, millis| Some(Run { time: Duration::from_millis(millis), ..run });
    let mut again = Again::default();
    again.add(lasting(released(), 4).unwrap());
    again.add(lasting(released(), 5).unwrap());
    again.add(lasting(silent(Exited(1)), 1).unwrap());
    let proof = judge(RunEvidence {
        host: lasting(released(), 9),
        empty: lasting(silent(Exited(1)), 2),
        fixed: lasting(terminated(), 6),
        again,
        ..full()
    });
    assert_eq!((proof.time.as_millis(), proof.cost.map(|it| it.as_millis())), (9, Some(4)));
    let proof = judge(RunEvidence {
        host: lasting(released(), 9),
        fixed: lasting(terminated(), 6),
        ..full()
    });
    assert_eq!(proof.cost, Some(Duration::from_millis(6)));
}

#[test]
fn what_is_written_is_cut() {
    let version = |output: &str| {
        let version = Some(Run { output: output.to_owned(), ..silent(Exited(0)) });
        judge(RunEvidence { version, ..full() }).version
    };
    assert_eq!(version(" qemu-arm version 7.2 \nmore").as_deref(), Some("qemu-arm version 7.2"));
    assert_eq!((version("hello\nversion 1"), version("")), (None, None));
    assert_eq!(version(&format!("version {}", "1".repeat(999))).unwrap().len(), LONGEST_NAME);

    let mut talks = released();
    talks.report.as_mut().unwrap().machine = "m".repeat(999);
    assert_eq!(judge(quick(talks)).machine.unwrap().len(), LONGEST_NAME);

    let flood =
        Run { errors: "e".repeat(MOST_WORDS - 1), output: "oo".to_owned(), ..silent(Flooded) };
    let words = judge(quick(flood)).failures.remove(0).1.words;
    assert_eq!((words.len(), words.ends_with("eo")), (MOST_WORDS, true));

    let cpu = Some(Run { output: "none".to_owned(), ..silent(Exited(0)) });
    assert_eq!(judge(RunEvidence { cpu, ..full() }).cpu, None);
    let cpu = Some(Run { output: "00000000\n".repeat(4), ..silent(Exited(0)) });
    assert_eq!(judge(RunEvidence { cpu, ..full() }).cpu, Some(CpuLevel::V1));
}
