//! binfmtd beside what people would use instead: one table, and the same as JSON.
//!
//! Each pair is measured in one run of this program, interleaved, in one private instance. A goal that is not
//! met is said and is no failure: what has to hold always is held by a test of something that does not vary.

mod bare;
mod builder;
mod daemon;
#[path = "../../tests/support/engine.rs"]
mod engine;
mod growth;
mod host;
mod measure;
mod probes;
mod register;
mod rivals;
mod start;
#[path = "../../tests/support/strace.rs"]
mod strace;
#[path = "../../tests/support/mod.rs"]
mod support;
mod swap;
mod table;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::str::FromStr;
use std::sync::LazyLock;
use std::time::Duration;

use support::Private;
use table::{Figure, Table};

/// The program that is measured: what `benches/run` built, else what cargo did.
static BINFMTD: LazyLock<PathBuf> = LazyLock::new(|| {
    std::env::var_os("BINFMTD_BENCH_BINARY")
        .map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_binfmtd")), PathBuf::from)
});

/// A program to be measured. Without what cargo sets: a dynamic program would look for its libraries in all of
/// those folders first.
fn program(path: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(path);
    command.env_remove("LD_LIBRARY_PATH");
    command
}

/// What every figure is given.
struct Setting {
    private: Private,
    /// How often each program is started.
    runs: usize,
    /// How long the service is watched while it rests.
    rest: Duration,
}

type Family = fn(&Setting) -> Result<Vec<Figure>, String>;

const FAMILIES: [(&str, Family); 8] = [
    ("register", register::figures),
    ("rivals", rivals::figures),
    ("probes", probes::figures),
    ("service", daemon::figures),
    ("swap", swap::figures),
    ("growth", growth::figures),
    ("start", start::figures),
    ("host", host::figures),
];

#[allow(clippy::print_stderr, reason = "standard output has the table")]
fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("benches: {problem}");
            ExitCode::FAILURE
        }
    }
}

#[allow(clippy::print_stdout, clippy::print_stderr, reason = "its table, and how far it is")]
fn run() -> Result<(), String> {
    let runs = number("BINFMTD_BENCH_RUNS")?.unwrap_or(200);
    let rest = number("BINFMTD_BENCH_REST")?.unwrap_or(60);
    let mut builder = Vec::new();
    if is_asked("buildx") {
        eprintln!("measuring buildx");
        // A world of its own takes the rights that a private instance gives up.
        match builder::figures(runs) {
            Ok(figures) => builder = figures,
            Err(why) => eprintln!("buildx is not measured: {why}"),
        }
    }
    let private = Private::enter().map_err(|why| format!("no private instance: {why}"))?;
    let setting = Setting { private, runs, rest: Duration::from_secs(rest) };
    let mut figures = builder;
    for (name, family) in FAMILIES.into_iter().filter(|(name, _)| is_asked(name)) {
        eprintln!("measuring {name}: {runs} runs of each");
        figures.extend(family(&setting).map_err(|problem| format!("{name}: {problem}"))?);
    }
    let table = Table::new(&BINFMTD, figures);
    print!("{table}");
    let file = target_folder().join("bench.json");
    std::fs::write(&file, table.json())
        .map_err(|error| format!("write {}: {error}", file.display()))?;
    eprintln!("wrote {}", file.display());
    Ok(())
}

/// Whether this part is wanted: without words on the command line, all are.
fn is_asked(part: &str) -> bool {
    let mut words = std::env::args().skip(1).filter(|word| !word.starts_with('-')).peekable();
    words.peek().is_none() || words.any(|word| word == part)
}

fn number<T: FromStr>(variable: &str) -> Result<Option<T>, String> {
    let Ok(text) = std::env::var(variable) else { return Ok(None) };
    text.parse().map(Some).map_err(|_| format!("{variable}={text} is no number"))
}

fn target_folder() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target"), PathBuf::from)
}
