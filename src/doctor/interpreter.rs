//! Family `interpreter`: what is on disk, which may not be what the kernel runs.

use std::path::{Path, PathBuf};

use super::commands::{Others, Switch, install_qemu, register, relabel, remount_exec, text_of};
use super::finding::{Draft, Finding};
use super::id::CheckId;
use super::{Check, Examination, Patient};
use crate::fix::{Command, Fix};
use crate::observation::{InterpreterFault, InterpreterFile, Owner};
use crate::phrase::Phrase;
use crate::plan::{guard, is_qemu, is_replaceable};
use crate::rule::Entry;
use crate::system::files::interpreter::Inspector;
use crate::system::files::trust::Problem;
use crate::system::host::limits::Selinux;
use crate::verify::Proof;

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: CheckId::InterpreterExists,
        title: "the interpreter is there",
        proves: "The path that the rule names leads to a file. With F the kernel may still run one that is gone.",
        cure: "Install QEMU's static emulators (qemu-user-static, or qemu-user where that is static), then binfmtd register.",
        run: exists,
    },
    Check {
        id: CheckId::InterpreterUsable,
        title: "the interpreter is native, static and executable",
        proves: "The file is a program of this machine, needs no loader that other roots lack, and may be executed.",
        cure: "Install a static emulator for this machine: qemu-user-static.",
        run: usable,
    },
    Check {
        id: CheckId::InterpreterTrusted,
        title: "only root can replace the interpreter",
        proves: "Owner and mode of the file and of every folder above it let nobody but root change what runs for others.",
        cure: "Give the file and each folder above it to root, and take the right to write from others; or leave the flag C off.",
        run: trusted,
    },
    Check {
        id: CheckId::InterpreterLabel,
        title: "SELinux lets containers run the interpreter",
        proves: "Where SELinux is on: the label of the interpreter's file is one that confined containers may execute, whatever they have in their own root.",
        cure: "Give the file the label of a program, and register again: chcon -t bin_t FILE, then binfmtd register. An interpreter from a container's image carries that container's categories, and no other container may run it: install QEMU on the host.",
        run: label,
    },
];

fn each(
    examination: &Examination<'_>,
    id: CheckId,
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
            let draft = patient.draft(id);
            match examination.winner(patient.target, patient.machine) {
                None => draft.skip("there is no enabled rule that names one"),
                Some(_) if is_elsewhere(patient) => draft.skip(
                    "its rule names a file of another root than this one, which cannot be looked at from here",
                ),
                Some(entry) => {
                    judge(examination, patient, draft, inspector.inspect(&entry.interpreter))
                }
            }
        })
        .collect()
}

fn is_elsewhere(patient: &Patient<'_>) -> bool {
    let pinned = patient.proof.as_ref().and_then(|proof| proof.pinned.as_ref());
    pinned.is_some_and(|pinned| pinned.is_elsewhere)
}

/// Whether the file that a patient's rule names could be run as an interpreter at all.
pub(super) fn is_sound(examination: &Examination<'_>, patient: &Patient<'_>) -> bool {
    let Some(entry) = examination.winner(patient.target, patient.machine) else { return false };
    let needs = guard::Needs { fixed: false, credentials: false };
    let (native, table) = (&examination.native, &examination.settings.table);
    Inspector::default()
        .inspect(&entry.interpreter)
        .is_ok_and(|file| guard::fault(&file, native, table, needs).is_none())
}

/// The interpreter that `register` would take.
fn usable_one<'a>(examination: &'a Examination<'_>, patient: &Patient<'_>) -> Option<&'a Path> {
    let found = examination.candidates(patient.target)?.usable.as_ref()?;
    Some(&found.path)
}

/// Another name of the same QEMU beside the one that is gone: packages have renamed their programs
/// (`qemu-arm-static`, `qemu-arm`, `/usr/libexec/qemu-binfmt/arm-binfmt-P`).
fn renamed(examination: &Examination<'_>, patient: &Patient<'_>, gone: &Path) -> Option<PathBuf> {
    let beside = gone
        .parent()
        .into_iter()
        .flat_map(|folder| patient.target.interpreters.iter().map(move |name| folder.join(name)));
    let elsewhere = usable_one(examination, patient).map(Path::to_owned);
    beside.filter(|path| path.is_file()).chain(elsewhere).find(|path| path != gone)
}

/// What brings a working interpreter, and has the rule use it.
pub(super) fn another(examination: &Examination<'_>, patient: &Patient<'_>, entry: &Entry) -> Fix {
    let owns = |entry: &Entry| examination.seen.record.owns(entry);
    let is_own = |other: &&Entry| {
        let mut rules = patient.target.rules().into_iter();
        rules.any(|(name, _)| other.name == name.as_str())
    };
    let may_go = |own: &Entry| {
        let by_its_name = own.name == entry.name && is_replaceable(own, &own.display_name());
        is_qemu(own) || by_its_name || owns(own)
    };
    // Whose name ours has to get and who is nobody's to replace: then a person has to say so.
    let mut entries = examination.seen.instance.entries.iter().filter(is_own);
    if let Some(in_the_way) = entries.find(|own| !may_go(own)) {
        return after(examination, patient, Some(in_the_way), Others::Keep);
    }
    // What works is not replaced unasked.
    let works = patient.proof.as_ref().is_some_and(Proof::works);
    let unasked = owns(entry) || (is_qemu(entry) || is_own(&entry)) && !works;
    registered(examination, patient, if unasked { Others::Keep } else { Others::Replace })
}

