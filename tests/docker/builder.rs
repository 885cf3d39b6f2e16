//! What the tests of `binfmtd buildx` have in common.

use std::ffi::OsStr;
use std::process::Command;

use serde_json::Value;

use crate::engine::Engine;
use crate::support::stage::{Answer, listing};
use binfmtd::testing::probe;
use binfmtd::testing::target::Table;

/// The builder that is used where none is named.
pub(crate) const NAME: &str = "binfmtd";
/// Its container.
pub(crate) const CONTAINER: &str = "buildx_buildkit_binfmtd0";
/// Its volume.
pub(crate) const VOLUME: &str = "buildx_buildkit_binfmtd0_state";

/// The command `binfmtd --format=json buildx …`, with other variables.
pub(crate) fn command<S: AsRef<OsStr>>(
    engine: &Engine,
    environment: &[&str],
    words: &[S],
) -> Command {
    let mut command = engine.command("env");
    // What is set in here alone reaches nothing but binfmtd.
    command.args(environment).args(["/opt/bin/binfmtd", "--format=json", "buildx"]).args(words);
    command
}

/// Runs `binfmtd buildx …` as root.
#[track_caller]
pub(crate) fn buildx(engine: &Engine, words: &[&str]) -> Answer {
    buildx_with(engine, &[], words)
}

/// The same with other variables, as `env` (coreutils) takes them.
#[track_caller]
pub(crate) fn buildx_with(engine: &Engine, environment: &[&str], words: &[&str]) -> Answer {
    let output = command(engine, environment, words).output().expect("timeout (coreutils) starts");
    let answer = Answer::of(&output);
    is_consistent(&answer);
    let left = listing(&engine.root().join("tmp"));
    assert!(!left.iter().any(|name| name.starts_with("binfmtd-")), "{words:?} left {left:?}");
    answer
}

/// Whatever happens, the document tells the same as the exit status.
#[track_caller]
pub(crate) fn is_consistent(answer: &Answer) {
    assert_eq!(answer.json["schema"], 2, "{answer}");
    assert_eq!(answer.json["ok"], answer.code == Some(0), "{:?} {answer}", answer.code);
    let error = &answer.json["error"];
    if !error.is_null() {
        assert_eq!(error["exit"].as_i64(), answer.code.map(i64::from), "{answer}");
        assert!(error["message"].as_str().is_some_and(|message| message.len() > 20), "{answer}");
    }
}

/// Runs `binfmtd buildx …`, which has to be content.
#[track_caller]
pub(crate) fn well(engine: &Engine, words: &[&str]) -> Answer {
    ends(engine, 0, words)
}

/// Runs `binfmtd buildx …`, which has to end with this status.
#[track_caller]
pub(crate) fn ends(engine: &Engine, code: i32, words: &[&str]) -> Answer {
    let answer = buildx(engine, words);
    assert_eq!(answer.code, Some(code), "{words:?}: {answer}\n{}", engine.log());
    answer
}

/// Runs it with other variables; it has to fail with this status, and gives its sentence.
#[track_caller]
pub(crate) fn refused(engine: &Engine, code: i32, environment: &[&str], words: &[&str]) -> Value {
    let answer = buildx_with(engine, environment, words);
    assert_eq!(answer.code, Some(code), "{environment:?} {words:?}: {answer}");
    let message = answer.json["error"]["message"].clone();
    assert!(message.is_string(), "{answer}");
    message
}

/// What a person reads, and the status.
#[track_caller]
pub(crate) fn text(engine: &Engine, words: &[&str]) -> (Option<i32>, String) {
    let output = engine.command("binfmtd").arg("buildx").args(words).output();
    let output = output.expect("timeout (coreutils) starts");
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The line of a table that begins with a word, its columns apart.
#[track_caller]
pub(crate) fn row(text: &str, first: &str) -> Vec<String> {
    let line = text.lines().find(|line| line.split_whitespace().next() == Some(first));
    let line = line.unwrap_or_else(|| panic!("no {first} in:\n{text}"));
    line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).map(str::to_owned).collect()
}

/// What is said of a platform.
#[track_caller]
pub(crate) fn platform<'a>(answer: &'a Answer, name: &str) -> &'a Value {
    list(answer, "platforms")
        .iter()
        .find(|one| one["platform"] == name)
        .unwrap_or_else(|| panic!("no {name}: {answer}"))
}

