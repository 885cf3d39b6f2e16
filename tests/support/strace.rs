//! System calls, counted with strace: the same on every machine and at every load.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// Whether there is a strace that can trace here.
pub(crate) fn find() -> Result<(), String> {
    let output = Command::new("strace")
        .args(["-qq", "-o", "/dev/null", "true"])
        .output()
        .map_err(|error| format!("strace: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
}

/// Runs `command` and counts the system calls that it and all its children make; `log` keeps them, a line each.
pub(crate) fn count(command: &Command, log: &Path) -> Result<usize, String> {
    let mut traced = Command::new("strace");
    traced
        .args(["-f", "-qq", "-o"])
        .arg(log)
        .arg("--")
        .arg(command.get_program())
        .args(command.get_args())
        .stdin(Stdio::null());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => traced.env(name, value),
            None => traced.env_remove(name),
        };
    }
    let output = traced.output().map_err(|error| format!("strace: {error}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(format!("{command:?} ended with {}: {said}", output.status));
    }
    let lines = fs::read_to_string(log).map_err(|error| format!("{}: {error}", log.display()))?;
    Ok(lines.lines().filter(|line| begins_a_call(line)).count())
}

/// `PID name(…`: neither a signal (`---`), an end (`+++`), nor the rest of an interrupted line (`<...`).
fn begins_a_call(line: &str) -> bool {
    let line = line.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ');
    line.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
}
