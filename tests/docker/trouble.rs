//! Docker that is not there, not up, not ours to use, elsewhere, or something else.

use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::builder::{
    CONTAINER, VOLUME, buildx, buildx_with, built_by, command, container, ends, is_consistent,
    list, names, platform, processes, refused, well, words,
};
use crate::engine::Engine;
use crate::support::stage::{Answer, eventually, says};

const QUICK: [&str; 2] = ["bootstrap", "--platform=linux/arm64"];
const COMMANDS: [&str; 4] = ["bootstrap", "inspect", "verify", "remove"];

/// The docker command and plugins that the world has.
const DOCKER: &str = "/opt/engine/usr/bin/docker";
/// Where one that only speaks like it is put.
const FAKE: &str = "PATH=/srv/fake:/opt/bin:/opt/engine/usr/sbin:/usr/sbin:/usr/bin";

/// Asserts that each command says so, to a person, too.
#[track_caller]
fn all_refuse(engine: &Engine, code: i32, environment: &[&str], said: &[&str]) {
    for word in COMMANDS {
        let wait: &[&str] = if word == "bootstrap" { &["--wait=0"] } else { &[] };
        let sentence = refused(engine, code, environment, &[&[word], wait].concat());
        says(&sentence, said);
        let mut command = engine.command("env");
        command.args(environment).args(["/opt/bin/binfmtd", "buildx", word]).args(wait);
        let output = command.output().expect("timeout (coreutils) starts");
        assert_eq!(output.status.code(), Some(code));
        let told = String::from_utf8_lossy(&output.stderr);
        let told = told.lines().last().unwrap_or_default();
        assert_eq!(Some(told), sentence.as_str().map(|it| format!("binfmtd: {it}")).as_deref());
        assert!(output.stdout.is_empty());
    }
}

pub(crate) fn no_docker(engine: &mut Engine) -> String {
    all_refuse(engine, 3, &["PATH=/usr/sbin:/usr/bin"], &["docker: not found in PATH"]);
    // The command without its plugin.
    all_refuse(engine, 3, &["DOCKER_CONFIG=/srv/none"], &["no buildx plugin", "install"]);
    assert_eq!(engine.rules(), [""; 0]);
    "without the command, without its plugin".to_owned()
}

pub(crate) fn down(engine: &mut Engine) -> String {
    engine.stop_engine();
    let socket = "unix:///run/docker.sock";
    all_refuse(engine, 3, &[], &["no Docker engine answers", socket, "systemctl start docker"]);
    // One that is about to start is waited for.
    let begin = Instant::now();
    let waits = command(engine, &[], &[&QUICK[..], &["--wait=30"]].concat()).spawn();
    let waits = waits.expect("timeout (coreutils) starts");
    sleep(Duration::from_secs(2));
    engine.start_engine();
    let answer = Answer::of(&waits.wait_with_output().expect("a child of ours"));
    is_consistent(&answer);
    assert_eq!(answer.code, Some(0), "{answer}");
    built_by(&answer, "linux/arm64", "rule");
    let seconds = begin.elapsed().as_secs_f64();
    assert!(seconds > 2.0);
    // But not for ever.
    engine.stop_engine();
    let begin = Instant::now();
    ends(engine, 3, &[&QUICK[..], &["--wait=1"]].concat());
    assert!(begin.elapsed() < Duration::from_secs(4));
    engine.start_engine();
    format!("waited for, and done after {seconds:.1} s")
}

