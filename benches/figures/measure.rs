//! Wall time of programs, interleaved.

use std::process::{Command, Stdio};
use std::time::Instant;

use crate::table::Measured;

/// Starts the commands in turn, `runs` times each and in alternating order, and takes the time from each
/// one's start to its end in milliseconds. `around` hears of each start and end, outside of that time.
pub(crate) fn interleaved(
    commands: &mut [Command],
    runs: usize,
    around: &dyn Fn(Moment) -> Result<(), String>,
) -> Result<Vec<Measured>, String> {
    let mut times = vec![Vec::with_capacity(runs); commands.len()];
    for command in commands.iter_mut() {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    }
    for run in 0..runs {
        let mut order: Vec<usize> = (0..commands.len()).collect();
        // Whoever comes second finds the caches of whoever came first.
        order.rotate_left(run % commands.len());
        for index in order {
            around(Moment::Before)?;
            let begin = Instant::now();
            let status = commands[index].status();
            let time = begin.elapsed();
            let status = status.map_err(|error| format!("{:?}: {error}", commands[index]))?;
            if !status.success() {
                return Err(format!("{:?} ended with {status}", commands[index]));
            }
            around(Moment::After)?;
            times[index].push(time.as_secs_f64() * 1e3);
        }
    }
    Ok(times.into_iter().map(summary).collect())
}

/// When something may be done beside the measuring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    Before,
    After,
}

pub(crate) fn summary(mut times: Vec<f64>) -> Measured {
    times.sort_by(f64::total_cmp);
    let at = |part: usize| times.get(times.len() * part / 4).copied().unwrap_or(f64::NAN);
    Measured { median: at(2), quartiles: Some((at(1), at(3))) }
}
