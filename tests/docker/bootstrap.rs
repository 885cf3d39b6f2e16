//! `binfmtd buildx bootstrap`

use std::fs;
use std::time::Instant;

use serde_json::Value;

use crate::builder::{
    CONTAINER, NAME, VOLUME, buildx_with, built_by, command, container, ends, flush, is_consistent,
    is_marked, list, mark, names, platform, processes, refused, row, text, waiter, well, words,
};
use crate::engine::{Engine, TARGETS};
use crate::support::fix::line;
use crate::support::stage::{Answer, eventually, says};

pub(crate) fn makes(engine: &mut Engine) -> String {
    let before = engine.well(&["docker", "images", "--all", "--quiet"]);
    let begin = Instant::now();
    let first = well(engine, &["bootstrap"]);
    let seconds = begin.elapsed().as_secs_f64();
    let builder = &first.json["builder"];
    assert_eq!(builder["name"], NAME, "{first}");
    assert_eq!(builder["driver"], "docker-container", "{first}");
    assert_eq!(builder["ours"], true, "{first}");
    assert_eq!(builder["nodes"][0]["status"], "running", "{first}");
    assert_eq!(first.json["engine"]["here"], true, "{first}");
    assert_eq!(words(&first, "errors"), [""; 0]);
    assert_eq!(words(&first, "warnings"), [""; 0]);
    let steps = words(&first, "steps");
    let made = ["create the builder", "boot it"];
    let rules = TARGETS.map(|target| format!("register {target}"));
    assert_eq!(steps[..TARGETS.len()], rules, "{first}");
    assert_eq!(steps[TARGETS.len()..], made, "{first}");
    for (name, target) in
        [("linux/arm64", "aarch64"), ("linux/riscv64", "riscv64"), ("linux/s390x", "s390x")]
    {
        let one = platform(&first, name);
        assert_eq!(one["target"], target, "{first}");
        assert_eq!(one["kernel"]["state"], "runs", "{first}");
        assert_eq!(one["kernel"]["rule"], format!("qemu-{target}"), "{first}");
        assert_eq!(one["embedded"]["state"], "no", "{first}");
        assert_eq!(one["advertised"], true, "{first}");
        assert_eq!(one["grade"], "builds", "{first}");
        assert_eq!(one["finding"], Value::Null, "{first}");
        let version = built_by(&first, name, "rule");
        assert!(version.contains("version 7.2"), "{first}");
        // The rule pins the emulator: in the build it is the one that the kernel's probe saw.
        assert_eq!(one["kernel"]["version"], version, "{first}");
    }
    let native = format!("linux/{}", architecture());
    built_by(&first, &native, "native");
    assert_eq!(platform(&first, &native)["kernel"]["state"], "native", "{first}");

    // Doing it again changes nothing.
    let id = container(engine, CONTAINER, ".Id");
    let started = container(engine, CONTAINER, ".State.StartedAt");
    let rules = entries(engine);
    let begin = Instant::now();
    let second = well(engine, &["bootstrap"]);
    let again = begin.elapsed().as_secs_f64();
    assert_eq!(words(&second, "steps"), [""; 0], "{second}");
    assert_eq!(list(&second, "platforms").len(), list(&first, "platforms").len());
    assert_eq!(container(engine, CONTAINER, ".Id"), id);
    assert_eq!(container(engine, CONTAINER, ".State.StartedAt"), started);
    assert_eq!(entries(engine), rules);
    // No image is left behind.
    assert_eq!(engine.well(&["docker", "images", "--all", "--quiet"]), before);

    let (code, told) = text(engine, &["bootstrap"]);
    assert_eq!(code, Some(0), "{told}");
    assert!(told.starts_with("binfmtd (docker-container)\n"), "{told}");
    assert_eq!(row(&told, "PLATFORM"), ["PLATFORM", "KERNEL", "EMBEDDED", "ADVERTISED", "BUILT"]);
    let arm = row(&told, "linux/arm64");
    assert!(arm[1].starts_with("qemu-aarch64 7.2"), "{told}");
    assert_eq!(arm[2..4], ["no", "yes"], "{told}");
    assert!(arm[4].starts_with("yes, by the rule's 7.2"), "{told}");
    assert_eq!(row(&told, &native)[1..], ["native", "no", "yes", "yes, natively"], "{told}");
    let count = list(&first, "platforms").len();
    assert!(told.ends_with(&format!("\n{count} of {count} platforms built\n")), "{told}");
    let buildx = first.json["engine"]["buildx"].as_str().unwrap();
    format!("buildx {buildx}: made in {seconds:.1} s, again in {again:.1} s")
}

