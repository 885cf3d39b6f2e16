//! Docker-in-Docker: a container with an engine of its own, whose entrypoint is `binfmtd run`. Its image is made by the
//! Dockerfile of `packaging/dind`, and it is run as the examples beside that say.
//!
//! There is no registry, so `docker:dind` and `docker:cli` are stand-ins made of the engine of this world and busybox;
//! their entrypoint does what that of the real one does, less the certificates.

use std::fs;
use std::path::Path;
use std::process::Output;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::engine::{BUILDKIT_IMAGE, Engine, INTERPRETERS};
use crate::python;
use crate::support::need;
use crate::support::stage::eventually;
use crate::world::{CONTEXT, context};

/// The image that the examples speak of.
const IMAGE: &str = "registry.example.com/ci/dind-binfmtd";
const FOREIGN: &str = "aarch64";
const INSTANCE: &str = "/proc/sys/fs/binfmt_misc";
const LIMIT: Duration = Duration::from_secs(60);

/// What it says first is how a test knows what was there before Docker's first program. Nothing here can set up packet
/// filters; the rest is what docker:dind's own scripts do.
const ENTRYPOINT: &str = r#"#!/bin/sh
set -e
echo "rules: $(ls /proc/sys/fs/binfmt_misc 2>/dev/null | grep qemu | tr '\n' ' ')"
if [ $# -eq 0 ]; then
    tls=$DOCKER_TLS_CERTDIR/server
    set -- dockerd --host=unix:///var/run/docker.sock --host=tcp://0.0.0.0:2376 --tlsverify \
        --tlscacert "$tls/ca.pem" --tlscert "$tls/cert.pem" --tlskey "$tls/key.pem"
fi
[ "$1" = dockerd ] || exec "$@"
# No process may be in the control group that containers get theirs below.
mkdir -p /sys/fs/cgroup/init
for process in $(cat /sys/fs/cgroup/cgroup.procs); do
    echo "$process" >/sys/fs/cgroup/init/cgroup.procs 2>/dev/null || :
done
exec docker-init -- "$@" --iptables=false --ip6tables=false --userland-proxy=false
"#;

/// Makes the stand-ins' root filesystem, once for a world.
const ROOT: &str = r#"
[ ! -e /srv/dind.tar ] || exit 0
rm -rf /srv/dind; mkdir -p /srv/dind; cd /srv/dind
mkdir -p dev etc proc root run sys tmp usr/bin usr/sbin usr/lib/docker usr/libexec usr/local/bin var/lib
chmod 1777 tmp
ln -s usr/bin bin; ln -s usr/sbin sbin; ln -s usr/lib lib; ln -s usr/lib lib64; ln -s ../run var/run
cp "$(command -v busybox)" usr/bin/busybox
for applet in $(busybox --list); do [ -e "usr/bin/$applet" ] || ln -s busybox "usr/bin/$applet"; done
engine=/opt/engine/usr
cp $engine/bin/containerd $engine/bin/containerd-shim-runc-v2 $engine/bin/docker $engine/bin/docker-init $engine/bin/runc \
    $engine/sbin/dockerd usr/local/bin
mkdir -p usr/libexec/docker/cli-plugins
cp /opt/buildx/usr/libexec/docker/cli-plugins/docker-buildx usr/libexec/docker/cli-plugins
cat >usr/local/bin/dockerd-entrypoint.sh
chmod 755 usr/local/bin/dockerd-entrypoint.sh
for program in usr/local/bin/* usr/libexec/docker/cli-plugins/* /opt/bin/binfmtd; do
    # Static ones have none.
    ldd "$program" 2>/dev/null | grep -o '/[^ ]*' || :
done | sort -u | while read -r library; do
    mkdir -p ".${library%/*}"
    cp -L "$library" ".$library"
done
tar -cf /srv/dind.tar .
cd /; rm -rf /srv/dind
"#;

/// Looks for a program of the machine's, which the world has too.
pub(crate) fn program(engine: &Engine, name: &str) -> Option<()> {
    let found = engine.run(&["sh", "-c", "command -v \"$0\"", name]).status.success();
    need(name, found.then_some(()).ok_or("not found".to_owned()))
}

/// What a test says that has not run.
pub(crate) const NOT_HERE: &str = "not all is here";

/// Makes the images.
fn images(engine: &Engine) -> Option<()> {
    program(engine, "busybox")?;
    // Containers get it. Nobody answers there, for which docker's client would wait long.
    engine.write("/etc/resolv.conf", "nameserver 172.17.0.1\noptions timeout:1 attempts:1\n");
    engine.feed(&["sh", "-ec", ROOT], &mut ENTRYPOINT.as_bytes());
    engine.well(&[
        "docker",
        "import",
        "--change=ENV PATH=/usr/local/bin:/usr/bin",
        "--change=ENV DOCKER_TLS_CERTDIR=/certs",
        "--change=ENTRYPOINT [\"dockerd-entrypoint.sh\"]",
        "/srv/dind.tar",
        "docker:dind",
    ]);
    // Its entrypoint, too, runs what it is told.
    engine.well(&["docker", "tag", "docker:dind", "docker:cli"]);
    engine.write("/srv/dind/Dockerfile", packaged("Dockerfile"));
    engine.write("/srv/dind/THIRD-PARTY", THIRD_PARTY);
    engine.sh(&format!(
        "cd /srv/dind
        cp /opt/bin/binfmtd {INTERPRETERS}/qemu-aarch64-static {INTERPRETERS}/qemu-riscv64-static .
        docker build --tag {IMAGE} ."
    ));
    Some(())
}

/// The licences of what is in the binary: they go where it goes.
pub(crate) const THIRD_PARTY: &str = include_str!("../../THIRD-PARTY");

/// Looks for them in an image.
#[track_caller]
pub(crate) fn has_the_licences(engine: &Engine, image: &str) {
    let words = ["docker", "run", "--rm", "--entrypoint=cat", image];
    let said = engine.well(&[&words[..], &["/usr/share/doc/binfmtd/THIRD-PARTY"]].concat());
    assert!(said == THIRD_PARTY.trim_end(), "{image}: other licences");
}

/// A file of `packaging/dind`.
fn packaged(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/dind").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The same, where it is YAML; no crate here reads that.
fn document(name: &str) -> Option<Value> {
    const READ: &str = "import json, sys, yaml; json.dump(yaml.safe_load(sys.stdin), sys.stdout)";
    python::module("yaml")?;
    Some(python::run(READ, &[], &packaged(name)))
}

fn words(value: &Value) -> Vec<String> {
    serde_json::from_value(value.clone()).unwrap_or_else(|error| panic!("{error}: {value}"))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A service of compose.yaml as the words of `docker run`. What this does not know, it does not pass over.
fn service(name: &str, service: &Value) -> Vec<String> {
    let mut words_of_run = vec!["docker".to_owned(), "run".to_owned(), format!("--name={name}")];
    let mut command = Vec::new();
    let mut image = String::new();
    let word = |value: &Value| value.as_str().expect("a text").to_owned();
    for (key, value) in service.as_object().expect("a service") {
        match key.as_str() {
            "build" => IMAGE.clone_into(&mut image),
            "image" => image = word(value),
            "privileged" => words_of_run.push(format!("--privileged={value}")),
            "command" => command = words(value),
            // Who starts them sees to it.
            "depends_on" => assert_eq!(value["engine"]["condition"], "service_healthy"),
            "environment" => {
                let pairs = value.as_object().expect("names and values").iter();
                words_of_run
                    .extend(pairs.map(|(name, value)| format!("--env={name}={}", word(value))));
            }
            "volumes" => {
                let volumes = words(value).into_iter();
                words_of_run.extend(volumes.map(|volume| match volume.strip_prefix("./app:") {
                    Some(rest) => format!("--volume={CONTEXT}:{rest}"),
                    None => format!("--volume={volume}"),
                }));
            }
            "healthcheck" => {
                let check = value.as_object().expect("a check").iter();
                words_of_run.extend(check.map(|(key, value)| match key.as_str() {
                    "test" => {
                        let test = words(value);
                        let [kind, line] = test.as_slice() else { panic!("{test:?}") };
                        assert_eq!(kind, "CMD-SHELL");
                        format!("--health-cmd={line}")
                    }
                    "interval" | "timeout" | "start_period" | "start_interval" => {
                        format!("--health-{}={}", key.replace('_', "-"), word(value))
                    }
                    other => panic!("nobody knows of {other}"),
                }));
            }
            other => panic!("nobody knows of {other}"),
        }
    }
    words_of_run.push(image);
    words_of_run.extend(command);
    words_of_run
}

/// With `--detach`.
fn detached(mut words: Vec<String>) -> Vec<String> {
    words.insert(2, "--detach".to_owned());
    words
}

/// Runs a container of the image to its end, with options of docker's and words for its entrypoint.
fn contained(engine: &Engine, options: &[&str], words: &[&str]) -> Output {
    let line: Vec<&str> = ["docker", "run", "--rm"]
        .iter()
        .chain(options)
        .chain(&[IMAGE])
        .chain(words)
        .copied()
        .collect();
    engine.run(&line)
}

/// The same with another entrypoint than the image's: `binfmtd`.
fn binfmtd(engine: &Engine, options: &[&str], words: &[&str]) -> Output {
    let options: Vec<&str> = options.iter().chain(&["--entrypoint=binfmtd"]).copied().collect();
    contained(engine, &options, words)
}

#[track_caller]
fn ended(output: &Output, code: i32) -> (String, String) {
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{out}{err}");
    (out, err)
}

/// compose.yaml: an engine that is healthy when it builds, a job that has it build for arm64.
pub(crate) fn composes(engine: &mut Engine) -> String {
    let (Some(compose), Some(())) = (document("compose.yaml"), images(engine)) else {
        return NOT_HERE.to_owned();
    };
    assert_eq!(compose.as_object().unwrap().len(), 2, "services and volumes");
    context(engine, &[FOREIGN]);
    // Then it is the container's to mount, and nobody else holds it.
    engine.sh(&format!("umount {INSTANCE}"));

    let begin = Instant::now();
    engine.well(&detached(service("engine", &compose["services"]["engine"])));
    healthy(engine, "engine");
    let seconds = begin.elapsed().as_secs_f64();
    let said = logs(engine, "engine");
    let first =
        said.find("rules: qemu-aarch64 qemu-riscv64").expect("rules before any of Docker's");
    assert!(said[first..].contains("Starting up"), "{said}");

    let job = engine.run(&service("job", &compose["services"]["job"]));
    let (_, said) = ended(&job, 0);
    assert!(said.contains("it-ran"), "{said}");

    engine.well(&["docker", "exec", "engine", "binfmtd", "doctor"]);

    // Another kind of builder, made from outside of it.
    let volume =
        engine.well(&["docker", "volume", "inspect", "--format={{.Mountpoint}}", "socket"]);
    let inner = format!("DOCKER_HOST=unix://{volume}/docker.sock");
    let import = "--change=ENTRYPOINT [\"buildkitd\"]";
    let path = "--change=ENV PATH=/usr/bin";
    let archive = "/opt/buildkit.tar";
    engine.well(&["env", &inner, "docker", "import", import, path, archive, BUILDKIT_IMAGE]);
    let bootstrap = [
        "env",
        &inner,
        "binfmtd",
        "--format=json",
        "buildx",
        "bootstrap",
        "--platform=linux/arm64",
    ];
    let made: Value = serde_json::from_str(&engine.well(&bootstrap)).unwrap();
    assert_eq!(made["ok"], true, "{made:#}");

    // The mount may go: what binfmtd has open keeps the rules.
    engine.well(&["docker", "exec", "engine", "umount", "-l", INSTANCE]);
    let verify = ["env", &inner, "binfmtd", "buildx", "verify", "--platform=linux/arm64"];
    engine.well(&verify);

    let begin = Instant::now();
    engine.well(&["docker", "stop", "--time=30", "engine"]);
    let stopped = begin.elapsed().as_secs_f64();
    assert_eq!(state(engine, "engine", "ExitCode"), "0");
    let said = logs(engine, "engine");
    assert!(said.contains("Daemon shutdown complete"), "{said}");
    engine.sh(&format!("mount -t binfmt_misc binfmt_misc {INSTANCE}"));
    assert_eq!(engine.rules(), [""; 0], "they live as long as the container");
    format!("healthy in {seconds:.1} s, stopped in {stopped:.1} s")
}

/// .gitlab-ci.yml: a service that jobs reach by TCP with TLS.
pub(crate) fn serves_jobs_of_gitlab(engine: &mut Engine) -> String {
    let (Some(()), Some(pipeline), Some(())) =
        (program(engine, "openssl"), document("gitlab-ci.yml"), images(engine))
    else {
        return NOT_HERE.to_owned();
    };
    context(engine, &[FOREIGN]);
    certificates(engine);
    let job = &pipeline["build"];
    let keys: Vec<&String> = job.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["image", "script", "services", "variables"]);
    let variables = job["variables"].as_object().unwrap().iter();
    let variables: Vec<String> = variables
        .map(|(name, value)| format!("--env={name}={}", value.as_str().unwrap()))
        .collect();

    // As the runner does: the service first, its variables the job's, privileged and with the volume of config.toml.
    let sidecar = &job["services"][0];
    assert_eq!(sidecar["name"], IMAGE);
    let mut words = vec!["docker", "run", "--detach", "--name=service", "--privileged"];
    words.extend(variables.iter().map(String::as_str));
    words.extend(["--volume=/srv/certs:/certs", "--volume=state:/var/lib/docker", IMAGE]);
    engine.well(&words);
    let address =
        engine.well(&["docker", "inspect", "--format={{.NetworkSettings.IPAddress}}", "service"]);
    let alias = format!("--add-host={}:{address}", sidecar["alias"].as_str().unwrap());
    let client = "--volume=/srv/certs/client:/certs/client:ro";
    let source = format!("--volume={CONTEXT}:/builds:ro");
    let script = job["script"].as_array().unwrap().iter().map(|line| line.as_str().unwrap());
    let script = script.collect::<Vec<_>>().join("\n");
    let mut words = vec!["docker", "run", "--rm", &alias, client, &source, "--workdir=/builds"];
    words.extend(variables.iter().map(String::as_str));
    words.extend([job["image"].as_str().unwrap(), "sh", "-ec", &script]);
    let begin = Instant::now();
    let output = engine.run(&words);
    let seconds = begin.elapsed().as_secs_f64();
    assert!(output.status.success(), "{}\n{}", text(&output.stderr), logs(engine, "service"));
    assert!(text(&output.stderr).contains("it-ran"), "{output:?}");
    // This time the host had an instance: rules stay, and with them the emulators of a container that is gone.
    engine.well(&["docker", "rm", "--force", "--volumes", "service"]);
    assert_eq!(engine.rules(), ["qemu-aarch64", "qemu-riscv64"]);
    let doctor = binfmtd(engine, &[], &["doctor", "--require=linux/arm64"]);
    ended(&doctor, 0);
    // The host's own binfmtd did not make them.
    engine.well(&["binfmtd", "unregister", "--all"]);
    assert_eq!(engine.rules(), ["qemu-aarch64", "qemu-riscv64"]);
    engine.well(&["binfmtd", "register", "--takeover", "arm64"]);
    engine.well(&["binfmtd", "unregister", "--all"]);
    assert_eq!(engine.rules(), ["qemu-riscv64"]);
    format!("a job in {seconds:.1} s")
}

/// The first process of a container has duties.
pub(crate) fn is_fit_to_be_the_first_process(engine: &mut Engine) -> String {
    let Some(()) = images(engine) else { return NOT_HERE.to_owned() };
    has_the_licences(engine, IMAGE);
    // Whatever the command ends with is what the container ends with.
    for status in [0, 7, 255] {
        ended(
            &contained(engine, &["--privileged"], &["sh", "-c", &format!("exit {status}")]),
            status,
        );
    }
    ended(&contained(engine, &["--privileged"], &["sh", "-c", "kill -9 $$"]), 128 + 9);
    ended(&contained(engine, &["--privileged"], &["no-such-command"]), 127);

    let script = "trap 'echo asked to end; exit 3' TERM; while :; do sleep 0.1; done";
    let words =
        ["docker", "run", "--detach", "--name=first", "--privileged", IMAGE, "sh", "-c", script];
    engine.well(&words);
    // Its parent ends at once, so that it becomes an orphan; a zombie, unless somebody asks for it.
    let orphan = "(until [ -e /tmp/end ]; do sleep 0.1; done) >/dev/null 2>&1 & echo $!";
    let orphan = engine.well(&["docker", "exec", "first", "sh", "-c", orphan]);
    let status = |name: &str| {
        let line =
            format!("cat /proc/{orphan}/status 2>/dev/null | sed -n 's/^{name}:[^0-9A-Z]*//p'");
        engine.well(&["docker", "exec", "first", "sh", "-c", &line])
    };
    assert_eq!(status("PPid"), "1", "process 1 is {}", engine.well(&["docker", "top", "first"]));
    engine.well(&["docker", "exec", "first", "touch", "/tmp/end"]);
    eventually("the end of an orphan", LIMIT, || status("State").is_empty());
    let comm = engine.well(&["docker", "exec", "first", "cat", "/proc/1/comm"]);
    assert_eq!(comm, "binfmtd");

    engine.well(&["docker", "stop", "--time=30", "first"]);
    assert_eq!(state(engine, "first", "ExitCode"), "3");
    assert!(logs(engine, "first").contains("asked to end"));
    "six endings".to_owned()
}

