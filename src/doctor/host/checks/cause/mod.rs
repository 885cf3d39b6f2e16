//! Why a probe failed: a table of symptoms, each with its cause, a fix and a source.
//!
//! The first entry that applies is the cause. Each was reproduced, or is quoted from its source.

use crate::doctor::fixes::{
    Others, Switch, install_qemu, registered, relabel, text_of, then_register,
};
use crate::doctor::id::CheckId;
use crate::observation::InterpreterFile;
use std::path::Path;

use super::known::Known;
use crate::fix::{Command, Fix, Place};
use crate::phrase::Phrase;
use crate::rule::Entry;
use crate::shown::quote;
use crate::system::host::limits::{HostLimits, Selinux};
use crate::system::host::surroundings::Distribution;
use crate::system::process::batch::Ended;
use crate::system::process::child::ExecError;
use crate::target::{Class, Target};
use crate::verify::{FailedRun, Level};

/// The value that distributions use (`CONFIG_DEFAULT_MMAP_MIN_ADDR`); programs of every target begin above it.
const USUAL_LOWEST_ADDRESS: u64 = 65_536;

/// What is known about a run that failed.
#[derive(Debug, Clone)]
pub(super) struct Symptom<'a> {
    pub(super) level: Level,
    pub(super) failure: &'a FailedRun,
    pub(super) target: &'a Target,
    pub(super) limits: &'a HostLimits,
    /// The rule that takes the program, if it is visible.
    pub(super) entry: Option<&'a Entry>,
    /// The file that the rule's path leads to, if it could be read.
    pub(super) file: Option<&'a InterpreterFile>,
    /// Whether its `SELinux` label keeps it from being executed.
    pub(super) mislabelled: bool,
    /// The rule that takes the interpreter itself.
    pub(super) captor: Option<&'a Entry>,
    /// Whether an interpreter is installed that `register` would use.
    pub(super) installed: bool,
    /// Where the kernel's settings can be changed.
    pub(super) place: Place,
    /// Decides how one is installed.
    pub(super) distribution: Distribution,
    /// The known flaw of the version that ran.
    pub(super) known: Option<&'static Known>,
}

/// Whose fault it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// The host's: the target's programs do not run.
    Host,
    /// This process's, which lacks a right or hits a limit. That says nothing about the host.
    Ours,
}

