//! The units under a real systemd, booted in a container: the service from boot to shutdown.
//!
//! The container has a user namespace, and with it an instance of `binfmt_misc`, of its own. What only another machine
//! can show is not here: autofs cannot be mounted in a user namespace, so the mount unit is started without it.
#![allow(clippy::print_stdout, reason = "it is its own test harness")]

#[path = "../support/mod.rs"]
mod support;

mod life;
mod load;
mod machine;
mod migrate;
mod package;
mod runner;
mod trouble;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use machine::{Machine, Prepare, installed};
use support::harness::{self, Outcome};

/// Returns a figure or two. Panics when it fails.
type Test = fn(&mut Machine) -> String;

/// The last one whose type of service is not yet `notify-reload`, and one of today.
const OLD: &str = "bookworm";
const NEW: &str = "trixie";

const TESTS: &[(&str, (&str, Prepare, Test))] = &[
    ("from_boot_to_shutdown", (NEW, installed, life::whole)),
    ("reload_puts_a_new_configuration_in_force", (NEW, installed, life::reload)),
    ("an_older_systemd_starts_and_reloads_by_the_drop_in", (OLD, installed, life::old)),
    ("what_systemd_binfmt_flushes_comes_back", (NEW, installed, trouble::flushed)),
    ("a_distributions_rules_are_taken_over_and_given_back", (NEW, installed, migrate::package)),
    ("a_killed_or_stuck_daemon_loses_nothing", (NEW, installed, trouble::killed)),
    ("a_deb_is_installed_upgraded_and_purged", (NEW, package::debs, package::deb)),
    ("the_same_deb_on_an_older_debian", (OLD, package::debs, package::deb)),
    ("an_rpm_is_installed_upgraded_and_erased", (NEW, package::rpms, package::rpm)),
    ("a_machine_becomes_a_runner", (NEW, runner::prepared, runner::runner)),
];

fn main() -> ExitCode {
    harness::run(TESTS, |(suite, prepare, test)| {
        let Some(mut machine) = Machine::boot(suite, *prepare) else { return Outcome::Ignored };
        match catch_unwind(AssertUnwindSafe(|| test(&mut machine))) {
            Ok(figures) => Outcome::Passed(figures),
            // What it was, its panic has said on standard error.
            Err(_) => Outcome::Failed("it panicked".to_owned()),
        }
    })
}
