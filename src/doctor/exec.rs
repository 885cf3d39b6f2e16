//! Family `exec`: what came of running the probes. The only truth there is.

use std::time::Duration;

use super::cause::{Symptom, Whose, cause};
use super::interpreter::{another, is_mislabelled, is_out_of_reach, registered};
use super::known::{self, Known, Version};
use super::rule::left_out;
use super::{Check, Draft, Examination, Finding, Patient, Status};
use crate::phrase::Phrase;
use crate::plan::flags;
use crate::probe::CpuLevel;
use crate::rule::{Entry, winner};
use crate::system::files::interpreter::Inspector;
use crate::system::process::batch::Ended;
use crate::verify::{Level, LevelOutcome as Outcome, Proof};

/// A cost is absurd when it is both. All targets of QEMU 7.2 to 11.1 at once on two loaded cores took at
/// most 79 ms, and 102 times a native one (`binfmtd doctor -v`): far below either. By itself the one
/// would blame a slow machine, the other a fast one; beyond both, a build that starts a thousand small
/// programs waits a quarter of an hour for nothing but that.
const ABSURD: Duration = Duration::from_secs(1);
const ABSURD_TIMES: f64 = 500.0;

const VERSION: &str = "exec.version";
const COST: &str = "exec.cost";
const CPU_LEVEL: &str = "exec.cpu-level";

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "exec.host",
        title: "its programs run",
        proves: "A program of this target ran on the host through the kernel and said the nonce it was given.",
        cure: "Mostly binfmtd register TARGET, which replaces what is stale or broken. Else another version of QEMU.",
        run: |examination| each(examination, "exec.host", Level::Host),
    },
    Check {
        id: "exec.empty-root",
        title: "its programs run in an empty root",
        proves: "The same in a root with nothing else in it, as in a container built FROM scratch.",
        cure: "Register with F and a static interpreter: binfmtd register TARGET.",
        run: |examination| each(examination, "exec.empty-root", Level::EmptyRoot),
    },
    Check {
        id: "exec.pie",
        title: "position-independent programs run",
        proves: "A program of the kind that compilers make today (ET_DYN) ran as well: a rule may take the other kind (ET_EXEC) alone, or another rule these.",
        cure: "Let binfmtd derive magic and mask, and put that rule first: binfmtd register TARGET --takeover.",
        run: |examination| each(examination, "exec.pie", Level::Pie),
    },
    Check {
        id: "exec.argv0",
        title: "argv[0] comes through",
        proves: "Programs that go by the name they are called by (busybox, login shells) see it.",
        cure: "Let the probe find out whether the interpreter expects P: preserve-argv0 = \"auto\", then binfmtd register TARGET --takeover.",
        run: |examination| each(examination, "exec.argv0", Level::Argv0),
    },
    Check {
        id: "exec.status",
        title: "the exit status comes through",
        proves: "A failing build step is seen to fail.",
        cure: "Install another version of QEMU, then binfmtd register TARGET.",
        run: |examination| each(examination, "exec.status", Level::Status),
    },
    Check {
        id: "exec.signal",
        title: "signals come through",
        proves: "A program that is killed by a signal is seen to be.",
        cure: "Install another version of QEMU, then binfmtd register TARGET.",
        run: |examination| each(examination, "exec.signal", Level::Signal),
    },
    Check {
        id: "exec.identity",
        title: "the interpreter that runs is the one on disk",
        proves: "The running interpreter is the file that its path leads to now, not one from before an upgrade.",
        cure: "Register again, which replaces the rule without a gap: binfmtd register TARGET. The service does it by itself.",
        run: |examination| each(examination, "exec.identity", Level::Identity),
    },
    Check {
        id: "exec.credentials",
        title: "set-user-ID programs keep their rights",
        proves: "A set-user-ID program of another user ran with that user's rights, as sudo and su need; asked only of rules with the flag C.",
        cure: "credentials = true, then binfmtd register TARGET. The interpreter then runs with those rights under its caller's environment: read what that means first.",
        run: |examination| each(examination, "exec.credentials", Level::Credentials),
    },
    Check {
        id: "exec.repeat",
        title: "its programs run every time",
        proves: "Of as many runs as --repeat asks for, each answered.",
        cure: "Install another version of QEMU, then binfmtd register TARGET.",
        run: |examination| each(examination, "exec.repeat", Level::Repeat),
    },
    Check {
        id: VERSION,
        title: "its QEMU is of no version known to fail",
        proves: "The QEMU that really runs, which may not be the one on disk, is of no version that fails for this target in threads or in our own measurements.",
        cure: "Install another version of QEMU, then binfmtd register TARGET.",
        run: version,
    },
    Check {
        id: COST,
        title: "what one start costs",
        proves: "How long the quickest run of its probe took from start to end, beside a native one in the same batch. Emulation is slow; this is about absurdly slow.",
        cure: "Look at what the interpreter does with strace -f, install QEMU's own static build, or build such images on a machine of that kind.",
        run: cost,
    },
    Check {
        id: CPU_LEVEL,
        title: "which x86-64 CPU programs see",
        proves: "The level (x86-64-v1 to v4) by what cpuid says to a program; distributions ask for one: RHEL 9 for v2, RHEL 10 for v3.",
        cure: "Install QEMU 7.2 or newer, which shows v3, then binfmtd register x86_64; or use an older base image.",
        run: cpu_level,
    },
];

