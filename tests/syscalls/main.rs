//! How many system calls a rule costs: a figure that load and machine do not change, unlike time.

#[path = "../support/strace.rs"]
mod strace;
#[path = "../support/mod.rs"]
mod support;

use std::fs;
use std::process::{Command, ExitCode};

use support::harness::{self, Outcome};
use support::{INSTANCE, Private, need};

/// What a rule may cost, from finding its interpreter to the kernel's answer.
const MOST_PER_RULE: usize = 6;

fn main() -> ExitCode {
    let private = need("strace", strace::find())
        .and_then(|()| need("a private instance of binfmt_misc", Private::enter()));
    harness::run(&[("a_rule_takes_few_system_calls", per_rule)], |test| {
        match private.as_ref().map(test) {
            None | Some(Ok(None)) => Outcome::Ignored,
            Some(Ok(Some(figures))) => Outcome::Passed(figures),
            Some(Err(problem)) => Outcome::Failed(problem),
        }
    })
}

/// All of this machine's interpreters beside one of them: the difference is the other rules' alone.
fn per_rule(private: &Private) -> Result<Option<String>, String> {
    let (calls_of_all, all) = register(private, None)?;
    let several = match all.as_slice() {
        [_, _, ..] => Ok(()),
        _ => Err(format!("interpreters for {} rules were found", all.len())),
    };
    let Some(()) = need("more than one of QEMU's interpreters", several) else { return Ok(None) };
    let (calls_of_one, one) = register(private, all[0].strip_prefix("qemu-"))?;
    let rules = all.len() - one.len();
    let calls = calls_of_all.saturating_sub(calls_of_one);
    let figures = format!(
        "{calls} system calls for {rules} more rules; {calls_of_one} for {}",
        one.join(", ")
    );
    if calls <= MOST_PER_RULE * rules {
        Ok(Some(figures))
    } else {
        Err(format!("more than {MOST_PER_RULE} for each: {figures}"))
    }
}

/// The system calls of one registration in an empty instance, and the rules that are there then.
fn register(private: &Private, target: Option<&str>) -> Result<(usize, Vec<String>), String> {
    let failed = |error: std::io::Error| error.to_string();
    Private::flush().map_err(failed)?;
    let folder = tempfile::tempdir_in(private.folder()).map_err(failed)?;
    let configuration = folder.path().join("binfmtd.toml");
    fs::write(&configuration, "").map_err(failed)?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_binfmtd"));
    command
        .arg("--config")
        .arg(configuration)
        .args(["register", "--no-verify"])
        .args(target)
        // Cargo's, in which a dynamic program would look for its libraries.
        .env_remove("LD_LIBRARY_PATH")
        .env("BINFMTD_RUNTIME_DIRECTORY", folder.path().join("run"));
    let calls = strace::count(&command, &folder.path().join("strace"))?;
    let mut rules = Vec::new();
    for entry in fs::read_dir(INSTANCE).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name().to_string_lossy().into_owned();
        if !matches!(name.as_str(), "register" | "status") {
            rules.push(name);
        }
    }
    rules.sort();
    Ok((calls, rules))
}
