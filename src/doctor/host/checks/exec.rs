//! Family `exec`: what running the probes proved.

use super::cause::{Cause, Symptom, Whose, cause};
use super::emulator::{evidence, known_of};
use super::interpreter::{is_mislabelled, is_out_of_reach};
use super::matcher::left_out;
use super::scope::{self, TargetCase};
use crate::doctor::check::Check;
use crate::doctor::facts::Facts;
use crate::doctor::finding::{Draft, Finding, Status};
use crate::doctor::fixes::{Others, another_version, registered};
use crate::doctor::host::facts::{HostFacts, TargetFacts};
use crate::doctor::host::fixes::{self as host_fixes, another};
use crate::doctor::id::CheckId;
use crate::fix::Fix;
use crate::phrase::Phrase;
use crate::plan::flags;
use crate::rule::{Entry, winner};
use crate::system::process::batch::Ended;
use crate::verify::{FailedRun, Level, LevelOutcome, Proof};

pub(in crate::doctor) static HOST: Check = Check {
    id: CheckId::ExecHost,
    title: "its programs run",
    proves: "The kernel ran a program of this target on the host, and the program printed the nonce that it was given.",
    cure: "In most cases binfmtd register TARGET, which replaces a stale or broken rule. Otherwise another version of QEMU.",
    run: |facts, id| each(facts, id, Level::Host),
};

pub(in crate::doctor) static EMPTY_ROOT: Check = Check {
    id: CheckId::ExecEmptyRoot,
    title: "its programs run in an empty root",
    proves: "The same in a root that contains nothing else, like a container built FROM scratch.",
    cure: "Register with F and a static interpreter: binfmtd register TARGET.",
    run: |facts, id| each(facts, id, Level::EmptyRoot),
};

pub(in crate::doctor) static PIE: Check = Check {
    id: CheckId::ExecPie,
    title: "position-independent programs run",
    proves: "A program of the kind that compilers produce today (ET_DYN) ran as well. A rule may match only the other kind (ET_EXEC), or another rule may take these.",
    cure: "Let binfmtd generate magic and mask, and put that rule first: binfmtd register TARGET --takeover.",
    run: |facts, id| each(facts, id, Level::Pie),
};

pub(in crate::doctor) static ARGV0: Check = Check {
    id: CheckId::ExecArgv0,
    title: "argv[0] is passed on",
    proves: "Programs that depend on the name they are called by (busybox, login shells) see it.",
    cure: "Set preserve-argv0 = \"auto\", which probes whether the interpreter expects P; then binfmtd register TARGET --takeover.",
    run: |facts, id| each(facts, id, Level::Argv0),
};

pub(in crate::doctor) static STATUS: Check = Check {
    id: CheckId::ExecStatus,
    title: "the exit status is passed on",
    proves: "A build step that fails is reported as failed.",
    cure: "Install another version of QEMU, then binfmtd register TARGET.",
    run: |facts, id| each(facts, id, Level::Status),
};

pub(in crate::doctor) static SIGNAL: Check = Check {
    id: CheckId::ExecSignal,
    title: "death by a signal is passed on",
    proves: "The parent of a program that is killed by a signal sees that.",
    cure: "Install another version of QEMU, then binfmtd register TARGET.",
    run: |facts, id| each(facts, id, Level::Signal),
};

pub(in crate::doctor) static IDENTITY: Check = Check {
    id: CheckId::ExecIdentity,
    title: "the interpreter that runs is the one on disk",
    proves: "The kernel runs the file that the rule's path leads to now, not an older one from before an upgrade.",
    cure: "Register again, which replaces the rule without a gap: binfmtd register TARGET. The service does this automatically.",
    run: |facts, id| each(facts, id, Level::Identity),
};

pub(in crate::doctor) static CREDENTIALS: Check = Check {
    id: CheckId::ExecCredentials,
    title: "set-user-ID programs keep their rights",
    proves: "A set-user-ID program of another user ran with that user's rights, as sudo and su need. Only checked for rules with the flag C.",
    cure: "Set credentials = true, then run binfmtd register TARGET. The interpreter then runs with those rights in the caller's environment: read what that means first.",
    run: |facts, id| each(facts, id, Level::Credentials),
};

pub(in crate::doctor) static REPEAT: Check = Check {
    id: CheckId::ExecRepeat,
    title: "its programs run every time",
    proves: "All of the runs that --repeat asked for printed their answer.",
    cure: "Install another version of QEMU, then binfmtd register TARGET.",
    run: |facts, id| each(facts, id, Level::Repeat),
};

/// The level of running a program that a check judges; `None` for what is read or listed.
pub fn level_of(id: CheckId) -> Option<Level> {
    Level::ALL.into_iter().find(|level| id_of(*level) == id)
}

