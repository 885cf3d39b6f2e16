//! The engine itself: what the other tests here are built on.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use serde_json::Value;

use crate::engine::{Buildx, Engine};
use crate::support::need;
use crate::support::stage::{eventually, starts};
use binfmtd::testing::probe;
use binfmtd::testing::target::Table;

/// Makes the test's own program start an engine and wait to be killed.
pub(crate) const HOLD: &str = "--hold-an-engine";

/// What every build here is made of: it has to run a program, and to say what that said.
const DOCKERFILE: &str = "FROM scratch\nARG TARGETARCH\nCOPY probe-$TARGETARCH /probe\n\
                          RUN [\"/probe\", \"it-ran\"]\n";
pub(crate) const CONTEXT: &str = "/srv/context";

pub(crate) fn boots(engine: &mut Engine) -> String {
    let version = engine.well(&["docker", "version", "--format", "{{.Server.Version}}"]);
    let major = version.split('.').next().and_then(|word| word.parse::<u32>().ok());
    assert!(major.is_some_and(|major| major >= 23), "{version}");
    let buildx = engine.well(&["docker", "buildx", "version"]);
    assert!(buildx.contains(" 0.13."), "{buildx}");
    // Else runc would take the world for the machine, and rules could reach it.
    let map = engine.well(&["cat", "/proc/self/uid_map"]);
    let map: Vec<&str> = map.split_whitespace().collect();
    assert!(map.len() == 3 && map[0] == "0" && map[1] != "0", "{map:?}");
    assert_eq!(engine.rules(), [""; 0]);
    let storage = engine.well(&["docker", "info", "--format", "{{.Driver}}, {{.CgroupVersion}}"]);
    assert_eq!(storage, "overlay2, 2");
    format!("{version}, buildx {}", buildx.split_whitespace().nth(1).unwrap_or_default())
}