/// All that the kernel tells of its rules.
fn entries(engine: &Engine) -> String {
    engine.sh("cd /proc/sys/fs/binfmt_misc; for rule in qemu-*; do echo $rule; cat $rule; done")
}

/// The host's, as OCI calls it.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

pub(crate) fn at_once(engine: &mut Engine) -> String {
    let words_of = ["bootstrap", "--platform", "linux/arm64"];
    let both = [(); 2].map(|()| command(engine, &[], &words_of).spawn().expect("timeout starts"));
    let answers = both.map(|child| {
        let answer = Answer::of(&child.wait_with_output().expect("a child of ours"));
        is_consistent(&answer);
        assert_eq!(answer.code, Some(0), "{answer}");
        built_by(&answer, "linux/arm64", "rule");
        answer
    });
    // One made it, the other found it made.
    let mut steps: Vec<_> = answers.iter().map(|answer| words(answer, "steps")).collect();
    steps.sort_by_key(Vec::len);
    assert_eq!(steps, [vec![], vec!["register aarch64", "create the builder", "boot it"]]);
    assert_eq!(names(engine, "container"), [CONTAINER]);
    assert_eq!(names(engine, "volume"), [VOLUME]);
    "one made it, one found it".to_owned()
}

pub(crate) fn other_options(engine: &mut Engine) -> String {
    let quick = ["bootstrap", "--no-verify", "--platform=linux/arm64"];
    let with = |more: &[&'static str]| [&quick[..], more].concat();
    well(engine, &with(&["--use"]));
    mark(engine, VOLUME);
    let id = container(engine, CONTAINER, ".Id");

    // Not to be made anew.
    let answer = ends(engine, 1, &with(&["--driver-opt=env.COLOUR=green", "--recreate=never"]));
    says(&answer.json["error"]["message"], &["other options", "--recreate never"]);
    assert_eq!(container(engine, CONTAINER, ".Id"), id);

    let answer = well(engine, &with(&["--driver-opt=env.COLOUR=\"green,blue\""]));
    let steps = words(&answer, "steps");
    assert_eq!(steps.len(), 3, "{answer}");
    assert!(steps[0].starts_with("remove it and keep its state: it was made with"), "{answer}");
    assert_ne!(container(engine, CONTAINER, ".Id"), id);
    assert!(is_marked(engine, VOLUME));
    assert!(container(engine, CONTAINER, ".Config.Env").contains("COLOUR=green,blue"));
    assert_eq!(names(engine, "volume"), [VOLUME]);
    // It still is the one that builds go to.
    let current = engine.well(&["docker", "buildx", "inspect"]);
    assert_eq!(current.lines().next().map(str::split_whitespace).unwrap().last(), Some(NAME));

    // Asked for the same, or for nothing particular, nothing is to be done.
    for more in [&["--driver-opt=env.COLOUR=\"green,blue\""][..], &[]] {
        let answer = well(engine, &with(more));
        assert_eq!(words(&answer, "steps"), [""; 0], "{answer}");
    }

    // buildkitd's flags and configuration count as well.
    engine.write("/srv/buildkitd.toml", "[worker.oci]\n  max-parallelism = 3\n");
    let configured = with(&["--buildkitd-flags=--debug", "--buildkitd-config=/srv/buildkitd.toml"]);
    let answer = well(engine, &configured);
    assert_eq!(words(&answer, "steps").len(), 3, "{answer}");
    let flags = answer.json["builder"]["nodes"][0]["flags"].to_string();
    assert!(flags.contains("--debug"), "{answer}");
    let taken = format!(
        "docker exec {CONTAINER} buildctl debug workers >/dev/null; docker cp {CONTAINER}:/etc/buildkit/buildkitd.toml - | tar --extract --to-stdout"
    );
    assert!(engine.sh(&taken).contains("max-parallelism = 3"));
    assert_eq!(words(&well(engine, &configured), "steps"), [""; 0]);
    engine.write("/srv/buildkitd.toml", "[worker.oci]\n  max-parallelism = 2\n");
    assert_eq!(words(&well(engine, &configured), "steps").len(), 3);

    let answer = well(engine, &with(&["--recreate=always"]));
    says(&list(&answer, "steps")[0], &["--recreate always"]);
    assert!(is_marked(engine, VOLUME));
    "made anew with its state, and only then".to_owned()
}

pub(crate) fn somebody_elses(engine: &mut Engine) -> String {
    engine.well(&["docker", "buildx", "create", "--name", "hers", "--driver-opt", "env.A=b"]);
    // It is booted, which whoever builds with it would do as well.
    let answer = well(engine, &["bootstrap", "hers", "--platform=arm64"]);
    assert_eq!(answer.json["builder"]["ours"], false, "{answer}");
    assert_eq!(words(&answer, "steps"), ["register aarch64", "boot it"]);
    built_by(&answer, "linux/arm64", "rule");
    let id = container(engine, "buildx_buildkit_hers0", ".Id");
    let started = container(engine, "buildx_buildkit_hers0", ".State.StartedAt");

    for more in ["--driver-opt=env.A=c", "--recreate=always", "--buildkitd-flags=--debug"] {
        let wanted = ["bootstrap", "hers", "--platform=arm64", more];
        let answer = ends(engine, 1, &wanted);
        says(&answer.json["error"]["message"], &["hers", "not created by binfmtd"]);
    }
    // What it has already is no change.
    well(engine, &["bootstrap", "hers", "--platform=arm64", "--driver-opt=env.A=b"]);

    // It does not know of this rule; it is not started again for that, and builds all the same.
    let answer = well(engine, &["bootstrap", "hers", "--platform=s390x"]);
    assert_eq!(words(&answer, "steps"), ["register s390x"]);
    assert_eq!(platform(&answer, "linux/s390x")["advertised"], false, "{answer}");
    built_by(&answer, "linux/s390x", "rule");
    says(&list(&answer, "warnings")[0], &["hers", "not created by binfmtd", "linux/s390x"]);

    let answer = ends(engine, 1, &["remove", "hers"]);
    says(&answer.json["error"]["message"], &["hers", "not created by binfmtd"]);
    assert_eq!(container(engine, "buildx_buildkit_hers0", ".Id"), id);
    assert_eq!(container(engine, "buildx_buildkit_hers0", ".State.StartedAt"), started);
    "used, and never changed".to_owned()
}

pub(crate) fn wrong_driver(engine: &mut Engine) -> String {
    let answer = ends(engine, 1, &["bootstrap", "default"]);
    // Before anything is touched.
    assert_eq!(engine.rules(), [""; 0]);
    says(&answer.json["error"]["message"], &["default", "driver docker,", "docker-container"]);
    assert_eq!(names(engine, "container"), [""; 0]);
    // An address without an engine behind it is enough for one.
    engine.well(&["docker", "buildx", "create", "--name=far", "--driver=remote", "tcp://[::1]:1"]);
    let answer = ends(engine, 1, &["bootstrap", "far", "--recreate=always"]);
    says(&answer.json["error"]["message"], &["far", "driver remote,"]);
    "docker and remote".to_owned()
}

pub(crate) fn comes_back(engine: &mut Engine) -> String {
    let quick = ["bootstrap", "--platform=linux/arm64"];
    well(engine, &quick);
    mark(engine, VOLUME);
    engine.well(&["docker", "kill", CONTAINER]);
    let answer = well(engine, &quick);
    assert_eq!(words(&answer, "steps"), ["boot it"]);
    built_by(&answer, "linux/arm64", "rule");

    engine.well(&["docker", "rm", "--force", CONTAINER]);
    let answer = well(engine, &quick);
    assert_eq!(words(&answer, "steps"), ["boot it"]);
    built_by(&answer, "linux/arm64", "rule");
    assert!(is_marked(engine, VOLUME));

    // buildx has lost its file, the container runs on: it is found again, for it is ours.
    let id = container(engine, CONTAINER, ".Id");
    engine.sh("rm $BUILDX_CONFIG/instances/*");
    let answer = well(engine, &quick);
    assert_eq!(words(&answer, "steps"), ["create the builder", "boot it"]);
    assert_eq!(container(engine, CONTAINER, ".Id"), id);
    assert_eq!(answer.json["builder"]["ours"], true, "{answer}");
    assert_eq!(names(engine, "volume"), [VOLUME]);
    "killed, removed, forgotten".to_owned()
}

pub(crate) fn sees_new_rules(engine: &mut Engine) -> String {
    well(engine, &["bootstrap", "--platform=arm64"]);
    let started = container(engine, CONTAINER, ".State.StartedAt");
    let id = container(engine, CONTAINER, ".Id");
    engine.well(&["binfmtd", "register", "riscv64"]);
    let answer = well(engine, &["bootstrap", "--platform=riscv64"]);
    let steps = words(&answer, "steps");
    assert_eq!(steps.len(), 2, "{answer}");
    assert!(steps[0].starts_with(&format!("restart {CONTAINER}: ")), "{answer}");
    assert_eq!(platform(&answer, "linux/riscv64")["advertised"], true, "{answer}");
    built_by(&answer, "linux/riscv64", "rule");
    assert_ne!(container(engine, CONTAINER, ".State.StartedAt"), started);
    assert_eq!(container(engine, CONTAINER, ".Id"), id);
    "started again for them".to_owned()
}

/// A restart would end builds.
pub(crate) fn busy(engine: &mut Engine) -> String {
    well(engine, &["bootstrap", "--platform=arm64"]);
    engine.write("/srv/wait/Dockerfile", "FROM scratch\nCOPY wait /wait\nRUN [\"/wait\"]\n");
    engine.program("/srv/wait/wait", waiter());
    let mut build = engine.command("docker");
    build.args(["buildx", "build", "--builder", NAME, "--output=type=cacheonly", "/srv/wait"]);
    let build = build.spawn().expect("timeout (coreutils) starts");
    eventually("a program that waits in a build", std::time::Duration::from_secs(20), || {
        processes(engine).iter().any(|name| name == "wait")
    });
    let started = container(engine, CONTAINER, ".State.StartedAt");
    engine.well(&["binfmtd", "register", "riscv64"]);

    // It builds what the kernel runs, whether it says so or not.
    let answer = well(engine, &["bootstrap", "--platform=riscv64"]);
    assert_eq!(words(&answer, "steps"), [""; 0], "{answer}");
    says(&list(&answer, "warnings")[0], &[CONTAINER, "at work", "try again"]);
    assert_eq!(platform(&answer, "linux/riscv64")["advertised"], false, "{answer}");
    built_by(&answer, "linux/riscv64", "rule");
    assert_eq!(container(engine, CONTAINER, ".State.StartedAt"), started);
    assert!(processes(engine).iter().any(|name| name == "wait"));

    engine.sh("kill -KILL $(for file in /proc/[0-9]*/comm; do [ \"$(cat $file 2>/dev/null)\" != wait ] || basename ${file%/comm}; done)");
    let output = build.wait_with_output().expect("a child of ours");
    assert!(!output.status.success());
    let answer = well(engine, &["bootstrap", "--platform=riscv64"]);
    // BuildKit looks again by itself some 20 s after it did.
    assert!([0, 2].contains(&words(&answer, "steps").len()), "{answer}");
    assert_eq!(platform(&answer, "linux/riscv64")["advertised"], true, "{answer}");
    "left alone until its build was done".to_owned()
}

pub(crate) fn nodes(engine: &mut Engine) -> String {
    let quick = ["bootstrap", "--platform=arm64"];
    let second =
        |more: &[&'static str]| [&quick[..], &["--append", "--node=second"], more].concat();
    let answer = ends(engine, 1, &second(&[]));
    says(&answer.json["error"]["message"], &["no builder binfmtd", "without --append"]);
    well(engine, &quick);
    // buildx wants another engine for another node; two addresses of one do.
    let answer = ends(engine, 2, &second(&[]));
    says(&answer.json["error"]["message"], &["a node in this engine already", "--endpoint"]);
    let there = second(&["--endpoint=unix:///var/run/docker.sock"]);
    let answer = well(engine, &there);
    assert_eq!(words(&answer, "steps"), ["add the node", "boot it"]);
    let known = |answer: &Answer| {
        let nodes = answer.json["builder"]["nodes"].as_array().cloned().unwrap_or_default();
        assert!(nodes.iter().all(|node| node["status"] == "running"), "{answer}");
        nodes.iter().map(|node| node["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(known(&answer), ["binfmtd0", "second"]);
    assert_eq!(words(&well(engine, &there), "steps"), [""; 0]);
    for (word, parts) in [
        ("--node=third", &["no node third, only binfmtd0, second", "--append"][..]),
        ("--endpoint=tcp://far:1", &["binfmtd0", "runs in unix://", "not in tcp://far:1"]),
    ] {
        let answer = ends(engine, 1, &[&quick[..], &[word]].concat());
        says(&answer.json["error"]["message"], parts);
    }

    // One of two is killed.
    engine.well(&["docker", "kill", "buildx_buildkit_second"]);
    let answer = well(engine, &quick);
    assert_eq!(words(&answer, "steps"), ["boot it"]);
    assert_eq!(known(&answer), ["binfmtd0", "second"]);
    // What the second was made with is not known well enough.
    let answer = ends(engine, 1, &["bootstrap", "--recreate=always"]);
    says(&answer.json["error"]["message"], &["several nodes", "binfmtd buildx remove binfmtd"]);
    let answer = well(engine, &["remove"]);
    assert_eq!(answer.json["builder"], NAME, "{answer}");
    assert_eq!(names(engine, "container"), [""; 0]);
    assert_eq!(names(engine, "volume"), [""; 0]);
    "two, in one engine by two addresses".to_owned()
}

pub(crate) fn current(engine: &mut Engine) -> String {
    let quick = ["bootstrap", "mine", "--no-verify", "--platform=arm64"];
    well(engine, &quick);
    let name = |engine: &Engine| {
        let said = engine.well(&["docker", "buildx", "inspect"]);
        said.lines().next().and_then(|line| line.split_whitespace().last()).map(str::to_owned)
    };
    assert_eq!(name(engine).as_deref(), Some("default"));
    let with = [&quick[..], &["--use"]].concat();
    let answer = well(engine, &with);
    assert_eq!(words(&answer, "steps"), ["make it the current builder"]);
    assert_eq!(name(engine).as_deref(), Some("mine"));
    let answer = well(engine, &with);
    assert_eq!(words(&answer, "steps"), [""; 0], "{answer}");
    assert_eq!(answer.json["builder"]["current"], true, "{answer}");
    "builds go to it".to_owned()
}

pub(crate) fn outputs(engine: &mut Engine) -> String {
    engine.write("/srv/output", "before=1\n");
    let file = "GITHUB_OUTPUT=/srv/output";
    let call = ["bootstrap", "--platform=arm64,linux/s390x", "--github-output"];
    let answer = buildx_with(engine, &[file], &call);
    assert_eq!(answer.code, Some(0), "{answer}");
    let content = fs::read_to_string(engine.root().join("srv/output")).unwrap();
    let lines: Vec<_> = content.lines().filter_map(|line| line.split_once('=')).collect();
    let names: Vec<_> = lines.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["before", "name", "driver", "platforms", "nodes"], "{content}");
    assert_eq!(lines[1].1, NAME);
    assert_eq!(lines[2].1, "docker-container");
    assert_eq!(lines[3].1, "linux/arm64,linux/s390x");
    let nodes: Value = serde_json::from_str(lines[4].1).unwrap();
    assert_eq!(nodes.as_array().map(Vec::len), Some(1), "{nodes}");
    assert_eq!(nodes[0]["name"], "binfmtd0", "{nodes}");
    assert_eq!(nodes[0]["endpoint"], "unix:///run/docker.sock", "{nodes}");
    assert_eq!(nodes[0]["status"], "running", "{nodes}");
    assert!(nodes[0]["buildkit"].as_str().is_some_and(|it| it.starts_with("v0.")), "{nodes}");
    assert!(nodes[0]["platforms"].as_str().is_some_and(|it| it.contains("linux/arm64")), "{nodes}");

    // What is not built is none of them.
    flush(engine);
    let call = ["inspect", "--platform=arm64", "--github-output"];
    let answer = buildx_with(engine, &[file], &call);
    assert_eq!(answer.code, Some(1), "{answer}");
    let content = fs::read_to_string(engine.root().join("srv/output")).unwrap();
    assert!(content.contains("\nplatforms=\n"), "{content}");
    // It is set by GitHub alone: somebody asks for it elsewhere.
    let answer = ends(engine, 2, &["inspect", "--no-verify", "--github-output"]);
    says(&answer.json["error"]["message"], &["GITHUB_OUTPUT"]);
    "name, driver, platforms, nodes".to_owned()
}

pub(crate) fn configured(engine: &mut Engine) -> String {
    engine.configure(
        "[buildx]\nname = \"ours\"\nplatforms = [\"linux/arm64\"]\nbuildkitd-flags = \"--debug\"\n\
         [buildx.driver-options]\n\"env.COLOUR\" = \"green\"\n",
    );
    let answer = well(engine, &["bootstrap"]);
    let builder = &answer.json["builder"];
    assert_eq!(builder["name"], "ours", "{answer}");
    assert_eq!(builder["nodes"][0]["driver-options"]["env.COLOUR"], "green", "{answer}");
    assert!(builder["nodes"][0]["flags"].to_string().contains("--debug"), "{answer}");
    assert_eq!(list(&answer, "platforms").len(), 1, "{answer}");
    assert_eq!(engine.rules(), ["qemu-aarch64"]);
    assert_eq!(words(&well(engine, &["bootstrap"]), "steps"), [""; 0]);
    // The command line adds to it.
    let answer = well(engine, &["bootstrap", "--driver-opt=env.SHAPE=round", "--no-verify"]);
    let environment = container(engine, "buildx_buildkit_ours0", ".Config.Env");
    assert!(
        environment.contains("COLOUR=green") && environment.contains("SHAPE=round"),
        "{answer}"
    );
    // buildx keeps names without capitals.
    let answer =
        well(engine, &["bootstrap", "OURS", "--no-verify", "--driver-opt=env.SHAPE=round"]);
    assert_eq!(answer.json["builder"]["name"], "ours", "{answer}");
    assert_eq!(words(&answer, "steps"), [""; 0], "{answer}");
    "name, platforms, options".to_owned()
}

pub(crate) fn wrong_words(engine: &mut Engine) -> String {
    for (words, said) in [
        (&["bootstrap", "--platform=linux/amr64"][..], &["linux/amr64", "linux/arm64?"][..]),
        (&["bootstrap", "--platform=arm64,nothing"], &["nothing"]),
        (&["bootstrap", "--platform=alpha"], &["alpha", "no name in images"]),
        (&["bootstrap", "--platform="], &["empty"]),
        (&["bootstrap", "--platform=,"], &["empty"]),
        (&["verify", "--platform=,"], &["empty"]),
        (&["bootstrap", ""], &["cannot name a builder"]),
        (&["bootstrap", "a b"], &["\"a b\"", "cannot name a builder"]),
        (&["bootstrap", "9lives"], &["cannot name a builder"]),
        (&["inspect", "../x"], &["cannot name a builder"]),
        (&["remove", ""], &["cannot name a builder"]),
        (&["bootstrap", "--append", "--node=a b"], &["cannot name a builder"]),
        (&["bootstrap", "--driver-opt=colour"], &["colour", "KEY=VALUE"]),
        (&["bootstrap", "--driver-opt==x"], &["cannot name an option"]),
        (&["bootstrap", "--driver-opt=env.A=\"x"], &["quote"]),
        (&["bootstrap", "--driver-opt=env.BINFMTD_BUILDER=x"], &["binfmtd sets"]),
        (&["bootstrap", "--driver-opt=env.A=a\tb"], &["control characters"]),
        (&["bootstrap", "--buildkitd-flags= "], &["no flags"]),
        // Only buildx knows which there are.
        (
            &["bootstrap", "--no-register", "--driver-opt=colour=green"],
            &["invalid driver option colour"],
        ),
        (&["bootstrap", "--buildkitd-config=/none.toml"], &["/none.toml"]),
    ] {
        let sentence = refused(engine, 2, &[], words);
        says(&sentence, said);
    }
    for words in [
        &["bootstrap", "--append"][..],
        &["bootstrap", "--recreate=perhaps"],
        &["bootstrap", "--timeout=0"],
        &["remove", "--yes"],
        &["remove", "mine", "--all-orphans"],
        &["nonsense"],
    ] {
        ends(engine, 2, words);
    }
    assert_eq!(names(engine, "container"), [""; 0]);
    assert_eq!(engine.rules(), [""; 0]);
    let builders = engine.well(&["docker", "buildx", "ls"]);
    assert!(!builders.contains("docker-container"), "{builders}");
    // Nothing is ours of what was not made.
    let known = engine.sh("cat /root/.local/state/binfmtd/builders.json 2>/dev/null || :");
    assert!(!known.contains("binfmtd0"), "{known}");
    "nothing was touched".to_owned()
}

/// Who may use the socket and is not root.
pub(crate) fn not_root(engine: &mut Engine) -> String {
    let uid = "1000";
    engine.sh("chmod 666 /run/docker.sock; mkdir -p /srv/home; chown 1000:1000 /srv/home");
    let as_user = |words: &[&str]| {
        let mut command = engine.command("setpriv");
        command.args(["--reuid", uid, "--regid", uid, "--clear-groups", "env", "HOME=/srv/home"]);
        command.args(["BUILDX_CONFIG=/srv/home/buildx", "binfmtd", "--format=json", "buildx"]);
        let answer = Answer::of(&command.args(words).output().expect("timeout starts"));
        is_consistent(&answer);
        answer
    };
    // What runs already is built.
    let answer = as_user(&["bootstrap"]);
    assert_eq!(answer.code, Some(0), "{answer}");
    built_by(&answer, &format!("linux/{}", architecture()), "native");
    says(&list(&answer, "warnings")[0], &["aarch64, riscv64, s390x", "root"]);
    assert_eq!(words(&answer, "steps"), ["create the builder", "boot it"]);
    assert_eq!(engine.rules(), [""; 0]);
    // What was asked for is not, and why is said beside it.
    let answer = as_user(&["bootstrap", "--platform=arm64"]);
    assert_eq!(answer.code, Some(1), "{answer}");
    let arm = platform(&answer, "linux/arm64");
    assert_eq!(arm["built"]["state"], "no", "{answer}");
    assert_eq!(line(arm), "binfmtd doctor aarch64", "{answer}");
    says(&list(&answer, "warnings")[0], &["aarch64", "root"]);
    // With root's rules it needs no root.
    engine.well(&["binfmtd", "register", "aarch64"]);
    let answer = as_user(&["bootstrap", "--platform=arm64"]);
    assert_eq!(answer.code, Some(0), "{answer}");
    built_by(&answer, "linux/arm64", "rule");
    assert_eq!(words(&answer, "warnings"), [""; 0]);
    let answer = as_user(&["remove"]);
    assert_eq!((answer.code, &answer.json["builder"]), (Some(0), &Value::from(NAME)), "{answer}");
    engine.sh("chmod 660 /run/docker.sock; rm -r /srv/home");
    "builds are proved without root".to_owned()
}