fn each(examination: &Examination<'_>, id: &'static str, level: Level) -> Vec<Finding> {
    let patients = examination.patients.iter();
    patients
        .map(|patient| {
            let draft = Draft::of(id, patient);
            let Some(proof) = &patient.proof else {
                return draft.skip("there is no probe for this target, so nothing could be run");
            };
            if level == Level::Credentials
                && let Some(entry) = without_credentials(examination, patient)
            {
                return lacks_credentials(examination, patient, draft, entry);
            }
            match proof.level(level) {
                Some(Outcome::Pass(what)) => draft.pass(what),
                // The only thing that this level warns of.
                Some(Outcome::Warn(what)) if level == Level::Identity => {
                    draft.skip(format!("{what}, as interpreter.exists says"))
                }
                Some(Outcome::Warn(what)) => {
                    draft.warn(what).fix(way_out(examination, patient, level))
                }
                Some(Outcome::Fail(what)) => match told_elsewhere(examination, patient, level) {
                    Some(where_else) => draft.skip(where_else),
                    None => failed(examination, patient, level, draft, what),
                },
                Some(Outcome::Skip(why)) => draft.skip(why),
                None => draft.skip("not run"),
            }
        })
        .collect()
}

/// The rule that was to have `C`, going by the settings, and has not.
pub(super) fn without_credentials<'a>(
    examination: &'a Examination<'_>,
    patient: &Patient<'_>,
) -> Option<&'a Entry> {
    let ran = patient.proof.as_ref().is_some_and(|proof| !proof.native && proof.works());
    let wanted = flags(examination.settings, &patient.target.name).credentials;
    let entry = examination.winner(patient.target, patient.machine)?;
    (ran && wanted && !entry.flags.known.credentials).then_some(entry)
}

fn lacks_credentials(
    examination: &Examination<'_>,
    patient: &Patient<'_>,
    draft: Draft,
    entry: &Entry,
) -> Finding {
    let ours = examination.instance().is_some_and(|seen| seen.record.owns(entry));
    let insist = if ours { "" } else { " --takeover" };
    draft
        .fail(
            Phrase::from("the configuration asks for credentials, and ")
                + Phrase::own(entry.display_name(), "its rule")
                + " has no flag C: set-user-ID programs (sudo, su) get their caller's rights",
        )
        .with(Phrase::own(format!("flags {}", entry.flags), ""))
        .fix(register(patient) + insist)
}

