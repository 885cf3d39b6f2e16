//! Family `interpreter`: what is on disk, which may not be what the kernel runs.

use super::{Check, Draft, Examination, Finding, Patient};
use crate::observation::{InterpreterFault, InterpreterFile};
use crate::plan::guard;
use crate::system::interpreter::Inspector;

const EXISTS: &str = "interpreter.exists";
const USABLE: &str = "interpreter.usable";
const TRUSTED: &str = "interpreter.trusted";

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: EXISTS,
        title: "the interpreter is there",
        proves: "The path that the rule names leads to a file. With F the kernel may still run one that is gone.",
        run: exists,
    },
    Check {
        id: USABLE,
        title: "the interpreter is native, static and executable",
        proves: "The file is a program of this machine, needs no loader that other roots lack, and may be executed.",
        run: usable,
    },
    Check {
        id: TRUSTED,
        title: "only root can replace the interpreter",
        proves: "Owner and mode of the file and of every folder above it let nobody but root change what runs for others.",
        run: trusted,
    },
];

fn each(
    examination: &Examination<'_>,
    id: &'static str,
    judge: fn(
        &Examination<'_>,
        &Patient<'_>,
        Draft,
        Result<InterpreterFile, InterpreterFault>,
    ) -> Finding,
) -> Vec<Finding> {
    let mut inspector = Inspector::default();
    let patients = examination.foreign();
    patients
        .map(|patient| {
            let draft = Draft::of(id, patient);
            match examination.winner(patient.target, patient.machine) {
                None => draft.skip("there is no enabled rule that names one"),
                Some(entry) => {
                    judge(examination, patient, draft, inspector.inspect(&entry.interpreter))
                }
            }
        })
        .collect()
}

fn exists(examination: &Examination<'_>) -> Vec<Finding> {
    each(examination, EXISTS, |examination, patient, draft, file| {
        let entry = examination.winner(patient.target, patient.machine);
        let pinned = entry.is_some_and(|entry| entry.flags.known.fix_binary);
        let path = entry.map(|entry| entry.interpreter.display().to_string()).unwrap_or_default();
        match file {
            Ok(file) => draft.pass(file.path.display().to_string()),
            Err(InterpreterFault::Missing) if pinned => draft
                .warn(format!(
                    "{path} is gone from the disk; the kernel goes on with the one it pinned"
                ))
                .fix("install qemu-user-static, then binfmtd register"),
            Err(InterpreterFault::Missing) => {
                draft.fail(format!("{path} does not exist")).fix("install qemu-user-static")
            }
            Err(fault) => {
                let refusal = guard::refusal(path.as_ref(), &fault);
                draft.warn(refusal.why).fix(refusal.fix)
            }
        }
    })
}

fn usable(examination: &Examination<'_>) -> Vec<Finding> {
    each(examination, USABLE, |examination, patient, draft, file| {
        let Ok(file) = file else { return draft.skip("there is no file to look at") };
        let fixed = examination
            .winner(patient.target, patient.machine)
            .is_some_and(|entry| entry.flags.known.fix_binary);
        let needs = guard::Needs { fixed, credentials: false };
        match guard::fault(&file, &examination.native, &examination.settings.table, needs) {
            None => draft.pass("native, static and executable"),
            Some(fault) => {
                let refusal = guard::refusal(&file.path, &fault);
                draft.fail(refusal.why).fix(refusal.fix)
            }
        }
    })
}

fn trusted(examination: &Examination<'_>) -> Vec<Finding> {
    each(examination, TRUSTED, |examination, patient, draft, file| {
        let Ok(file) = file else { return draft.skip("there is no file to look at") };
        if file.distrust.is_empty() {
            return draft.pass("only root can replace it");
        }
        let credentials = examination
            .winner(patient.target, patient.machine)
            .is_some_and(|entry| entry.flags.known.credentials);
        let path = file.path.display();
        let evidence = file.distrust.join("; ");
        if credentials {
            draft
                .fail(format!("others than root could replace {path}, and the rule runs it with credentials (C)"))
                .with(evidence)
        } else {
            draft
                .warn(format!("others than root could replace {path}, which runs for everybody"))
                .with(evidence)
        }
    })
}
