//! The service under whatever may happen to it, in random order and against the real kernel; and what it
//! must never do: wake up for nothing, or grow.
//!
//! Several worlds, each with an instance of its own. `BINFMTD_SEED` repeats what one did (not the moments at
//! which it met the service), `BINFMTD_CASES` sets how many operations there are in all (2,000).
#![allow(clippy::print_stderr, reason = "it is its own test harness")]

#[path = "../support/mod.rs"]
mod support;
#[path = "../support/world.rs"]
mod world;

mod check;
mod operation;
mod quiet;
#[path = "../kernel/random.rs"]
#[allow(dead_code, reason = "shared with the tests of the kernel")]
mod random;
mod scene;

use std::process::ExitCode;

use operation::Weights;
use scene::Scene;
use support::harness;

/// One of the tests, each in a process of its own.
enum Test {
    /// Operations with these weights, by a number that tells its seed from the other worlds'.
    World(u64, Weights),
    /// Something else.
    Plain(fn(&mut Scene) -> String),
}

/// Of each world a quarter of the cases.
const WORLDS: usize = 4;

const TESTS: &[(&str, Test)] = &[
    ("rules_files_and_configuration", Test::World(1, Weights::EVEN)),
    ("many_things_at_once", Test::World(2, Weights::BURSTS)),
    ("the_service_is_killed", Test::World(3, Weights::KILLS)),
    ("interpreters_come_and_go", Test::World(4, Weights::FILES)),
    ("at_rest_nothing_wakes_it", Test::Plain(quiet::no_wakeup)),
    ("in_trouble_nothing_wakes_it_either", Test::Plain(quiet::no_wakeup_in_vain)),
    ("heals_leave_nothing_behind", Test::Plain(quiet::no_growth)),
];

fn main() -> ExitCode {
    let is_alone = std::env::args().nth(1).is_some_and(|word| word == "--alone");
    if !is_alone && std::env::var_os(WITHIN).is_none() {
        return from_outside();
    }
    harness::run_at_once(TESTS, |test| {
        let mut scene = Scene::enter(seed())?;
        Some(match test {
            Test::World(number, weights) => {
                scene.random.0 ^= number << 56;
                operation::run(&mut scene, weights, cases().div_ceil(WORLDS))
            }
            Test::Plain(test) => test(&mut scene),
        })
    })
}

/// Says that somebody outside removes what is left.
const WITHIN: &str = "BINFMTD_CHAOS_WITHIN";

/// Runs all of it with a folder of its own for temporary files. In deeper namespaces nobody can unmount what
/// was mounted above, nor remove the folder below it; out here it is just a folder.
fn from_outside() -> ExitCode {
    let folder = tempfile::Builder::new().prefix("binfmtd-chaos").tempdir().expect("a folder");
    let program = std::env::current_exe().expect("the test's own program");
    let status = std::process::Command::new(program)
        .args(std::env::args_os().skip(1))
        .env("TMPDIR", folder.path())
        .env(WITHIN, "1")
        .status()
        .expect("the test's own program starts");
    folder.close().expect("a folder that can be removed");
    if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// How many operations there are in all.
fn cases() -> usize {
    number("BINFMTD_CASES").and_then(|cases| usize::try_from(cases).ok()).unwrap_or(2_000)
}

fn seed() -> u64 {
    number("BINFMTD_SEED").unwrap_or_else(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        now.map_or(1, |now| u64::from(now.subsec_nanos()) ^ (now.as_secs() << 24))
    })
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}={text} is no number")))
}
