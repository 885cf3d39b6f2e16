//! Why a probe failed: a table from what was seen to a cause, a way out, and where that is told.
//!
//! The first that applies is the cause. What is in here was made to happen, or stands word for word in
//! the thread that is named.

use super::interpreter::{bring, relabel, tell};
use super::known::Known;
use crate::observation::{InterpreterFault, InterpreterFile};
use crate::phrase::Phrase;
use crate::rule::Entry;
use crate::shown::quote;
use crate::system::host::limits::{Limits, Selinux};
use crate::system::host::surroundings::Distribution;
use crate::system::process::batch::Ended;
use crate::system::process::child::ExecError;
use crate::target::{Class, Target};
use crate::verify::{FailedRun, Level};

/// What distributions set (`CONFIG_DEFAULT_MMAP_MIN_ADDR`); programs of every target begin above it.
const USUAL_LOWEST_ADDRESS: u64 = 65_536;

/// What is known about a run that failed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Symptom<'a> {
    pub(super) level: Level,
    pub(super) failure: &'a FailedRun,
    pub(super) target: &'a Target,
    pub(super) limits: &'a Limits,
    /// The rule that takes it, where one is to be seen.
    pub(super) entry: Option<&'a Entry>,
    /// The file that the rule's path leads to.
    pub(super) file: Option<&'a Result<InterpreterFile, InterpreterFault>>,
    /// Whether `SELinux` has a label for it that is no program's.
    pub(super) mislabelled: bool,
    /// The rule that takes the interpreter itself.
    pub(super) captor: Option<&'a Entry>,
    /// Whether an interpreter is installed that `register` would take.
    pub(super) installed: bool,
    /// Whose commands install one.
    pub(super) distribution: Distribution,
    /// What is known of the version that ran.
    pub(super) known: Option<&'static Known>,
}

/// Whose fault it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// The host's: its programs do not run.
    Host,
    /// This process may not do what is needed; it says nothing about the host.
    Ours,
}

/// One cause.
pub(super) struct Cause {
    applies: fn(&Symptom<'_>) -> bool,
    says: fn(&Symptom<'_>) -> Phrase,
    cure: fn(&Symptom<'_>) -> Phrase,
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
            let way_out = symptom.known.map_or("", |known| known.way_out);
            Phrase::from(way_out) + "; then " + register(symptom)
        },
        whose: Whose::Host,
        source: "src/doctor/known.rs",
    },
    // Before what looks for the same words: with this limit it is the limit.
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
        cure: |symptom| Phrase::from("ulimit -v unlimited && ") + doctor(symptom),
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
        cure: |symptom| Phrase::from("ulimit -u unlimited && ") + doctor(symptom),
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
                    // Of position-independent programs, as QEMU 10.0 and 11.1 put it (measured).
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
        cure: |_| format!("sysctl -w vm.mmap_min_addr={USUAL_LOWEST_ADDRESS}").into(),
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
        cure: |symptom| bring(symptom.distribution, &symptom.target.name) + register(symptom),
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
        cure: |symptom| Phrase::from("systemd-run --wait --pipe ") + doctor(symptom),
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
        cure: |symptom| Phrase::from("systemd-run --wait --pipe ") + doctor(symptom),
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
            "build on a filesystem with 32-bit inode numbers (XFS: mount -o inode32), or build such programs with \
             -D_FILE_OFFSET_BITS=64"
                .into()
        },
        whose: Whose::Host,
        source: "rust-lang/cargo#9545, microsoft/vcpkg#21189",
    },
    Cause {
        applies: |symptom| symptom.has(&["CPU does not support x86-64-v"]),
        says: |_| {
            "the program asks for a newer x86-64 CPU than the one it sees (exec.cpu-level tells which)".into()
        },
        cure: |symptom| {
            Phrase::from("install QEMU 7.2 or newer, which has AVX2, then ")
                + register(symptom)
                + "; or use an older base image"
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
            if symptom.installed {
                register(symptom)
            } else {
                bring(symptom.distribution, &symptom.target.name) + register(symptom)
            }
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
        cure: register,
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
        cure: |symptom| symptom.captor.map(|captor| tell("-1", captor)).unwrap_or_default().into(),
        whose: Whose::Host,
        source: "execve(2), exec_binprm of Linux's fs/exec.c",
    },
    Cause {
        applies: |symptom| symptom.refused(&ExecError::Busy),
        says: |symptom| Phrase::from("somebody has ") + symptom.own() + " open for writing",
        cure: |symptom| {
            Phrase::from("fuser -v")
                + Phrase::argument(symptom.quoted())
                + " shows who: replace the file by a rename, do not write into it"
        },
        whose: Whose::Host,
        source: "execve(2)",
    },
    Cause {
        // A pinned interpreter is asked about when its pages are mapped. Then the program that called is gone,
        // and the kernel has nothing left to say but SIGSEGV (measured on 6.12).
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
        cure: |symptom| relabel(symptom.quoted()) + " && " + register(symptom),
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
            Phrase::from("restorecon -v")
                + Phrase::argument(symptom.quoted())
                + " && "
                + register(symptom)
        },
        whose: Whose::Host,
        source: "containers/podman#25318, containers/podman#13667",
    },
];

/// Why it failed, where something in the table applies.
pub(super) fn cause(symptom: &Symptom<'_>) -> Option<&'static Cause> {
    CAUSES.iter().find(|cause| (cause.applies)(symptom))
}

impl Cause {
    /// One sentence, to stand behind a colon.
    pub(super) fn says(&self, symptom: &Symptom<'_>) -> Phrase {
        (self.says)(symptom)
    }

    /// What helps.
    pub(super) fn cure(&self, symptom: &Symptom<'_>) -> Phrase {
        (self.cure)(symptom)
    }
}

fn register(symptom: &Symptom<'_>) -> Phrase {
    Phrase::from("binfmtd register") + Phrase::target(&symptom.target.name)
}

fn doctor(symptom: &Symptom<'_>) -> Phrase {
    Phrase::from("binfmtd doctor") + Phrase::target(&symptom.target.name)
}

impl Symptom<'_> {
    fn has(&self, words: &[&str]) -> bool {
        words.iter().any(|word| self.failure.words.contains(word))
    }

    fn refused(&self, error: &ExecError) -> bool {
        self.failure.refused.as_ref() == Some(error)
    }

    /// As QEMU 7.2 to 11.1 put it when mmap(2) or mprotect(2) says EACCES.
    fn cannot_make_code(&self) -> bool {
        self.has(&["mprotect failed: Permission denied", "jit buffer: Permission denied"])
    }

    fn is_narrow(&self) -> bool {
        self.target.identity.class == Class::Elf32
    }

    fn is_fixed(&self) -> bool {
        self.entry.is_some_and(|entry| entry.flags.known.fix_binary)
    }

    fn path(&self) -> String {
        self.entry.map_or_else(
            || "the interpreter".to_owned(),
            |entry| entry.interpreter.display().to_string(),
        )
    }

    fn quoted(&self) -> String {
        self.entry.map_or_else(|| "INTERPRETER".to_owned(), |entry| quote(&entry.interpreter))
    }

    /// The interpreter in a sentence.
    fn own(&self) -> Phrase {
        Phrase::file(self.path(), "its interpreter")
    }

    fn found(&self) -> Option<&InterpreterFile> {
        self.file?.as_ref().ok()
    }

    fn loader(&self) -> Option<&str> {
        self.found()?.elf.as_ref()?.loader.as_deref()
    }

    fn captor_name(&self) -> String {
        self.captor.map(Entry::display_name).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