/// Registers a target's rule, after an interpreter was installed where none is.
pub(super) fn registered(
    examination: &Examination<'_>,
    patient: &Patient<'_>,
    others: Others,
) -> Fix {
    after(examination, patient, None, others)
}

fn after(
    examination: &Examination<'_>,
    patient: &Patient<'_>,
    in_the_way: Option<&Entry>,
    others: Others,
) -> Fix {
    let name = &patient.target.name;
    let register = register(name, others);
    let removed = in_the_way.map(|entry| {
        Phrase::from("remove the rule ") + Phrase::own(entry.display_name(), "that has its name")
    });
    let remove = in_the_way.map(|entry| Switch::Remove.command(entry));
    let then = |first: Phrase| first + ", then register the target's own";
    if usable_one(examination, patient).is_some() {
        let text = removed.map_or_else(|| "register the target's rule".into(), then);
        return Fix::run(text, remove.into_iter().chain([register]));
    }
    let install = "install QEMU's static emulators";
    let first = removed.map_or_else(|| install.into(), |removed| removed + ", " + install);
    if let Some(command) = install_qemu(examination.around.distribution, name) {
        return Fix::run(then(first), remove.into_iter().chain([command, register]));
    }
    let takeover = match others {
        Others::Keep => "",
        Others::Replace => " --takeover",
    };
    let text = first + " (qemu-user-static); then run binfmtd register";
    Fix::advice(text + Phrase::target(name) + takeover)
}

/// Why a file cannot serve, as whoever registers says it.
fn refusal(path: &Path, fault: &InterpreterFault) -> Phrase {
    let any = guard::refusal(Path::new("of the rule"), fault).why;
    Phrase::own(guard::refusal(path, fault).why, any)
}

/// What makes the very file serve.
fn mended(examination: &Examination<'_>, path: &Path, fault: &InterpreterFault) -> Fix {
    match fault {
        InterpreterFault::NotExecutable => {
            Fix::run("make it executable", [Command::root(&["chmod", "a+x"]).each(text_of(path))])
        }
        InterpreterFault::Noexec => {
            let mounts = &examination.around.mount_points;
            remount_exec(mounts.get(path).map(PathBuf::as_path))
        }
        InterpreterFault::Unreadable(_) => {
            Fix::run("look at the file", [Command::root(&["ls", "-lL"]).each(text_of(path))])
        }
        InterpreterFault::Missing
        | InterpreterFault::NotElf
        | InterpreterFault::Foreign(_)
        | InterpreterFault::Dynamic(_)
        | InterpreterFault::Untrusted(_) => Fix::advice(guard::refusal(path, fault).fix),
    }
}

/// Whether a rule's interpreter is not there, or may not be executed; without `F` nothing runs then, for the
/// kernel looks it up at each start.
pub(super) fn is_out_of_reach(
    examination: &Examination<'_>,
    patient: &Patient<'_>,
) -> Option<CheckId> {
    let entry = examination.winner(patient.target, patient.machine)?;
    match Inspector::default().inspect(&entry.interpreter) {
        Err(InterpreterFault::Missing) if !entry.flags.known.fix_binary => {
            Some(CheckId::InterpreterExists)
        }
        // A pinned file needs no bit any more, and a mount that forbids.
        Ok(file) if file.noexec => Some(CheckId::InterpreterUsable),
        Ok(file) if file.mode & 0o111 == 0 && !entry.flags.known.fix_binary => {
            Some(CheckId::InterpreterUsable)
        }
        _ => None,
    }
}

fn exists(examination: &Examination<'_>) -> Vec<Finding> {
    each(examination, CheckId::InterpreterExists, |examination, patient, draft, file| {
        let Some(entry) = examination.winner(patient.target, patient.machine) else {
            return draft.skip("there is no enabled rule that names one");
        };
        let path = entry.interpreter.display();
        match file {
            Ok(file) => draft.pass(file.path.display().to_string()),
            // It never was on this disk: a container's image had it, and the kernel has it now.
            Err(InterpreterFault::Missing)
                if entry.flags.known.fix_binary
                    && *examination.owner(entry) == Owner::Unknown
                    && patient.proof.as_ref().is_some_and(Proof::works) =>
            {
                draft.pass(format!("{path} is not on this disk; the kernel has the file it opened"))
            }
            Err(InterpreterFault::Missing) => {
                let own = Phrase::file(&entry.interpreter, "its interpreter");
                let finding = if entry.flags.known.fix_binary {
                    draft.warn(
                        own + " is gone from the disk; the kernel goes on with the one it pinned",
                    )
                } else {
                    draft.fail(own + " does not exist")
                };
                let finding = match renamed(examination, patient, &entry.interpreter) {
                    Some(now) => finding.with(
                        Phrase::from("QEMU for it is ")
                            + Phrase::file(now, "under another name")
                            + " now",
                    ),
                    None => finding,
                };
                finding.fix(another(examination, patient, entry))
            }
            Err(fault) => {
                let is_pinned = patient.proof.as_ref().is_some_and(|proof| proof.pinned.is_some());
                // Nobody could register it again.
                let is_other = is_pinned && entry.interpreter.exists();
                draft.warn(refusal(&entry.interpreter, &fault)).fix(if is_other {
                    another(examination, patient, entry)
                } else {
                    mended(examination, &entry.interpreter, &fault)
                })
            }
        }
    })
}

