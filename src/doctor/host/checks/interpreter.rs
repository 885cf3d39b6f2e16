//! Family `interpreter`: what is on disk, which may not be what the kernel runs.

use std::path::{Path, PathBuf};

use super::scope::TargetCase;
use crate::doctor::check::Check;
use crate::doctor::facts::Facts;
use crate::doctor::finding::{Draft, Finding};
use crate::doctor::fixes::{relabel, remount_exec};
use crate::doctor::host::facts::{HostFacts, RuleFile, TargetFacts};
use crate::doctor::host::fixes::another;
use crate::doctor::id::CheckId;
use crate::fix::Fix;
use crate::observation::{InterpreterFault, Owner, TrustFault, list_of};
use crate::phrase::Phrase;
use crate::plan::{Refusal, guard};
use crate::rule::Entry;
use crate::system::host::limits::Selinux;

/// The file that the rule of each target names.
fn each(
    facts: &Facts<'_>,
    id: CheckId,
    judge: fn(TargetCase<'_>, &Entry, &RuleFile) -> Finding,
) -> Vec<Finding> {
    let cases = facts.host.foreign().map(|asked| TargetCase::new(facts, asked, id));
    let judge = |case: TargetCase<'_>| {
        let facts = case.facts;
        match facts.rule(case.asked).zip(facts.rule_file(case.asked)) {
            None => case.draft.skip("there is no enabled rule that names one"),
            Some(_) if case.asked.runs_from_another_root() => case
                .draft
                .skip("its rule names a file in another root, which cannot be inspected from here"),
            Some((entry, file)) => judge(case, entry, file),
        }
    };
    cases.map(judge).collect()
}

/// Whether the file in the target's rule could serve as an interpreter at all.
pub(super) fn is_sound(facts: &HostFacts<'_>, asked: &TargetFacts<'_>) -> bool {
    let needs = guard::Needs { fixed: false, credentials: false };
    let (native, table) = (&facts.native, &facts.settings.table);
    let file = facts.rule_file(asked).and_then(|file| file.file.as_ref().ok());
    file.is_some_and(|file| guard::fault(file, native, table, needs).is_none())
}

/// QEMU under another name.
fn renamed<'a>(
    facts: &'a HostFacts<'_>,
    asked: &'a TargetFacts<'_>,
    gone: &Path,
) -> Option<&'a Path> {
    let usable = facts.usable(asked.target).map(|file| &file.path);
    asked.renamed.iter().chain(usable).map(PathBuf::as_path).find(|path| *path != gone)
}

/// Why a file cannot serve, in the words of `register`.
fn refusal(path: &Path, fault: &InterpreterFault) -> Phrase {
    let any = Refusal::of_interpreter(Path::new("of the rule"), fault).why();
    Phrase::own(Refusal::of_interpreter(path, fault).why(), any)
}

/// What makes this very file usable.
fn mended(file: &RuleFile, path: &Path, fault: &InterpreterFault) -> Fix {
    match fault {
        InterpreterFault::Noexec => remount_exec(file.mount_point.as_deref()),
        fault => Refusal::of_interpreter(path, fault).fix(),
    }
}

/// The check that reports why the interpreter cannot be started: it is missing, or may not be executed. Without `F`
/// the kernel looks the file up at each start.
pub(super) fn is_out_of_reach(facts: &HostFacts<'_>, asked: &TargetFacts<'_>) -> Option<CheckId> {
    let entry = facts.rule(asked)?;
    match &facts.rule_file(asked)?.file {
        Err(InterpreterFault::Missing) if !entry.flags.known.fix_binary => {
            Some(CheckId::InterpreterExists)
        }
        // A pinned file needs no execute bit, but a noexec mount still forbids it.
        Ok(file) if file.noexec => Some(CheckId::InterpreterUsable),
        Ok(file) if file.mode & 0o111 == 0 && !entry.flags.known.fix_binary => {
            Some(CheckId::InterpreterUsable)
        }
        _ => None,
    }
}

