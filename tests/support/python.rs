//! The system's own Python, which is not the first on every PATH: other people's readers of what we write.
#![allow(dead_code, reason = "each test takes what it needs")]

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::need;

const PYTHON: &str = "/usr/bin/python3";

/// Looks for a module of Debian's.
pub(crate) fn module(name: &str) -> Option<()> {
    let found = Command::new(PYTHON).args(["-c", &format!("import {name}")]).output();
    let found = match found {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(error) => Err(error.to_string()),
    };
    need(&format!("{PYTHON} with {name}"), found)
}

/// Runs a script; it reads a text from its input and writes a JSON document.
#[track_caller]
pub(crate) fn run(script: &str, arguments: &[&str], input: &str) -> Value {
    let mut child = Command::new(PYTHON)
        .args(["-c", script])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}\n{input}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}