fn usable(examination: &Examination<'_>) -> Vec<Finding> {
    each(examination, CheckId::InterpreterUsable, |examination, patient, draft, file| {
        let Ok(file) = file else { return draft.skip("there is no file to look at") };
        let fixed = examination
            .winner(patient.target, patient.machine)
            .is_some_and(|entry| entry.flags.known.fix_binary);
        let needs = guard::Needs { fixed, credentials: false };
        match guard::fault(&file, &examination.native, &examination.settings.table, needs) {
            None => draft.pass("native, static and executable"),
            Some(fault) => {
                // Another one that could serve is there: to register is all that it takes.
                let entry = examination.winner(patient.target, patient.machine);
                let other = usable_one(examination, patient).filter(|path| *path != file.path);
                let fix = match (entry, other, &fault) {
                    (Some(entry), Some(_), _)
                    | (
                        Some(entry),
                        None,
                        InterpreterFault::Dynamic(_)
                        | InterpreterFault::Foreign(_)
                        | InterpreterFault::NotElf,
                    ) => another(examination, patient, entry),
                    _ => mended(examination, &file.path, &fault),
                };
                draft.fail(refusal(&file.path, &fault)).fix(fix)
            }
        }
    })
}

fn trusted(examination: &Examination<'_>) -> Vec<Finding> {
    each(examination, CheckId::InterpreterTrusted, |examination, patient, draft, file| {
        let Ok(file) = file else { return draft.skip("there is no file to look at") };
        if file.distrust.is_empty() {
            return draft.pass("only root can replace it");
        }
        let credentials = examination
            .winner(patient.target, patient.machine)
            .is_some_and(|entry| entry.flags.known.credentials);
        let own = Phrase::file(&file.path, "its interpreter");
        let faults = examination.around.distrust.get(&file.path).into_iter().flatten();
        let commands = faults.map(|fault| {
            let words: &[&str] = match fault.problem {
                Problem::Owner => &["chown", "root:"],
                Problem::LinkOwner => &["chown", "-h", "root:"],
                Problem::Writable => &["chmod", "go-w"],
            };
            Command::root(words).each(text_of(&fault.path))
        });
        let fix = Fix::run("give the file and the folders above it to root alone", commands);
        if credentials {
            draft
                .fail(
                    Phrase::from("others than root could replace ")
                        + own
                        + ", and the rule runs it with credentials (C)",
                )
                .with(file.distrust.join("; "))
                .fix(fix)
        } else {
            draft
                .warn(
                    Phrase::from("others than root could replace ")
                        + own
                        + ", which runs for everybody",
                )
                .with(file.distrust.join("; "))
                .fix(fix)
        }
    })
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

fn label(examination: &Examination<'_>) -> Vec<Finding> {
    each(examination, CheckId::InterpreterLabel, |examination, patient, draft, file| {
        let Some(mode) = examination.limits.selinux else {
            return draft.skip("SELinux is off");
        };
        let Ok(file) = file else { return draft.skip("there is no file to look at") };
        let Some(label) = examination.around.labels.get(&file.path) else {
            return draft.skip("the file has no label that could be read");
        };
        let (kind, level) = kind_and_level(label);
        let draft = draft.seen(format!("label {label}"));
        let own = Phrase::file(&file.path, "its interpreter");
        let why = if level.contains(":c") {
            own + &format!(" is labelled for one container ({level}): no other may run it")
        } else if EXECUTABLE.contains(&kind) || kind.ends_with("_exec_t") {
            return draft.pass(format!("containers may execute {kind}"));
        } else if OF_DATA.contains(&kind) {
            Phrase::from("SELinux lets no confined container run ")
                + own
                + &format!(": {kind} is no program's type")
        } else {
            return draft.pass(format!("nothing is known against {kind}"));
        };
        let finding = match mode {
            Selinux::Enforcing => draft.warn(why),
            Selinux::Permissive => return draft.pass(why + "; SELinux only notes it"),
        };
        finding.fix(relabel(&file.path, &patient.target.name))
    })
}

/// Of `user:role:type:level`; a level may have categories: `s0:c1,c2`.
fn kind_and_level(label: &str) -> (&str, &str) {
    let mut parts = label.splitn(4, ':').skip(2);
    (parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
}

/// Whether the label is none of a program that everybody may run.
pub(super) fn is_mislabelled(label: &str) -> bool {
    let (kind, level) = kind_and_level(label);
    level.contains(":c") || OF_DATA.contains(&kind)
}