pub(in crate::doctor) static EXISTS: Check = Check {
    id: CheckId::InterpreterExists,
    title: "the interpreter exists",
    proves: "The path in the rule leads to a file. With F, the kernel may still run a file that was deleted.",
    cure: "Install QEMU's static emulators (qemu-user-static, or qemu-user if that is static), then run binfmtd register.",
    run: |facts, id| each(facts, id, exists),
};

fn exists(case: TargetCase<'_>, entry: &Entry, found: &RuleFile) -> Finding {
    let TargetCase { facts, asked, draft } = case;
    let path = &entry.interpreter;
    match &found.file {
        Ok(file) => draft.pass(file.path.display().to_string()),
        // It never was on this disk: the kernel opened it in a container's image.
        Err(InterpreterFault::Missing)
            if entry.flags.known.fix_binary
                && *facts.owner(entry) == Owner::Unknown
                && asked.works() =>
        {
            let path = path.display();
            draft.pass(format!(
                "{path} is not on this disk; the kernel runs the file that it opened"
            ))
        }
        Err(InterpreterFault::Missing) => missing(facts, asked, draft, entry),
        // The kernel runs the file that it pinned, but the one that is there now could not be registered.
        Err(fault @ InterpreterFault::NotRegular) if is_pinned(asked) => {
            draft.warn(refusal(path, fault)).fix(another(facts, asked, entry))
        }
        Err(fault) => draft.warn(refusal(path, fault)).fix(mended(found, path, fault)),
    }
}

fn is_pinned(asked: &TargetFacts<'_>) -> bool {
    asked.proof.as_ref().is_some_and(|proof| proof.pinned.is_some())
}

fn missing(facts: &HostFacts<'_>, asked: &TargetFacts<'_>, draft: Draft, entry: &Entry) -> Finding {
    let own = Phrase::file(&entry.interpreter, "its interpreter");
    let finding = if entry.flags.known.fix_binary {
        draft.warn(own + " is gone from the disk; the kernel still runs the file that it pinned")
    } else {
        draft.fail(own + " does not exist")
    };
    let finding = match renamed(facts, asked, &entry.interpreter) {
        Some(now) => {
            let now = Phrase::file(now, "under another name");
            finding.with(Phrase::from("QEMU for it is ") + now + " now")
        }
        None => finding,
    };
    finding.fix(another(facts, asked, entry))
}

pub(in crate::doctor) static USABLE: Check = Check {
    id: CheckId::InterpreterUsable,
    title: "the interpreter is native, static and executable",
    proves: "The file is a program for this machine, may be executed, and needs no loader, which other roots lack.",
    cure: "Install a static emulator for this machine: qemu-user-static.",
    run: |facts, id| each(facts, id, usable),
};

fn usable(case: TargetCase<'_>, entry: &Entry, found: &RuleFile) -> Finding {
    let TargetCase { facts, asked, draft } = case;
    let Ok(file) = &found.file else { return draft.skip("there is no file to inspect") };
    let needs = guard::Needs { fixed: entry.flags.known.fix_binary, credentials: false };
    let Some(fault) = guard::fault(file, &facts.native, &facts.settings.table, needs) else {
        return draft.pass("native, static and executable");
    };
    // If another file can serve, registering is enough.
    let other = facts.usable(asked.target).is_some_and(|other| other.path != file.path);
    let is_of_no_use = match fault {
        InterpreterFault::Dynamic(_) | InterpreterFault::Foreign(_) | InterpreterFault::NotElf => {
            true
        }
        InterpreterFault::Missing
        | InterpreterFault::Unreadable(_)
        | InterpreterFault::NotRegular
        | InterpreterFault::NotExecutable
        | InterpreterFault::Noexec
        | InterpreterFault::Untrusted(_) => false,
    };
    draft.fail(refusal(&file.path, &fault)).fix(if other || is_of_no_use {
        another(facts, asked, entry)
    } else {
        mended(found, &file.path, &fault)
    })
}

pub(in crate::doctor) static TRUSTED: Check = Check {
    id: CheckId::InterpreterTrusted,
    title: "only root can replace the interpreter",
    proves: "The owner and mode of the file and of every folder above it let nobody but root replace it.",
    cure: "Make root the owner of the file and of each folder above it, and remove write permission for others; or leave the flag C off.",
    run: |facts, id| each(facts, id, trusted),
};

