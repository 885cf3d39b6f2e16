//! Family `interpreter`: what is on disk, which may not be what the kernel runs.

use std::path::{Path, PathBuf};

use super::{Check, Draft, Evidence, Examination, Finding, Patient, Phrase};
use crate::observation::{InterpreterFault, InterpreterFile, TrustFault, list_of};
use crate::plan::{Refusal, guard, is_qemu, is_replaceable};
use crate::rule::Entry;
use crate::shown::quote;
use crate::system::binfmt_misc::instance::MOUNT_POINT;
use crate::system::files::interpreter::Inspector;
use crate::system::host::limits::Selinux;
use crate::system::host::surroundings::Distribution;
use crate::verify::Proof;

const EXISTS: &str = "interpreter.exists";
const USABLE: &str = "interpreter.usable";
const TRUSTED: &str = "interpreter.trusted";
const LABEL: &str = "interpreter.label";

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: EXISTS,
        title: "the interpreter is there",
        proves: "The path that the rule names leads to a file. With F the kernel may still run one that is gone.",
        cure: "Install QEMU's static emulators (qemu-user-static, or qemu-user where that is static), then binfmtd register.",
        run: exists,
    },
    Check {
        id: USABLE,
        title: "the interpreter is native, static and executable",
        proves: "The file is a program of this machine, needs no loader that other roots lack, and may be executed.",
        cure: "Install a static emulator for this machine: qemu-user-static.",
        run: usable,
    },
    Check {
        id: TRUSTED,
        title: "only root can replace the interpreter",
        proves: "Owner and mode of the file and of every folder above it let nobody but root change what runs for others.",
        cure: "Give the file and each folder above it to root, and take the right to write from others; or leave the flag C off.",
        run: trusted,
    },
    Check {
        id: LABEL,
        title: "SELinux lets containers run the interpreter",
        proves: "Where SELinux is on: the label of the interpreter's file is one that confined containers may execute, whatever they have in their own root.",
        cure: "Give the file the label of a program, and register again: chcon -t bin_t FILE, then binfmtd register. An interpreter from a container's image carries that container's categories, and no other container may run it: install QEMU on the host.",
        run: label,
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

/// The command that brings a working interpreter, and has the rule use it.
pub(super) fn another(
    examination: &Examination<'_>,
    patient: &Patient<'_>,
    entry: &Entry,
) -> Phrase {
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
        let removed = Phrase::own(tell("-1", in_the_way), "remove the rule that has its name");
        return removed + " && " + registered(examination, patient, "");
    }
    // What works is not replaced unasked.
    let works = patient.proof.as_ref().is_some_and(Proof::works);
    let unasked = owns(entry) || (is_qemu(entry) || is_own(&entry)) && !works;
    registered(examination, patient, if unasked { "" } else { " --takeover" })
}

/// The command that has the kernel do something with one rule.
pub(super) fn tell(word: &str, entry: &Entry) -> String {
    format!("echo {word} > {}", quote(&Path::new(MOUNT_POINT).join(&entry.name)))
}

/// The command that registers a patient's rule, after it brought an interpreter where none is.
pub(super) fn registered(
    examination: &Examination<'_>,
    patient: &Patient<'_>,
    takeover: &str,
) -> Phrase {
    let name = &patient.target.name;
    let register = Phrase::from("binfmtd register") + Phrase::target(name) + takeover;
    if usable_one(examination, patient).is_some() {
        return register;
    }
    bring(examination.around.distribution, name) + register
}

/// What brings an emulator, to stand before a command.
pub(super) fn bring(distribution: Distribution, target: &str) -> Phrase {
    let install: Phrase = match distribution {
        Distribution::Debian | Distribution::Ubuntu => "apt-get install qemu-user-static".into(),
        Distribution::Fedora => "dnf install qemu-user-static".into(),
        Distribution::Suse => "zypper install qemu-linux-user".into(),
        Distribution::Arch => "pacman -S qemu-user-static".into(),
        Distribution::Alpine => {
            Phrase::from("apk add") + Phrase::argument(format!("qemu-{target}"))
        }
        Distribution::Other => return "install qemu-user-static, then ".into(),
    };
    install + " && "
}

