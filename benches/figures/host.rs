//! What rules cost programs of the host itself: the kernel asks them all at each exec, before its own loaders.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use binfmtd::testing::target::Table;

use crate::register::sentence;
use crate::support::Private;
use crate::table::{Figure, Goal, Measured, Unit};
use crate::{Setting, bare, measure};

/// As many as all of QEMU's, and more than anybody has.
const SIZES: [u32; 4] = [35, 100, 1_000, 10_000];
/// Execs in a row, with the rules switched on or off.
const IN_A_ROW: usize = 10;

pub(crate) fn figures(setting: &Setting) -> Result<Vec<Figure>, String> {
    let folder = setting.private.folder().join("host");
    let own = fs::read("/proc/self/exe").map_err(sentence)?;
    let table = Table::embedded();
    let target =
        table.of_header(&binfmtd::testing::rule::Header::new(&own)).ok_or("an unknown machine")?;
    // A static program of some hundred bytes: nothing is quicker to start.
    let program = bare::write_probes(&folder, &[&target.name])?.remove(0);
    let mut figures = Vec::new();
    let mut there = 0;
    Private::flush().map_err(sentence)?;
    for size in SIZES {
        for number in there..size {
            let rule = format!(":r{number}:M::BF{number:06x}::/bin/true:");
            setting.private.register(rule.as_bytes()).map_err(sentence)?;
        }
        there = size;
        let (with, without) = compared(&program, setting.runs)?;
        if figures.is_empty() {
            figures.push(Figure {
                what: "exec of a native program, rules switched off".to_owned(),
                unit: Unit::Microseconds,
                ours: without,
                peer: None,
                goal: Goal::None,
            });
        }
        figures.push(Figure {
            what: format!("and more with {size} rules"),
            unit: Unit::Microseconds,
            ours: Measured { median: with.median - without.median, quartiles: None },
            peer: None,
            goal: Goal::None,
        });
    }
    Private::flush().map_err(sentence)?;
    Ok(figures)
}

/// With the rules and without, in turns.
fn compared(program: &Path, runs: usize) -> Result<(Measured, Measured), String> {
    let mut times = [Vec::new(), Vec::new()];
    for run in 0..runs * 2 {
        let is_on = run % 2 == 0;
        Private::tell("status", if is_on { "1" } else { "0" }).map_err(sentence)?;
        for _ in 0..IN_A_ROW {
            let begin = Instant::now();
            let status = Command::new(program)
                .env_clear()
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .status();
            let time = begin.elapsed().as_secs_f64() * 1e6;
            status.map_err(sentence)?;
            times[usize::from(!is_on)].push(time);
        }
    }
    Private::tell("status", "1").map_err(sentence)?;
    let [with, without] = times;
    Ok((measure::summary(with), measure::summary(without)))
}
