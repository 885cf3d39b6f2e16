//! What only a kernel of one's own can show, in one boot of one of the kernels of `tests/vm`.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::Plain;
use crate::archive::Archive;
use crate::fault;
use crate::guest;
use crate::machine::{self, Kernel, Report, finding};
use crate::support::need;
use crate::support::stage::{Qemu, says};
use binfmtd::testing::probe;
use binfmtd::testing::target::Table;

pub(crate) const TESTS: &[(&str, Plain)] = &[("faults_of_a_kernel", kernel)];

/// As late as the kernels that private instances are made of; any will do.
const SUITE: &str = "trixie";

/// A row: its name in `guest`, how it is made, the check that names it, its status and target.
struct Row {
    name: &'static str,
    how: &'static str,
    named_by: (&'static str, &'static str),
}

const ROWS: &[Row] = &[
    Row {
        name: "module",
        how: "the module of binfmt_misc is not loaded (virtual machine)",
        named_by: ("kernel.supported", "fail"),
    },
    Row {
        name: "container",
        how: "a privileged container registers in a mount of its own (virtual machine)",
        named_by: ("kernel.lifetime", "warn"),
    },
    Row {
        name: "position",
        how: "vm.mmap_min_addr is 16 MiB, and QEMU is 10.0 (virtual machine)",
        named_by: ("kernel.address-space", "warn"),
    },
    Row {
        name: "lowest",
        how: "vm.mmap_min_addr is 2 GiB, and QEMU is 10.0 (virtual machine)",
        named_by: ("exec.host", "fail"),
    },
    Row {
        name: "label",
        how: "SELinux: the pinned interpreter has a home folder's label (virtual machine)",
        named_by: ("interpreter.label", "warn"),
    },
];

fn kernel() -> Option<String> {
    for program in ["qemu-system-x86_64", "setpriv", "strip", "ldd"] {
        let answer = Command::new(program).arg("--version").output();
        need(program, answer.map(|_| ()).map_err(|error| error.to_string()))?;
    }
    let busybox = need("a static busybox", guest::busybox())?;
    let qemu = need("QEMU 7.2", Qemu::release("7.2"))?;
    let newer = need("QEMU 10.0", Qemu::release("10.0"))?;
    let kernel = need("the kernel of Debian's trixie", Kernel::fetch(SUITE))?;
    let scratch = tempfile::Builder::new().prefix("binfmtd-vm-").tempdir().expect("a folder");
    let policy = scratch.path().join("policy");
    need("secilc", compile(&policy))?;
    let initramfs = scratch.path().join("initramfs");
    guest::initramfs(&initramfs, std::slice::from_ref(&kernel), &qemu, &busybox)
        .expect("an initramfs");
    let more = scratch.path().join("more");
    with_our_scenarios(&initramfs, &more, &kernel, &newer.folder.join("qemu-arm"), &policy);
    let report = machine::boot(kernel, &initramfs, scratch.path(), "security=selinux")
        .unwrap_or_else(|why| panic!("{why}"));
    for row in ROWS {
        row.holds(&report);
    }
    low_addresses(&report);
    labels(&report);
    Some(format!("{} faults, booted and over in {:.0} s", ROWS.len(), report.time.as_secs_f64()))
}

/// Compiles `policy.cil`, which has its words on what is in it.
fn compile(policy: &Path) -> Result<(), String> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = guest::said(&mut Command::new(here.join("tests/setup/secilc")))?;
    let folder = Path::new(folder.trim());
    // The oldest version of the format that has all of it; the file with labels for paths is nobody's.
    let mut secilc = Command::new(folder.join("secilc"));
    secilc.env("LD_LIBRARY_PATH", folder).args(["-c", "31", "-f", "/dev/null", "-o"]);
    guest::said(secilc.arg(policy).arg(here.join("tests/faults/policy.cil"))).map(|_| ())
}

/// Holds what `docs/reference/kernels.md` says of `vm.mmap_min_addr`.
fn low_addresses(report: &Report) {
    let document = report.step("lowest-old").ended(0);
    let found = finding(&document, "kernel.address-space", None);
    assert_eq!(found["status"], "pass", "QEMU 7.2: {document:#}");
    let shared = report.step("position-program");
    assert!(shared.err.contains("Error mapping file: Operation not permitted"), "{shared:#?}");
    let document = report.step("position-named").ended(0);
    let found = finding(&document, "kernel.address-space", None);
    says(&found["summary"], &["vm.mmap_min_addr", "position-independent"]);
    assert!(report.is_well("position-cured-program"), "{found:#}");
    let document = report.step("lowest-named").ended(1);
    let found = finding(&document, "exec.host", Some("arm"));
    says(&found["summary"], &["vm.mmap_min_addr is 2147483648"]);
}

