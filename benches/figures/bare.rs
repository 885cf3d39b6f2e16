//! The bare execs of probes: each is started, given its byte and waited for, and nothing is looked at.

use std::fs::{self, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use binfmtd::testing::probe;
use binfmtd::testing::target::Table;

/// The probes of these targets, a file for each rule.
pub(crate) fn write_probes(folder: &Path, names: &[&str]) -> Result<Vec<PathBuf>, String> {
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

/// Each probe `times`, as many at a time as there are cores.
pub(crate) fn run(probes: &[PathBuf], times: usize, cores: usize) -> Result<(), String> {
    let next = AtomicUsize::new(0);
    let work = || -> Result<(), String> {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(probe) = probes.get(index / times) else { return Ok(()) };
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
