//! Why a probe failed: symptoms, each with its cause, a fix and a source.
//!
//! Each was reproduced, or is quoted from its source.

use std::path::Path;

use super::known::Known;
use super::limits::LOWEST_ADDRESS;
use crate::doctor::fixes::{
    Others, Switch, install_qemu, registered, relabel, text_of, then_register,
};
use crate::doctor::id::CheckId;
use crate::fix::{Command, Fix, Place};
use crate::observation::InterpreterFile;
use crate::phrase::Phrase;
use crate::rule::Entry;
use crate::shown::quote;
use crate::system::host::limits::{HostLimits, Selinux};
use crate::system::host::surroundings::Distribution;
use crate::system::process::batch::Ended;
use crate::system::process::child::ExecError;
use crate::target::{Class, Target};
use crate::verify::{FailedRun, Level};

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

/// What a run failed of.
pub(super) struct Cause {
    pub(super) whose: Whose,
    /// A sentence to follow a colon.
    pub(super) says: Phrase,
    pub(super) cure: Fix,
    /// A thread, a man page, or the kernel's source.
    pub(super) source: &'static str,
}

impl Cause {
    fn host(says: impl Into<Phrase>, cure: Fix, source: &'static str) -> Self {
        Self { whose: Whose::Host, says: says.into(), cure, source }
    }

    fn ours(says: impl Into<Phrase>, cure: Fix, source: &'static str) -> Self {
        Self { whose: Whose::Ours, says: says.into(), cure, source }
    }
}

/// The first that applies. A limit comes before what else has the same words: if there is a limit, it is the cause.
pub(super) fn cause(symptom: &Symptom<'_>) -> Option<Cause> {
    known_flaw(symptom)
        .or_else(|| limit(symptom))
        .or_else(|| written_code(symptom))
        .or_else(|| program(symptom))
        .or_else(|| loader(symptom))
        .or_else(|| refusal(symptom))
        .or_else(|| selinux(symptom))
}

fn known_flaw(symptom: &Symptom<'_>) -> Option<Cause> {
    let known = symptom.known?;
    if symptom.failure.ended != Some(Ended::Signaled(known.signal?)) {
        return None;
    }
    let says = format!("this version of QEMU is known for it: {}", known.what);
    let cure = then_register(known.way_out, &symptom.target.name);
    Some(Cause::host(says, cure, "src/doctor/host/checks/known.rs"))
}

/// What limits the memory, the addresses or the threads that QEMU needs.
fn limit(symptom: &Symptom<'_>) -> Option<Cause> {
    let is_narrow = symptom.target.identity.class == Class::Elf32;
    let lift = |limit| {
        let lifted = Command::user(&["prlimit", limit]);
        Fix::run("lift the limit, and check again", [doctor(symptom, lifted)])
    };
    if let Some(limit) = symptom.limits.address_space
        && symptom.has(&[
            "Cannot allocate memory",
            "Unable to reserve",
            "Unable to find a guest_base",
            "jit buffer",
            "qemu_thread_create: Resource temporarily unavailable",
        ])
    {
        let needs = if is_narrow { "up to 4 GiB for a 32-bit program" } else { "more than that" };
        let says = format!(
            "addresses are limited to {limit} bytes for this process and all that it starts (RLIMIT_AS), and QEMU \
             reserves {needs}"
        );
        return Some(Cause::ours(says, lift("--as=unlimited"), "setrlimit(2), balena-io/qemu#21"));
    }
    if let Some(limit) = symptom.limits.processes
        && symptom.has(&["qemu_thread_create: Resource temporarily unavailable"])
    {
        let says = format!(
            "this user may have {limit} processes and threads (RLIMIT_NPROC), and QEMU takes two for a program"
        );
        return Some(Cause::ours(says, lift("--nproc=unlimited"), "setrlimit(2)"));
    }
    if let Some(lowest) = symptom.limits.lowest_address
        && lowest > LOWEST_ADDRESS
        && symptom.has(&[
            "Unable to reserve",
            "guest_base",
            "min_mmap_addr",
            // QEMU 10.0 and 11.1 say this of position-independent programs (measured).
            "Error mapping file: Operation not permitted",
            "mmap stack: Operation not permitted",
        ])
    {
        let width = if is_narrow { "32-bit" } else { "64-bit" };
        let says = format!(
            "vm.mmap_min_addr is {lowest}, and QEMU has to place a {width} program's low addresses below it"
        );
        let setting = format!("vm.mmap_min_addr={LOWEST_ADDRESS}");
        let lower = Command::root(&["sysctl", "-w"]).word(setting).at(symptom.place.clone());
        let cure = Fix::run("lower it to what distributions set", [lower]);
        return Some(Cause::host(
            says,
            cure,
            "proc_sys_vm(5), balena-io/qemu#21, fsquillace/junest#159",
        ));
    }
    if symptom.has(&["Unable to reserve"]) {
        return Some(Cause::host(
            "QEMU could not reserve the program's addresses, though no limit forbids it: builds of QEMU 5.2 that \
             are linked for one address are known for it",
            symptom.installed_anew(),
            "balena-io/qemu#21, multiarch/alpine#39",
        ));
    }
    None
}

