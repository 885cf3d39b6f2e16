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
use crate::machine::{self, Kernel, Report};
use crate::support::need;
use crate::support::stage::Qemu;

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
];

fn kernel() -> Option<String> {
    for program in ["qemu-system-x86_64", "setpriv", "strip", "ldd"] {
        let answer = Command::new(program).arg("--version").output();
        need(program, answer.map(|_| ()).map_err(|error| error.to_string()))?;
    }
    let busybox = need("a static busybox", guest::busybox())?;
    let qemu = need("QEMU 7.2", Qemu::release("7.2"))?;
    let kernel = need("the kernel of Debian's trixie", Kernel::fetch(SUITE))?;
    let scratch = tempfile::Builder::new().prefix("binfmtd-vm-").tempdir().expect("a folder");
    let initramfs = scratch.path().join("initramfs");
    guest::initramfs(&initramfs, std::slice::from_ref(&kernel), &qemu, &busybox)
        .expect("an initramfs");
    with_our_scenarios(&initramfs, &scratch.path().join("more"), &kernel);
    let report =
        machine::boot(kernel, &initramfs, scratch.path()).unwrap_or_else(|why| panic!("{why}"));
    for row in ROWS {
        row.holds(&report);
    }
    Some(format!("{} faults, booted and over in {:.0} s", ROWS.len(), report.time.as_secs_f64()))
}

/// The kernel unpacks one archive after another, and what comes later counts.
fn with_our_scenarios(initramfs: &Path, more: &Path, kernel: &Kernel) {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let init = fs::read_to_string(here.join("tests/vm/guest/init")).expect("the machine's init");
    let ours = init.replace("/guest/scenarios/*", "/guest/faults");
    assert_ne!(init, ours, "init names its scenarios otherwise");
    let write = || -> std::io::Result<()> {
        let mut archive = Archive::create(more)?;
        archive.program("init", ours.as_bytes())?;
        archive.copy("guest/faults", &here.join("tests/faults/guest"))?;
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