pub(super) struct Cause {
    applies: fn(&Symptom<'_>) -> bool,
    says: fn(&Symptom<'_>) -> Phrase,
    cure: fn(&Symptom<'_>) -> Fix,
    pub(super) whose: Whose,
    /// A thread, a man page, or the kernel's source.
    pub(super) source: &'static str,
}

/// In the order in which they are tried.
const CAUSES: &[Cause] = &[
    Cause {
        applies: |symptom| {
            let by = symptom.known.and_then(|known| known.signal);
            by.is_some_and(|number| symptom.failure.ended == Some(Ended::Signaled(number)))
        },
        says: |symptom| {
            format!(
                "this version of QEMU is known for it: {}",
                symptom.known.map_or("", |known| known.what)
            )
            .into()
        },
        cure: |symptom| {
            then_register(symptom.known.map_or("", |known| known.way_out), &symptom.target.name)
        },
        whose: Whose::Host,
        source: "src/doctor/host/checks/known.rs",
    },
    // Before the entries with the same words: if there is a limit, the limit is the cause.
    Cause {
        applies: |symptom| {
            symptom.limits.address_space.is_some()
                && symptom.has(&[
                    "Cannot allocate memory",
                    "Unable to reserve",
                    "Unable to find a guest_base",
                    "jit buffer",
                    "qemu_thread_create: Resource temporarily unavailable",
                ])
        },
        says: |symptom| {
            format!(
                "addresses are limited to {} bytes for this process and all that it starts (RLIMIT_AS), and QEMU \
                 reserves {}",
                symptom.limits.address_space.unwrap_or_default(),
                if symptom.is_narrow() {
                    "up to 4 GiB for a 32-bit program"
                } else {
                    "more than that"
                }
            )
            .into()
        },
        cure: |symptom| {
            let lifted = Command::user(&["prlimit", "--as=unlimited"]);
            Fix::run("lift the limit, and check again", [doctor(symptom, lifted)])
        },
        whose: Whose::Ours,
        source: "setrlimit(2), balena-io/qemu#21",
    },
    Cause {
        applies: |symptom| {
            symptom.limits.processes.is_some()
                && symptom.has(&["qemu_thread_create: Resource temporarily unavailable"])
        },
        says: |symptom| {
            format!(
                "this user may have {} processes and threads (RLIMIT_NPROC), and QEMU takes two for a program",
                symptom.limits.processes.unwrap_or_default()
            )
            .into()
        },
        cure: |symptom| {
            let lifted = Command::user(&["prlimit", "--nproc=unlimited"]);
            Fix::run("lift the limit, and check again", [doctor(symptom, lifted)])
        },
        whose: Whose::Ours,
        source: "setrlimit(2)",
    },
    Cause {
        applies: |symptom| {
            symptom.limits.lowest_address.is_some_and(|lowest| lowest > USUAL_LOWEST_ADDRESS)
                && symptom.has(&[
                    "Unable to reserve",
                    "guest_base",
                    "min_mmap_addr",
                    // QEMU 10.0 and 11.1 say this of position-independent programs (measured).
                    "Error mapping file: Operation not permitted",
                    "mmap stack: Operation not permitted",
                ])
        },
        says: |symptom| {
            format!(
                "vm.mmap_min_addr is {}, and QEMU has to place a {} program's low addresses below it",
                symptom.limits.lowest_address.unwrap_or_default(),
                if symptom.is_narrow() { "32-bit" } else { "64-bit" }
            )
            .into()
        },
        cure: |symptom| {
            let setting = format!("vm.mmap_min_addr={USUAL_LOWEST_ADDRESS}");
            let lower = Command::root(&["sysctl", "-w"]).word(setting).at(symptom.place.clone());
            Fix::run("lower it to what distributions set", [lower])
        },
        whose: Whose::Host,
        source: "proc_sys_vm(5), balena-io/qemu#21, fsquillace/junest#159",
    },
    Cause {
        applies: |symptom| symptom.has(&["Unable to reserve"]),
        says: |_| {
            "QEMU could not reserve the program's addresses, though no limit forbids it: builds of QEMU 5.2 that \
             are linked for one address are known for it"
                .into()
        },
        cure: |symptom| symptom.installed_anew(),
        whose: Whose::Host,
        source: "balena-io/qemu#21, multiarch/alpine#39",
    },
    Cause {
        applies: |symptom| symptom.limits.no_written_code && symptom.cannot_make_code(),
        says: |_| {
            "this process and all that it starts may not run memory that they wrote (PR_SET_MDWE, \
             MemoryDenyWriteExecute=): QEMU cannot work in this sandbox, which says nothing about the host"
                .into()
        },
        cure: outside,
        whose: Whose::Ours,
        source: "PR_SET_MDWE(2const), systemd.exec(5)",
    },
    Cause {
        applies: |symptom| symptom.cannot_make_code(),
        says: |symptom| {
            let by = match symptom.limits.selinux {
                Some(Selinux::Enforcing) => "SELinux (execmem), or a sandbox around this process,",
                _ => "a sandbox around this process (a seccomp filter of MemoryDenyWriteExecute=)",
            };
            format!("{by} forbids to run memory that was written, without which QEMU cannot work")
                .into()
        },
        cure: outside,
        whose: Whose::Ours,
        source: "systemd.exec(5)",
    },
    Cause {
        applies: |symptom| symptom.has(&["Value too large for defined data type"]),
        says: |_| {
            "a 32-bit program that was built without large files met an inode number or a size that takes 64 bits"
                .into()
        },
        cure: |_| {
            Fix::advice(
                "build on a filesystem with 32-bit inode numbers (XFS: mount -o inode32), or build such programs with \
                 -D_FILE_OFFSET_BITS=64",
            )
        },
        whose: Whose::Host,
        source: "rust-lang/cargo#9545, microsoft/vcpkg#21189",
    },
    Cause {
        applies: |symptom| symptom.has(&["CPU does not support x86-64-v"]),
        says: |_| {
            let told_by = CheckId::ExecCpuLevel;
            format!("the program asks for a newer x86-64 CPU than the one it sees ({told_by} tells which)").into()
        },
        cure: |symptom| {
            then_register(
                "use an older base image; or install QEMU 7.2 or newer, which has AVX2",
                &symptom.target.name,
            )
        },
        whose: Whose::Host,
        source: "docker/buildx#2566, runfinch/finch#20",
    },
    Cause {
        applies: |symptom| symptom.refused(&ExecError::NoInterpreter) && symptom.loader().is_some(),
        says: |symptom| {
            let loader = symptom.loader().unwrap_or_default();
            symptom.own() + &format!(" is dynamic, and its loader {loader} is not in this root")
        },
        cure: |symptom| {
            if symptom.installed { symptom.registered() } else { symptom.installed_anew() }
        },
        whose: Whose::Host,
        source: "execve(2), nixpkgs#160300",
    },
    Cause {
        applies: |symptom| {
            symptom.refused(&ExecError::NoInterpreter)
                && symptom.level == Level::EmptyRoot
                && symptom.entry.is_some()
                && !symptom.is_fixed()
        },
        says: |symptom| {
            Phrase::from("the rule has no flag F, so ")
                + symptom.own()
                + " is looked up in this root, where it is not"
        },
        cure: |symptom| symptom.registered(),
        whose: Whose::Host,
        source: "binfmt-misc.rst, nixpkgs#160300",
    },
    Cause {
        // With O it is ENOEXEC (measured on 6.18).
        applies: |symptom| {
            symptom.captor.is_some()
                && (symptom.refused(&ExecError::Loop) || symptom.refused(&ExecError::Format))
        },
        says: |symptom| {
            Phrase::own(format!("rule {}", symptom.captor_name()), "a rule")
                + " takes "
                + symptom.own()
                + " itself"
        },
        // The rule takes native programs, so no command would start.
        cure: |symptom| {
            let text = "remove the rule, in a root shell that is already running";
            let line = symptom.captor.map(|captor| Switch::Remove.line(captor));
            Fix::builtins(text, line.unwrap_or_default())
        },
        whose: Whose::Host,
        source: "execve(2), exec_binprm of Linux's fs/exec.c",
    },
    Cause {
        applies: |symptom| symptom.refused(&ExecError::Busy),
        says: |symptom| Phrase::from("somebody has ") + symptom.own() + " open for writing",
        cure: |symptom| {
            Fix::advice(
                Phrase::from(
                    "replace the file by a rename instead of writing into it; this shows who has it open: fuser -v",
                ) + Phrase::argument(quote(symptom.path())),
            )
        },
        whose: Whose::Host,
        source: "execve(2)",
    },
    Cause {
        // SELinux checks a pinned interpreter when its pages are mapped. By then the calling program is gone, so the
        // kernel can only send SIGSEGV (measured on 6.12).
        applies: |symptom| {
            let segfault = Some(Ended::Signaled(11));
            let is_silent = symptom.failure.words.is_empty() && symptom.failure.ended == segfault;
            symptom.limits.selinux == Some(Selinux::Enforcing)
                && symptom.mislabelled
                && (symptom.refused(&ExecError::Denied) || symptom.is_fixed() && is_silent)
        },
        says: |symptom| {
            Phrase::from("SELinux is enforcing, and forbids to run ")
                + symptom.own()
                + ", whose label is no program's"
        },
        cure: |symptom| relabel(symptom.path(), &symptom.target.name),
        whose: Whose::Host,
        source: "selinux_mmap_file of Linux's security/selinux/hooks.c, containers/podman#3670, containers/podman#25318",
    },
    Cause {
        applies: |symptom| {
            symptom.refused(&ExecError::Denied)
                && symptom.limits.selinux == Some(Selinux::Enforcing)
        },
        says: |symptom| {
            Phrase::from("SELinux is enforcing, and seems to forbid ")
                + symptom.own()
                + ": its label may be wrong"
        },
        cure: |symptom| {
            let restore = Command::root(&["restorecon", "-v"]).each(text_of(symptom.path()));
            Fix::run(
                "give the interpreter its usual label, and register it again",
                [restore, Command::register(&symptom.target.name)],
            )
        },
        whose: Whose::Host,
        source: "containers/podman#25318, containers/podman#13667",
    },
];

/// The first entry of the table that applies.
pub(super) fn cause(symptom: &Symptom<'_>) -> Option<&'static Cause> {
    CAUSES.iter().find(|cause| (cause.applies)(symptom))
}

impl Cause {
    /// A sentence to follow a colon.
    pub(super) fn says(&self, symptom: &Symptom<'_>) -> Phrase {
        (self.says)(symptom)
    }

    pub(super) fn cure(&self, symptom: &Symptom<'_>) -> Fix {
        (self.cure)(symptom)
    }
}

/// The doctor, started through another command.
fn doctor(symptom: &Symptom<'_>, by: Command) -> Command {
    by.word("binfmtd").word("doctor").target(&symptom.target.name)
}

fn outside(symptom: &Symptom<'_>) -> Fix {
    let unit = Command::root(&["systemd-run", "--wait", "--pipe"]);
    Fix::run("check again outside of the sandbox", [doctor(symptom, unit)])
}

impl Symptom<'_> {
    fn registered(&self) -> Fix {
        registered(&self.target.name, Others::Keep)
    }

    /// Whatever is installed does not work.
    fn installed_anew(&self) -> Fix {
        let name = &self.target.name;
        match install_qemu(self.distribution, name) {
            Some(install) => Fix::run(
                "install QEMU's static emulators, and register the target's rule",
                [install, Command::register(name)],
            ),
            None => then_register("install QEMU's static emulators (qemu-user-static)", name),
        }
    }

    fn has(&self, words: &[&str]) -> bool {
        words.iter().any(|word| self.failure.words.contains(word))
    }

    fn refused(&self, error: &ExecError) -> bool {
        self.failure.refused.as_ref() == Some(error)
    }

    /// What QEMU 7.2 to 11.1 write if mmap(2) or mprotect(2) fails with EACCES.
    fn cannot_make_code(&self) -> bool {
        self.has(&["mprotect failed: Permission denied", "jit buffer: Permission denied"])
    }

    fn is_narrow(&self) -> bool {
        self.target.identity.class == Class::Elf32
    }

    fn is_fixed(&self) -> bool {
        self.entry.is_some_and(|entry| entry.flags.known.fix_binary)
    }

    fn path(&self) -> &Path {
        self.entry.map_or(Path::new("the interpreter"), |entry| &entry.interpreter)
    }

    fn own(&self) -> Phrase {
        Phrase::file(self.path(), "its interpreter")
    }

    fn loader(&self) -> Option<&str> {
        self.file?.elf.as_ref()?.loader.as_deref()
    }

    fn captor_name(&self) -> String {
        self.captor.map(Entry::display_name).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