/// Holds that `SELinux` does what it is made to, and that whoever is in a container is told of it.
fn labels(report: &Report) {
    assert!(report.is_well("label-policy"), "{:#?}", report.step("label-policy"));
    // Not a word, and no "permission denied": the kernel asks when the old program is gone.
    let program = report.step("label-program");
    assert_eq!((program.code, &*program.out), (139, ""), "{program:#?}");
    let host = report.step("label-host").ended(0);
    let label = finding(&host, "interpreter.label", Some("aarch64"));
    assert_eq!(label["status"], "warn", "{host:#}");
    says(&label["evidence"], &["user_home_t"]);
    let named = report.step("label-named").ended(1);
    let found = finding(&named, "exec.host", Some("aarch64"));
    says(&found["summary"], &["SELinux is enforcing, and forbids to run"]);
    assert_eq!(found["fix"], label["fix"], "one way out: {named:#}");
}

/// The kernel unpacks one archive after another, and what comes later counts.
fn with_our_scenarios(initramfs: &Path, more: &Path, kernel: &Kernel, newer: &Path, policy: &Path) {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let init = fs::read_to_string(here.join("tests/vm/guest/init")).expect("the machine's init");
    let ours = init.replace("/guest/scenarios/*", "/guest/faults");
    assert_ne!(init, ours, "init names its scenarios otherwise");
    let write = || -> std::io::Result<()> {
        let mut archive = Archive::create(more)?;
        archive.program("init", ours.as_bytes())?;
        archive.copy("guest/faults", &here.join("tests/faults/guest"))?;
        archive.copy("guest/qemu-arm", newer)?;
        let table = Table::embedded();
        let arm = table.find("arm").expect("a known target");
        let shared = probe::build_shared(arm, arm.identity.machines[0]).expect("a probe");
        archive.program("foreign/arm-shared", &shared)?;
        archive.copy("guest/policy", policy)?;
        // busybox has none that knows labels.
        let chcon = Path::new("/usr/bin/chcon");
        archive.copy("sbin/chcon", chcon)?;
        for library in guest::loaded(chcon).map_err(std::io::Error::other)? {
            archive.copy(&library.to_string_lossy(), &library)?;
        }
        // The module where packages have it, and listed as depmod(8) does.
        let modules = format!("lib/modules/{}", kernel.release);
        let module = fs::read(kernel.folder.join("binfmt_misc.ko"))?;
        archive.data(&format!("{modules}/kernel/fs/binfmt_misc.ko"), &module)?;
        archive.data(&format!("{modules}/modules.dep"), b"kernel/fs/binfmt_misc.ko:\n")?;
        archive.finish()
    };
    write().expect("an archive");
    let content = fs::read(more).expect("an archive");
    let mut file = OpenOptions::new().append(true).open(initramfs).expect("an initramfs");
    file.write_all(&content).expect("an initramfs");
}

/// The checks that are neither passed nor skipped: id and status.
fn faults(document: &Value) -> Vec<(&str, &str, &str)> {
    let checks = document["checks"].as_array().map_or(&[][..], Vec::as_slice);
    checks
        .iter()
        .filter_map(|check| {
            Some((check["id"].as_str()?, check["status"].as_str()?, check["summary"].as_str()?))
        })
        .filter(|(_, status, _)| !matches!(*status, "pass" | "skip"))
        .collect()
}

impl Row {
    fn holds(&self, report: &Report) {
        let step = |part: &str| report.step(&format!("{}-{part}", self.name));
        let named = step("named");
        let document = named.json();
        let found = faults(&document);
        let (id, status) = self.named_by;
        assert!(
            found.iter().any(|it| (it.0, it.1) == (id, status)),
            "{}: {found:#?}\n{named:#?}",
            self.how
        );
        for (other, _, _) in &found {
            let known = *other == id
                || fault::SYMPTOMS.iter().any(|(id, _)| id == other)
                || *other == "rule.present";
            assert!(known, "{other} speaks up as well: {}: {found:#?}", self.how);
        }
        let cure = step("fix");
        assert_eq!(cure.code, 0, "{}: the fix: {cure:#?}", self.how);
        let cured = step("cured");
        assert_eq!(cured.code, 0, "{}: {cured:#?}", self.how);
        assert_eq!(faults(&cured.json()), [], "{}", self.how);
        fault::Row {
            how: self.how.to_owned(),
            named_by: format!("{id} {status}"),
            cure: cure.out.lines().next().unwrap_or("mounted on the host first").to_owned(),
            time: std::time::Duration::from_secs_f64((cured.time - named.time).max(0.0)),
        }
        .write();
    }
}
