//! Registering every target of this machine with its trial and its proof, beside the bare execs of the same probes over as
//! many cores.

use std::process::Stdio;
use std::time::Instant;

use serde_json::Value;

use crate::register::{Place, sentence};
use crate::table::{Figure, Goal, Peer, Unit};
use crate::{Setting, bare, measure};

/// Each probe runs in the trial, and again on the real instance.
const RUNS_OF_EACH: usize = 2;

pub(crate) fn figures(setting: &Setting) -> Result<Vec<Figure>, String> {
    let place = Place::prepare(&setting.private.folder().join("verified"))?;
    place.reset()?;
    // What this release of QEMU cannot run is refused, and not asked about.
    let said = place.words(&["register", "--format", "json"]).output().map_err(sentence)?;
    let document: Value =
        serde_json::from_slice(&said.stdout).map_err(|error| error.to_string())?;
    let rules = document["rules"].as_array().ok_or("no rules")?;
    let working = rules.iter().filter(|rule| rule["error"].is_null());
    let mut names: Vec<&str> = working.filter_map(|rule| rule["target"].as_str()).collect();
    names.dedup();
    let probes = bare::write_probes(&place.folder().join("bare"), &names)?;
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let mut register = place.words(&["register"]);
    register.args(&names).stdout(Stdio::null()).stderr(Stdio::null());
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..setting.runs.div_ceil(20).max(5) {
        place.reset()?;
        let begin = Instant::now();
        let status = register.status().map_err(sentence)?;
        ours.push(begin.elapsed().as_secs_f64() * 1e3);
        if !status.success() {
            return Err(format!("register ended with {status}"));
        }
        let begin = Instant::now();
        bare::run(&probes, RUNS_OF_EACH, cores)?;
        theirs.push(begin.elapsed().as_secs_f64() * 1e3);
    }
    place.reset()?;
    Ok(vec![Figure {
        what: format!("register {} targets, tried and proved, {cores} cores", names.len()),
        unit: Unit::Milliseconds,
        ours: measure::summary(ours),
        peer: Some(Peer {
            name: format!("{} bare execs of the same probes", probes.len() * RUNS_OF_EACH),
            measured: Ok(measure::summary(theirs)),
        }),
        goal: Goal::OfPeer(1.5),
    }])
}
