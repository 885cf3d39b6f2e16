//! Our idea of `binfmt_misc` against the kernel's, in a private instance: which rule runs a file, what
//! an entry says, in which order entries are listed, and which register strings are taken.
//!
//! `BINFMTD_SEED` repeats a run, `BINFMTD_CASES` sets how many files are started (2,400).
#![allow(clippy::print_stdout, reason = "it is its own test harness")]

#[path = "../support/mod.rs"]
mod support;

#[path = "../../src/apply/tests/cases.rs"]
mod cases;
mod generate;
mod order;
mod random;
mod registry;
mod strings;
mod winners;

use std::process::ExitCode;

use random::Random;
use support::{Private, harness, need};

/// What a test says: a figure or two when it passed, what went wrong when not.
type Outcome = Result<String, String>;

/// What every test is given.
struct Setting {
    private: Private,
    random: Random,
    seed: u64,
    cases: usize,
}

type Test = fn(&mut Setting) -> Outcome;

const TESTS: [(&str, Test); 5] = [
    ("the_kernel_picks_the_rule_that_we_say", winners::run),
    ("a_string_is_taken_by_the_kernel_if_by_us", strings::run),
    ("entries_are_listed_newest_first", order::newest_first),
    ("a_disabled_instance_runs_nothing", order::disabled_instance),
    ("the_kernel_does_what_the_fake_one_does", registry::cases),
];

fn main() -> ExitCode {
    // Every test has the same instance, emptied before each.
    let mut setting: Option<Option<Setting>> = None;
    harness::run(&TESTS, |test| {
        let Some(setting) = setting.get_or_insert_with(Setting::enter) else {
            return harness::Outcome::Ignored;
        };
        let seed = setting.seed;
        // Each begins at the seed, so that one test alone does what it did among all.
        setting.random = Random(seed);
        let outcome =
            Private::flush().map_err(|error| error.to_string()).and_then(|()| test(setting));
        match outcome {
            Ok(figures) => harness::Outcome::Passed(figures),
            Err(problem) => {
                harness::Outcome::Failed(format!("{problem}\nrepeat with BINFMTD_SEED={seed}"))
            }
        }
    })
}

impl Setting {
    fn enter() -> Option<Self> {
        let private = need("a private instance of binfmt_misc", Private::enter())?;
        let seed = number("BINFMTD_SEED").unwrap_or_else(seed_of_the_clock);
        println!("BINFMTD_SEED={seed}");
        let cases =
            number("BINFMTD_CASES").and_then(|cases| usize::try_from(cases).ok()).unwrap_or(2400);
        Some(Self { private, random: Random(seed), seed, cases })
    }
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}={text} is not a number")))
}

fn seed_of_the_clock() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(1, |now| u64::from(now.subsec_nanos()) ^ (now.as_secs() << 32))
}
