//! Family `exec`: what came of running the probes. The only truth there is.

use super::{Check, Draft, Examination, Finding, Patient};
use crate::plan::is_qemu;
use crate::verify::{Level, Outcome};

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "exec.host",
        title: "its programs run",
        proves: "A program of this target ran on the host through the kernel and said the nonce it was given.",
        run: |examination| each(examination, "exec.host", Level::Host),
    },
    Check {
        id: "exec.empty-root",
        title: "its programs run in an empty root",
        proves: "The same in a root with nothing else in it, as in a container built FROM scratch.",
        run: |examination| each(examination, "exec.empty-root", Level::EmptyRoot),
    },
    Check {
        id: "exec.argv0",
        title: "argv[0] comes through",
        proves: "Programs that go by the name they are called by (busybox, login shells) see it.",
        run: |examination| each(examination, "exec.argv0", Level::Argv0),
    },
    Check {
        id: "exec.status",
        title: "the exit status comes through",
        proves: "A failing build step is seen to fail.",
        run: |examination| each(examination, "exec.status", Level::Status),
    },
    Check {
        id: "exec.signal",
        title: "signals come through",
        proves: "A program that is killed by a signal is seen to be.",
        run: |examination| each(examination, "exec.signal", Level::Signal),
    },
    Check {
        id: "exec.identity",
        title: "the interpreter that runs is the one on disk",
        proves: "The running interpreter is the file that its path leads to now, not one from before an upgrade.",
        run: |examination| each(examination, "exec.identity", Level::Identity),
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
            match proof.level(level) {
                Some(Outcome::Pass(what)) => draft.pass(what),
                Some(Outcome::Warn(what)) => {
                    draft.warn(what).fix(way_out(examination, patient, level))
                }
                // One cause, told once.
                Some(same @ Outcome::Fail(_))
                    if level == Level::EmptyRoot && proof.level(Level::Host) == Some(same) =>
                {
                    draft.skip("it fails as on the host")
                }
                Some(Outcome::Fail(what)) => {
                    draft.fail(what).with(evidence(proof)).fix(way_out(examination, patient, level))
                }
                Some(Outcome::Skip(why)) => draft.skip(why),
                None => draft.skip("not run"),
            }
        })
        .collect()
}

/// What cures it: mostly to register again, which replaces what is stale or broken.
fn way_out(examination: &Examination<'_>, patient: &Patient<'_>, level: Level) -> String {
    let register = format!("binfmtd register {}", patient.target.name);
    let Some(entry) = examination.winner(patient.target, patient.machine) else { return register };
    // No rule was used: binfmt_misc as a whole is switched off.
    if patient.proof.as_ref().is_some_and(|proof| proof.nobody) {
        return register;
    }
    let ours = examination.instance().is_some_and(|seen| seen.record.owns(entry));
    let fixed = entry.flags.known.fix_binary;
    match level {
        Level::Argv0 => format!("{register} --takeover, with preserve-argv0 = \"auto\""),
        _ if !is_qemu(entry) => format!(
            "repair or remove {}, or put ours before it: {register} --takeover",
            entry.display_name()
        ),
        Level::Host | Level::EmptyRoot if ours && fixed => {
            format!("install another version of QEMU, then {register}")
        }
        _ => register,
    }
}

fn evidence(proof: &crate::verify::Proof) -> String {
    let ran = proof.pinned.as_ref().map(|pinned| format!("interpreter {}", pinned.path.display()));
    let version = proof.version.clone();
    ran.into_iter().chain(version).collect::<Vec<_>>().join(", ")
}