/// The check that judges a level.
pub(in crate::doctor) fn id_of(level: Level) -> CheckId {
    match level {
        Level::Host => CheckId::ExecHost,
        Level::EmptyRoot => CheckId::ExecEmptyRoot,
        Level::Pie => CheckId::ExecPie,
        Level::Argv0 => CheckId::ExecArgv0,
        Level::Status => CheckId::ExecStatus,
        Level::Signal => CheckId::ExecSignal,
        Level::Identity => CheckId::ExecIdentity,
        Level::Credentials => CheckId::ExecCredentials,
        Level::Repeat => CheckId::ExecRepeat,
    }
}

fn each(facts: &Facts<'_>, id: CheckId, level: Level) -> Vec<Finding> {
    scope::proof(facts, id, |case, proof| judge(case, proof, level))
}

fn judge(case: TargetCase<'_>, proof: &Proof, level: Level) -> Finding {
    let TargetCase { facts, asked, draft } = case;
    if level == Level::Credentials
        && let Some(entry) = without_credentials(facts, asked)
    {
        return lacks_credentials(facts, asked, draft, entry);
    }
    match proof.level(level) {
        Some(LevelOutcome::Pass(what)) => draft.pass(what),
        // The level warns only of a file that is gone.
        Some(LevelOutcome::Warn(what)) if level == Level::Identity => {
            draft.skip(format!("{what}, as {} reports", CheckId::InterpreterExists))
        }
        Some(LevelOutcome::Warn(what)) => draft.warn(what).fix(way_out(facts, asked, proof, level)),
        Some(LevelOutcome::Fail(what)) => match told_elsewhere(facts, asked, proof, level) {
            Some(where_else) => draft.skip(where_else),
            None => failed(facts, asked, proof, level, draft, what),
        },
        Some(LevelOutcome::Skip(why)) => draft.skip(why),
        None => draft.skip("not run"),
    }
}

/// The rule, if the settings ask for the flag `C` and the rule does not have it.
pub(in crate::doctor) fn without_credentials<'a>(
    facts: &'a HostFacts<'_>,
    asked: &TargetFacts<'_>,
) -> Option<&'a Entry> {
    let ran = asked.proof.as_ref().is_some_and(|proof| !proof.native && proof.works());
    let wanted = flags(facts.settings, &asked.target.name).credentials;
    let entry = facts.rule(asked)?;
    (ran && wanted && !entry.flags.known.credentials).then_some(entry)
}

fn lacks_credentials(
    facts: &HostFacts<'_>,
    asked: &TargetFacts<'_>,
    draft: Draft,
    entry: &Entry,
) -> Finding {
    let others = if facts.is_ours(entry) { Others::Keep } else { Others::Replace };
    draft
        .fail(
            Phrase::from("the configuration asks for credentials, and ")
                + Phrase::own(entry.display_name(), "its rule")
                + " has no flag C: set-user-ID programs (sudo, su) get their caller's rights",
        )
        .with(Phrase::own(format!("flags {}", entry.flags), ""))
        .fix(registered(&asked.target.name, others))
}

/// A fault is reported once. If another check reports it, this says which.
fn told_elsewhere(
    facts: &HostFacts<'_>,
    asked: &TargetFacts<'_>,
    proof: &Proof,
    level: Level,
) -> Option<String> {
    let host = proof.level(Level::Host).is_some_and(LevelOutcome::failed);
    let no_answer = proof.failed_run(level).is_some();
    match level {
        Level::Host | Level::EmptyRoot | Level::Credentials if proof.is_flaky() && no_answer => {
            Some(format!("it fails sometimes, as {} reports", CheckId::ExecRepeat))
        }
        Level::Host if proof.nobody => without_rule(facts, asked),
        Level::Host if proof.failed_run(level).is_some_and(|run| run.refused.is_some()) => {
            let told_by = is_out_of_reach(facts, asked)?;
            Some(format!("its interpreter may not be started, as {told_by} reports"))
        }
        Level::Pie if host => Some("it fails like all programs of this target".to_owned()),
        Level::Pie if !facts.partly_before(asked).is_empty() => Some(format!(
            "another rule takes some of its programs, as {} reports",
            CheckId::RuleShadowed
        )),
        Level::Pie if left_out(facts, asked).is_some() => Some(format!(
            "its rule takes only some of its programs, as {} reports",
            CheckId::RuleMatcher
        )),
        // The same fault may look different there: without /proc, QEMU does not learn of limits.
        Level::EmptyRoot if host => Some("it fails as on the host".to_owned()),
        Level::Credentials if host && no_answer => {
            Some("it fails like all programs of this target".to_owned())
        }
        Level::Repeat if host && !proof.is_flaky() => {
            let (_, of) = proof.tries.unwrap_or_default();
            Some(format!("none of {of} runs answered, as {} reports", CheckId::ExecHost))
        }
        _ => None,
    }
}

/// Why no rule took the program, if another check reports that.
fn without_rule(facts: &HostFacts<'_>, asked: &TargetFacts<'_>) -> Option<String> {
    let instance = &facts.instance()?.instance;
    let takers = facts.takers(asked);
    let (why, told_by) = if takers.is_empty() {
        ("no rule takes it", CheckId::RulePresent)
    } else if !instance.enabled {
        ("no rule is used", CheckId::KernelEnabled)
    } else if takers.iter().all(|entry| !entry.enabled) {
        ("its rule is disabled", CheckId::RuleEnabled)
    } else if super::kernel::is_masked(facts) {
        ("the kernel uses another instance", CheckId::KernelInstance)
    } else {
        return None;
    };
    Some(format!("exec format error: {why}, as {told_by} reports"))
}

