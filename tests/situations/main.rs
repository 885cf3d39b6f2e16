//! Each situation gets its sentence and its exit code, in text and in JSON.
//!
//! What only another machine can show is not here: a kernel without `binfmt_misc`, one whose module
//! cannot be loaded, and one before 6.7 (no instances in user namespaces).

#[path = "../support/mod.rs"]
mod support;
#[path = "../support/world.rs"]
mod world;

mod another_root;
mod automount;
mod binfmt_d;
mod disabled;
mod elsewhere;
#[cfg(target_arch = "x86_64")]
mod emulated;
mod hidden;
mod limits;
mod masked;
mod nested;
mod no_namespaces;
mod no_qemu;
mod read_only;
mod rivals;
mod unmounted;
mod unprivileged;

use serde_json::Value;

use world::{Said, World};

/// Holds that a command fails with a code and one sentence, said in text and in JSON, that has
/// all these parts.
#[track_caller]
fn fails(world: &World, line: &str, code: i32, parts: &[&str]) {
    holds(&world.binfmtd(line), &world.binfmtd(&format!("--format json {line}")), code, parts);
}

/// The same for somebody who is not root.
#[track_caller]
fn fails_for_somebody(world: &World, line: &str, code: i32, parts: &[&str]) {
    let json = world.binfmtd_as_somebody(&format!("--format json {line}"));
    holds(&world.binfmtd_as_somebody(line), &json, code, parts);
}

#[track_caller]
fn holds(text: &Said, json: &Said, code: i32, parts: &[&str]) {
    assert_eq!((text.code, json.code), (code, code), "{text:#?} {json:#?}");
    assert_eq!(text.out, "", "results only on standard output: {text:#?}");
    let document = json.document();
    assert_eq!(document["error"]["exit"], code, "{document:#}");
    let message = document["error"]["message"].as_str().unwrap();
    // Logs may come before it.
    let said = format!("binfmtd: {message}\n");
    assert!(text.err.ends_with(&said), "not the same sentence: {text:#?} {document:#}");
    for part in parts {
        assert!(message.contains(part), "{part:?} is missing in {message:?}");
    }
}

/// The doctor's finding of a check, for the host or for a target.
#[track_caller]
fn finding<'a>(document: &'a Value, id: &str, target: Option<&str>) -> &'a Value {
    let checks = document["checks"].as_array().unwrap();
    let found = checks.iter().find(|check| check["id"] == id && check["target"].as_str() == target);
    found.unwrap_or_else(|| panic!("no {id} for {target:?}: {document:#}"))
}

/// The doctor's verdict on a target.
#[track_caller]
fn verdict<'a>(document: &'a Value, target: &str) -> &'a str {
    let targets = document["targets"].as_array().unwrap();
    let found = targets.iter().find(|one| one["target"] == target);
    found.and_then(|one| one["verdict"].as_str()).unwrap_or_else(|| panic!("{document:#}"))
}
