//! How plan, register and status grow with the number of rules.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;

use crate::measure::{self, Moment};
use crate::register::{Place, entries, sentence};
use crate::support::stage::Qemu;
use crate::table::{Figure, Goal, Measured, Unit};
use crate::{BINFMTD, Setting, program};

const SIZES: [u32; 4] = [10, 100, 1_000, 10_000];

/// What is measured, and whether the rules are there before it.
const COMMANDS: [(&str, &[&str], bool); 4] = [
    ("plan", &["register", "--dry-run"], false),
    ("register", &["register", "--no-verify"], false),
    ("register again", &["register", "--no-verify"], true),
    ("status", &["status"], true),
];

pub(crate) fn figures(setting: &Setting) -> Result<Vec<Figure>, String> {
    let place = Place::prepare(&setting.private.folder().join("growth"))?;
    let qemu = Qemu::release("7.2").map_err(|why| format!("QEMU 7.2: {why}"))?;
    // A configuration has 1 MiB at most, so its name is short.
    let interpreter = place.folder().join("q");
    symlink(qemu.folder.join("qemu-aarch64-static"), &interpreter).map_err(sentence)?;
    let runs = setting.runs.div_ceil(20);
    let mut times = vec![Vec::new(); COMMANDS.len()];
    for size in SIZES {
        let file = configuration(&place, size, &interpreter)?;
        for (times, (_, words, after)) in times.iter_mut().zip(COMMANDS) {
            let called = |words: &[&str]| {
                let mut command: Command = program(BINFMTD.as_path());
                command.arg("--config").arg(&file).args(words);
                command.env("BINFMTD_RUNTIME_DIRECTORY", place.runtime());
                command
            };
            place.reset()?;
            if after {
                let done = called(&["register", "--no-verify"]).output().map_err(sentence)?;
                let there = entries().map_err(sentence)?.len();
                if !done.status.success() || there != size as usize {
                    return Err(format!("{there} of {size} rules were registered"));
                }
            }
            let around = |moment| match moment {
                Moment::Before if !after => place.reset(),
                _ => Ok(()),
            };
            times.push(measure::interleaved(&mut [called(words)], runs, &around)?.remove(0));
        }
    }
    place.reset()?;
    let figures = COMMANDS.iter().zip(times);
    Ok(figures.flat_map(|((name, ..), times)| of_one(name, &times)).collect())
}

/// The times, the slope of a line from the fewest to the most rules, and whether it is one.
fn of_one(name: &str, times: &[Measured]) -> Vec<Figure> {
    let figure = |what, unit, ours, goal| Figure { what, unit, ours, peer: None, goal };
    let mut figures: Vec<Figure> = SIZES
        .iter()
        .zip(times)
        .map(|(size, time)| {
            figure(format!("{name}: {size} rules"), Unit::Milliseconds, *time, Goal::None)
        })
        .collect();
    // Microseconds for each rule, between two sizes.
    let slope = |from: usize, to: usize| {
        let more = f64::from(SIZES[to] - SIZES[from]);
        (times[to].median - times[from].median) * 1e3 / more
    };
    let exact = |median| Measured { median, quartiles: None };
    figures.push(figure(
        format!("{name}: for each further rule"),
        Unit::Microseconds,
        exact(slope(0, 3)),
        Goal::None,
    ));
    figures.push(figure(
        format!("{name}: from 1,000 rules on, of what it is up to there"),
        Unit::Times,
        exact(slope(2, 3) / slope(0, 2)),
        Goal::AtMost(1.5),
    ));
    figures
}

/// Rules of the configuration's own, each with a magic of its own.
fn configuration(
    place: &Place,
    size: u32,
    interpreter: &std::path::Path,
) -> Result<PathBuf, String> {
    let mut text = "targets = []\n".to_owned();
    for number in 0..size {
        let magic = 0x4246_0000 + number;
        let rule = format!(
            "[rule.r{number}]\nmagic=\"{magic:08x}\"\ninterpreter=\"{}\"\nflags=\"F\"\n",
            interpreter.display()
        );
        text.write_str(&rule).map_err(|error| error.to_string())?;
    }
    let file = place.folder().join(format!("{size}.toml"));
    fs::write(&file, text).map_err(sentence)?;
    Ok(file)
}