/// Whatever was cut off by the end of the engine, the next one makes it whole.
pub(crate) fn stops_in_between(engine: &mut Engine) -> String {
    // While it is made: buildx itself would wait for a quarter of a minute; and while builds run.
    let mut told = Vec::new();
    for moment in ["a container", "a build"] {
        let child = command(engine, &[], &["bootstrap", "--timeout=6"]).spawn();
        let child = child.expect("timeout (coreutils) starts");
        eventually(moment, Duration::from_secs(20), || match moment {
            "a container" => names(engine, "container") == [CONTAINER],
            _ => processes(engine).iter().any(|name| name.starts_with("buildkit-ru")),
        });
        engine.stop_engine();
        let answer = Answer::of(&child.wait_with_output().expect("a child of ours"));
        is_consistent(&answer);
        // Builds that were cut off are builds that failed; after them docker is asked no more, or in vain.
        let code = answer.code.unwrap_or_default();
        // On a fast machine they may be done.
        let codes: &[i32] = if moment == "a build" { &[0, 1, 3] } else { &[3] };
        assert!(codes.contains(&code), "{code}: {answer}");
        if code == 3 {
            says(&answer.json["error"]["message"], &["ocker"]);
        } else if code == 1 {
            let states = list(&answer, "platforms").iter().map(|one| &one["built"]["state"]);
            assert!(states.into_iter().any(|state| state == "no"), "{answer}");
        }
        told.push(format!("{code} after {moment}"));
        engine.start_engine();
        let answer = well(engine, &["bootstrap"]);
        built_by(&answer, "linux/s390x", "rule");
        assert_eq!(names(engine, "container"), [CONTAINER]);
        assert_eq!(names(engine, "volume"), [VOLUME]);
    }
    told.join(", ")
}

