//! Debian's kernels from 5.10 on, each booted in a virtual machine of its own with an initramfs of
//! busybox, `binfmtd` and a few emulators: `guest/scenarios` has what happens in there, the modules
//! beside this one what has to come of it. What a kernel can do is asked of the kernel, in the
//! machine and without `binfmtd`; nothing here goes by a version.
#![allow(clippy::print_stdout, reason = "it is its own test harness")]

#[path = "../support/mod.rs"]
mod support;

mod archive;
mod container;
mod daemon;
mod first;
mod fix;
mod guest;
mod kernels;
mod machine;
mod replacement;
mod settled;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Mutex;

use machine::{Kernel, Report};
use support::harness::{self, Outcome};
use support::need;
use support::stage::Qemu;

/// The slowest first, so that two at once end together. The oldest may leave the mirrors any day.
const SUITES: [&str; 4] = ["sid", "trixie", "bookworm", "bullseye"];
const OLD: &str = "bullseye";

/// Looks at what a machine said; a figure or two.
type Test = fn(&Report) -> String;

const TESTS: &[(&str, Test)] = &[
    ("looking_loads_and_mounts_nothing", first::looking),
    ("a_kernel_without_the_module_is_named", first::unsupported),
    ("register_loads_mounts_and_proves", first::register),
    ("registered_is_green_everywhere", settled::green),
    ("again_changes_nothing", settled::again),
    ("rules_are_tried_where_the_kernel_lets_us", settled::tried),
    ("no_exec_fails_while_a_rule_is_replaced", replacement::no_gap),
    ("a_broken_interpreter_never_gets_there", replacement::broken),
    ("rules_in_a_container_live_as_long_as_is_said", container::lifetime),
    ("the_fix_for_what_is_not_mounted_mounts_it", fix::by_hand),
    ("the_doctor_loads_mounts_and_registers", fix::by_itself),
    ("the_daemon_heals", daemon::heals),
    ("the_reference_of_kernels_is_in_step", kernels::reference),
];

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().collect();
    if words[0].ends_with("guest") {
        return guest::main(&words[1..]);
    }
    let of = |suite: &'static str| TESTS.iter().map(move |(name, test)| (suite, *name, *test));
    let tests: Vec<(String, (&str, Test))> = SUITES
        .iter()
        .flat_map(|suite| of(suite))
        .map(|(suite, name, test)| (format!("{suite}::{name}"), (suite, test)))
        .collect();
    let named: Vec<(&str, (&str, Test))> =
        tests.iter().map(|(name, test)| (name.as_str(), *test)).collect();
    // Who names a suite wants no other booted.
    let is_named = |suite: &&str| words[1..].iter().any(|word| word.contains(suite));
    let wanted: Vec<&'static str> = match SUITES.into_iter().filter(is_named).collect::<Vec<_>>() {
        none if none.is_empty() => SUITES.to_vec(),
        some => some,
    };
    let mut reports: Option<BTreeMap<&str, Option<Report>>> = None;
    harness::run(&named, |(suite, test)| {
        let answer = catch_unwind(AssertUnwindSafe(|| {
            if reports.is_none() {
                reports = Some(boot(&wanted)?);
            }
            match reports.as_ref()?.get(suite)? {
                Some(report) => Some(test(report)),
                None => panic!("the machine did not come to its end"),
            }
        }));
        match answer {
            Ok(Some(figures)) => Outcome::Passed(figures),
            Ok(None) => Outcome::Ignored,
            Err(_) => Outcome::Failed("see above".to_owned()),
        }
    })
}

/// Boots the kernels of `suites`, two at once; nothing when what all of them need is not here.
fn boot(suites: &[&'static str]) -> Option<BTreeMap<&'static str, Option<Report>>> {
    for program in ["qemu-system-x86_64", "setpriv", "strip", "ldd"] {
        let answer = Command::new(program)
            .arg("--version")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .status();
        need(program, answer.map_err(|error| error.to_string()))?;
    }
    let busybox = need("a static busybox", guest::busybox())?;
    let qemu = need("QEMU 7.2", Qemu::release("7.2"))?;
    let kernels: Vec<Kernel> = suites
        .iter()
        .filter_map(|suite| match Kernel::fetch(suite) {
            Err(reason) if *suite == OLD => {
                println!("skipped: the kernel of {suite} is not to be had any more: {reason}");
                None
            }
            found => need(&format!("the kernel of Debian's {suite}"), found),
        })
        .collect();
    let scratch = tempfile::Builder::new().prefix("binfmtd-vm-").tempdir().expect("a folder");
    let initramfs = scratch.path().join("initramfs");
    guest::initramfs(&initramfs, &kernels, &qemu, &busybox).expect("an initramfs");
    let queue = Mutex::new(kernels.into_iter());
    let next = || queue.lock().expect("nobody panics with it").next();
    let boot_some = || {
        let mut reports = Vec::new();
        while let Some(kernel) = next() {
            let suite = kernel.suite;
            let report = machine::boot(kernel, &initramfs, scratch.path(), "");
            reports.push((suite, report.map_err(|problem| println!("{problem}")).ok()));
        }
        reports
    };
    Some(std::thread::scope(|scope| {
        let others = scope.spawn(boot_some);
        let mine = boot_some();
        mine.into_iter().chain(others.join().expect("a thread that does not panic")).collect()
    }))
}