/// One fault is told once: where, if not here.
fn told_elsewhere(
    examination: &Examination<'_>,
    patient: &Patient<'_>,
    level: Level,
) -> Option<String> {
    let proof = patient.proof.as_ref()?;
    let host = proof.level(Level::Host).is_some_and(Outcome::failed);
    let no_answer = proof.failed_run(level).is_some();
    match level {
        Level::Host | Level::EmptyRoot | Level::Credentials if proof.is_flaky() && no_answer => {
            Some("it fails now and then, as exec.repeat says".to_owned())
        }
        Level::Host if proof.nobody => without_rule(examination, patient),
        Level::Host if proof.failed_run(level).is_some_and(|run| run.refused.is_some()) => {
            let told_by = is_out_of_reach(examination, patient)?;
            Some(format!("its interpreter may not be started, as {told_by} says"))
        }
        Level::Pie if host => Some("it fails as any of its programs".to_owned()),
        Level::Pie if !examination.partly_before(patient.target, patient.machine).is_empty() => {
            Some("another rule takes some of its programs, as rule.shadowed says".to_owned())
        }
        Level::Pie if left_out(examination, patient).is_some() => {
            Some("its rule takes some of its programs only, as rule.matcher says".to_owned())
        }
        // In another root it may fail in another way (there is no /proc to look limits up in) for the
        // same reason.
        Level::EmptyRoot if host => Some("it fails as on the host".to_owned()),
        Level::Credentials if host && no_answer => {
            Some("it fails as any of its programs".to_owned())
        }
        Level::Repeat if host && !proof.is_flaky() => {
            let (_, of) = proof.tries.unwrap_or_default();
            Some(format!("none of {of} runs answered, as exec.host says"))
        }
        _ => None,
    }
}

/// No rule took it, and another check says why.
fn without_rule(examination: &Examination<'_>, patient: &Patient<'_>) -> Option<String> {
    let instance = &examination.instance()?.instance;
    let takers = examination.takers(patient.target, patient.machine);
    let (why, told_by) = if takers.is_empty() {
        ("no rule takes it", "rule.present")
    } else if !instance.enabled {
        ("no rule is used", "kernel.enabled")
    } else if takers.iter().all(|entry| !entry.enabled) {
        ("its rule is disabled", "rule.enabled")
    } else if super::kernel::is_masked(examination) {
        ("the kernel asks another instance", "kernel.instance")
    } else {
        return None;
    };
    Some(format!("exec format error: {why}, as {told_by} says"))
}

/// What failed, and why, where that is known.
fn failed(
    examination: &Examination<'_>,
    patient: &Patient<'_>,
    level: Level,
    draft: Draft,
    what: &str,
) -> Finding {
    let proof = patient.proof.as_ref();
    let seen = proof.map(evidence).unwrap_or_default();
    let named = with_symptom(examination, patient, level, |symptom| {
        let cause = cause(symptom)?;
        let what = Phrase::own(what, outline(symptom));
        let says = what + ": " + cause.says(symptom);
        Some((cause.whose, cause.source, says, cause.cure(symptom)))
    });
    let Some((whose, source, says, cure)) = named else {
        let is_file = proof.and_then(|proof| proof.pinned.as_ref()).is_some()
            && examination
                .winner(patient.target, patient.machine)
                .is_some_and(|entry| entry.interpreter.is_file());
        let what = match level {
            // The only thing that fails there; which files they are is evidence, too.
            Level::Identity if is_file => Phrase::own(
                what,
                "the kernel runs another file than the one that its rule names is now: the rule is older than the file",
            ),
            _ => what.into(),
        };
        return draft.fail(what).with(seen).fix(way_out(examination, patient, level));
    };
    let status = match whose {
        Whose::Host => Status::Fail,
        Whose::Ours => Status::Error,
    };
    let draft = draft.finding(status, says);
    draft.with(seen).with(format!("see {source}")).fix(cure)
}

/// How runs failed of which the cause is known, without what each interpreter calls it and how often.
fn outline(symptom: &Symptom<'_>) -> String {
    let end = match (&symptom.failure.refused, symptom.failure.ended) {
        (Some(error), _) => error.to_string(),
        (None, Some(Ended::Exited(status))) => format!("it exited with status {status}"),
        (None, Some(Ended::Signaled(number))) => format!("it died by signal {number}"),
        (None, Some(Ended::TimedOut)) => "it gave no answer in time".to_owned(),
        (None, Some(Ended::Flooded)) => "it wrote without end".to_owned(),
        (None, None) => "it did not end".to_owned(),
    };
    match symptom.level {
        Level::Credentials => format!("a set-user-ID program: {end}"),
        Level::Pie => format!("a position-independent program (ET_DYN): {end}"),
        Level::Repeat => format!("some runs did not answer; one of them: {end}"),
        _ => end,
    }
}

/// Whether a target's failure is this process's own: then nothing is proved about the host.
pub(super) fn is_ours(examination: &Examination<'_>, patient: &Patient<'_>) -> bool {
    let whose =
        with_symptom(examination, patient, Level::Host, |symptom| Some(cause(symptom)?.whose));
    whose == Some(Whose::Ours)
}

