//! The doctor over every target of this machine at every level, beside the bare execs of the same probes over as many
//! cores.

use std::process::Stdio;
use std::time::Instant;

use serde_json::Value;

use crate::support::Private;
use crate::table::{Figure, Goal, Peer, Unit};
use crate::{BINFMTD, Setting, bare, measure, program};

/// The doctor runs each probe on the host, in an empty root, and for its version.
const RUNS_OF_EACH: usize = 3;

pub(crate) fn figures(setting: &Setting) -> Result<Vec<Figure>, String> {
    let folder = setting.private.folder();
    let runtime = folder.join("doctor-run");
    let binfmtd = |words: &[&str]| {
        let mut command = program(BINFMTD.as_path());
        command.args(words).env("BINFMTD_RUNTIME_DIRECTORY", &runtime);
        command
    };
    let sentence = |error: std::io::Error| error.to_string();
    Private::flush().map_err(sentence)?;
    // What this release of QEMU cannot run is refused, and not asked about.
    let said = binfmtd(&["register", "--format", "json"]).output().map_err(sentence)?;
    let document: Value =
        serde_json::from_slice(&said.stdout).map_err(|error| error.to_string())?;
    let rules = document["rules"].as_array().ok_or("no rules")?;
    let working = rules.iter().filter(|rule| rule["error"].is_null());
    let mut names: Vec<&str> = working.filter_map(|rule| rule["target"].as_str()).collect();
    names.dedup();
    let probes = bare::write_probes(&folder.join("bare"), &names)?;

    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let mut doctor = binfmtd(&["doctor"]);
    doctor.args(&names).stdout(Stdio::null());
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..setting.runs.div_ceil(20).max(5) {
        let begin = Instant::now();
        let status = doctor.status().map_err(sentence)?;
        ours.push(begin.elapsed().as_secs_f64() * 1e3);
        if !status.success() {
            return Err(format!("the doctor ended with {status}"));
        }
        let begin = Instant::now();
        bare::run(&probes, RUNS_OF_EACH, cores)?;
        theirs.push(begin.elapsed().as_secs_f64() * 1e3);
    }
    Private::flush().map_err(sentence)?;
    let what = format!("doctor: {} targets, every level, {cores} cores", names.len());
    let name = format!("{} bare execs of the same probes", probes.len() * RUNS_OF_EACH);
    Ok(vec![Figure {
        what,
        unit: Unit::Milliseconds,
        ours: measure::summary(ours),
        peer: Some(Peer { name, measured: Ok(measure::summary(theirs)) }),
        goal: Goal::OfPeer(1.5),
    }])
}