/// Where nobody else has mounted it, there is one instance for all containers, as long as one of them lives.
pub(crate) fn share_their_rules(engine: &mut Engine) -> String {
    let Some(()) = images(engine) else { return NOT_HERE.to_owned() };
    engine.sh(&format!("umount {INSTANCE}"));
    let start = |name: &str| {
        let option = format!("--name={name}");
        let words =
            ["docker", "run", "--detach", &option, "--privileged", IMAGE, "sleep", "infinity"];
        engine.well(&words);
        eventually("a command after rules", LIMIT, || logs(engine, name).contains("rules: qemu-"));
    };
    let inside = |name: &str, line: &str| engine.well(&["docker", "exec", name, "sh", "-c", line]);
    start("first");
    start("second");
    let status: Value =
        serde_json::from_str(&inside("second", "binfmtd --format json status")).unwrap();
    let owners: Vec<&Value> =
        status["rules"].as_array().unwrap().iter().map(|rule| &rule["owner"]).collect();
    assert_eq!(owners, ["unknown"; 2], "those of the first: {status:#}");
    engine.well(&["docker", "rm", "--force", "first"]);
    inside("second", "binfmtd doctor arm64 riscv64");
    engine.well(&["docker", "rm", "--force", "second"]);
    engine.sh(&format!("mount -t binfmt_misc binfmt_misc {INSTANCE}"));
    assert_eq!(engine.rules(), [""; 0]);
    "two of them".to_owned()
}