fn trusted(case: TargetCase<'_>, entry: &Entry, found: &RuleFile) -> Finding {
    let TargetCase { draft, .. } = case;
    let Ok(file) = &found.file else { return draft.skip("there is no file to inspect") };
    if file.distrust.is_empty() {
        return draft.pass("only root can replace it");
    }
    let says = Phrase::from("others than root could replace ")
        + Phrase::file(&file.path, "its interpreter");
    let finding = if entry.flags.known.credentials {
        draft.fail(says + ", and the rule runs it with credentials (C)")
    } else {
        draft.warn(says + ", which runs for everybody")
    };
    finding.with(list_of(&file.distrust)).fix(Fix::run(
        "let only root write to the file and the folders above it",
        file.distrust.iter().map(TrustFault::command),
    ))
}

/// Types that confined containers (`container_t`) may execute: those of programs and libraries of the
/// base policy, and of images (`container_exec_share_files`, `can_exec`, `entrypoint` of
/// `container_domain` in container.te of github.com/containers/container-selinux).
const EXECUTABLE: [&str; 8] = [
    "bin_t",
    "lib_t",
    "container_file_t",
    "container_ro_file_t",
    "container_share_t",
    "container_runtime_tmpfs_t",
    "fusefs_t",
    "svirt_sandbox_file_t",
];

/// Types of data, for which that policy has no such rule: what is not allowed is denied.
const OF_DATA: [&str; 12] = [
    "user_home_t",
    "admin_home_t",
    "data_home_t",
    "user_tmp_t",
    "tmp_t",
    "var_t",
    "var_lib_t",
    "var_run_t",
    "container_var_lib_t",
    "default_t",
    "unlabeled_t",
    "etc_t",
];

pub(in crate::doctor) static LABEL: Check = Check {
    id: CheckId::InterpreterLabel,
    title: "SELinux lets containers run the interpreter",
    proves: "If SELinux is on: confined containers may execute files with the interpreter's label.",
    cure: "Give the file the label of a program and register again: chcon -t bin_t FILE, then binfmtd register. An interpreter from a container's image carries that container's categories, so no other container may run it: install QEMU on the host.",
    run: |facts, id| each(facts, id, label),
};

fn label(case: TargetCase<'_>, _: &Entry, found: &RuleFile) -> Finding {
    let TargetCase { facts, asked, draft } = case;
    let Some(mode) = facts.limits.selinux else {
        return draft.skip("SELinux is off");
    };
    let Ok(file) = &found.file else { return draft.skip("there is no file to inspect") };
    let Some(label) = &found.label else {
        return draft.skip("the file has no readable label");
    };
    let (kind, level) = kind_and_level(label);
    let draft = draft.seen(format!("label {label}"));
    let own = Phrase::file(&file.path, "its interpreter");
    let why = if level.contains(":c") {
        own + &format!(" is labelled for one container ({level}): no other may run it")
    } else if EXECUTABLE.contains(&kind) || kind.ends_with("_exec_t") {
        return draft.pass(format!("containers may execute {kind}"));
    } else if OF_DATA.contains(&kind) {
        Phrase::from("SELinux lets no confined container execute ")
            + own
            + &format!(": {kind} is not the type of a program")
    } else {
        return draft.pass(format!("nothing is known against {kind}"));
    };
    match mode {
        Selinux::Enforcing => draft.warn(why).fix(relabel(&file.path, &asked.target.name)),
        Selinux::Permissive => draft.pass(why + "; SELinux only logs it"),
    }
}

/// Of `user:role:type:level`; a level may have categories: `s0:c1,c2`.
fn kind_and_level(label: &str) -> (&str, &str) {
    let mut parts = label.splitn(4, ':').skip(2);
    (parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
}

/// Whether the label keeps containers from executing the file.
pub(super) fn is_mislabelled(label: &str) -> bool {
    let (kind, level) = kind_and_level(label);
    level.contains(":c") || OF_DATA.contains(&kind)
}
