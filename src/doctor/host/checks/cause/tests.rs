use std::ffi::OsStr;
use std::path::PathBuf;

use super::super::known::{Version, known};
use super::*;
use crate::fix::Reader;
use crate::observation::{ElfFacts, FileId};
use crate::rule::Header;
use crate::system::host::surroundings::Distribution;
use crate::target::Table;

const NOBODY_LIMITED: HostLimits = HostLimits {
    page_size: 4096,
    lowest_address: Some(65_536),
    address_space: None,
    processes: None,
    randomize: Some(2),
    interpreters: None,
    no_written_code: false,
    selinux: None,
    uid_map: String::new(),
};

/// What was seen, with nothing in it.
struct Case {
    level: Level,
    failure: FailedRun,
    target: &'static str,
    limits: HostLimits,
    entry: Option<Entry>,
    file: Option<InterpreterFile>,
    mislabelled: bool,
    captor: Option<Entry>,
    version: Option<Version>,
    distribution: Distribution,
}

fn entry(name: &str, flags: &str) -> Entry {
    let content = format!(
        "enabled\ninterpreter /usr/bin/qemu-arm-static\nflags: {flags}\noffset 0\nmagic 7f454c46\n"
    );
    Entry::parse(OsStr::new(name), content.as_bytes()).unwrap()
}

fn file(loader: Option<&str>) -> InterpreterFile {
    InterpreterFile {
        path: PathBuf::from("/usr/bin/qemu-arm-static"),
        id: FileId { device: 0, inode: 0, size: 0, modified: 0 },
        mode: 0o755,
        noexec: false,
        elf: Some(ElfFacts { header: Header::new(&[]), loader: loader.map(str::to_owned) }),
        distrust: Vec::new(),
    }
}

fn said(words: &str) -> Case {
    Case {
        level: Level::Host,
        failure: FailedRun {
            refused: None,
            ended: Some(Ended::Exited(1)),
            words: words.to_owned(),
        },
        target: "arm",
        limits: NOBODY_LIMITED,
        entry: Some(entry("qemu-arm", "POF")),
        file: Some(file(None)),
        mislabelled: false,
        captor: None,
        version: None,
        distribution: Distribution::Debian,
    }
}

fn refused(error: ExecError, flags: &str) -> Case {
    let mut case = said("");
    case.failure.refused = Some(error);
    case.failure.ended = None;
    case.entry = Some(entry("qemu-arm", flags));
    case
}

impl Case {
    /// Whose it is, what is said, and what helps.
    fn named(&self) -> Option<(Whose, String, String)> {
        let table = Table::embedded();
        let target = table.find(self.target).unwrap();
        let known = self.version.and_then(|version| known(version, self.target, None, Some(2)));
        let symptom = Symptom {
            level: self.level,
            failure: &self.failure,
            target,
            limits: &self.limits,
            entry: self.entry.as_ref(),
            file: self.file.as_ref(),
            mislabelled: self.mislabelled,
            captor: self.captor.as_ref(),
            installed: false,
            place: Place::Here,
            distribution: self.distribution,
            known,
        };
        let cause = cause(&symptom)?;
        assert!(!cause.source.is_empty());
        Some((cause.whose, cause.says.to_string(), cause.cure.line(Reader { uid: 0 })))
    }

    #[track_caller]
    fn is(&self, whose: Whose, words: &str, fix: &str) {
        let (who, says, cure) = self.named().expect("a cause");
        assert_eq!(who, whose, "{says}");
        assert!(says.contains(words), "{words:?} is not in: {says}");
        assert!(cure.contains(fix), "{fix:?} is not in: {cure}");
    }
}

/// As QEMU 7.2 puts it for a 32-bit program.
const RESERVE: &str = "qemu-arm-static: Unable to reserve 0xfffff000 bytes of virtual address space at 0x1000 \
    (Cannot allocate memory) for use as guest address space (check your virtual memory ulimit setting, \
    min_mmap_addr or reserve less using -R option)";

