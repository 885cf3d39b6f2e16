//! A `main` for tests that need a process with one thread, which libtest does not have.

use std::process::ExitCode;
use std::time::Instant;

/// What became of a test.
pub(crate) enum Outcome {
    /// A figure or two.
    Passed(String),
    /// What went wrong.
    Failed(String),
    /// Something that it needs is not here, which was said.
    Ignored,
}

/// Runs those of `tests` that the command line names, with libtest's words and exit status.
#[allow(clippy::print_stdout, reason = "it is a test harness")]
pub(crate) fn run<T>(tests: &[(&str, T)], mut one: impl FnMut(&T) -> Outcome) -> ExitCode {
    let begin = Instant::now();
    let (flags, filters): (Vec<_>, Vec<_>) =
        std::env::args().skip(1).partition(|word| word.starts_with('-'));
    let wanted: Vec<_> = tests
        .iter()
        .filter(|(name, _)| {
            filters.is_empty() || filters.iter().any(|filter| name.contains(filter.as_str()))
        })
        .collect();
    if flags.iter().any(|flag| flag == "--list") {
        for (name, _) in wanted {
            println!("{name}: test");
        }
        return ExitCode::SUCCESS;
    }
    println!("\nrunning {} tests", wanted.len());
    let (mut passed, mut failed, mut ignored) = (0, 0, 0);
    for (name, test) in &wanted {
        let begin = Instant::now();
        let outcome = one(test);
        let seconds = begin.elapsed().as_secs_f64();
        match outcome {
            Outcome::Passed(figures) => {
                passed += 1;
                println!("test {name} ... ok ({figures}; {seconds:.1} s)");
            }
            Outcome::Failed(problem) => {
                failed += 1;
                println!("test {name} ... FAILED\n{problem}");
            }
            Outcome::Ignored => {
                ignored += 1;
                println!("test {name} ... ignored");
            }
        }
    }
    let word = if failed == 0 { "ok" } else { "FAILED" };
    println!(
        "\ntest result: {word}. {passed} passed; {failed} failed; {ignored} ignored; 0 measured; {} filtered out; finished in {:.2}s\n",
        tests.len() - wanted.len(),
        begin.elapsed().as_secs_f64()
    );
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What a process says that runs one test which something is missing for.
const SKIPPED: u8 = 77;
/// How many tests run at once: most of their time they wait.
const AT_ONCE: usize = 4;

/// The same for tests that mostly wait: each in a process of its own, and several at once. `one` returns
/// figures, or nothing when something that the test needs is not here.
#[allow(clippy::print_stdout, reason = "it is a test harness")]
pub(crate) fn run_at_once<T: Sync>(
    tests: &[(&str, T)],
    one: impl Fn(&T) -> Option<String>,
) -> ExitCode {
    use std::collections::HashMap;
    use std::process::{Command, Stdio};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Condvar, Mutex};

    let mut words = std::env::args().skip(1);
    if words.next().as_deref() == Some("--alone") {
        let name = words.next().unwrap_or_default();
        let test = tests.iter().find(|test| test.0 == name).expect("one of the tests");
        return match one(&test.1) {
            Some(figures) => {
                println!("{figures}");
                ExitCode::SUCCESS
            }
            None => SKIPPED.into(),
        };
    }
    let program = std::env::current_exe().expect("the test's own program");
    let outcome = |name: &str| {
        let begin = Instant::now();
        let child = Command::new(&program)
            .args(["--alone", name])
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .output()
            .expect("the test's own program starts");
        let said = String::from_utf8_lossy(&child.stdout).trim_end().to_owned();
        let errors = String::from_utf8_lossy(&child.stderr);
        match child.status.code() {
            Some(0) => {
                let figures = said.lines().last().unwrap_or_default();
                let seconds = begin.elapsed().as_secs_f64();
                Outcome::Passed(format!("{figures}; took {seconds:.1} s, waited for"))
            }
            Some(code) if code == i32::from(SKIPPED) => {
                println!("{said}");
                Outcome::Ignored
            }
            _ => Outcome::Failed(format!("{}: {said}\n{errors}", child.status)),
        }
    };
    let names: Vec<&str> = tests.iter().map(|test| test.0).collect();
    let asks_for_a_list = std::env::args().any(|word| word == "--list");
    let filters: Vec<String> =
        std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let wanted: Vec<&str> = names
        .iter()
        .copied()
        .filter(|name| filters.is_empty() || filters.iter().any(|filter| name.contains(filter)))
        .collect();
    let next = AtomicUsize::new(0);
    let (outcomes, arrival) = (Mutex::new(HashMap::new()), Condvar::new());
    let tests: Vec<(&str, &str)> = names.iter().map(|name| (*name, *name)).collect();
    std::thread::scope(|scope| {
        for _ in 0..if asks_for_a_list { 0 } else { AT_ONCE } {
            scope.spawn(|| {
                while let Some(name) = wanted.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let outcome = outcome(name);
                    outcomes.lock().expect("a whole map").insert(*name, outcome);
                    arrival.notify_all();
                }
            });
        }
        run(&tests, |name| {
            let mut outcomes = outcomes.lock().expect("a whole map");
            loop {
                match outcomes.remove(name) {
                    Some(outcome) => return outcome,
                    None => outcomes = arrival.wait(outcomes).expect("a whole map"),
                }
            }
        })
    })
}