/// What forbids to run memory that was written, as QEMU's code generator has to.
fn written_code(symptom: &Symptom<'_>) -> Option<Cause> {
    // What QEMU 7.2 to 11.1 write if mmap(2) or mprotect(2) fails with EACCES.
    if !symptom.has(&["mprotect failed: Permission denied", "jit buffer: Permission denied"]) {
        return None;
    }
    let unit = Command::root(&["systemd-run", "--wait", "--pipe"]);
    let outside = Fix::run("check again outside of the sandbox", [doctor(symptom, unit)]);
    if symptom.limits.no_written_code {
        return Some(Cause::ours(
            "this process and all that it starts may not run memory that they wrote (PR_SET_MDWE, \
             MemoryDenyWriteExecute=): QEMU cannot work in this sandbox, which says nothing about the host",
            outside,
            "PR_SET_MDWE(2const), systemd.exec(5)",
        ));
    }
    let by = match symptom.limits.selinux {
        Some(Selinux::Enforcing) => "SELinux (execmem), or a sandbox around this process,",
        Some(Selinux::Permissive) | None => {
            "a sandbox around this process (a seccomp filter of MemoryDenyWriteExecute=)"
        }
    };
    let says =
        format!("{by} forbids to run memory that was written, without which QEMU cannot work");
    Some(Cause::ours(says, outside, "systemd.exec(5)"))
}

/// What the program itself is built for.
fn program(symptom: &Symptom<'_>) -> Option<Cause> {
    if symptom.has(&["Value too large for defined data type"]) {
        return Some(Cause::host(
            "a 32-bit program that was built without large files met an inode number or a size that takes 64 bits",
            Fix::advice(
                "build on a filesystem with 32-bit inode numbers (XFS: mount -o inode32), or build such programs with \
                 -D_FILE_OFFSET_BITS=64",
            ),
            "rust-lang/cargo#9545, microsoft/vcpkg#21189",
        ));
    }
    if symptom.has(&["CPU does not support x86-64-v"]) {
        let told_by = CheckId::ExecCpuLevel;
        let says = format!(
            "the program asks for a newer x86-64 CPU than the one it sees ({told_by} tells which)"
        );
        let older = "use an older base image; or install QEMU 7.2 or newer, which has AVX2";
        let cure = then_register(older, &symptom.target.name);
        return Some(Cause::host(says, cure, "docker/buildx#2566, runfinch/finch#20"));
    }
    None
}