pub(crate) fn denied(engine: &mut Engine) -> String {
    for word in COMMANDS {
        let mut command = engine.command("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "env"]);
        command.args(["HOME=/tmp", "BINFMTD_STATE_DIRECTORY=/tmp/state", "BUILDX_CONFIG=/tmp/bx"]);
        command.args(["binfmtd", "--format=json", "buildx", word]);
        let answer = Answer::of(&command.output().expect("timeout (coreutils) starts"));
        is_consistent(&answer);
        assert_eq!(answer.code, Some(4), "{answer}");
        assert_eq!(answer.json["error"]["kind"], "not-permitted", "{answer}");
        let said = ["socket may not be used", "/run/docker.sock", "usermod -aG docker"];
        says(&answer.json["error"]["message"], &said);
    }
    engine.sh("rm -rf /tmp/state /tmp/bx");
    // Its record, on the other hand, is a matter of a folder.
    let mut command = engine.command("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
    command.args(["binfmtd", "--format=json", "buildx", "bootstrap"]);
    let answer = Answer::of(&command.output().expect("timeout (coreutils) starts"));
    assert_eq!(answer.code, Some(4), "{answer}");
    says(&answer.json["error"]["message"], &["/root/.local", "BINFMTD_STATE_DIRECTORY"]);
    "with the way in".to_owned()
}

pub(crate) fn contexts(engine: &mut Engine) -> String {
    engine.well(&["docker", "context", "create", "dead", "--docker=host=tcp://127.0.0.1:1"]);
    let of = |name: &str| {
        ["-u", "DOCKER_HOST"]
            .map(str::to_owned)
            .into_iter()
            .chain([format!("DOCKER_CONTEXT={name}")])
            .collect::<Vec<_>>()
    };
    let dead = of("dead");
    let dead: Vec<&str> = dead.iter().map(String::as_str).collect();
    all_refuse(engine, 3, &dead, &["no Docker engine answers", "tcp://127.0.0.1:1"]);
    let none = of("none");
    let none: Vec<&str> = none.iter().map(String::as_str).collect();
    all_refuse(
        engine,
        3,
        &none,
        &["current context does not exist", "none", "docker context use default"],
    );
    // It is a builder to buildx as well, and no hindrance to others.
    well(engine, &QUICK);
    let answer = ends(engine, 1, &["inspect", "dead", "--no-verify"]);
    assert_eq!(answer.json["builder"]["ours"], false, "{answer}");
    says(&list(&answer, "errors")[0], &["dead", "tcp://127.0.0.1:1"]);
    let answer = ends(engine, 1, &["bootstrap", "dead"]);
    says(&answer.json["error"]["message"], &["dead", "not created by binfmtd"]);
    // A node that was to be there is not made, and not remembered either.
    let far = [&QUICK[..], &["--append", "--node=far", "--endpoint=tcp://127.0.0.1:1"]].concat();
    let answer = ends(engine, 3, &far);
    says(&answer.json["error"]["message"], &["no Docker engine answers", "tcp://127.0.0.1:1"]);
    let answer = well(engine, &QUICK);
    assert_eq!(answer.json["builder"]["nodes"].as_array().map(Vec::len), Some(1), "{answer}");
    let record = engine.sh("cat /root/.local/state/binfmtd/builders.json");
    assert!(record.contains("\"binfmtd0\"") && !record.contains("\"far\""), "{record}");
    "dead and unknown".to_owned()
}

pub(crate) fn no_image(engine: &mut Engine) -> String {
    let wanted = [&QUICK[..], &["--driver-opt=image=nowhere/none:1"]].concat();
    let answer = ends(engine, 3, &wanted);
    let said = ["image could not be pulled", "docker load", "--driver-opt image=IMAGE"];
    says(&answer.json["error"]["message"], &said);
    assert_eq!(names(engine, "container"), [""; 0]);
    // Another one is taken instead.
    engine.well(&["docker", "tag", "moby/buildkit:buildx-stable-1", "mine/buildkit:1"]);
    let wanted = [&QUICK[..], &["--driver-opt=image=mine/buildkit:1"]].concat();
    let answer = well(engine, &wanted);
    built_by(&answer, "linux/arm64", "rule");
    assert_eq!(container(engine, CONTAINER, ".Config.Image"), "mine/buildkit:1");
    "and another one is".to_owned()
}

/// A docker command that answers some questions itself, and gives the rest to the real one.
#[track_caller]
fn fake(engine: &Engine, answers: &str) {
    let script =
        format!("#!/bin/sh\ncase \"$1 $2\" in\n{answers}\n*) exec {DOCKER} \"$@\" ;;\nesac\n");
    engine.program("/srv/fake/docker", script);
}

/// A context of that address: what `docker context inspect` says of it, and `docker info`, whose other fields are
/// changed, too.
fn context(address: &str, changes: &str) -> String {
    let context = json!([{"Name": "far", "Endpoints": {"docker": {"Host": address}}}]);
    let named = info(&format!("s/\"Context\":\"default\"/\"Context\":\"far\"/; {changes}"));
    format!("'context inspect') echo '{context}' ;;\n{named}")
}

/// Gives `docker info` with fields changed.
fn info(changes: &str) -> String {
    format!("'info --format') {DOCKER} \"$@\" | sed '{changes}' ;;")
}

pub(crate) fn elsewhere(engine: &mut Engine) -> String {
    let kernel = info("s/\"KernelVersion\":\"[^\"]*\"/\"KernelVersion\":\"5.15.0-1-cloud\"/");
    let machine = "s/\"Name\":\"[^\"]*\",\"Labels\"/\"Name\":\"builder-7\",\"Labels\"/";
    for (answers, why) in [
        (kernel.clone(), &["Linux 5.15.0-1-cloud"][..]),
        (context("ssh://me@builder-7", ""), &["ssh://me@builder-7"]),
        (context("tcp://builder-7:2376", machine), &["tcp://builder-7:2376"]),
    ] {
        fake(engine, &answers);
        let sentence = refused(engine, 3, &[FAKE], &["bootstrap"]);
        says(&sentence, &["not on this machine", "run binfmtd register", "--remote"]);
        says(&sentence, why);
        assert_eq!(engine.rules(), [""; 0]);
        assert_eq!(names(engine, "container"), [""; 0]);
    }
    // Where that is fine, nothing is said of this kernel, and it is left alone.
    let remote = [&QUICK[..], &["--remote"]].concat();
    let answer = buildx_with(engine, &[FAKE], &remote);
    assert_eq!(answer.code, Some(1), "{answer}");
    assert_eq!(answer.json["engine"]["here"], false, "{answer}");
    says(&answer.json["engine"]["elsewhere"], &["builder-7"]);
    assert_eq!(platform(&answer, "linux/arm64")["kernel"]["state"], "unknown", "{answer}");
    assert_eq!(words(&answer, "steps"), ["create the builder", "boot it"]);
    assert_eq!(engine.rules(), [""; 0]);
    // It has its rules by now.
    engine.well(&["binfmtd", "register", "aarch64"]);
    let answer = buildx_with(engine, &[FAKE], &remote);
    assert_eq!(answer.code, Some(0), "{answer}");
    assert_eq!(platform(&answer, "linux/arm64")["kernel"]["state"], "unknown", "{answer}");
    built_by(&answer, "linux/arm64", "rule");
    let answer = buildx_with(engine, &[FAKE], &["inspect"]);
    assert_eq!(answer.json["engine"]["here"], false, "{answer}");

    // An address of this very machine is none elsewhere.
    for address in ["tcp://127.0.0.1:2375", "tcp://localhost:2375", "tcp://[::1]:2375"] {
        fake(engine, &context(address, machine));
        let answer = buildx_with(engine, &[FAKE], &["inspect", "--no-verify"]);
        assert_eq!(answer.json["engine"]["here"], true, "{answer}");
        assert_eq!(answer.json["engine"]["endpoint"], address, "{answer}");
    }
    fake(engine, &context("tcp://10.0.0.1:2375", ""));
    let answer = buildx_with(engine, &[FAKE], &["inspect", "--no-verify"]);
    assert_eq!(answer.json["engine"]["here"], true, "{answer}");
    "another kernel, ssh, another machine".to_owned()
}

/// What the others say, recorded.
pub(crate) fn others(engine: &mut Engine) -> String {
    // podman-docker 5.4: a docker command that is podman.
    let podman = json!({
        "host": {"arch": "amd64", "os": "linux", "kernel": "6.12.48"},
        "store": {"graphDriverName": "overlay"},
        "version": {"APIVersion": "5.4.2", "Version": "5.4.2", "OsArch": "linux/amd64"},
    });
    let script = format!(
        "#!/bin/sh\ncase $1 in\ninfo) echo '{podman}' ;;\n\
         *) echo \"Error: unrecognized command \\`podman $1 $2\\`\" >&2; exit 125 ;;\nesac\n"
    );
    engine.program("/srv/fake/docker", script);
    all_refuse(engine, 3, &[FAKE], &["podman 5.4.2", "binfmtd doctor"]);
    // Docker's command before podman's service.
    fake(
        engine,
        &info(
            "s/\"ServerVersion\":\"[^\"]*\"/\"ServerVersion\":\"5.4.2\"/; \
             s/\"ProductLicense\":\"[^\"]*\"//; s/\"KernelVersion\"/\"ProductLicense\":\"Apache-2.0\",&/; s/,,/,/g",
        ),
    );
    all_refuse(engine, 3, &[FAKE], &["is not Docker's", "5.4.2", "docker-container driver"]);
    // buildx 0.11 of Ubuntu 22.04's first updates: no JSON in its list.
    let old = info("s/\"Version\":\"0[.]13[^\"]*\"/\"Version\":\"0.11.2\"/");
    let list = "'buildx ls') echo 'unknown flag: --format' >&2; exit 125 ;;";
    fake(engine, &format!("{old}\n{list}"));
    all_refuse(engine, 3, &[FAKE], &["buildx 0.11.2 is too old", "0.13"]);
    // One that speaks no sense at all.
    fake(engine, "'info --format') echo nonsense ;;");
    all_refuse(engine, 3, &[FAKE], &["docker info", "could not be read"]);
    fake(engine, "'info --format') kill -9 $$ ;;");
    all_refuse(engine, 3, &[FAKE], &["docker info", "signal 9"]);
    assert_eq!(engine.rules(), [""; 0]);
    let answer = buildx(engine, &["inspect"]);
    assert_eq!(answer.json["builder"], Value::Null, "{answer}");
    "podman, its service, an old plugin".to_owned()
}
