//! The doctor over every target of this machine at every level, beside the bare execs of the same probes over as many
//! cores.

use std::fs::{self, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use binfmtd::probe;
use binfmtd::target::Table;
use serde_json::Value;

use crate::support::Private;
use crate::table::{Figure, Goal, Peer, Unit};
use crate::{BINFMTD, Setting, measure, program};

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
    let probes = write_probes(&folder.join("bare"), &names)?;

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
        bare(&probes, cores)?;
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

fn write_probes(folder: &Path, names: &[&str]) -> Result<Vec<PathBuf>, String> {
    fs::create_dir_all(folder).map_err(|error| error.to_string())?;
    let table = Table::embedded();
    let mut probes = Vec::new();
    for name in names {
        let target = table.find(name).map_err(|error| error.to_string())?;
        for machine in &target.identity.machines {
            let Some(content) = probe::build(target, *machine) else { continue };
            let path = folder.join(format!("{name}-{machine}"));
            fs::write(&path, content).map_err(|error| error.to_string())?;
            fs::set_permissions(&path, Permissions::from_mode(0o755))
                .map_err(|error| error.to_string())?;
            probes.push(path);
        }
    }
    Ok(probes)
}

/// As many at a time as there are cores; each gets its byte and is waited for, and nothing is looked at.
fn bare(probes: &[PathBuf], cores: usize) -> Result<(), String> {
    let next = AtomicUsize::new(0);
    let work = || -> Result<(), String> {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(probe) = probes.get(index / RUNS_OF_EACH) else { return Ok(()) };
            let mut child = Command::new(probe)
                .arg("nonce")
                .env_clear()
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .spawn()
                .map_err(|error| format!("{}: {error}", probe.display()))?;
            let mut stdin = child.stdin.take().ok_or("no standard input")?;
            stdin.write_all(&[42]).map_err(|error| error.to_string())?;
            let status = child.wait().map_err(|error| error.to_string())?;
            if status.code() != Some(42) {
                return Err(format!("{}: {status}", probe.display()));
            }
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| worker.join().map_err(|_| "a worker")?)
    })
}
