//! `binfmtd buildx inspect`

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::builder::{
    CONTAINER, NAME, built_by, container, ends, flush, list, names, platform, row, text, well,
    words,
};
use crate::engine::{Engine, INTERPRETERS};
use crate::support::fix::line;
use crate::support::stage::says;
use binfmtd::testing::rule::to_hex;

/// What BuildKit advertises it never takes back.
pub(crate) fn disagrees(engine: &mut Engine) -> String {
    well(engine, &["bootstrap"]);
    let answer = well(engine, &["inspect"]);
    built_by(&answer, "linux/s390x", "rule");
    assert_eq!(answer.json["orphans"], Value::Array(Vec::new()), "{answer}");
    let started = container(engine, CONTAINER, ".State.StartedAt");

    flush(engine);
    let answer = ends(engine, 1, &["inspect"]);
    for name in ["linux/arm64", "linux/riscv64", "linux/s390x"] {
        let one = platform(&answer, name);
        assert_eq!(one["kernel"]["state"], "no-rule", "{answer}");
        assert_eq!(one["kernel"]["rule"], Value::Null, "{answer}");
        assert_eq!(one["advertised"], true, "{answer}");
        assert_eq!(one["built"]["state"], "no", "{answer}");
        says(&one["built"]["why"], &["exec format error"]);
        assert_eq!(one["grade"], "fails", "{answer}");
        says(&one["finding"], &["advertised", "does not build", "never takes back"]);
        assert_eq!(line(one), format!("binfmtd buildx bootstrap binfmtd --platform {name}"));
    }
    // Neither does a quick look take it for sound, nor a proof of nothing particular.
    let quick = ends(engine, 1, &["inspect", "--no-verify"]);
    let one = platform(&quick, "linux/arm64");
    assert_eq!(one["built"]["state"], "not-tried", "{quick}");
    assert_eq!(one["grade"], "fails", "{quick}");
    ends(engine, 1, &["verify"]);
    let (code, told) = text(engine, &["inspect"]);
    assert_eq!(code, Some(1), "{told}");
    assert_eq!(row(&told, "linux/arm64")[1..], ["no rule", "no", "yes", "no"], "{told}");
    assert!(told.contains("\n  fix: binfmtd buildx bootstrap binfmtd --platform linux/arm64\n"));

    // With its rule back it builds, without a restart.
    engine.well(&["binfmtd", "register"]);
    let answer = well(engine, &["inspect"]);
    let version = built_by(&answer, "linux/arm64", "rule");
    assert_eq!(platform(&answer, "linux/arm64")["finding"], Value::Null, "{answer}");
    assert_eq!(container(engine, CONTAINER, ".State.StartedAt"), started);

    // And what its fix says does help.
    flush(engine);
    let fixed = list(&quick, "platforms").iter().find(|one| one["fix"].is_object());
    let fix = line(fixed.expect("a fix"));
    engine.sh(&fix);
    let name = fix.rsplit_once(' ').map_or("", |(_, name)| name);
    well(engine, &["inspect", "--platform", name]);
    version
}

/// Images of BuildKit's carry emulators, which it puts in front of what the kernel does not run.
pub(crate) fn embedded(engine: &mut Engine) -> String {
    engine.embed("aarch64");
    let file = engine.root().join(format!("{}/qemu-aarch64-static", &INTERPRETERS[1..]));
    let digest = to_hex(&Sha256::digest(std::fs::read(file).unwrap()));

    let without = ["bootstrap", "--no-register", "--platform=arm64,s390x"];
    let answer = ends(engine, 1, &without);
    assert_eq!(engine.rules(), [""; 0]);
    let arm = platform(&answer, "linux/arm64");
    assert_eq!(arm["kernel"]["state"], "no-rule", "{answer}");
    assert_eq!(arm["embedded"]["state"], "yes", "{answer}");
    assert_eq!(arm["embedded"]["name"], "buildkit-qemu-aarch64", "{answer}");
    says(&arm["embedded"]["version"], &["qemu-aarch64 version 7.2"]);
    assert_eq!(arm["embedded"]["sha256"], digest, "{answer}");
    assert_eq!(arm["advertised"], false, "{answer}");
    let version = built_by(&answer, "linux/arm64", "embedded");
    assert_eq!(arm["embedded"]["version"], version, "{answer}");
    assert_eq!(arm["grade"], "doubtful", "{answer}");
    says(&arm["finding"], &["emulator in BuildKit's image alone", "docker run"]);
    assert_eq!(line(arm), "binfmtd register aarch64", "{answer}");
    // The image has none for this one, and it was asked for.
    let other = platform(&answer, "linux/s390x");
    assert_eq!(other["embedded"]["state"], "no", "{answer}");
    assert_eq!(other["built"]["state"], "no", "{answer}");
    says(&other["finding"], &["kernel has no working rule", "image no emulator"]);
    // To build is enough.
    well(engine, &["verify", "--platform=arm64"]);
    let (_, told) = text(engine, &["inspect", "--platform=arm64"]);
    let cells = row(&told, "linux/arm64");
    assert_eq!((&*cells[1], &*cells[3]), ("no rule", "no"), "{told}");
    assert!(cells[2].starts_with("7.2") && cells[4].starts_with("yes, by the embedded 7.2"));

    // With both the kernel's rule is the one.
    let answer = well(engine, &["bootstrap", "--platform=arm64"]);
    assert_eq!(words(&answer, "steps")[0], "register aarch64", "{answer}");
    let arm = platform(&answer, "linux/arm64");
    assert_eq!(arm["kernel"]["state"], "runs", "{answer}");
    assert_eq!(arm["embedded"]["sha256"], digest, "{answer}");
    assert_eq!(arm["advertised"], true, "{answer}");
    built_by(&answer, "linux/arm64", "rule");
    assert_eq!(arm["grade"], "builds", "{answer}");
    // What is advertised is not given to the emulator, until BuildKit looks from the start.
    flush(engine);
    let answer = ends(engine, 1, &["inspect", "--platform=arm64"]);
    let arm = platform(&answer, "linux/arm64");
    assert_eq!(arm["embedded"]["state"], "yes", "{answer}");
    says(&arm["finding"], &["advertised, and does not build", "emulator of its image"]);
    let answer = well(engine, &["bootstrap", "--no-register", "--platform=arm64"]);
    assert!(words(&answer, "steps")[0].starts_with("restart buildx_buildkit_binfmtd0"), "{answer}");
    assert_eq!(platform(&answer, "linux/arm64")["grade"], "doubtful", "{answer}");
    built_by(&answer, "linux/arm64", "embedded");
    version
}

