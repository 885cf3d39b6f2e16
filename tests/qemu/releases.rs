//! Three releases of QEMU, whole: registered, proved by the doctor, and registered again.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::need;
use crate::support::stage::{Answer, Qemu, Stage};

/// Broken in QEMU itself: from 10.0 on all of microblaze has one CPU, whose property for the byte
/// order nobody sets for little-endian programs before 10.1.2.
const BROKEN_IN_10_0: &[&str] = &["microblazeel"];

pub(crate) fn seven(stage: &Stage) -> Option<String> {
    release(stage, "7.2", &[])
}

pub(crate) fn ten(stage: &Stage) -> Option<String> {
    release(stage, "10.0", BROKEN_IN_10_0)
}

pub(crate) fn eleven(stage: &Stage) -> Option<String> {
    release(stage, "11.1", &[])
}

fn release(stage: &Stage, version: &str, broken: &[&str]) -> Option<String> {
    let qemu = need(&format!("QEMU {version}"), Qemu::release(version))?;
    stage.configure(&format!("interpreter-directories = [\"{}\"]\n", qemu.folder.display()));
    let registered = stage.run(&["register"]);
    let entries = Stage::entries();

    for target in broken {
        refused_by_the_trial(&registered, target, version);
    }
    for line in registered.rules() {
        let is_broken = broken.iter().any(|target| line["target"] == *target);
        assert!(is_broken || line["error"].is_null(), "{line:#}");
        assert_eq!(line["changed"] == true, line["action"] == "add" && !is_broken, "{line:#}");
    }
    assert_eq!(registered.code, Some(i32::from(!broken.is_empty())), "{}", registered.errors);

    let examined = stage.run(&["doctor"]);
    let natives: Vec<&str> = strings(&examined.json["host"]["natives"]);
    expected_rules(stage, &qemu, &natives, broken, &entries);
    every_level(&examined, broken);
    identities(&qemu, &examined, broken);

    let again = stage.run(&["register"]);
    assert_eq!(again.code, registered.code);
    assert!(again.changed_nothing(), "{again}");
    assert_eq!(Stage::entries(), entries, "a second register changed something");
    let working = examined.json["targets"].as_array()?.iter();
    let working = working.filter(|target| target["verdict"] == "working").count();
    Some(format!("{}: {} rules, {working} targets working", qemu.package, entries.len()))
}

/// A rule of QEMU's bug is tried, fails, and never reaches the instance. Should it work one day, the
/// exception above has to go.
fn refused_by_the_trial(registered: &Answer, target: &str, version: &str) {
    let lines: Vec<&Value> =
        registered.rules().iter().filter(|line| line["target"] == target).collect();
    assert!(!lines.is_empty(), "{registered}");
    for line in lines {
        let error = line["error"].as_str().unwrap_or_else(|| {
            panic!("{target} works under QEMU {version}: take it out of BROKEN_IN_10_0\n{line:#}")
        });
        assert!(error.contains("tried in a private instance"), "{error}");
        assert!(error.contains("signal 11"), "{error}");
        assert_eq!(line["changed"], false, "{line:#}");
    }
}

/// One rule for each program that is not native, two where files carry two machines, all with F, and
/// none for a link.
fn expected_rules(
    stage: &Stage,
    qemu: &Qemu,
    natives: &[&str],
    broken: &[&str],
    entries: &BTreeMap<String, Vec<u8>>,
) {
    let mut expected: BTreeMap<String, &Path> = BTreeMap::new();
    let programs = qemu.programs();
    let mut emulators = 0;
    for (file, path) in &programs {
        let name = file.trim_start_matches("qemu-").trim_end_matches("-static");
        let target = stage.table().find(name).expect("a program that the table knows");
        assert_eq!(target.name, name, "the table knows {file} by another name only");
        if natives.contains(&name) {
            continue;
        }
        emulators += 1;
        if broken.contains(&name) {
            continue;
        }
        expected.insert(format!("qemu-{name}"), path);
        if name.starts_with("microblaze") {
            expected.insert(format!("qemu-{name}-0xbaab"), path);
        }
        // EM_486: the same program serves it, where the kernel does not.
        if name == "i386" && !natives.contains(&"i486") {
            expected.insert("qemu-i486".to_owned(), path);
        }
    }
    assert!(emulators >= 30, "only {emulators} emulators in {}", qemu.folder.display());
    let names: Vec<&String> = entries.keys().collect();
    assert_eq!(names, expected.keys().collect::<Vec<_>>());
    for (name, path) in expected {
        let entry = String::from_utf8_lossy(&entries[&name]);
        assert!(entry.contains(&format!("interpreter {}\n", path.display())), "{name}: {entry}");
        let flags = entry.lines().find_map(|line| line.strip_prefix("flags: "));
        assert!(flags.is_some_and(|flags| flags.contains('F')), "{name}: {entry}");
        assert!(entry.starts_with("enabled\n"), "{name}: {entry}");
    }
    // In both values of e_machine, and in nothing else, do the twins differ.
    let bytes = |name: &str| {
        let entry = String::from_utf8_lossy(&entries[name]).into_owned();
        entry.lines().find_map(|line| line.strip_prefix("magic ").map(str::to_owned))
    };
    let (one, two) = (bytes("qemu-microblaze"), bytes("qemu-microblaze-0xbaab"));
    assert!(one.is_some_and(|magic| magic.ends_with("00bd")));
    assert!(two.is_some_and(|magic| magic.ends_with("baab")));
}

