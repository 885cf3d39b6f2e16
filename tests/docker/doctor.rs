//! The faults that only Docker and its builders have, really made to happen: the doctor has to name each by
//! its check, what it proposes is run as a user would, and then all has to be well. Part of the fault matrix
//! (`tests/faults`).

use std::fmt::Write as _;

use serde_json::Value;

use crate::engine::Engine;
use crate::support::fix::line;

/// One fault.
struct Fault {
    /// Its number in `docs/reference/symptoms.md`; 0 for one that is not from a public thread.
    pain: u8,
    /// What is wrong.
    name: &'static str,
    /// The check that has to name it.
    check: &'static str,
    /// What status it has.
    status: &'static str,
    /// Makes it.
    make: fn(&mut Engine),
}

const FAULTS: [Fault; 8] = [
    Fault {
        pain: 36,
        name: "the image's emulator builds, and there is no rule",
        check: "builder.facts",
        status: "warn",
        make: |engine| {
            engine.embed("aarch64");
            bootstrap(engine, &["--no-register"]);
        },
    },
    Fault {
        pain: 37,
        name: "advertised, and the rule is gone",
        check: "builder.builds",
        status: "fail",
        make: |engine| {
            bootstrap(engine, &[]);
            engine.sh("echo -1 >/proc/sys/fs/binfmt_misc/status");
        },
    },
    Fault {
        pain: 39,
        name: "buildx was set up before QEMU: there is no builder",
        check: "builder.present",
        status: "fail",
        make: |engine| {
            engine.well(&["binfmtd", "register"]);
        },
    },
    Fault {
        pain: 40,
        name: "the builder's container is gone",
        check: "builder.running",
        status: "warn",
        make: |engine| {
            bootstrap(engine, &[]);
            engine.well(&["docker", "rm", "--force", "buildx_buildkit_binfmtd0"]);
        },
    },
    Fault {
        pain: 40,
        name: "the builder is stopped",
        check: "builder.running",
        status: "warn",
        make: |engine| {
            bootstrap(engine, &[]);
            engine.well(&["docker", "buildx", "stop", "binfmtd"]);
        },
    },
    Fault {
        pain: 41,
        name: "a container and a volume are left of a builder that buildx has lost",
        check: "builder.orphans",
        status: "warn",
        make: |engine| {
            engine.well(&["binfmtd", "buildx", "bootstrap", "lost"]);
            engine.sh("rm $BUILDX_CONFIG/instances/lost");
            bootstrap(engine, &[]);
        },
    },
    Fault {
        pain: 0,
        name: "the engine is stopped",
        check: "docker.engine",
        status: "fail",
        make: |engine| {
            bootstrap(engine, &[]);
            engine.stop_engine();
        },
    },
    Fault {
        pain: 0,
        name: "the buildx plugin is missing",
        check: "docker.buildx",
        status: "fail",
        make: |engine| {
            bootstrap(engine, &[]);
            engine.sh("mv $DOCKER_CONFIG/cli-plugins $DOCKER_CONFIG/away");
        },
    },
];

fn bootstrap(engine: &Engine, more: &[&str]) {
    let words = ["binfmtd", "buildx", "bootstrap", "--platform", "linux/arm64"];
    engine.well(&words.into_iter().chain(more.iter().copied()).collect::<Vec<_>>());
}

/// What the doctor says of a builder and a foreign platform.
fn diagnose(engine: &Engine) -> Value {
    let words = ["binfmtd", "doctor", "--format", "json", "--builder", "binfmtd", "arm64"];
    let output = engine.run(&words);
    let document = String::from_utf8_lossy(&output.stdout).into_owned();
    serde_json::from_str(&document).unwrap_or_else(|error| {
        panic!("{error}: {document}\n{}", String::from_utf8_lossy(&output.stderr))
    })
}