/// What happens where the host does not grant what it takes.
pub(crate) fn says_what_the_host_must_grant(engine: &mut Engine) -> String {
    let Some(()) = images(engine) else { return NOT_HERE.to_owned() };
    let echo = ["run", "--target=arm64", "--", "echo", "started"];
    let strict = ["run", "--strict", "--target=arm64", "--", "echo", "started"];

    // Nothing is granted, and nobody else has registered anything: an engine still builds for its own CPU.
    let (out, err) = ended(&contained(engine, &[], &["echo", "started"]), 0);
    assert!(out.ends_with("started\n"), "{out}");
    for part in [
        "nothing was registered, and the command runs all the same: binfmt_misc is not mounted",
        "CAP_SYS_ADMIN",
        "start the container with --privileged, or run binfmtd register on the host",
        "aarch64: no rule takes its programs",
        "riscv64: no rule takes its programs",
    ] {
        assert!(err.contains(part), "{part:?} is missing: {err}");
    }
    let (out, err) = ended(&binfmtd(engine, &[], &strict), 4);
    assert!(out.is_empty() && err.contains("start the container with --privileged"), "{out}{err}");
    // Not root, as in a pod that forbids it.
    let (out, err) = ended(&binfmtd(engine, &["--privileged", "--user=1000"], &echo), 0);
    assert!(out == "started\n" && err.contains("aarch64: no rule takes its programs"), "{err}");
    assert_eq!(engine.rules(), [""; 0]);

    // The host has the rules: nothing needs to be granted, and there is nothing to say.
    engine.well(&["binfmtd", "register", "arm64"]);
    let (out, err) = ended(&binfmtd(engine, &[], &strict), 0);
    assert_eq!((out.as_str(), err.as_str()), ("started\n", ""));
    let (out, err) = ended(&binfmtd(engine, &["--user=1000"], &strict), 0);
    assert_eq!((out.as_str(), err.as_str()), ("started\n", ""));
    engine.well(&["binfmtd", "unregister", "--all"]);

    // The one capability is enough where no security profile forbids mount(2).
    let options = ["--cap-drop=ALL", "--cap-add=SYS_ADMIN"];
    let (out, err) = ended(&binfmtd(engine, &options, &strict), 0);
    assert_eq!((out.as_str(), err.as_str()), ("started\n", ""));
    assert_eq!(engine.rules(), [format!("qemu-{FOREIGN}")]);
    // A private instance is what was asked for, or nothing.
    let private = ["run", "--private", "--target=arm64", "--", "echo", "started"];
    let (out, err) = ended(&binfmtd(engine, &[], &private), 4);
    assert!(out.is_empty() && err.contains("no private instance"), "{out}{err}");
    "seven grants".to_owned()
}

