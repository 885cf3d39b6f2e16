//! The pods of `packaging/kubernetes`, as kubectl renders them and the API server completes them, run by a real engine with
//! just what the manifest grants. A kubelet does the same by way of another engine; what it makes of volumes is made here
//! as its code makes it.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::dind::{NOT_HERE, program};
use crate::engine::{Engine, INTERPRETERS};
use crate::image;
use crate::support::stage::{eventually, fetched};
use crate::support::{INSTANCE, need};

const LIMIT: Duration = Duration::from_secs(30);
const MANIFESTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/kubernetes");
/// The image that the manifests name.
const IMAGE: &str = "registry.example.com/ci/binfmtd:v1";
/// What the first container of a node that lacks a mount is of.
const BUSYBOX: &str = "busybox";
/// What the kubelet keeps of a pod, in the world.
const KUBELET: &str = "/srv/kubelet";
const METRICS: &str = "/var/lib/node_exporter/textfile_collector/binfmtd.prom";
/// What the manifest names, and the image has.
const RULES: [&str; 2] = ["qemu-aarch64", "qemu-riscv64"];

/// What the validation made of a folder or a file of `packaging/kubernetes`.
struct Rendered {
    objects: Vec<Value>,
}

impl Rendered {
    fn of(name: &str) -> Option<Self> {
        Self::at(&Path::new(MANIFESTS).join(name))
    }

    /// The example with a component, as somebody's own kustomization has it.
    fn fleet_with(component: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        // kustomize knows folders by where they are from its own.
        let up = "../".repeat(folder.path().canonicalize().unwrap().components().count() - 1);
        let manifests = format!("{up}{}", MANIFESTS.trim_start_matches('/'));
        let content =
            format!("resources: [{manifests}/fleet]\ncomponents: [{manifests}/{component}]\n");
        fs::write(folder.path().join("kustomization.yaml"), content).unwrap();
        Self::at(folder.path())
    }

    fn at(path: &Path) -> Option<Self> {
        let program = need("Kubernetes' validation", fetched("kubernetes", &[]))?;
        let output = Command::new(program).arg(path).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        let said: Value = serde_json::from_slice(&output.stdout).unwrap();
        Some(Self { objects: said["objects"].as_array().unwrap().clone() })
    }

    /// The only object of a kind.
    #[track_caller]
    fn only(&self, kind: &str) -> &Value {
        let mut found = self.objects.iter().filter(|object| object["kind"] == kind);
        let only = found.next().unwrap_or_else(|| panic!("no {kind}"));
        assert!(found.next().is_none(), "several of {kind}");
        only
    }

    /// What the service's pod is made from.
    fn pod(&self) -> &Value {
        &self.only("DaemonSet")["spec"]["template"]["spec"]
    }
}