/// A list of the document.
#[track_caller]
pub(crate) fn list<'a>(answer: &'a Answer, key: &str) -> &'a [Value] {
    answer.json[key].as_array().unwrap_or_else(|| panic!("no list {key}: {answer}"))
}

/// The words of a list of the document.
#[track_caller]
pub(crate) fn words<'a>(answer: &'a Answer, key: &str) -> Vec<&'a str> {
    list(answer, key).iter().filter_map(Value::as_str).collect()
}

/// Asserts that a platform was built, and by whom; the version of the emulator that ran.
#[track_caller]
pub(crate) fn built_by(answer: &Answer, name: &str, by: &str) -> String {
    let one = platform(answer, name);
    assert_eq!(one["built"]["state"], "yes", "{answer}");
    assert_eq!(one["built"]["by"], by, "{answer}");
    assert!(one["built"]["seconds"].as_f64().is_some_and(|seconds| seconds > 0.0), "{answer}");
    let version = one["built"]["version"].as_str();
    assert_eq!(version.is_some(), by != "native", "{answer}");
    version.unwrap_or_default().to_owned()
}

/// Whether a program of a target runs here without an emulator.
pub(crate) fn is_native(target: &str) -> bool {
    let native = std::env::consts::ARCH;
    target == native || (native, target) == ("x86_64", "i386")
}

/// A field of a container.
#[track_caller]
pub(crate) fn container(engine: &Engine, name: &str, field: &str) -> String {
    let format = format!("{{{{{field}}}}}");
    engine.well(&["docker", "container", "inspect", "--format", &format, name])
}

/// Names of all containers, or volumes, that there are.
#[track_caller]
pub(crate) fn names(engine: &Engine, kind: &str) -> Vec<String> {
    let script = match kind {
        "container" => "docker container ls --all --format '{{.Names}}'",
        _ => "docker volume ls --format '{{.Name}}'",
    };
    let names = engine.sh(script);
    let mut names: Vec<_> = names.lines().map(str::to_owned).collect();
    names.sort();
    names
}

/// Leaves a mark in a volume, which tells later whether it is the same one.
#[track_caller]
pub(crate) fn mark(engine: &Engine, volume: &str) {
    engine.sh(&format!("touch /var/lib/docker/volumes/{volume}/_data/marked"));
}

#[track_caller]
pub(crate) fn is_marked(engine: &Engine, volume: &str) -> bool {
    let path = format!("/var/lib/docker/volumes/{volume}/_data/marked");
    engine.run(&["test", "-e", &path]).status.success()
}

/// All rules away, as another tool does it.
#[track_caller]
pub(crate) fn flush(engine: &Engine) {
    engine.sh("echo -1 >/proc/sys/fs/binfmt_misc/status");
}

/// The names of the world's processes.
#[track_caller]
pub(crate) fn processes(engine: &Engine) -> Vec<String> {
    let names = engine.sh("cat /proc/[0-9]*/comm 2>/dev/null || :");
    names.lines().map(str::to_owned).collect()
}

/// A program of the host's own that waits until it is killed: a probe's file with `pause` in it.
pub(crate) fn waiter() -> Vec<u8> {
    let code: &[u8] = match std::env::consts::ARCH {
        // push 34; pop rax; syscall; jmp back
        "x86_64" => &[0x6a, 0x22, 0x58, 0x0f, 0x05, 0xeb, 0xf9],
        // x0 to x3 = 0, x8 = 73 (ppoll); svc 0; b back
        "aarch64" => &[
            0x00, 0x00, 0x80, 0xd2, 0x01, 0x00, 0x80, 0xd2, 0x02, 0x00, 0x80, 0xd2, 0x03, 0x00,
            0x80, 0xd2, 0x28, 0x09, 0x80, 0xd2, 0x01, 0x00, 0x00, 0xd4, 0xfa, 0xff, 0xff, 0x17,
        ],
        other => panic!("nobody has written a waiting program for {other}"),
    };
    let table = Table::embedded();
    let target = table.find(std::env::consts::ARCH).unwrap();
    let mut program = probe::build(target, target.identity.machines[0]).unwrap();
    let word = |at: usize| {
        let bytes = program[at..at + 8].try_into().unwrap();
        usize::try_from(u64::from_le_bytes(bytes)).unwrap()
    };
    // elf(5): e_entry and e_phoff, and of the first segment p_offset and p_vaddr.
    let (entry, segment) = (word(24), word(32));
    let (offset, address) = (word(segment + 8), word(segment + 16));
    let start = entry - address + offset;
    program[start..start + code.len()].copy_from_slice(code);
    program
}