/// The findings of the two families that somebody has to hear of: id, status, and fix.
fn troubles(document: &Value) -> Vec<(String, String, String)> {
    let checks = document["checks"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let fix = |one: &Value| if one["fix"].is_null() { String::new() } else { line(one) };
    let all = checks.iter().map(|one| (text(&one["id"]), text(&one["status"]), fix(one)));
    all.filter(|(id, status, _)| {
        (id.starts_with("docker.") || id.starts_with("builder."))
            && matches!(status.as_str(), "warn" | "fail" | "error")
    })
    .collect()
}

/// A fix as a user runs it: what is for a person is done by the test, which knows what it broke.
fn cure(engine: &mut Engine, fault: &Fault, fix: &str) {
    match fault.check {
        "docker.engine" => {
            assert_eq!(fix, "systemctl start docker");
            engine.start_engine();
        }
        "docker.buildx" => {
            assert!(fix.contains("docker-buildx"), "{fix}");
            engine.sh("mv $DOCKER_CONFIG/away $DOCKER_CONFIG/cli-plugins");
        }
        _ => {
            engine.sh(fix);
        }
    }
}

pub(crate) fn names_every_fault(engine: &mut Engine) -> String {
    let mut table = String::new();
    for fault in &FAULTS {
        engine.reset();
        engine.configure("");
        (fault.make)(engine);
        let before = diagnose(engine);
        let found = troubles(&before);
        let [(id, status, fix)] = found.as_slice() else {
            panic!("{}: not one finding of Docker's: {found:?}\n{before:#}", fault.name)
        };
        assert_eq!((id.as_str(), status.as_str()), (fault.check, fault.status), "{}", fault.name);
        cure(engine, fault, fix);
        let mut after = diagnose(engine);
        // BuildKit looks for rules every 20 s at most: until then it is told to look again.
        if let [(id, _, fix)] = troubles(&after).as_slice()
            && fault.pain == 36
        {
            assert_eq!(id, "builder.facts", "{after:#}");
            engine.sh(fix);
            after = diagnose(engine);
        }
        assert_eq!(troubles(&after), [], "{}: {fix}: {after:#}", fault.name);
        assert_eq!(after["ok"], true, "{}: {fix}: {after:#}", fault.name);
        let pain = if fault.pain == 0 { "-".to_owned() } else { fault.pain.to_string() };
        write!(table, "\n    {pain:>3}  {}: {id}: {fix}", fault.name).unwrap();
    }
    format!("{} faults{table}", FAULTS.len())
}

/// The same, with the doctor doing it.
pub(crate) fn mends_a_builder(engine: &mut Engine) -> String {
    engine.configure("");
    let fix = ["binfmtd", "doctor", "--format", "json", "--builder", "binfmtd", "arm64", "--fix"];
    let dry: Vec<&str> = fix.into_iter().chain(["--dry-run"]).collect();
    let read =
        |output: std::process::Output| -> Value { serde_json::from_slice(&output.stdout).unwrap() };
    let steps = |document: &Value| -> Vec<String> {
        let fixes = document["fixes"].as_array().unwrap();
        fixes.iter().map(|one| one["step"].as_str().unwrap().to_owned()).collect()
    };
    let planned = read(engine.run(&dry));
    assert_eq!(planned["ok"], false, "{planned:#}");
    let step = "binfmtd buildx bootstrap binfmtd".to_owned();
    assert!(steps(&planned).contains(&step), "{planned:#}");
    assert!(engine.rules().is_empty());
    let done = read(engine.run(&fix));
    assert_eq!(done["ok"], true, "{done:#}");
    assert_eq!(done["fixes"].as_array().unwrap().last().unwrap()["done"], true, "{done:#}");
    let again = read(engine.run(&fix));
    assert_eq!(again["fixes"].as_array().unwrap().len(), 0, "{again:#}");
    steps(&done).join(", ")
}

/// A builder that is well, and one that nobody asked about, raise no alarm; what is not asked for is not run.
pub(crate) fn raises_no_false_alarm(engine: &mut Engine) -> String {
    engine.configure("");
    bootstrap(engine, &[]);
    let document = diagnose(engine);
    assert_eq!(troubles(&document), [], "{document:#}");
    let builds = document["checks"].as_array().unwrap().iter();
    let builds: Vec<&Value> = builds.filter(|one| one["id"] == "builder.builds").collect();
    assert!(!builds.is_empty() && builds.iter().all(|one| one["status"] == "pass"), "{builds:?}");
    // Without --builder nothing of Docker's is run.
    engine.stop_engine();
    let output = engine.run(&["binfmtd", "doctor", "--format", "json", "arm64"]);
    let quiet: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(troubles(&quiet), []);
    assert_eq!(quiet["ok"], true, "{quiet:#}");
    engine.start_engine();
    "a healthy builder, and none".to_owned()
}