#[test]
fn the_same_words_have_the_cause_that_the_limits_tell() {
    let mut case = said(RESERVE);
    case.is(Whose::Host, "QEMU 5.2", "apt-get install qemu-user-static && ");
    case.distribution = Distribution::Fedora;
    case.is(Whose::Host, "QEMU 5.2", "dnf install qemu-user-static && ");
    case.limits.lowest_address = Some(1 << 24);
    case.is(Whose::Host, "vm.mmap_min_addr is 16777216", "sysctl -w vm.mmap_min_addr=65536");
    case.limits.address_space = Some(1_000_000_000);
    case.is(Whose::Ours, "limited to 1000000000 bytes", "prlimit --as=unlimited");
    case.is(Whose::Ours, "4 GiB for a 32-bit program", "doctor arm");
    let mut case = said("allocate 134217728 bytes for jit buffer: Cannot allocate memory");
    assert_eq!(case.named(), None, "no limit of ours: the machine's memory may be");
    case.limits.address_space = Some(50_000_000);
    case.is(Whose::Ours, "RLIMIT_AS", "prlimit");
    let mut case = said("qemu: qemu_thread_create: Resource temporarily unavailable");
    assert_eq!(case.named(), None);
    case.limits.processes = Some(30);
    case.is(Whose::Ours, "RLIMIT_NPROC", "prlimit --nproc=unlimited");
    case.limits.address_space = Some(20_000_000);
    case.is(Whose::Ours, "RLIMIT_AS", "prlimit --as=unlimited");
}

#[test]
fn a_sandbox_around_us_says_nothing_about_the_host() {
    for words in [
        "qemu-arm: qemu_mprotect__osdep: mprotect failed: Permission denied",
        "qemu-arm: mprotect of jit buffer: Permission denied",
    ] {
        let mut case = said(words);
        case.is(Whose::Ours, "seccomp", "systemd-run");
        case.limits.selinux = Some(Selinux::Enforcing);
        case.is(Whose::Ours, "SELinux (execmem)", "systemd-run");
        case.limits.no_written_code = true;
        case.is(Whose::Ours, "says nothing about the host", "systemd-run");
    }
    // What else fails in such a sandbox is not its fault.
    let mut case = said("no, no, no");
    case.limits.no_written_code = true;
    assert_eq!(case.named(), None);
}

#[test]
fn what_programs_complain_of_is_known() {
    said("cargo: Value too large for defined data type (os error 75)").is(
        Whose::Host,
        "inode number",
        "inode32",
    );
    let mut case = said("Fatal glibc error: CPU does not support x86-64-v3");
    case.target = "x86_64";
    case.is(Whose::Host, "exec.cpu-level", "QEMU 7.2");
}

#[test]
fn a_missing_loader_is_told_from_a_missing_flag() {
    let mut case = refused(ExecError::NoInterpreter, "PO");
    case.file = Some(file(Some("/lib64/ld-linux-x86-64.so.2")));
    case.is(
        Whose::Host,
        "loader /lib64/ld-linux-x86-64.so.2 is not in this root",
        "qemu-user-static",
    );
    // With F as well: the loader is looked up in each root.
    case.entry = Some(entry("qemu-arm", "POF"));
    case.level = Level::EmptyRoot;
    case.is(Whose::Host, "is dynamic", "qemu-user-static");
    case.file = Some(file(None));
    assert_eq!(case.named(), None, "with F and static there is nothing to be missing");
    case.entry = Some(entry("qemu-arm", "PO"));
    case.is(Whose::Host, "no flag F", "binfmtd register arm");
    case.level = Level::Host;
    assert_eq!(case.named(), None, "on the host it is there");
}