fn with_symptom<T>(
    examination: &Examination<'_>,
    patient: &Patient<'_>,
    level: Level,
    look: impl FnOnce(&Symptom<'_>) -> Option<T>,
) -> Option<T> {
    let proof = patient.proof.as_ref()?;
    let failure = proof.failed_run(level)?;
    let entry = examination.winner(patient.target, patient.machine);
    let file = entry.map(|entry| Inspector::default().inspect(&entry.interpreter));
    let captor = match (&file, entry) {
        (Some(Ok(file)), Some(entry)) => file.elf.as_ref().and_then(|elf| {
            winner(&examination.seen.instance.entries, &elf.header, &entry.interpreter)
        }),
        _ => None,
    };
    let labels = &examination.around.labels;
    let label = file.as_ref().and_then(|file| labels.get(&file.as_ref().ok()?.path));
    let candidates = examination.candidates(patient.target);
    look(&Symptom {
        level,
        failure,
        target: patient.target,
        limits: &examination.limits,
        entry,
        file: file.as_ref(),
        mislabelled: label.is_some_and(|label| is_mislabelled(label)),
        captor,
        installed: candidates.is_some_and(|found| found.usable.is_some()),
        distribution: examination.around.distribution,
        known: known_of(examination, patient, proof),
    })
}

fn known_of(
    examination: &Examination<'_>,
    patient: &Patient<'_>,
    proof: &Proof,
) -> Option<&'static Known> {
    let version = Version::read(proof.version.as_deref()?)?;
    let randomize = examination.limits.randomize;
    known::known(version, &patient.target.name, proof.pinned.as_ref(), randomize)
}

fn version(examination: &Examination<'_>) -> Vec<Finding> {
    let patients = examination.patients.iter();
    patients
        .map(|patient| {
            let draft = Draft::of(VERSION, patient);
            let Some(proof) = &patient.proof else {
                return draft.skip("there is no probe for this target, so nothing could be run");
            };
            if proof.native {
                return draft.skip("native: there is no interpreter");
            }
            let Some(line) = &proof.version else {
                return draft
                    .skip("what runs does not tell a version, as QEMU does (QEMU_VERSION=1)");
            };
            let evidence = digest(proof);
            let works = proof.level(Level::Host).is_some_and(|host| !host.failed());
            match known_of(examination, patient, proof) {
                // Its probe is hit as well: either it was, or this build has the fix.
                Some(known) if known.signal.is_some() && !works => {
                    draft.skip(format!("{line}: what is known of it is told by exec.host"))
                }
                Some(known) if known.signal.is_none() => draft
                    .warn(told(line) + &format!(" is known to fail: {}", known.what))
                    .with(evidence)
                    .with(format!("see {}", known.source))
                    .fix(Phrase::from(known.way_out) + "; then " + register(patient)),
                _ => draft.pass(line).with(evidence),
            }
        })
        .collect()
}

/// The bytes that ran.
fn digest(proof: &Proof) -> Phrase {
    let pinned = proof.pinned.as_ref();
    let sha256 = pinned.and_then(|pinned| pinned.sha256.as_ref());
    sha256.map(|sha256| Phrase::own(format!("sha256 {sha256}"), "")).unwrap_or_default()
}

fn cost(examination: &Examination<'_>) -> Vec<Finding> {
    let patients = examination.patients.iter();
    patients
        .map(|patient| {
            let draft = Draft::of(COST, patient);
            let Some(proof) = &patient.proof else {
                return draft.skip("there is no probe for this target, so nothing could be run");
            };
            let Some(time) = proof.cost else { return draft.skip("it did not run") };
            let took = format!("{:.1} ms from start to end", time.as_secs_f64() * 1000.0);
            if proof.native {
                return draft.pass(format!("{took}, natively"));
            }
            let Some(times) = examination.native_cost.and_then(|native| times(time, native)) else {
                return draft.pass(format!("{took}; there is no native one to compare with"));
            };
            let summary = format!("{took}, {times:.0} times a native one");
            if is_absurd(time, times) {
                draft
                    .warn(
                        Phrase::own(summary, "one start takes seconds")
                            + ": more than emulation explains",
                    )
                    .with(evidence(proof))
                    .fix(
                        Phrase::from("install QEMU's own static build (qemu-user-static), then ")
                            + register(patient),
                    )
            } else {
                draft.pass(summary)
            }
        })
        .collect()
}

