//! Family `load`: real programs of a foreign root filesystem, run again and again.

use super::interpreter::remount;
use super::{Check, Draft, Examination, Finding, Patient, Status};
use crate::rule::Entry;
use crate::shown::quote;
use crate::system::process::child::ExecError;
use crate::verify::Level;
use crate::verify::load::{Job, Load, Part, Tally};

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "load.loader",
        title: "a dynamic program finds its loader and libraries",
        proves: "A program of the root filesystem was started by the loader that is in there, and said what it was to say.",
        cure: "Put the loader and the C library into the root filesystem (libc6 of that architecture, musl), or unpack it whole. When they are there: another version of QEMU.",
        run: |examination| each(examination, Part::Loader),
    },
    Check {
        id: "load.shell",
        title: "a shell forks, makes a pipe and starts a program",
        proves: "What every RUN line of a Dockerfile and every maintainer's script does: fork, pipe, exec of a foreign program by a foreign program, and its exit status.",
        cure: "Install another version of QEMU, then binfmtd register TARGET.",
        run: |examination| each(examination, Part::Shell),
    },
    Check {
        id: "load.signal",
        title: "a shell catches a signal, and dies by one",
        proves: "A handler ran, and a shell that sent SIGTERM to itself is seen to have died by it.",
        cure: "Install another version of QEMU, then binfmtd register TARGET.",
        run: |examination| each(examination, Part::Signal),
    },
    Check {
        id: "load.pipes",
        title: "a loop of pipes ends",
        proves: "Some thirty processes of a shell's loop, connected by pipes, said all that they were to say; with --repeat, every time.",
        cure: "Install another version of QEMU, then binfmtd register TARGET. What fails only now and then mostly comes of QEMU's version and the kernel's address space randomization (kernel.randomize_va_space).",
        run: |examination| each(examination, Part::Pipes),
    },
    Check {
        id: "load.command",
        title: "the command of --exec ends well",
        proves: "The program that was asked for ran in the root filesystem and exited with 0; with --repeat, every time.",
        cure: "Run it by itself, to see all that it says: chroot DIR COMMAND. What works on a real machine of that CPU and not here is QEMU's: try another version.",
        run: |examination| each(examination, Part::Command),
    },
];

fn each(examination: &Examination<'_>, part: Part) -> Vec<Finding> {
    let id = part.check();
    let Some(load) = &examination.load else {
        return vec![
            Draft::host(id).skip("it takes a root filesystem to run programs of: --rootfs DIR"),
        ];
    };
    let of_root = |patient: &&Patient<'_>| {
        patient.target.name == load.target && patient.machine == load.machine
    };
    let patient = examination.patients.iter().find(of_root);
    let draft = patient.map_or_else(|| Draft::host(id), |patient| Draft::of(id, patient));
    vec![match load.part(part).map(|loaded| &loaded.outcome) {
        None => draft.skip("not run"),
        Some(Err(why)) => draft.skip(why.clone()),
        Some(Ok((job, tally))) => judge(examination, patient, load, draft, part, job, tally),
    }]
}

fn judge(
    examination: &Examination<'_>,
    patient: Option<&Patient<'_>>,
    load: &Load,
    draft: Draft,
    part: Part,
    job: &Job,
    tally: &Tally,
) -> Finding {
    let Tally { runs, well, .. } = *tally;
    let program = job.program.display();
    let (folder, quoted) = (load.folder.display(), quote(&load.folder));
    let seen =
        format!("{program} in {folder}, taken by {}", load.rule.as_deref().unwrap_or("no rule"));
    if tally.is_well() {
        let each = tally.each().unwrap_or_default().as_secs_f64();
        return draft.pass(format!("{well} of {runs} runs went well, {each:.2} s each")).with(seen);
    }
    let why = tally.failure.as_deref().unwrap_or("it failed");
    if load.noexec && well == 0 && tally.refused == Some(ExecError::Denied) {
        return draft
            .fail(format!("permission denied: {folder} is on a filesystem that is mounted noexec"))
            .with(seen)
            .fix(remount(&load.folder));
    }
    // Told once: the same exec of a probe says it, with a fix.
    if let Some(error) = &tally.refused
        && well == 0
        && let Some(told) = patient.and_then(|patient| told_by(patient, error))
    {
        return draft.skip(format!("no program of it starts: exec.{} says why", told.as_str()));
    }
    if let Some(loader) = load.missing_loader.as_ref().filter(|_| well == 0 && part == Part::Loader)
    {
        let shown = loader.display();
        return draft
            .fail(format!("{program} needs the loader {shown}, which is not in {folder}: {why}"))
            .with(seen)
            .fix(format!(
                "put {} and the libraries beside it into {quoted} (libc6 of that architecture, or musl), or \
                 unpack the root filesystem whole",
                quote(loader)
            ));
    }
    let sentence = match well {
        0 => format!("none of {runs} runs went well: {why}"),
        _ => format!("{well} of {runs} runs went well; one of the others: {why}"),
    };
    let draft = draft.finding(Status::Fail, sentence).with(seen);
    let register = format!("binfmtd register {}", load.target);
    let usual = patient.and_then(|patient| examination.winner(patient.target, patient.machine));
    let usual = usual.map(Entry::display_name);
    draft.fix(match part {
        _ if load.rule.is_none() && tally.refused == Some(ExecError::Format) => register,
        // Not QEMU's version: it is not even asked.
        _ if well == 0 && load.rule.is_some() && usual.is_some() && load.rule != usual => {
            format!("{register} --takeover")
        }
        Part::Command => {
            format!("see what it says by itself: chroot {quoted} {}", line(job))
        }
        // It starts, so the rule is there: what is wrong is what runs.
        _ if tally.is_flaky() => format!(
            "install another version of QEMU, then {register}; until then repeat what fails \
             (kernel.randomize_va_space is {})",
            examination
                .limits
                .randomize
                .map_or_else(|| "unknown".to_owned(), |value| value.to_string())
        ),
        _ => format!("install another version of QEMU, then {register}"),
    })
}

/// The level that failed by the same error.
fn told_by(patient: &Patient<'_>, error: &ExecError) -> Option<Level> {
    let proof = patient.proof.as_ref()?;
    if proof.nobody && *error == ExecError::Format {
        return Some(Level::Host);
    }
    let failed = |level| proof.level(level).is_some_and(crate::verify::LevelOutcome::failed);
    match (failed(Level::Host), failed(Level::EmptyRoot)) {
        (true, _) => Some(Level::Host),
        (_, true) => Some(Level::EmptyRoot),
        _ => None,
    }
}

fn line(job: &Job) -> String {
    job.words.iter().map(quote).collect::<Vec<_>>().join(" ")
}