/// What the interpreter needs, and a root does not have.
fn loader(symptom: &Symptom<'_>) -> Option<Cause> {
    if !symptom.refused(&ExecError::NoInterpreter) {
        return None;
    }
    let elf = symptom.file.and_then(|file| file.elf.as_ref());
    if let Some(loader) = elf.and_then(|elf| elf.loader.as_deref()) {
        let says =
            symptom.own() + &format!(" is dynamic, and its loader {loader} is not in this root");
        let cure = if symptom.installed { symptom.registered() } else { symptom.installed_anew() };
        return Some(Cause::host(says, cure, "execve(2), nixpkgs#160300"));
    }
    if symptom.level == Level::EmptyRoot && symptom.entry.is_some() && !symptom.is_fixed() {
        let says = Phrase::from("the rule has no flag F, so ")
            + symptom.own()
            + " is looked up in this root, where it is not";
        return Some(Cause::host(says, symptom.registered(), "binfmt-misc.rst, nixpkgs#160300"));
    }
    None
}

/// Why the kernel refuses to start the interpreter.
fn refusal(symptom: &Symptom<'_>) -> Option<Cause> {
    // With O it is ENOEXEC (measured on 6.18).
    if let Some(captor) = symptom.captor
        && (symptom.refused(&ExecError::Loop) || symptom.refused(&ExecError::Format))
    {
        let rule = Phrase::own(format!("rule {}", captor.display_name()), "a rule");
        let says = rule + " takes " + symptom.own() + " itself";
        let cure = Switch::Remove.at_once(captor);
        return Some(Cause::host(says, cure, "execve(2), exec_binprm of Linux's fs/exec.c"));
    }
    if symptom.refused(&ExecError::Busy) {
        let says = Phrase::from("somebody has ") + symptom.own() + " open for writing";
        let rename = "replace the file by a rename instead of writing into it; this shows who has it open: fuser -v";
        let cure = Fix::advice(Phrase::from(rename) + Phrase::argument(quote(symptom.path())));
        return Some(Cause::host(says, cure, "execve(2)"));
    }
    None
}

fn selinux(symptom: &Symptom<'_>) -> Option<Cause> {
    if symptom.limits.selinux != Some(Selinux::Enforcing) {
        return None;
    }
    // SELinux checks a pinned interpreter when its pages are mapped. By then the calling program is gone, so the
    // kernel can only send SIGSEGV (measured on 6.12).
    let segfault = Some(Ended::Signaled(11));
    let is_silent = symptom.failure.words.is_empty() && symptom.failure.ended == segfault;
    let is_denied = symptom.refused(&ExecError::Denied);
    if symptom.mislabelled && (is_denied || symptom.is_fixed() && is_silent) {
        return Some(Cause::host(
            Phrase::from("SELinux is enforcing, and forbids to run ")
                + symptom.own()
                + ", whose label is no program's",
            relabel(symptom.path(), &symptom.target.name),
            "selinux_mmap_file of Linux's security/selinux/hooks.c, containers/podman#3670, containers/podman#25318",
        ));
    }
    if !is_denied {
        return None;
    }
    let restore = Command::root(&["restorecon", "-v"]).each(text_of(symptom.path()));
    Some(Cause::host(
        Phrase::from("SELinux is enforcing, and seems to forbid ")
            + symptom.own()
            + ": its label may be wrong",
        Fix::run(
            "give the interpreter its usual label, and register it again",
            [restore, Command::register(&symptom.target.name)],
        ),
        "containers/podman#25318, containers/podman#13667",
    ))
}

/// The doctor, started through another command.
fn doctor(symptom: &Symptom<'_>, by: Command) -> Command {
    by.word("binfmtd").word("doctor").target(&symptom.target.name)
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

    fn is_fixed(&self) -> bool {
        self.entry.is_some_and(|entry| entry.flags.known.fix_binary)
    }

    fn path(&self) -> &Path {
        self.entry.map_or(Path::new("the interpreter"), |entry| &entry.interpreter)
    }

    fn own(&self) -> Phrase {
        Phrase::file(self.path(), "its interpreter")
    }
}

#[cfg(test)]
mod tests;