fn times(time: Duration, native: Duration) -> Option<f64> {
    (!native.is_zero()).then(|| time.as_secs_f64() / native.as_secs_f64())
}

fn is_absurd(time: Duration, times: f64) -> bool {
    time > ABSURD && times > ABSURD_TIMES
}

fn cpu_level(examination: &Examination<'_>) -> Vec<Finding> {
    let patients = examination.patients.iter().filter(|patient| patient.target.name == "x86_64");
    patients
        .map(|patient| {
            let draft = Draft::of(CPU_LEVEL, patient);
            let Some(proof) = &patient.proof else {
                return draft.skip("there is no probe for this target, so nothing could be run");
            };
            let Some(level) = proof.cpu else {
                return draft.skip("its programs did not run, so none could tell");
            };
            let name = level.as_str();
            match level {
                _ if proof.native => draft.pass(format!("the host's own CPU is {name}")),
                CpuLevel::V1 | CpuLevel::V2 => draft
                    .warn(format!(
                        "programs see {name}: those of newer distributions end with \"CPU does not support \
                         x86-64-v{}\"",
                        if level == CpuLevel::V1 { 2 } else { 3 }
                    ))
                    .with(evidence(proof))
                    .with("see docker/buildx#2566, runfinch/finch#20")
                    .fix("install QEMU 7.2 or newer, then binfmtd register x86_64"),
                CpuLevel::V3 | CpuLevel::V4 => draft.pass(format!("programs see {name}")),
            }
        })
        .collect()
}

/// What cures it: mostly to register again, which replaces what is stale or broken.
fn way_out(examination: &Examination<'_>, patient: &Patient<'_>, level: Level) -> Phrase {
    let register = register(patient);
    let Some(entry) = examination.winner(patient.target, patient.machine) else { return register };
    // No rule was used: binfmt_misc as a whole is switched off.
    if patient.proof.as_ref().is_some_and(|proof| proof.nobody) {
        return register;
    }
    let ours = examination.instance().is_some_and(|seen| seen.record.owns(entry));
    let fixed = entry.flags.known.fix_binary;
    match level {
        // Another version of QEMU is for a person to choose.
        Level::Host | Level::EmptyRoot | Level::Pie if ours && fixed => {
            Phrase::from("install another version of QEMU, then ") + register
        }
        Level::Repeat | Level::Signal | Level::Status if ours => {
            Phrase::from("install another version of QEMU, then ") + register
        }
        // What register proves quickly finds nothing wrong with these.
        Level::Argv0 | Level::Repeat | Level::Signal | Level::Status | Level::Pie => {
            registered(examination, patient, if ours { "" } else { " --takeover" })
        }
        _ => another(examination, patient, entry),
    }
}

fn register(patient: &Patient<'_>) -> Phrase {
    Phrase::from("binfmtd register") + Phrase::target(&patient.target.name)
}

/// What ran.
fn evidence(proof: &Proof) -> Phrase {
    let ran = proof.pinned.as_ref().map(|pinned| Phrase::interpreter(&pinned.path));
    match (ran, proof.version.as_deref().map(told)) {
        (Some(ran), Some(version)) => ran + ", " + version,
        (ran, version) => ran.or(version).unwrap_or_default(),
    }
}

/// What QEMU says of itself; of several targets the version, which begins with each one's own name.
fn told(line: &str) -> Phrase {
    let version = Version::read(line);
    version.map_or_else(|| line.into(), |version| Phrase::own(line, format!("QEMU {version}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_slow_by_any_measure_is_absurd() {
        let native = Duration::from_micros(500);
        let judge = |time: Duration, native| is_absurd(time, times(time, native).unwrap());
        assert!(!judge(Duration::from_millis(12), native));
        // A machine under load: everything takes long.
        assert!(!judge(Duration::from_secs(3), Duration::from_millis(150)));
        // A fast one: many times a small time is a small time.
        assert!(!judge(Duration::from_millis(400), native));
        assert!(judge(Duration::from_secs(3), native));
        assert_eq!(times(native, Duration::ZERO), None);
    }
}