fn every_level(examined: &Answer, broken: &[&str]) {
    assert_eq!(examined.code, Some(i32::from(!broken.is_empty())), "{}", examined.errors);
    let is_broken = |line: &Value| broken.iter().any(|target| line["target"] == *target);
    let natives = strings(&examined.json["host"]["natives"]);
    for target in examined.json["targets"].as_array().expect("targets") {
        let name = target["target"].as_str().expect("a name");
        let verdict = match name {
            _ if is_broken(target) => "missing",
            _ if natives.contains(&name) => "native",
            _ => "working",
        };
        assert_eq!(target["verdict"], verdict, "{target:#}");
    }
    let checks = examined.json["checks"].as_array().expect("checks");
    for check in checks.iter().filter(|check| !is_broken(check)) {
        let native = check["target"].as_str().is_some_and(|name| natives.contains(&name));
        let wanted = match check["id"].as_str().expect("an id") {
            // Only a program without an interpreter has none to compare.
            "exec.identity" | "exec.version" if native => "skip",
            // What was not asked for.
            "exec.credentials" | "exec.repeat" => "skip",
            id if id.starts_with("exec.") || id.starts_with("rule.") => "pass",
            // What else there is on this host is no matter of a release.
            _ => continue,
        };
        assert_eq!(check["status"], wanted, "{check:#}");
    }
    for id in
        ["host", "empty-root", "pie", "argv0", "status", "signal", "identity", "version", "cost"]
    {
        let id = format!("exec.{id}");
        assert!(checks.iter().any(|check| check["id"] == id.as_str()), "{id} was not looked at");
    }
}

/// What runs is the file on disk, to the byte, and of the version that Debian says.
fn identities(qemu: &Qemu, examined: &Answer, broken: &[&str]) {
    let programs = qemu.programs();
    let output = Command::new("sha256sum")
        .args(programs.iter().map(|(_, path)| path))
        .output()
        .expect("sha256sum");
    let digests: BTreeMap<String, String> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| line.split_once("  "))
        .map(|(digest, path)| (path.to_owned(), digest.to_owned()))
        .collect();
    let upstream = qemu.package.split([':', '+']).nth(1).expect("a version after the epoch");
    // A rebuild of the same source (+b3) is not in QEMU's own words on every release.
    let source = qemu.package.split("+b").next().expect("a version");
    for target in examined.json["targets"].as_array().expect("targets") {
        let name = target["target"].as_str().expect("a name");
        if target["verdict"] == "native" || broken.contains(&name) {
            continue;
        }
        let interpreter = &target["interpreter"];
        let path = interpreter["path"].as_str().expect("a path");
        assert_eq!(interpreter["pinned"]["is-on-disk"], true, "{target:#}");
        assert_eq!(interpreter["pinned"]["path"], path, "{target:#}");
        assert_eq!(interpreter["sha256"].as_str(), digests.get(path).map(String::as_str), "{name}");
        let link = fs::symlink_metadata(path).expect("an interpreter").is_symlink();
        assert!(!link, "{path} is an alias");
        let version = interpreter["version"].as_str().expect("a version");
        assert!(version.starts_with(&format!("qemu-{name} version {upstream}")), "{version}");
        assert!(version.contains(source), "{version}");
    }
}

fn strings(value: &Value) -> Vec<&str> {
    value.as_array().map_or(Vec::new(), |words| words.iter().filter_map(Value::as_str).collect())
}
