//! Family `load`: real programs of a foreign root filesystem.

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
use crate::verify::load::{Tally, Workload, WorkloadCommand};

pub(in crate::doctor) static LOADER: Check = Check {
    id: CheckId::LoadLoader,
    title: "a dynamic program finds its loader and libraries",
    proves: "The loader in the root filesystem started a program, which printed what was expected.",
    cure: "Put the loader and the C library into the root filesystem (libc6 of that architecture, or musl), or unpack it completely. If they are there, try another version of QEMU.",
    run: |facts, id| each(facts, id, Workload::Loader),
};

pub(in crate::doctor) static SHELL: Check = Check {
    id: CheckId::LoadShell,
    title: "a shell forks, makes a pipe and starts a program",
    proves: "What every RUN line of a Dockerfile and every maintainer script does: fork, pipe, exec of a foreign program by a foreign program, and its exit status.",
    cure: "Install another version of QEMU, then binfmtd register TARGET.",
    run: |facts, id| each(facts, id, Workload::Shell),
};

pub(in crate::doctor) static SIGNAL: Check = Check {
    id: CheckId::LoadSignal,
    title: "a shell catches a signal, and dies from one",
    proves: "A signal handler ran, and the parent of a shell that sent SIGTERM to itself saw it die from that.",
    cure: "Install another version of QEMU, then binfmtd register TARGET.",
    run: |facts, id| each(facts, id, Workload::Signal),
};

pub(in crate::doctor) static PIPES: Check = Check {
    id: CheckId::LoadPipes,
    title: "a loop of pipes completes",
    proves: "About thirty processes of a shell loop, connected by pipes, printed what was expected; with --repeat, every time.",
    cure: "Install another version of QEMU, then binfmtd register TARGET. Failures that happen only sometimes mostly come from the combination of QEMU's version and the kernel's address space randomization (kernel.randomize_va_space).",
    run: |facts, id| each(facts, id, Workload::Pipes),
};

pub(in crate::doctor) static COMMAND: Check = Check {
    id: CheckId::LoadCommand,
    title: "the command of --exec succeeds",
    proves: "The given command ran in the root filesystem and exited with 0; with --repeat, every time.",
    cure: "Run it by itself to see its whole output: chroot DIR COMMAND. If it works on a real machine of that CPU, try another version of QEMU.",
    run: |facts, id| each(facts, id, Workload::Command),
};

/// The check that judges a part.
pub fn id_of(part: Workload) -> CheckId {
    match part {
        Workload::Loader => CheckId::LoadLoader,
        Workload::Shell => CheckId::LoadShell,
        Workload::Signal => CheckId::LoadSignal,
        Workload::Pipes => CheckId::LoadPipes,
        Workload::Command => CheckId::LoadCommand,
    }
}

fn each(facts: &Facts<'_>, id: CheckId, part: Workload) -> Vec<Finding> {
    let Some(load) = &facts.rootfs else {
        return vec![Draft::host(id).skip("no root filesystem was named: --rootfs DIR")];
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
        Some(Err(why)) => draft.skip(why.to_string()),
        Some(Ok((job, tally))) => judge(facts, asked, load, draft, part, job, tally),
    }]
}

fn judge(
    facts: &Facts<'_>,
    asked: Option<&TargetFacts<'_>>,
    load: &RootfsFacts,
    draft: Draft,
    part: Workload,
    job: &WorkloadCommand,
    tally: &Tally,
) -> Finding {
    let Tally { runs, well, .. } = *tally;
    let program = job.program.display();
    let folder = load.folder.display();
    let seen =
        format!("{program} in {folder}, taken by {}", load.rule.as_deref().unwrap_or("no rule"));
    if tally.is_well() {
        let each = tally.each().unwrap_or_default().as_secs_f64();
        return draft.pass(format!("{well} of {runs} runs succeeded, {each:.2} s each")).with(seen);
    }
    let why = tally.failure.as_deref().unwrap_or("it failed");
    if load.noexec && well == 0 && tally.refused == Some(ExecError::Denied) {
        return draft
            .fail(format!("permission denied: {folder} is on a filesystem that is mounted noexec"))
            .with(seen)
            .fix(remount_exec(load.mount_point.as_deref()));
    }
    // The check of the probe that failed the same way reports it.
    if let Some(error) = &tally.refused
        && well == 0
        && let Some(told) = asked.and_then(|asked| told_by(asked, error))
    {
        return draft
            .skip(format!("none of its programs starts, as {} reports", exec::id_of(told)));
    }
    if let Some(loader) =
        load.missing_loader.as_ref().filter(|_| well == 0 && part == Workload::Loader)
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
        0 => format!("none of {runs} runs succeeded: {why}"),
        _ => format!("{well} of {runs} runs succeeded; one of the others: {why}"),
    };
    let draft = draft.finding(Status::Fail, sentence).with(seen);
    let usual = asked.and_then(|asked| facts.host.rule(asked));
    let usual = usual.map(Entry::display_name);
    draft.fix(match part {
        _ if load.rule.is_none() && tally.refused == Some(ExecError::Format) => {
            registered(&load.target, Others::Keep)
        }
        // Another rule's interpreter ran it, so QEMU's version does not matter.
        _ if well == 0 && load.rule.is_some() && usual.is_some() && load.rule != usual => {
            registered(&load.target, Others::Replace)
        }
        Workload::Command => {
            let chroot = Command::root(&["chroot"]).word(load.folder.to_string_lossy());
            let words = job.words.iter().map(|word| word.to_string_lossy());
            let alone = words.fold(chroot, Command::word);
            Fix::run("run it by itself to see its whole output", [alone])
        }
        // It starts sometimes, so the rule is right and QEMU is at fault.
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

/// The level of the probe that failed with the same error.
fn told_by(asked: &TargetFacts<'_>, error: &ExecError) -> Option<Level> {
    let proof = asked.proof.as_ref()?;
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