/// Waits for a container's own check.
fn healthy(engine: &Engine, container: &str) {
    let begin = Instant::now();
    while state(engine, container, "Health.Status") != "healthy" {
        let running = state(engine, container, "Running") == "true";
        assert!(
            running && begin.elapsed() < LIMIT,
            "{container}: {}\n{}",
            state(engine, container, "Health"),
            logs(engine, container)
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn state(engine: &Engine, container: &str, field: &str) -> String {
    engine.well(&["docker", "inspect", &format!("--format={{{{.State.{field}}}}}"), container])
}

/// What a container wrote, on either.
fn logs(engine: &Engine, container: &str) -> String {
    engine.sh(&format!("docker logs {container} 2>&1"))
}

/// What docker:dind's own entrypoint would make, where it does.
fn certificates(engine: &Engine) {
    engine.sh(
        "rm -rf /srv/certs; mkdir -p /srv/certs/server /srv/certs/client; cd /srv/certs
        printf '[req]\ndistinguished_name=name\n[name]\n[ca]\nbasicConstraints=critical,CA:TRUE\n' >conf
        new='openssl req -newkey rsa:2048 -nodes -config conf'
        $new -x509 -extensions ca -subj /CN=ca -keyout ca.key -out ca.pem -days 1
        for side in server client; do
            $new -subj /CN=$side -keyout $side/key.pem -out $side.csr
            printf 'subjectAltName=DNS:docker\nextendedKeyUsage=%sAuth\n' $side >$side.ext
            openssl x509 -req -in $side.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 1 -extfile $side.ext \
                -out $side/cert.pem
            cp ca.pem $side
        done",
    );
}