/// It starts nothing, and what does not run is not said to be blind.
pub(crate) fn at_rest(engine: &mut Engine) -> String {
    let answer = ends(engine, 1, &["inspect"]);
    assert_eq!(answer.json["builder"], Value::Null, "{answer}");
    let none = ["no builder binfmtd", "binfmtd buildx bootstrap binfmtd", "default (docker)"];
    says(&list(&answer, "errors")[0], &none);
    assert_eq!(ends(engine, 1, &["verify"]).json["builder"], Value::Null);

    well(engine, &["bootstrap", "--platform=arm64"]);
    engine.well(&["docker", "stop", "--time=1", CONTAINER]);
    for (status, more) in [("stopped", &[][..]), ("stopped", &["--no-verify"]), ("missing", &[])] {
        if status == "missing" {
            engine.well(&["docker", "rm", CONTAINER]);
        }
        let answer = ends(engine, 1, &[&["inspect"], more].concat());
        assert_eq!(answer.json["builder"]["nodes"][0]["status"], status, "{answer}");
        says(&list(&answer, "errors")[0], &[status, "binfmtd buildx bootstrap binfmtd"]);
        let arm = platform(&answer, "linux/arm64");
        assert_eq!(arm["built"]["state"], "not-tried", "{answer}");
        assert_eq!(arm["finding"], Value::Null, "{answer}");
    }
    assert_eq!(names(engine, "container"), [""; 0]);
    let (_, told) = text(engine, &["inspect"]);
    assert!(told.contains("  binfmtd0 missing, unix:///run/docker.sock\n"), "{told}");

    // Verify does start it.
    let answer = well(engine, &["verify", "--platform=arm64"]);
    assert_eq!(answer.json["builder"]["name"], NAME, "{answer}");
    built_by(&answer, "linux/arm64", "rule");
    "absent, stopped, missing".to_owned()
}

/// A node that does not answer is not one that is blind.
pub(crate) fn unreachable(engine: &mut Engine) -> String {
    well(engine, &["bootstrap", "--platform=arm64"]);
    engine.well(&["docker", "pause", CONTAINER]);
    let answer = ends(engine, 1, &["inspect", "--platform=arm64"]);
    assert_eq!(answer.json["builder"]["nodes"][0]["status"], "broken", "{answer}");
    says(&list(&answer, "errors")[0], &["binfmtd0", "paused", "docker unpause", CONTAINER]);
    assert_eq!(platform(&answer, "linux/arm64")["finding"], Value::Null, "{answer}");
    let answer = ends(engine, 1, &["verify", "--platform=arm64"]);
    says(&list(&answer, "errors")[0], &["cannot be reached", "docker unpause"]);
    let answer = ends(engine, 1, &["bootstrap", "--platform=arm64"]);
    says(&answer.json["error"]["message"], &["cannot be reached", "docker unpause", CONTAINER]);
    engine.well(&["docker", "unpause", CONTAINER]);
    well(engine, &["bootstrap", "--platform=arm64"]);

    // An engine that is gone: a node in a context that leads nowhere any more.
    engine.sh("docker context create there --docker host=unix:///var/run/docker.sock
        docker buildx create --name=lost there
        docker context rm there");
    let answer = ends(engine, 1, &["inspect", "lost", "--platform=arm64"]);
    says(&list(&answer, "errors")[0], &["lost", "there"]);
    let answer = ends(engine, 1, &["bootstrap", "lost", "--platform=arm64"]);
    says(&answer.json["error"]["message"], &["lost", "docker buildx rm lost"]);
    // Others are none the worse for it.
    well(engine, &["bootstrap", "--platform=arm64"]);
    "paused, and in a context that is gone".to_owned()
}