/// Killed, a test does not clean up; what is left of it has to.
pub(crate) fn ends(engine: &mut Engine) -> String {
    // What becomes an orphan becomes our child, and can be asked how it ended.
    nix::sys::prctl::set_child_subreaper(true).unwrap();
    let mut holder = Command::new(std::env::current_exe().unwrap())
        .arg(HOLD)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(holder.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let ids: Vec<u32> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let &[script, first] = ids.as_slice() else { panic!("no engine but {line:?}") };
    holder.kill().unwrap();
    holder.wait().unwrap();

    let begin = Instant::now();
    let script = Pid::from_raw(i32::try_from(script).unwrap());
    let status = waitpid(script, None).unwrap();
    nix::sys::prctl::set_child_subreaper(false).unwrap();
    // It ends well only when the control groups are gone.
    assert_eq!(status, WaitStatus::Exited(script, 0));
    eventually("the end of the world's first process", Duration::from_secs(10), || {
        !Path::new("/proc").join(first.to_string()).exists()
    });
    // Another one lives on.
    engine.well(&["docker", "ps"]);
    format!("gone {:.1} s after a kill", begin.elapsed().as_secs_f64())
}

/// Starts an engine, says which processes hold it and how a person gets in, and waits.
#[allow(clippy::print_stdout, reason = "it is asked for")]
pub(crate) fn hold() -> ExitCode {
    let Some(engine) = need("a Docker engine", Engine::start(Buildx::Trixie)) else {
        return ExitCode::FAILURE;
    };
    let [script, first] = engine.processes();
    println!("{script} {first}\n{}", engine.door());
    loop {
        std::thread::park();
    }
}

pub(crate) fn boots_buildkit(engine: &mut Engine) -> String {
    let begin = Instant::now();
    engine.well(&["docker", "buildx", "create", "--name", "ours"]);
    let said = engine.well(&["docker", "buildx", "inspect", "--bootstrap", "ours"]);
    let seconds = begin.elapsed().as_secs_f64();
    let node = node(engine, "ours");
    assert_eq!(node["Status"], "running", "{said}");
    let version = node["Version"].as_str().unwrap_or_default();
    assert!(version.starts_with("v0."), "{node}");
    assert!(platforms(&node).contains(&platform(std::env::consts::ARCH)), "{node}");
    assert!(!platforms(&node).contains(&platform("aarch64")), "{node}");
    format!("BuildKit {version} in {seconds:.1} s")
}

pub(crate) fn builds(engine: &mut Engine) -> String {
    let native = std::env::consts::ARCH;
    let foreign = "aarch64";
    context(engine, &[native, foreign]);
    engine.well(&["docker", "buildx", "create", "--name", "ours", "--bootstrap"]);
    let begin = Instant::now();
    let said = build(engine, native).unwrap();
    let seconds = begin.elapsed().as_secs_f64();
    assert!(said.contains("it-ran"), "{said}");

    let outside = tempfile::tempdir().unwrap();
    let outside = outside.path().join("probe");
    fs::write(&outside, program(foreign)).unwrap();
    crate::support::stage::chmod(&outside, 0o755);
    let before = starts(&outside);
    let refused = build(engine, foreign).unwrap_err();
    assert!(refused.contains("exec format error"), "{refused}");
    engine.well(&["binfmtd", "register", foreign]);
    assert_eq!(engine.rules(), ["qemu-aarch64"]);
    let begin = Instant::now();
    let said = build(engine, foreign).unwrap();
    let foreign_seconds = begin.elapsed().as_secs_f64();
    assert!(said.contains("it-ran"), "{said}");
    // The machine knows nothing of the rule.
    assert_eq!(starts(&outside), before);
    format!("native in {seconds:.1} s, arm64 in {foreign_seconds:.1} s")
}

pub(crate) fn embeds(engine: &mut Engine) -> String {
    let foreign = "aarch64";
    context(engine, &[foreign]);
    engine.embed(foreign);
    engine.well(&["docker", "buildx", "create", "--name", "ours", "--bootstrap"]);
    let said = build(engine, foreign).unwrap();
    assert!(said.contains("it-ran"), "{said}");
    // What it can build is more than what it says.
    let node = node(engine, "ours");
    assert!(!platforms(&node).contains(&platform(foreign)), "{node}");
    assert_eq!(engine.rules(), [""; 0]);
    "without a rule".to_owned()
}

pub(crate) fn restarts(engine: &mut Engine) -> String {
    engine.well(&["docker", "buildx", "create", "--name", "ours", "--bootstrap"]);
    let begin = Instant::now();
    engine.stop_engine();
    let stopped = begin.elapsed().as_secs_f64();
    // buildx succeeds all the same; the docker command does not.
    let listing = engine.run(&["docker", "buildx", "ls"]);
    assert!(listing.status.success());
    assert!(!engine.run(&["docker", "ps"]).status.success());
    let begin = Instant::now();
    engine.start_engine();
    let started = begin.elapsed().as_secs_f64();
    engine.well(&["docker", "buildx", "inspect", "--bootstrap", "ours"]);
    assert_eq!(node(engine, "ours")["Status"], "running");
    format!("stopped in {stopped:.1} s, started in {started:.1} s")
}

/// A builder's only node, as `buildx ls` describes it.
#[track_caller]
fn node(engine: &Engine, builder: &str) -> Value {
    let listing = engine.well(&["docker", "buildx", "ls", "--format", "json"]);
    let builders = listing.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let builder = builders.into_iter().find(|found| found["Name"] == builder);
    builder.unwrap_or_else(|| panic!("no such builder: {listing}"))["Nodes"][0].clone()
}

fn platforms(node: &Value) -> Vec<String> {
    let platforms = node["Platforms"].as_array().map_or(&[][..], Vec::as_slice);
    platforms.iter().filter_map(|one| one.as_str().map(str::to_owned)).collect()
}

fn platform(target: &str) -> String {
    let table = Table::embedded();
    let known = table.find(target).unwrap();
    known.platforms[0].clone()
}

fn program(target: &str) -> Vec<u8> {
    let table = Table::embedded();
    let known = table.find(target).unwrap();
    probe::build(known, known.identity.machines[0]).unwrap()
}

/// Writes what is to be built, for these targets.
pub(crate) fn context(engine: &Engine, targets: &[&str]) {
    engine.write(&format!("{CONTEXT}/Dockerfile"), DOCKERFILE);
    for target in targets {
        let platform = platform(target);
        let architecture = platform.strip_prefix("linux/").unwrap();
        engine.program(&format!("{CONTEXT}/probe-{architecture}"), program(target));
    }
}

/// Builds it for a target: what was said, and whether it could be built.
fn build(engine: &Engine, target: &str) -> Result<String, String> {
    let output = engine.run(&[
        "docker",
        "buildx",
        "build",
        "--builder=ours",
        "--no-cache",
        "--output=type=cacheonly",
        &format!("--platform={}", platform(target)),
        CONTEXT,
    ]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(said) } else { Err(said) }
}