fn failed(
    facts: &HostFacts<'_>,
    asked: &TargetFacts<'_>,
    proof: &Proof,
    level: Level,
    draft: Draft,
    what: &str,
) -> Finding {
    let seen = evidence(proof);
    let named = proof.failed_run(level).zip(cause_of(facts, asked, proof, level));
    let Some((run, cause)) = named else {
        let is_file = proof.pinned.is_some()
            && facts.rule_file(asked).is_some_and(|found| found.file.is_ok());
        let what = match level {
            // Which files they are is part of the evidence.
            Level::Identity if is_file => Phrase::own(
                what,
                "the kernel runs another file than the one that its rule names is now: the rule is older than the file",
            ),
            _ => what.into(),
        };
        return draft.fail(what).with(seen).fix(way_out(facts, asked, proof, level));
    };
    let status = match cause.whose {
        Whose::Host => Status::Fail,
        Whose::Ours => Status::Error,
    };
    let says = Phrase::own(what, outline(run, level)) + ": " + cause.says;
    draft.finding(status, says).with(seen).with(format!("see {}", cause.source)).fix(cause.cure)
}

/// How a run failed, in words that are the same for all targets: without the interpreter's name or counts.
fn outline(run: &FailedRun, level: Level) -> String {
    let end = match (&run.refused, run.ended) {
        (Some(error), _) => error.to_string(),
        (None, Some(Ended::Exited(status))) => format!("it exited with status {status}"),
        (None, Some(Ended::Signaled(number))) => format!("it died by signal {number}"),
        (None, Some(Ended::TimedOut)) => "it gave no answer in time".to_owned(),
        (None, Some(Ended::Flooded)) => "it wrote without end".to_owned(),
        (None, None) => "it did not end".to_owned(),
    };
    match level {
        Level::Credentials => format!("a set-user-ID program: {end}"),
        Level::Pie => format!("a position-independent program (ET_DYN): {end}"),
        Level::Repeat => format!("some runs did not answer; one of them: {end}"),
        Level::Host
        | Level::EmptyRoot
        | Level::Argv0
        | Level::Status
        | Level::Signal
        | Level::Identity => end,
    }
}

/// Whether a target failed because of a limit of this process, which proves nothing about the host.
pub(in crate::doctor) fn is_ours(facts: &HostFacts<'_>, asked: &TargetFacts<'_>) -> bool {
    let cause = asked.proof.as_ref().and_then(|proof| cause_of(facts, asked, proof, Level::Host));
    cause.is_some_and(|cause| cause.whose == Whose::Ours)
}

fn cause_of(
    facts: &HostFacts<'_>,
    asked: &TargetFacts<'_>,
    proof: &Proof,
    level: Level,
) -> Option<Cause> {
    let failure = proof.failed_run(level)?;
    let entry = facts.rule(asked);
    let found = facts.rule_file(asked);
    let file = found.and_then(|found| found.file.as_ref().ok());
    let captor = entry.zip(file).and_then(|(entry, file)| {
        let elf = file.elf.as_ref()?;
        winner(&facts.seen.instance.entries, &elf.header, &entry.interpreter)
    });
    let label = found.and_then(|found| found.label.as_deref());
    cause(&Symptom {
        level,
        failure,
        target: asked.target,
        limits: &facts.limits,
        entry,
        file,
        mislabelled: label.is_some_and(is_mislabelled),
        captor,
        installed: facts.usable(asked.target).is_some(),
        place: facts.kernels_place(),
        distribution: facts.distribution,
        known: known_of(facts, asked, proof),
    })
}

/// Mostly to register again, which replaces a stale or broken rule.
fn way_out(facts: &HostFacts<'_>, asked: &TargetFacts<'_>, proof: &Proof, level: Level) -> Fix {
    let target = &asked.target.name;
    let Some(entry) = facts.rule(asked).filter(|_| !proof.nobody) else {
        return registered(target, Others::Keep);
    };
    let ours = facts.is_ours(entry);
    let fixed = entry.flags.known.fix_binary;
    match level {
        // The rule is as it should be, so QEMU is at fault. Which version to install is for a person to choose.
        Level::Host | Level::EmptyRoot | Level::Pie if ours && fixed => another_version(target),
        Level::Repeat | Level::Signal | Level::Status if ours => another_version(target),
        // The quick proof of `register` does not look at these levels, so it would keep a rule of others.
        Level::Argv0 | Level::Repeat | Level::Signal | Level::Status | Level::Pie => {
            let others = if ours { Others::Keep } else { Others::Replace };
            host_fixes::registered(facts, asked, others)
        }
        Level::Host | Level::EmptyRoot | Level::Identity | Level::Credentials => {
            another(facts, asked, entry)
        }
    }
}
