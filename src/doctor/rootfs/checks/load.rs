//! Family `load`: real programs of a foreign root filesystem, run again and again.

use crate::doctor::check::Check;
use crate::doctor::facts::Facts;
use crate::doctor::finding::{Draft, Finding, Status};
use crate::doctor::fixes::{Others, another_version, registered, remount_exec};
use crate::doctor::host::checks::exec;
use crate::doctor::host::facts::TargetFacts;
use crate::doctor::id::CheckId;
use crate::doctor::rootfs::facts::RootfsFacts;
use crate::fix::{Command, Fix};
use crate::phrase::Phrase;
use crate::rule::Entry;
use crate::shown::quote;
use crate::system::process::child::ExecError;
use crate::verify::Level;
use crate::verify::load::{Job, Part, Tally};

pub(in crate::doctor) static LOADER: Check = Check {
    id: CheckId::LoadLoader,
    title: "a dynamic program finds its loader and libraries",
    proves: "A program of the root filesystem was started by the loader that is in there, and said what it was to say.",
    cure: "Put the loader and the C library into the root filesystem (libc6 of that architecture, musl), or unpack it whole. When they are there: another version of QEMU.",
    run: |facts| each(facts, Part::Loader),
};

pub(in crate::doctor) static SHELL: Check = Check {
    id: CheckId::LoadShell,
    title: "a shell forks, makes a pipe and starts a program",
    proves: "What every RUN line of a Dockerfile and every maintainer's script does: fork, pipe, exec of a foreign program by a foreign program, and its exit status.",
    cure: "Install another version of QEMU, then binfmtd register TARGET.",
    run: |facts| each(facts, Part::Shell),
};

pub(in crate::doctor) static SIGNAL: Check = Check {
    id: CheckId::LoadSignal,
    title: "a shell catches a signal, and dies by one",
    proves: "A handler ran, and a shell that sent SIGTERM to itself is seen to have died by it.",
    cure: "Install another version of QEMU, then binfmtd register TARGET.",
    run: |facts| each(facts, Part::Signal),
};

pub(in crate::doctor) static PIPES: Check = Check {
    id: CheckId::LoadPipes,
    title: "a loop of pipes ends",
    proves: "Some thirty processes of a shell's loop, connected by pipes, said all that they were to say; with --repeat, every time.",
    cure: "Install another version of QEMU, then binfmtd register TARGET. What fails only now and then mostly comes of QEMU's version and the kernel's address space randomization (kernel.randomize_va_space).",
    run: |facts| each(facts, Part::Pipes),
};

pub(in crate::doctor) static COMMAND: Check = Check {
    id: CheckId::LoadCommand,
    title: "the command of --exec ends well",
    proves: "The program that was asked for ran in the root filesystem and exited with 0; with --repeat, every time.",
    cure: "Run it by itself, to see all that it says: chroot DIR COMMAND. What works on a real machine of that CPU and not here is QEMU's: try another version.",
    run: |facts| each(facts, Part::Command),
};

/// The check that judges a part.
pub fn id_of(part: Part) -> CheckId {
    match part {
        Part::Loader => CheckId::LoadLoader,
        Part::Shell => CheckId::LoadShell,
        Part::Signal => CheckId::LoadSignal,
        Part::Pipes => CheckId::LoadPipes,
        Part::Command => CheckId::LoadCommand,
    }
}

fn each(facts: &Facts<'_>, part: Part) -> Vec<Finding> {
    let id = id_of(part);
    let Some(load) = &facts.rootfs else {
        return vec![
            Draft::host(id).skip("it takes a root filesystem to run programs of: --rootfs DIR"),
        ];
    };
    let of_root = |asked: &&TargetFacts<'_>| {
        asked.target.name == load.target && asked.machine == load.machine
    };
    let asked = facts.host.targets.iter().find(of_root);
    let draft = Draft::rootfs(id, &load.folder);
    let draft = match asked {
        Some(asked) => asked.named(draft),
        None => draft,
    };
    vec![match load.outcome(part) {
        None => draft.skip("not run"),
        Some(Err(why)) => draft.skip(why.clone()),
        Some(Ok((job, tally))) => judge(facts, asked, load, draft, part, job, tally),
    }]
}

fn judge(
    facts: &Facts<'_>,
    asked: Option<&TargetFacts<'_>>,
    load: &RootfsFacts,
    draft: Draft,
    part: Part,
    job: &Job,
    tally: &Tally,
) -> Finding {
    let Tally { runs, well, .. } = *tally;
    let program = job.program.display();
    let folder = load.folder.display();
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
            .fix(remount_exec(load.mount_point.as_deref()));
    }
    // Told once: the same exec of a probe says it, with a fix.
    if let Some(error) = &tally.refused
        && well == 0
        && let Some(told) = asked.and_then(|asked| told_by(asked, error))
    {
        return draft.skip(format!("no program of it starts: {} says why", exec::id_of(told)));
    }
    if let Some(loader) = load.missing_loader.as_ref().filter(|_| well == 0 && part == Part::Loader)
    {
        let shown = loader.display();
        return draft
            .fail(format!("{program} needs the loader {shown}, which is not in {folder}: {why}"))
            .with(seen)
            .fix(Fix::advice(format!(
                "put {} and the libraries beside it into {} (libc6 of that architecture, or musl), or unpack the \
                 root filesystem whole",
                quote(loader),
                quote(&load.folder)
            )));
    }
    let sentence = match well {
        0 => format!("none of {runs} runs went well: {why}"),
        _ => format!("{well} of {runs} runs went well; one of the others: {why}"),
    };
    let draft = draft.finding(Status::Fail, sentence).with(seen);
    let usual = asked.and_then(|asked| facts.host.rule(asked));
    let usual = usual.map(Entry::display_name);
    draft.fix(match part {
        _ if load.rule.is_none() && tally.refused == Some(ExecError::Format) => {
            registered(&load.target, Others::Keep)
        }
        // Not QEMU's version: it is not even asked.
        _ if well == 0 && load.rule.is_some() && usual.is_some() && load.rule != usual => {
            registered(&load.target, Others::Replace)
        }
        Part::Command => {
            let chroot = Command::root(&["chroot"]).word(load.folder.to_string_lossy());
            let words = job.words.iter().map(|word| word.to_string_lossy());
            let alone = words.fold(chroot, Command::word);
            Fix::run("run it by itself, to see all that it says", [alone])
        }
        // It starts, so the rule is there: what is wrong is what runs.
        _ if tally.is_flaky() => {
            let randomize = facts.host.limits.randomize;
            let randomize = randomize.map_or("unknown".to_owned(), |value| value.to_string());
            Fix::advice(
                Phrase::from("install another version of QEMU; then run binfmtd register")
                    + Phrase::target(&load.target)
                    + &format!(
                        "; until then repeat what fails (kernel.randomize_va_space is {randomize})"
                    ),
            )
        }
        _ => another_version(&load.target),
    })
}

/// The level that failed by the same error.
fn told_by(asked: &TargetFacts<'_>, error: &ExecError) -> Option<Level> {
    let proof = asked.proof.as_ref()?;
    if proof.nobody && *error == ExecError::Format {
        return Some(Level::Host);
    }
    let failed = |level| proof.level(level).is_some_and(crate::verify::Outcome::failed);
    match (failed(Level::Host), failed(Level::EmptyRoot)) {
        (true, _) => Some(Level::Host),
        (_, true) => Some(Level::EmptyRoot),
        _ => None,
    }
}