#[test]
fn what_execve_refuses_names_the_file_or_the_rule() {
    let mut case = refused(ExecError::Loop, "POF");
    assert_eq!(case.named(), None);
    case.captor = Some(entry("greedy", ""));
    case.is(
        Whose::Host,
        "rule greedy takes /usr/bin/qemu-arm-static",
        "echo -1 > /proc/sys/fs/binfmt_misc/greedy",
    );
    let mut case = refused(ExecError::Format, "PO");
    assert_eq!(case.named(), None, "no rule took it");
    case.captor = Some(entry("greedy", ""));
    case.is(Whose::Host, "rule greedy takes", "echo -1");
    refused(ExecError::Busy, "PO").is(
        Whose::Host,
        "open for writing",
        "fuser -v /usr/bin/qemu-arm",
    );
    let mut case = refused(ExecError::Denied, "PO");
    assert_eq!(case.named(), None);
    case.limits.selinux = Some(Selinux::Permissive);
    assert_eq!(case.named(), None);
    case.limits.selinux = Some(Selinux::Enforcing);
    case.is(Whose::Host, "SELinux is enforcing", "restorecon -v /usr/bin/qemu-arm-static");
    case.mislabelled = true;
    let cure = "chcon -t bin_t -l s0 /usr/bin/qemu-arm-static && binfmtd register";
    case.is(Whose::Host, "whose label is no program's", cure);
}

#[test]
fn a_pinned_interpreter_of_a_wrong_label_dies_without_a_word() {
    let mut case = said("");
    case.failure.ended = Some(Ended::Signaled(11));
    case.limits.selinux = Some(Selinux::Enforcing);
    assert_eq!(case.named(), None, "a label that is right");
    case.mislabelled = true;
    case.is(Whose::Host, "SELinux is enforcing, and forbids", "chcon -t bin_t");
    case.limits.selinux = Some(Selinux::Permissive);
    assert_eq!(case.named(), None);
    case.limits.selinux = Some(Selinux::Enforcing);
    case.entry = Some(entry("qemu-arm", "PO"));
    assert_eq!(case.named(), None, "without F the kernel asks before, and says so");
}

/// As QEMU 10.0 and 11.1 put it for position-independent programs of 32 bits.
#[test]
fn low_addresses_that_are_forbidden_are_known_by_what_newer_qemu_says() {
    for words in [
        "qemu-arm: /program: Error mapping file: Operation not permitted",
        "mmap stack: Operation not permitted",
        "qemu-arm: /program: Unable to find a guest_base to satisfy all guest address mapping requirements",
    ] {
        let mut case = said(words);
        assert_eq!(case.named(), None);
        case.limits.lowest_address = Some(16 << 20);
        case.is(Whose::Host, "vm.mmap_min_addr is 16777216", "sysctl -w vm.mmap_min_addr=65536");
    }
}

#[test]
fn a_command_of_a_cure_takes_a_path_with_anything_in_it() {
    let hostile = |mut case: Case| {
        let entry = case.entry.as_mut().unwrap();
        entry.interpreter = PathBuf::from("/a b;$(c)/q");
        case
    };
    let quoted = "'/a b;$(c)/q'";
    hostile(refused(ExecError::Busy, "PO")).is(Whose::Host, "", &format!("fuser -v {quoted}"));
    let mut case = hostile(refused(ExecError::Denied, "PO"));
    case.limits.selinux = Some(Selinux::Enforcing);
    case.is(Whose::Host, "", &format!("restorecon -v {quoted} &&"));
    let mut case = refused(ExecError::Loop, "POF");
    case.captor = Some(entry("c p;$(d)", ""));
    case.is(Whose::Host, "", "echo -1 > '/proc/sys/fs/binfmt_misc/c p;$(d)'");
}

#[test]
fn a_version_that_is_known_for_it_is_named_before_all_else() {
    let mut case = said("qemu: uncaught target signal 11 (Segmentation fault) - core dumped");
    case.failure.ended = Some(Ended::Signaled(11));
    case.target = "microblazeel";
    assert_eq!(case.named(), None);
    case.version = Some(Version(10, 0, 2));
    case.is(Whose::Host, "known for it: every program dies by signal 11", "10.1.2");
    case.is(Whose::Host, "", "binfmtd register microblazeel");
    // Dies in another way: another cause.
    case.failure.ended = Some(Ended::Signaled(6));
    assert_eq!(case.named(), None);
    // Only some programs of this one are hit, so it explains nothing about a probe.
    case.failure.ended = Some(Ended::Signaled(11));
    case.target = "aarch64";
    case.version = Some(Version(9, 2, 0));
    assert_eq!(case.named(), None);
}
