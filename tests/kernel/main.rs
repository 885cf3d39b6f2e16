//! Our idea of `binfmt_misc` against the kernel's, in a private instance: which rule runs a file, what
//! an entry says, in which order entries are listed, and which register strings are taken.
//!
//! `BINFMTD_SEED` repeats a run, `BINFMTD_CASES` sets how many files are started (2,400).
#![allow(clippy::print_stdout, reason = "it is its own test harness")]

#[path = "../support/mod.rs"]
mod support;

mod generate;
mod order;
mod random;
mod strings;
mod winners;

use std::process::ExitCode;
use std::time::Instant;

use random::Random;
use support::{Private, need};

/// What a test says: a figure or two when it passed, what went wrong when not.
type Outcome = Result<String, String>;

/// What every test is given.
struct Setting {
    private: Private,
    random: Random,
    cases: usize,
}

type Test = fn(&mut Setting) -> Outcome;

const TESTS: [(&str, Test); 4] = [
    ("the_kernel_picks_the_rule_that_we_say", winners::run),
    ("a_string_is_taken_by_the_kernel_if_by_us", strings::run),
    ("entries_are_listed_newest_first", order::newest_first),
    ("a_disabled_instance_runs_nothing", order::disabled_instance),
];

fn main() -> ExitCode {
    let begin = Instant::now();
    let (flags, filters): (Vec<_>, Vec<_>) =
        std::env::args().skip(1).partition(|word| word.starts_with('-'));
    let wanted = |name: &str| {
        filters.is_empty() || filters.iter().any(|filter| name.contains(filter.as_str()))
    };
    let tests: Vec<_> = TESTS.into_iter().filter(|(name, _)| wanted(name)).collect();
    if flags.iter().any(|flag| flag == "--list") {
        for (name, _) in tests {
            println!("{name}: test");
        }
        return ExitCode::SUCCESS;
    }
    println!("\nrunning {} tests", tests.len());
    let (mut passed, mut failed, mut ignored) = (0, 0, 0);
    if let Some(private) = need("a private instance of binfmt_misc", Private::enter()) {
        let seed = number("BINFMTD_SEED").unwrap_or_else(seed_of_the_clock);
        println!("BINFMTD_SEED={seed}");
        let cases =
            number("BINFMTD_CASES").and_then(|cases| usize::try_from(cases).ok()).unwrap_or(2400);
        let mut setting = Setting { private, random: Random(seed), cases };
        for (name, test) in tests {
            // Each begins at the seed, so that one test alone does what it did among all.
            setting.random = Random(seed);
            let outcome = Private::flush()
                .map_err(|error| error.to_string())
                .and_then(|()| test(&mut setting));
            match outcome {
                Ok(figures) => {
                    passed += 1;
                    println!("test {name} ... ok ({figures})");
                }
                Err(problem) => {
                    failed += 1;
                    println!("test {name} ... FAILED\n{problem}\nrepeat with BINFMTD_SEED={seed}");
                }
            }
        }
    } else {
        ignored = tests.len();
    }
    let word = if failed == 0 { "ok" } else { "FAILED" };
    println!(
        "\ntest result: {word}. {passed} passed; {failed} failed; {ignored} ignored; 0 measured; {} filtered out; finished in {:.2}s\n",
        TESTS.len() - passed - failed - ignored,
        begin.elapsed().as_secs_f64()
    );
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}={text} is no number")))
}

fn seed_of_the_clock() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(1, |now| u64::from(now.subsec_nanos()) ^ (now.as_secs() << 32))
}