/// Why a file cannot serve, and what helps, as whoever registers says it.
fn refusal(path: &Path, fault: &InterpreterFault) -> (Phrase, Phrase) {
    let refusal = Refusal::of_interpreter(path, fault);
    let (why, fix) = (refusal.why(), refusal.fix());
    let any = Refusal::of_interpreter(Path::new("of the rule"), fault).why();
    let fix = match fault {
        InterpreterFault::NotExecutable => {
            Phrase::from("chmod a+x") + Phrase::argument(quote(path))
        }
        InterpreterFault::Noexec => remount(path),
        // Of several, each has its own.
        InterpreterFault::Unreadable(_) | InterpreterFault::NotRegular => {
            Phrase::from("ls -lL") + Phrase::argument(quote(path))
        }
        _ => fix.into(),
    };
    (Phrase::own(why, any), fix)
}

/// The command that lets programs start from the filesystem that a file is on.
pub(super) fn remount(path: &Path) -> Phrase {
    let path = quote(path);
    Phrase::own(
        format!("mount -o remount,exec \"$(findmnt -no TARGET -T {path})\""),
        "mount -o remount,exec, where they are",
    )
}

/// Whether a rule's interpreter is not there, or may not be executed; without `F` nothing runs then, for the
/// kernel looks it up at each start.
pub(super) fn is_out_of_reach(
    examination: &Examination<'_>,
    patient: &Patient<'_>,
) -> Option<&'static str> {
    let entry = examination.winner(patient.target, patient.machine)?;
    match Inspector::default().inspect(&entry.interpreter) {
        Err(InterpreterFault::Missing) if !entry.flags.known.fix_binary => Some(EXISTS),
        // A pinned file needs no bit any more, and a mount that forbids.
        Ok(file) if file.noexec => Some(USABLE),
        Ok(file) if file.mode & 0o111 == 0 && !entry.flags.known.fix_binary => Some(USABLE),
        _ => None,
    }
}

fn exists(examination: &Examination<'_>) -> Vec<Finding> {
    each(examination, EXISTS, |examination, patient, draft, file| {
        let Some(entry) = examination.winner(patient.target, patient.machine) else {
            return draft.skip("there is no enabled rule that names one");
        };
        let path = entry.interpreter.display();
        match file {
            Ok(file) => draft.pass(file.path.display().to_string()),
            // It never was on this disk: a container's image had it, and the kernel has it now.
            Err(InterpreterFault::Missing)
                if entry.flags.known.fix_binary
                    && examination.owner(entry) == "unknown"
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
                let (why, fix) = refusal(&entry.interpreter, &fault);
                let is_pinned = patient.proof.as_ref().is_some_and(|proof| proof.pinned.is_some());
                // Nobody could register it again.
                let is_other = is_pinned && entry.interpreter.exists();
                draft.warn(why).fix(if is_other {
                    another(examination, patient, entry)
                } else {
                    fix
                })
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
                let (why, mend) = refusal(&file.path, &fault);
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
                    _ => mend,
                };
                draft.fail(why).fix(fix)
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
        let own = Phrase::file(&file.path, "its interpreter");
        let fix =
            file.distrust.iter().map(TrustFault::command_line).collect::<Vec<_>>().join(" && ");
        if credentials {
            draft
                .fail(
                    Phrase::from("others than root could replace ")
                        + own
                        + ", and the rule runs it with credentials (C)",
                )
                .with(list_of(&file.distrust))
                .fix(fix)
        } else {
            draft
                .warn(
                    Phrase::from("others than root could replace ")
                        + own
                        + ", which runs for everybody",
                )
                .with(list_of(&file.distrust))
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
    each(examination, LABEL, |examination, patient, draft, file| {
        let Some(mode) = examination.limits.selinux else {
            return draft.skip("SELinux is off");
        };
        let Ok(file) = file else { return draft.skip("there is no file to look at") };
        let Some(label) = examination.around.labels.get(&file.path) else {
            return draft.skip("the file has no label that could be read");
        };
        let (kind, level) = kind_and_level(label);
        let draft = Draft { evidence: Evidence::from(format!("label {label}")), ..draft };
        let path = quote(&file.path);
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
        let register = Phrase::from("binfmtd register") + Phrase::target(&patient.target.name);
        finding.fix(relabel(path) + " && " + register)
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

/// Gives a file, quoted for a shell, the label of a program.
pub(super) fn relabel(path: String) -> Phrase {
    Phrase::from("chcon -t bin_t -l s0") + Phrase::argument(path)
}
