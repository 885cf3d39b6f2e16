//! `binfmtd buildx verify`

use std::time::Instant;

use serde_json::Value;

use crate::builder::{
    built_by, ends, flush, is_native, names, platform, processes, text, waiter, well, words,
};
use crate::engine::{Engine, INTERPRETERS};
use crate::support::stage::{Qemu, says};

/// Platforms with a probe of BuildKit's, and the target that runs each.
const PLATFORMS: [(&str, &str); 9] = [
    ("linux/amd64", "x86_64"),
    ("linux/386", "i386"),
    ("linux/arm64", "aarch64"),
    ("linux/arm/v7", "arm"),
    ("linux/riscv64", "riscv64"),
    ("linux/ppc64le", "ppc64le"),
    ("linux/s390x", "s390x"),
    ("linux/loong64", "loongarch64"),
    ("linux/mips64le", "mips64el"),
];

pub(crate) fn all(engine: &mut Engine) -> String {
    let qemu = Qemu::release("7.2").expect("it is in the cache");
    for (_, target) in PLATFORMS {
        if !is_native(target) {
            engine.add_interpreter(&qemu, target);
        }
    }
    let images = engine.well(&["docker", "images", "--all", "--quiet"]);
    let list = PLATFORMS.map(|(name, _)| name).join(",");
    well(engine, &["bootstrap", "--platform", &list]);
    let begin = Instant::now();
    let answer = well(engine, &["verify", "--platform", &list]);
    let seconds = begin.elapsed().as_secs_f64();
    assert_eq!(answer.json["platforms"].as_array().map(Vec::len), Some(PLATFORMS.len()));
    let mut added = 0.0;
    for (name, target) in PLATFORMS {
        let one = platform(&answer, name);
        assert_eq!(one["target"], target, "{answer}");
        assert_eq!(one["advertised"], true, "{name}: {answer}");
        assert_eq!(one["grade"], "builds", "{answer}");
        added += one["built"]["seconds"].as_f64().unwrap_or_default();
        if is_native(target) {
            assert_eq!(one["kernel"]["state"], "native", "{answer}");
            built_by(&answer, name, "native");
        } else {
            assert_eq!(one["kernel"]["state"], "runs", "{answer}");
            let version = built_by(&answer, name, "rule");
            assert!(version.starts_with(&format!("qemu-{target} version 7.2")), "{version}");
        }
    }
    // Beside each other: the sum of their times is more than all took together.
    assert!(added > seconds, "{added} s of builds in {seconds} s: {answer}");
    assert_eq!(engine.well(&["docker", "images", "--all", "--quiet"]), images);
    assert_eq!(words(&answer, "steps"), [""; 0]);
    for (_, target) in PLATFORMS {
        if !crate::engine::TARGETS.contains(&target) {
            engine.sh(&format!("rm -f {INTERPRETERS}/qemu-{target}-static"));
        }
    }
    format!("{} platforms in {seconds:.1} s", PLATFORMS.len())
}

pub(crate) fn tells_why(engine: &mut Engine) -> String {
    well(engine, &["bootstrap", "--platform=arm64"]);
    flush(engine);
    let answer = ends(engine, 1, &["verify", "--platform=arm64"]);
    let built = &platform(&answer, "linux/arm64")["built"];
    // All that the build said.
    says(&built["log"], &["FROM scratch", "COPY probe", "exec /probe: exec format error"]);
    says(&built["why"], &["exec format error"]);
    let (_, told) = text(engine, &["verify", "--platform=arm64"]);
    assert!(!told.contains("COPY probe"), "{told}");
    let (_, told) = text(engine, &["verify", "--platform=arm64", "--verbose"]);
    assert!(told.contains("COPY probe") && told.contains("0 of 1 platforms built"), "{told}");
    "the log is kept".to_owned()
}

/// A build that does not end, and a BuildKit that does not answer.
pub(crate) fn hangs(engine: &mut Engine) -> String {
    // An emulator in the image that never ends. Were it the kernel's, BuildKit would not get past its own look around,
    // which has no time limit.
    let interpreter = format!("{INTERPRETERS}/qemu-aarch64-static");
    engine.sh(&format!("cp {interpreter} /srv/kept"));
    engine.program(&interpreter, waiter());
    engine.embed("aarch64");
    engine.sh(&format!("mv /srv/kept {interpreter}"));
    well(engine, &["bootstrap", "--platform=s390x"]);
    let answer = ends(engine, 1, &["verify", "--timeout=3", "--platform=arm64,s390x"]);
    let arm = platform(&answer, "linux/arm64");
    assert_eq!(arm["built"]["state"], "no", "{answer}");
    says(&arm["built"]["why"], &["did not end in 3 s"]);
    says(&arm["built"]["log"], &["COPY probe"]);
    built_by(&answer, "linux/s390x", "rule");
    let left = |engine: &Engine| {
        processes(engine).into_iter().filter(|name| name.starts_with("docker-buil")).count()
    };
    assert_eq!(left(engine), 0);

    engine.sh("kill -STOP $(for file in /proc/[0-9]*/comm; do [ \"$(cat $file 2>/dev/null)\" != buildkitd ] || basename ${file%/comm}; done)");
    for words in [&["inspect"][..], &["verify"], &["bootstrap", "--recreate=always"]] {
        let begin = Instant::now();
        let answer = ends(engine, 3, &[words, &["--timeout=1"]].concat());
        says(&answer.json["error"]["message"], &["docker buildx", "did not end in 1 s"]);
        assert!(begin.elapsed().as_secs() < 5, "{:?}", begin.elapsed());
    }
    assert_eq!(left(engine), 0);
    "told in time, and nothing is left running".to_owned()
}

/// Docker's own builder may be proved, too; it would keep an image of everything that it builds.
pub(crate) fn of_docker(engine: &mut Engine) -> String {
    engine.well(&["binfmtd", "register", "aarch64"]);
    let images = engine.well(&["docker", "images", "--all", "--quiet"]);
    let answer = well(engine, &["verify", "default", "--platform=arm64"]);
    assert_eq!(answer.json["builder"]["driver"], "docker", "{answer}");
    built_by(&answer, "linux/arm64", "rule");
    let arm = platform(&answer, "linux/arm64");
    assert_eq!(arm["embedded"]["state"], "unknown", "{answer}");
    assert_ne!(arm["embedded"]["why"], Value::Null, "{answer}");
    assert_eq!(engine.well(&["docker", "images", "--all", "--quiet"]), images);
    assert_eq!(names(engine, "container"), [""; 0]);
    "no image is left".to_owned()
}