/// A key that nobody here knows may grant something: it is not passed over.
#[track_caller]
fn knows(what: &Value, keys: &[&str]) {
    for key in what.as_object().into_iter().flat_map(|object| object.keys()) {
        assert!(keys.contains(&key.as_str()), "nobody knows of {key}: {what:#}");
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Makes a pod's volumes; in `KUBELET/POD` those of its own.
fn make_volumes(engine: &Engine, pod: &str, rendered: &Rendered) {
    for volume in list(&rendered.pod()["volumes"]) {
        let place = place(pod, volume);
        if let Some(host) = volume.get("hostPath") {
            match word(&host["type"]) {
                "Directory" => engine.sh(&format!("test -d {place}")),
                "DirectoryOrCreate" => engine.sh(&format!("mkdir -p -m 755 {place}")),
                other => panic!("nobody knows of {other}"),
            };
            continue;
        }
        // Whatever is in it: `perm` of pkg/volume/emptydir/empty_dir.go.
        engine.sh(&format!("mkdir -p {place}; chmod 777 {place}"));
        if let Some(map) = volume.get("configMap") {
            let object = rendered.only("ConfigMap");
            assert_eq!(object["metadata"]["name"], map["name"]);
            assert_eq!(map["defaultMode"], 0o644);
            for (name, content) in object["data"].as_object().unwrap() {
                engine.write(&format!("{place}/{name}"), word(content));
            }
        } else {
            knows(&volume["emptyDir"], &["sizeLimit"]);
        }
    }
}

/// Where a volume is on the host.
fn place(pod: &str, volume: &Value) -> String {
    knows(volume, &["name", "hostPath", "emptyDir", "configMap"]);
    match volume.get("hostPath") {
        Some(host) => word(&host["path"]).to_owned(),
        None => format!("{KUBELET}/{pod}/{}", word(&volume["name"])),
    }
}

/// A container of a pod as the words of `docker run`, the image and what follows it included.
fn words(engine: &Engine, name: &str, pod: &Value, container: &Value) -> Vec<String> {
    knows(
        container,
        &[
            "name",
            "image",
            "command",
            "resources",
            "volumeMounts",
            "readinessProbe",
            "securityContext",
            "imagePullPolicy",
            "terminationMessagePath",
            "terminationMessagePolicy",
        ],
    );
    let mut words = vec!["--network=none".to_owned()];
    let of_pod = &pod["securityContext"];
    knows(of_pod, &["runAsUser", "runAsGroup", "seccompProfile"]);
    let own = &container["securityContext"];
    knows(
        own,
        &[
            "privileged",
            "allowPrivilegeEscalation",
            "readOnlyRootFilesystem",
            "capabilities",
            "runAsUser",
            "runAsNonRoot",
            "seccompProfile",
        ],
    );
    let either = |key: &str| own.get(key).or(of_pod.get(key));
    let user = either("runAsUser").and_then(Value::as_u64).expect("a user");
    assert!(own["runAsNonRoot"] != true || user != 0);
    let group = either("runAsGroup").and_then(Value::as_u64).unwrap_or(0);
    words.push(format!("--user={user}:{group}"));
    // The engine's own profile, which is what a runtime's default is derived from.
    assert_eq!(either("seccompProfile").expect("a profile")["type"], "RuntimeDefault");
    let image = word(&container["image"]);
    assert!([IMAGE, BUSYBOX].contains(&image), "{image}");
    let is_privileged = own["privileged"] == true;
    assert_eq!(is_privileged, image == BUSYBOX);
    words.push(format!("--privileged={is_privileged}"));
    if own["allowPrivilegeEscalation"] == false {
        words.push("--security-opt=no-new-privileges".to_owned());
    }
    words.push(format!("--read-only={}", own["readOnlyRootFilesystem"] == true));
    knows(&own["capabilities"], &["drop", "add"]);
    for key in ["drop", "add"] {
        let names = list(&own["capabilities"][key]);
        words.extend(names.map(|capability| format!("--cap-{key}={}", word(capability))));
    }
    for mount in list(&container["volumeMounts"]) {
        knows(mount, &["name", "mountPath", "subPath", "readOnly", "mountPropagation"]);
        let volumes = list(&pod["volumes"]);
        let volume = volumes.into_iter().find(|volume| volume["name"] == mount["name"]);
        let mut from = place(name, volume.expect("the volume of a mount"));
        if let Some(inner) = mount.get("subPath") {
            // One that is not there is made as the volume is: `makeMounts` of pkg/kubelet/kubelet_pods.go.
            let whole = from;
            from = format!("{whole}/{}", word(inner));
            engine.sh(&format!("[ -e {from} ] || mkdir -m $(stat -c %a {whole}) {from}"));
        }
        let options = if mount["readOnly"] == true { "ro" } else { "rw" };
        let propagation = match mount.get("mountPropagation").map(word) {
            None => "rprivate",
            Some("Bidirectional") => "rshared",
            Some(other) => panic!("nobody knows of {other}"),
        };
        let to = word(&mount["mountPath"]);
        words.push(format!("--volume={from}:{to}:{options},{propagation}"));
    }
    let command: Vec<&str> = list(&container["command"]).map(word).collect();
    words.push(format!("--entrypoint={}", command[0]));
    words.push(image.to_owned());
    words.extend(command[1..].iter().map(|word| (*word).to_owned()));
    words
}

/// Starts a pod of the service, whose name is its container's: what comes first, to its end, and then the service.
fn start(engine: &Engine, name: &str, rendered: &Rendered) {
    let pod = rendered.pod();
    knows(
        pod,
        &[
            "volumes",
            "initContainers",
            "containers",
            "securityContext",
            "automountServiceAccountToken",
            "serviceAccountName",
            "enableServiceLinks",
            "priorityClassName",
            "nodeSelector",
            "tolerations",
            "restartPolicy",
            "terminationGracePeriodSeconds",
            "dnsPolicy",
            "schedulerName",
        ],
    );
    assert_eq!(pod["automountServiceAccountToken"], false);
    make_volumes(engine, name, rendered);
    for container in list(&pod["initContainers"]) {
        let words = words(engine, name, pod, container);
        let output = run(engine, &["--rm"], &words);
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
    let container = &pod["containers"][0];
    assert!(pod["containers"].get(1).is_none());
    let words = words(engine, name, pod, container);
    let output = run(engine, &["--detach", &format!("--name={name}")], &words);
    assert!(output.status.success(), "{}", text(&output.stderr));
}

fn run(engine: &Engine, options: &[&str], words: &[String]) -> Output {
    let mut line = vec!["docker", "run"];
    line.extend(options);
    line.extend(words.iter().map(String::as_str));
    engine.run(&line)
}

/// Ends a pod as the kubelet does: it is asked to, and has the time that it is given.
fn stop(engine: &Engine, name: &str, rendered: &Rendered) {
    let seconds = rendered.pod()["terminationGracePeriodSeconds"].as_u64().unwrap();
    engine.well(&["docker", "stop", &format!("--time={seconds}"), name]);
    assert_eq!(state(engine, name, "ExitCode"), "0", "{}", logs(engine, name));
    engine.well(&["docker", "rm", name]);
    engine.sh(&format!("rm -r {KUBELET}/{name}"));
}

/// What the probe says: its exit code, and its words.
fn probe(engine: &Engine, name: &str, rendered: &Rendered) -> (Option<i32>, String) {
    let probe = &rendered.pod()["containers"][0]["readinessProbe"];
    let mut line = vec!["docker", "exec", name];
    line.extend(list(&probe["exec"]["command"]).map(word));
    let output = engine.run(&line);
    (output.status.code(), text(&output.stdout) + &text(&output.stderr))
}

fn is_ready(engine: &Engine, name: &str, rendered: &Rendered) -> bool {
    probe(engine, name, rendered).0 == Some(0)
}

#[track_caller]
fn becomes_ready(engine: &Engine, name: &str, rendered: &Rendered) {
    let begin = Instant::now();
    while !is_ready(engine, name, rendered) {
        let running = state(engine, name, "Running") == "true";
        assert!(
            running && begin.elapsed() < LIMIT,
            "{}\n{}",
            probe(engine, name, rendered).1,
            logs(engine, name)
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn state(engine: &Engine, name: &str, field: &str) -> String {
    engine.well(&["docker", "inspect", &format!("--format={{{{.State.{field}}}}}"), name])
}

fn logs(engine: &Engine, name: &str) -> String {
    engine.sh(&format!("docker logs {name} 2>&1"))
}

/// Makes the image, under the name that the manifests have.
fn images(engine: &Engine) {
    image::build(engine);
    engine.well(&["docker", "tag", image::SIDECAR, IMAGE]);
}

/// A program of arm64 on the host, which says which emulator runs it.
fn foreign(engine: &Engine) -> String {
    image::build_foreign(engine, &["aarch64"]);
    "QEMU_VERSION=1 /srv/foreign/aarch64".to_owned()
}

/// Everything that the pod is for, with what it is granted.
pub(crate) fn keeps(engine: &mut Engine) -> String {
    let Some(fleet) = Rendered::of("fleet") else { return NOT_HERE.to_owned() };
    images(engine);
    let begin = Instant::now();
    start(engine, "pod", &fleet);
    becomes_ready(engine, "pod", &fleet);
    let ready = begin.elapsed().as_secs_f64();
    assert_eq!(engine.rules(), RULES);
    // The instance is the volume's: nothing in there could mount one.
    let levels = engine.well(&["docker", "exec", "pod", "/usr/bin/binfmtd", "doctor", "-v"]);
    for check in ["kernel.mounted", "exec.empty-root", "exec.signal", "exec.identity"] {
        let passed = levels
            .lines()
            .any(|line| line.strip_prefix("  pass  ").is_some_and(|line| line.starts_with(check)));
        assert!(passed, "{check}: {levels}");
    }
    assert!(levels.contains("on /run/binfmt_misc: this container has it as a volume"), "{levels}");

    // What it runs with, by the kernel's own words.
    let process = state(engine, "pod", "Pid");
    let status = engine.sh(&format!("cat /proc/{process}/status"));
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_else(|| panic!("{name}: {status}")).trim().to_owned()
    };
    // It has given up CAP_SYS_CHROOT (bit 18) itself; only its helper keeps that.
    assert_eq!(u64::from_str_radix(&field("CapEff:"), 16), Ok(0));
    assert_eq!(u64::from_str_radix(&field("CapBnd:"), 16), Ok(1 << 18), "{status}");
    assert_eq!((field("NoNewPrivs:"), field("Seccomp:")), ("1".to_owned(), "2".to_owned()));

    // node_exporter reads it on the host.
    let metrics = engine.well(&["cat", METRICS]);
    for sample in ["binfmtd_ready 1", "binfmtd_rules_working 3", "rule=\"qemu-riscv64\"} 1"] {
        assert!(metrics.contains(sample), "{sample}: {metrics}");
    }

    // A rule that somebody removes is back before anybody asks.
    let rule = |name: &str, word: &str| {
        engine.sh(&format!("echo {word} >/proc/sys/fs/binfmt_misc/{name}"));
    };
    rule("qemu-aarch64", "-1");
    eventually("a rule that was removed", LIMIT, || engine.rules() == RULES);
    becomes_ready(engine, "pod", &fleet);

    // While the service does not answer, the probe tells all the same: it runs programs.
    engine.sh(&format!("kill -STOP {process}"));
    rule("qemu-aarch64", "-1");
    let (code, said) = probe(engine, "pod", &fleet);
    engine.sh(&format!("kill -CONT {process}"));
    assert!(code == Some(1) && said.contains("aarch64 (linux/arm64): missing"), "{said}");
    becomes_ready(engine, "pod", &fleet);

    // A rule of another emulator is nobody's to remove, and what does not work is not ready.
    let matcher = engine.sh(
        "sed -n 's/^magic //p; s/^mask //p' /proc/sys/fs/binfmt_misc/qemu-riscv64 | sed 's/../\\\\x&/g'",
    );
    let (magic, mask) = matcher.split_once('\n').expect("two lines");
    engine.sh(&format!(
        "printf %s ':FEX-broken:M::{magic}:{mask}:/nowhere/FEXInterpreter:' >/proc/sys/fs/binfmt_misc/register"
    ));
    let (code, said) = probe(engine, "pod", &fleet);
    assert!(code == Some(1) && said.contains("FEX-broken"), "{said}");
    eventually("a metric of a rule that does not work", LIMIT, || {
        engine.well(&["cat", METRICS]).contains("rule=\"qemu-riscv64\"} 0")
    });
    rule("FEX-broken", "-1");
    becomes_ready(engine, "pod", &fleet);
    assert_eq!(state(engine, "pod", "Running"), "true");

    // It holds the lock of a service on the host as well.
    let second = engine.run(&["binfmtd", "daemon"]);
    assert_eq!(second.status.code(), Some(3), "{}", text(&second.stderr));
    stop(engine, "pod", &fleet);
    assert_eq!(engine.rules(), RULES, "they stay");
    let gone = !engine.run(&["test", "-e", METRICS]).status.success();
    assert!(gone, "nobody writes it any more");
    format!("ready in {ready:.1} s")
}

/// A new image, pod after pod: programs of another CPU start all the time.
pub(crate) fn rolls_out(engine: &mut Engine) -> String {
    let Some(fleet) = Rendered::of("fleet") else { return NOT_HERE.to_owned() };
    images(engine);
    let foreign = foreign(engine);
    start(engine, "old", &fleet);
    becomes_ready(engine, "old", &fleet);
    let version = engine.sh(&foreign);
    assert!(version.contains("version 10.0."), "{version}");

    engine.sh(&format!(
        "rm -f /run/end; ({foreign} >/dev/null
        while [ ! -e /run/end ]; do
            starts=$((starts + 1)); {foreign} >/dev/null 2>&1 || failures=$((failures + 1))
        done; echo \"$starts ${{failures:-0}}\" >/run/starts.new; mv /run/starts.new /run/starts) >/dev/null 2>&1 &"
    ));
    let begin = Instant::now();
    stop(engine, "old", &fleet);
    // The same image with another QEMU in it; of the old one nothing is left but what rules hold.
    engine.write(
        "/srv/next/Dockerfile",
        format!("FROM {IMAGE}\nCOPY qemu-aarch64-static /usr/bin/qemu-aarch64\n"),
    );
    engine.sh(&format!(
        "cd /srv/next; cp {INTERPRETERS}/qemu-aarch64-static .; docker build --tag next . >&2; docker tag next {IMAGE}"
    ));
    start(engine, "new", &fleet);
    becomes_ready(engine, "new", &fleet);
    let seconds = begin.elapsed().as_secs_f64();
    let version = engine.sh(&foreign);
    assert!(version.contains("version 7.2."), "{version}");
    assert!(logs(engine, "new").contains("replace qemu-aarch64"), "{}", logs(engine, "new"));
    engine.sh("touch /run/end");
    eventually("the count", LIMIT, || engine.root().join("run/starts").exists());
    let counts = fs::read_to_string(engine.root().join("run/starts")).unwrap();
    let (starts, failures) = counts.trim().split_once(' ').unwrap();
    assert_eq!(failures, "0", "of {starts}");
    assert!(starts.parse::<u32>().unwrap() > 50, "{starts}");
    stop(engine, "new", &fleet);
    format!("0 of {starts} starts failed in {seconds:.1} s")
}

/// Asked for no target, each service takes away what is its own, and nothing else.
pub(crate) fn removes(engine: &mut Engine) -> String {
    let (Some(fleet), Some(remove)) = (Rendered::of("fleet"), Rendered::of("remove")) else {
        return NOT_HERE.to_owned();
    };
    images(engine);
    // Somebody else's.
    engine.sh("printf %s ':theirs:E::theirs::/bin/true:' >/proc/sys/fs/binfmt_misc/register");
    start(engine, "pod", &fleet);
    becomes_ready(engine, "pod", &fleet);
    stop(engine, "pod", &fleet);
    start(engine, "last", &remove);
    becomes_ready(engine, "last", &remove);
    eventually("the end of the rules", LIMIT, || engine.rules() == ["theirs"]);
    stop(engine, "last", &remove);
    "theirs stays".to_owned()
}

/// What the guide says of nodes that do not grant what it takes.
pub(crate) fn says_what_a_node_lacks(engine: &mut Engine) -> String {
    let Some(fleet) = Rendered::of("fleet") else { return NOT_HERE.to_owned() };
    images(engine);
    let ends_with = |name: &str, code: &str, words: &str| {
        start(engine, name, &fleet);
        eventually("the end of the service", LIMIT, || state(engine, name, "Running") == "false");
        assert_eq!(state(engine, name, "ExitCode"), code, "{}", logs(engine, name));
        assert!(logs(engine, name).contains(words), "{}", logs(engine, name));
    };
    // The node has a service of its own.
    engine.sh("binfmtd daemon >/run/daemon.log 2>&1 & echo $! >/run/daemon.pid");
    eventually("the node's service", LIMIT, || engine.rules().len() == 3);
    ends_with("second", "3", "another binfmtd daemon is already running");
    engine.sh("kill $(cat /run/daemon.pid)");
    // The folder is there, and nothing on it.
    engine.sh("umount /proc/sys/fs/binfmt_misc");
    let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        ends_with("unmounted", "4", "binfmt_misc is not mounted");
    }));
    engine.sh("mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc");
    ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    "two ends".to_owned()
}

/// A node that has not mounted it: a container does, and it is the node's.
pub(crate) fn mounts(engine: &mut Engine) -> String {
    let Some(fleet) = Rendered::fleet_with("mount") else { return NOT_HERE.to_owned() };
    let Some(()) = program(engine, "busybox") else { return NOT_HERE.to_owned() };
    images(engine);
    engine.sh(&format!(
        "mkdir -p /srv/busybox/bin; cd /srv/busybox; cp $(command -v busybox) bin; ln -sf busybox bin/sh
        tar --create . | docker import - {BUSYBOX}
        umount {INSTANCE}; mount --make-rshared /proc"
    ));
    let mounted = || engine.sh(&format!("grep -c ' {INSTANCE} ' /proc/self/mountinfo || :"));
    assert_eq!(mounted(), "0");
    for name in ["first", "second"] {
        start(engine, name, &fleet);
        becomes_ready(engine, name, &fleet);
        stop(engine, name, &fleet);
        assert_eq!((mounted().as_str(), engine.rules()), ("1", RULES.map(str::to_owned).to_vec()));
    }
    engine.sh("mount --make-rprivate /proc");
    "once".to_owned()
}

/// A pod that waits for its node needs no privilege for it.
pub(crate) fn holds_builds_back(engine: &mut Engine) -> String {
    let Some(build) = Rendered::of("build-pod.yaml") else { return NOT_HERE.to_owned() };
    images(engine);
    let pod = &build.only("Pod")["spec"];
    let first = &pod["initContainers"][0];
    let ended = || {
        let output = run(engine, &["--rm"], &words(engine, "build", pod, first));
        (output.status.code(), text(&output.stdout))
    };
    let (code, said) = ended();
    assert!(code == Some(1) && said.contains("aarch64 (linux/arm64): missing"), "{said}");
    engine.well(&["binfmtd", "register", "arm64"]);
    let (code, said) = ended();
    assert!(code == Some(0) && said.contains("1 working"), "{said}");
    "without a right".to_owned()
}
