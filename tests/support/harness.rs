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
