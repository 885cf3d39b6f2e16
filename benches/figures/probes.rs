//! What runs probes, beside the bare execs of the same ones over as many cores: registering every target of this machine with
//! its trial and its proof, and the doctor over them at every level.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Instant;

use serde_json::Value;

use crate::register::{Place, sentence};
use crate::table::{Figure, Goal, Peer, Unit};
use crate::{Setting, bare, measure};

/// One that is measured.
struct Subject {
    command: &'static str,
    what: &'static str,
    /// How often it runs each probe.
    runs_of_each: usize,
    /// Whether it begins in an empty instance.
    from_nothing: bool,
}

/// The second finds the rules that the first made.
const SUBJECTS: [Subject; 2] = [
    // In the trial, and on the real instance.
    Subject { command: "register", what: "tried and proved", runs_of_each: 2, from_nothing: true },
    // On the host, in an empty root, and for its version.
    Subject { command: "doctor", what: "every level", runs_of_each: 3, from_nothing: false },
];

pub(crate) fn figures(setting: &Setting) -> Result<Vec<Figure>, String> {
    let place = Place::prepare(&setting.private.folder().join("probes"))?;
    place.reset()?;
    let names = working(&place)?;
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let probes = bare::write_probes(&place.folder().join("bare"), &names)?;
    let figures =
        SUBJECTS.iter().map(|subject| figure(setting, &place, subject, &names, &probes)).collect();
    place.reset()?;
    figures
}

/// What this release of QEMU cannot run is refused, and not asked about.
fn working(place: &Place) -> Result<Vec<String>, String> {
    let said = place.words(&["register", "--format", "json"]).output().map_err(sentence)?;
    let document: Value =
        serde_json::from_slice(&said.stdout).map_err(|error| error.to_string())?;
    let rules = document["rules"].as_array().ok_or("no rules")?;
    let working = rules.iter().filter(|rule| rule["error"].is_null());
    let mut names: Vec<String> =
        working.filter_map(|rule| rule["target"].as_str().map(str::to_owned)).collect();
    names.dedup();
    Ok(names)
}

fn figure(
    setting: &Setting,
    place: &Place,
    subject: &Subject,
    names: &[&str],
    probes: &[PathBuf],
) -> Result<Figure, String> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let mut command = place.words(&[subject.command]);
    command.args(names).stdout(Stdio::null()).stderr(Stdio::null());
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..setting.runs.div_ceil(20).max(5) {
        if subject.from_nothing {
            place.reset()?;
        }
        let begin = Instant::now();
        let status = command.status().map_err(sentence)?;
        ours.push(begin.elapsed().as_secs_f64() * 1e3);
        if !status.success() {
            return Err(format!("{} ended with {status}", subject.command));
        }
        let begin = Instant::now();
        bare::run(probes, subject.runs_of_each, cores)?;
        theirs.push(begin.elapsed().as_secs_f64() * 1e3);
    }
    Ok(Figure {
        what: format!(
            "{} {} targets, {}, {cores} cores",
            subject.command,
            names.len(),
            subject.what
        ),
        unit: Unit::Milliseconds,
        ours: measure::summary(ours),
        peer: Some(Peer {
            name: format!("{} bare execs of the same probes", probes.len() * subject.runs_of_each),
            measured: Ok(measure::summary(theirs)),
        }),
        goal: Goal::OfPeer(1.5),
    })
}
