//! The image, as `packaging/container/build` makes it, built and run by a real engine: the cases of tonistiigi/binfmt's
//! own test (`hack/install-and-test`), the calls of docker/setup-qemu-action, and the sidecar.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::engine::{Engine, INTERPRETERS};
use crate::guide::by_docker::CONSOLE;
use crate::support::stage::{Qemu, eventually};
use binfmtd::testing::probe;
use binfmtd::testing::target::Table;

/// The drop-in, as the Dockerfile calls it.
const IMAGE: &str = "binfmt";
/// The same with the service.
pub(crate) const SIDECAR: &str = "binfmt-sidecar";
/// What the images are built of, in the world.
const CONTEXTS: &str = "/srv/image";
/// A container's program, of another CPU.
const FOREIGN: &str = "foreign";

/// What the drop-in's image has emulators for, by the names of that tool; less the machine's own.
const EMULATORS: [&str; 11] = [
    "qemu-aarch64",
    "qemu-arm",
    "qemu-i386",
    "qemu-loongarch64",
    "qemu-mips64",
    "qemu-mips64el",
    "qemu-ppc64",
    "qemu-ppc64le",
    "qemu-riscv64",
    "qemu-s390x",
    "qemu-x86_64",
];

/// A run of a container.
struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Said {
    fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }

    #[track_caller]
    fn ended(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}\n{}", self.out, self.err);
        self
    }

    /// A list of what it printed.
    #[track_caller]
    fn list(&self, key: &str) -> Vec<String> {
        let document: Value =
            serde_json::from_str(self.out.trim()).unwrap_or_else(|_| panic!("{}", self.out));
        let list = document[key].as_array().map_or(&[][..], Vec::as_slice);
        list.iter().map(|word| word.as_str().unwrap().to_owned()).collect()
    }
}

/// `docker run --rm OPTIONS IMAGE WORDS`
fn run(engine: &Engine, options: &[&str], words: &[&str]) -> Said {
    let line = [&["docker", "run", "--rm", "--network=none"], options, words].concat();
    Said::of(&engine.run(&line))
}

/// The drop-in as its users call it.
fn binfmt(engine: &Engine, words: &[&str]) -> Said {
    run(engine, &["--privileged", IMAGE], words)
}

/// Whether a container's program of another CPU runs, and by which emulator.
fn foreign(engine: &Engine, target: &str) -> Result<String, String> {
    let program = format!("/{target}");
    let said = run(engine, &["--env=QEMU_VERSION=1", FOREIGN, &program], &[]);
    match said.code {
        Some(0) => Ok(said.out),
        _ => Err(said.err),
    }
}

/// Makes what the images are built of; once, for it takes a release build. A folder of the build's own: nobody
/// drops a static, and it is as large as an image.
fn contexts() -> Result<PathBuf, String> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("contexts");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let qemu = Qemu::release("10.0")?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/container/build");
    let output = Command::new(&script)
        .arg("--contexts")
        .arg(&folder)
        .env("QEMU", &qemu.folder)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{}: {error}", script.display()))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    fs::write(folder.join("commands"), output.stdout).map_err(|error| error.to_string())?;
    Ok(folder)
}

/// Builds both images, by the commands that the script names; how long the engine took.
#[track_caller]
pub(crate) fn build(engine: &Engine) -> f64 {
    static MADE: OnceLock<PathBuf> = OnceLock::new();
    let folder = MADE.get_or_init(|| contexts().unwrap_or_else(|error| panic!("{error}")));
    if !engine.root().join(&CONTEXTS[1..]).exists() {
        engine.sh(&format!("mkdir {CONTEXTS}"));
        let mut tar = Command::new("tar")
            .args(["--create", "--owner=0", "--group=0", "--directory"])
            .arg(folder)
            .arg(".")
            .stdout(Stdio::piped())
            .spawn()
            .expect("tar starts");
        let mut content = tar.stdout.take().expect("a pipe");
        engine.feed(&["tar", "--extract", "--directory", CONTEXTS], &mut content);
        assert!(tar.wait().expect("a child of ours").success());
    }
    let commands = fs::read_to_string(folder.join("commands")).unwrap();
    assert_eq!(commands.lines().count(), 2, "{commands}");
    let begin = Instant::now();
    engine.sh(&format!("cd {CONTEXTS}\n{commands}"));
    begin.elapsed().as_secs_f64()
}

/// An image with a program of each of these CPUs, and nothing else.
pub(crate) fn build_foreign(engine: &Engine, targets: &[&str]) {
    let table = Table::embedded();
    for target in targets {
        let known = table.find(target).unwrap();
        let program = probe::build(known, known.identity.machines[0]).unwrap();
        engine.program(&format!("/srv/foreign/{target}"), program);
    }
    engine.sh(&format!("tar --create --directory=/srv/foreign . | docker import - {FOREIGN}"));
}

fn own() -> String {
    format!("qemu-{}", std::env::consts::ARCH)
}

/// The rules of all emulators in the image: a relative of the machine's own may be native as well.
fn wanted(engine: &Engine) -> Vec<String> {
    let targets = engine.well(&["binfmtd", "--format=json", "targets"]);
    let targets: Value = serde_json::from_str(&targets).unwrap();
    let targets = targets["targets"].as_array().unwrap().iter();
    let natives = targets.filter(|target| target["native"] == true);
    let natives: Vec<String> =
        natives.map(|target| format!("qemu-{}", target["name"].as_str().unwrap())).collect();
    assert!(natives.contains(&own()), "{natives:?}");
    let rules = EMULATORS.into_iter().map(str::to_owned);
    rules.filter(|name| !natives.contains(name)).collect()
}

fn has(said: &Said, platform: &str) -> bool {
    said.list("supported").iter().any(|known| known == platform)
}

pub(crate) fn drops_in(engine: &mut Engine) -> String {
    let built = build(engine);
    build_foreign(engine, &["aarch64", "riscv64", "s390x", "ppc64le"]);

    // As its test begins, and docker/setup-qemu-action where it is to reset.
    let said = binfmt(engine, &["--uninstall", "qemu-*"]).ended(0);
    assert_eq!(said.err, "uninstalling: qemu-* not found\n");
    assert!(said.out.contains("\"emulators\": null"), "{}", said.out);
    foreign(engine, "aarch64").unwrap_err();

    let begin = Instant::now();
    let status = binfmt(engine, &["--install", "all"]).ended(0);
    let installed = begin.elapsed().as_secs_f64();
    let begin = Instant::now();
    let nothing = run(engine, &["--privileged", IMAGE], &["--version"]).ended(0);
    let container = begin.elapsed().as_secs_f64();
    assert!(
        nothing.err.starts_with("binfmt/") && nothing.err.contains(" qemu/v10.0."),
        "{}",
        nothing.err
    );
    for platform in [
        "linux/arm64",
        "linux/amd64",
        "linux/arm/v7",
        "linux/arm/v6",
        "linux/riscv64",
        "linux/ppc64le",
        "linux/386",
        "linux/s390x",
        "linux/mips64le",
        "linux/mips64",
        "linux/loong64",
    ] {
        assert!(has(&status, platform), "{platform}: {}", status.out);
    }
    assert_eq!(status.list("emulators"), wanted(engine), "{}", status.out);
    assert_eq!(engine.rules(), wanted(engine));
    assert_eq!(status.err.matches(" OK\n").count(), status.err.lines().count(), "{}", status.err);
    for target in ["aarch64", "riscv64", "s390x", "ppc64le"] {
        let version = foreign(engine, target).unwrap();
        assert!(version.contains("version 10.0."), "{version}");
    }

    // docker/setup-qemu-action's two calls: what is there is left, and listed.
    let before = engine.sh("cd /proc/sys/fs/binfmt_misc; stat -c '%n %i %z' qemu-*");
    let again = binfmt(engine, &["--install", "arm64,riscv64"]).ended(0);
    assert_eq!(again.err, "installing: arm64 OK\ninstalling: riscv64 OK\n");
    let plain = binfmt(engine, &[]).ended(0);
    assert_eq!((&plain.out, plain.err.as_str()), (&status.out, ""));
    assert_eq!(engine.sh("cd /proc/sys/fs/binfmt_misc; stat -c '%n %i %z' qemu-*"), before);

    let said = binfmt(engine, &["--uninstall", "aarch64,riscv64"]).ended(0);
    assert!(!has(&said, "linux/arm64") && !has(&said, "linux/riscv64"), "{}", said.out);
    assert!(has(&said, "linux/ppc64le") && has(&said, "linux/arm/v7"), "{}", said.out);
    assert!(!said.list("emulators").iter().any(|name| name == "qemu-aarch64"), "{}", said.out);
    let why = foreign(engine, "aarch64").unwrap_err();
    assert!(why.contains("exec format error"), "{why}");
    for (word, target) in [("arm64", "aarch64"), ("riscv64", "riscv64")] {
        binfmt(engine, &["--install", word]).ended(0);
        foreign(engine, target).unwrap();
    }
    binfmt(engine, &["--uninstall", "qemu-*"]).ended(0);
    assert_eq!(engine.rules(), [""; 0]);

    let size = size(engine);
    format!(
        "{size}, built in {built:.1} s; --install all in {installed:.1} s, a container alone in {container:.1} s"
    )
}

/// What a user downloads and keeps; nothing in it but static programs, texts and two folders.
fn size(engine: &Engine) -> String {
    let inspect =
        |format: &str| engine.well(&["docker", "image", "inspect", "--format", format, IMAGE]);
    let labels = inspect("{{json .Config.Labels}}");
    let labels: Value = serde_json::from_str(&labels).unwrap();
    assert_eq!(labels["org.opencontainers.image.version"], env!("CARGO_PKG_VERSION"));
    for label in ["title", "description", "source", "documentation", "licenses"] {
        let label = format!("org.opencontainers.image.{label}");
        assert!(labels[&label].as_str().is_some_and(|text| text.len() > 3), "{label}: {labels}");
    }
    let files = engine.sh(&format!(
        "id=$(docker create {IMAGE}); docker export $id | tar --list --file=- | grep -v '/$' | sort; docker rm $id >&2"
    ));
    let programs: Vec<&str> =
        files.lines().filter_map(|file| file.strip_prefix("usr/bin/")).collect();
    let own = own();
    let mut wanted = vec!["binfmt", "binfmtd"];
    wanted.extend(EMULATORS.into_iter().filter(|name| *name != own));
    assert_eq!(programs, wanted);
    let documents = [
        "usr/share/doc/qemu/copyright",
        "usr/share/doc/binfmtd/THIRD-PARTY",
        "usr/share/doc/binfmtd/binfmtd.cdx.json",
    ];
    for document in documents {
        assert!(files.lines().any(|file| file == document), "{document}: {files}");
    }
    let bytes: f64 = inspect("{{.Size}}").parse().unwrap();
    let packed = engine.sh(&format!("docker save {IMAGE} | gzip -6 | wc -c"));
    let packed: f64 = packed.parse().unwrap();
    format!("{:.1} MB, {:.1} MB packed", bytes / 1e6, packed / 1e6)
}

/// Rules that others have made, of this image or not.
pub(crate) fn others(engine: &mut Engine) -> String {
    build(engine);
    build_foreign(engine, &["aarch64", "riscv64", "s390x"]);
    // An older image: the same path, another emulator behind it.
    let older = format!("--volume={INTERPRETERS}/qemu-aarch64-static:/usr/bin/qemu-aarch64:ro");
    let said = run(engine, &["--privileged", &older, IMAGE, "--install"], &["arm64"]).ended(0);
    assert_eq!(said.err, "installing: arm64 OK\n");
    assert!(foreign(engine, "aarch64").unwrap().contains("version 7.2."));
    let said = binfmt(engine, &["--install", "arm64"]).ended(0);
    assert!(said.err.contains("note: qemu-aarch64 was replaced without a gap"), "{}", said.err);
    assert!(foreign(engine, "aarch64").unwrap().contains("version 10.0."));

    // The host's own: they work, and stay.
    engine.well(&["binfmtd", "register", "riscv64", "s390x"]);
    let before = engine.sh("cat /proc/sys/fs/binfmt_misc/qemu-riscv64");
    let said = binfmt(engine, &["--install", "riscv64,s390x"]).ended(0);
    let note = "note: riscv64 is served by qemu-riscv64, which is not of this image and works\n";
    assert!(said.err.contains(note), "{}", said.err);
    let said = binfmt(engine, &["--uninstall", "qemu-*"]).ended(0);
    assert_eq!(said.list("emulators"), ["qemu-riscv64", "qemu-s390x"]);
    assert!(
        said.err.contains("uninstalling: qemu-riscv64 left alone: it runs /opt/qemu/"),
        "{}",
        said.err
    );
    assert_eq!(engine.sh("cat /proc/sys/fs/binfmt_misc/qemu-riscv64"), before);
    binfmt(engine, &["--uninstall", "riscv64"]).ended(1);
    let zero = ["--privileged", "--env=BINFMTD_COMPAT=exit-zero", IMAGE, "--uninstall", "riscv64"];
    run(engine, &zero, &[]).ended(0);

    // With the host's record they are known to be the host's binfmtd's, which is what is asked for.
    let shared =
        ["--privileged", "--volume=/run/binfmtd:/run/binfmtd", IMAGE, "--uninstall", "riscv64"];
    let said = run(engine, &shared, &[]).ended(0);
    assert!(said.err.contains("uninstalling: qemu-riscv64 OK\n"), "{}", said.err);
    assert_eq!(engine.rules(), ["qemu-s390x"]);

    let said = run(engine, &[IMAGE, "--install", "all"], &[]).ended(4);
    assert!(said.err.contains("docker run --privileged"), "{}", said.err);
    "a stale rule replaced, the host's left".to_owned()
}

/// Where the host has not mounted it, rules live as long as a container that holds them.
pub(crate) fn holds(engine: &mut Engine) -> String {
    build(engine);
    build_foreign(engine, &["aarch64"]);
    engine.sh("umount /proc/sys/fs/binfmt_misc");
    let figures = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| held(engine)));
    engine.sh("mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc");
    figures.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn held(engine: &Engine) -> String {
    let said = binfmt(engine, &["--install", "arm64"]).ended(3);
    assert!(said.err.contains("would vanish when it ends"), "{}", said.err);
    // Nor does it help to see process 1, which here is that of an engine in a user namespace. On a host it does: the
    // scenario of containers in `tests/vm`.
    let seeing = ["--privileged", "--pid=host", IMAGE, "--install", "arm64"];
    let said = run(engine, &seeing, &[]).ended(3);
    assert!(said.err.contains("this user namespace has its own binfmt_misc"), "{}", said.err);
    assert!(!engine.sh("cat /proc/mounts").contains(" binfmt_misc "));
    let zero = ["--privileged", "--env=BINFMTD_COMPAT=exit-zero", IMAGE, "--install", "arm64"];
    let said = run(engine, &zero, &[]).ended(0);
    assert!(said.err.contains("would vanish when it ends"), "{}", said.err);
    assert!(said.out.contains("\"emulators\": null"), "{}", said.out);
    foreign(engine, "aarch64").unwrap_err();

    let begin = Instant::now();
    engine.well(&[
        "docker",
        "run",
        "--detach",
        "--privileged",
        "--network=none",
        "--name=rules",
        SIDECAR,
    ]);
    eventually("a program of arm64 in another container", Duration::from_secs(30), || {
        foreign(engine, "aarch64").is_ok()
    });
    let up = begin.elapsed().as_secs_f64();
    // Now somebody holds it: rules may be added, and stay.
    let said = binfmt(engine, &["--install", "arm64"]).ended(0);
    assert!(said.list("emulators").iter().any(|name| name == "qemu-aarch64"), "{}", said.out);
    foreign(engine, "aarch64").unwrap();
    let logs = engine.run(&["docker", "logs", "rules"]);
    let logs = String::from_utf8_lossy(&logs.stderr).into_owned();
    assert!(logs.contains("working"), "{logs}");

    let begin = Instant::now();
    engine.well(&["docker", "stop", "rules"]);
    let down = begin.elapsed().as_secs_f64();
    let code = engine.well(&["docker", "inspect", "--format={{.State.ExitCode}}", "rules"]);
    assert_eq!(code, "0", "{logs}");
    let why = foreign(engine, "aarch64").unwrap_err();
    assert!(why.contains("exec format error"), "{why}");
    format!("up in {up:.1} s, down in {down:.1} s")
}

/// The commands of the guide, as a reader would run them.
pub(crate) fn guide(engine: &mut Engine) -> String {
    build(engine);
    let [first, others @ ..] = CONSOLE;
    let mut count = follow(engine, first);
    assert_eq!(engine.rules(), wanted(engine));
    assert!(count > 7, "only {count} commands were found");
    for file in others {
        let more = follow(engine, file);
        assert!(more > 0, "{file}: no command was found");
        count += more;
    }
    eventually("the service in a container without privileges", Duration::from_secs(30), || {
        engine.sh("docker logs keeper 2>&1").contains("working")
    });
    format!("{count} commands")
}

/// Runs the commands of a page; how many there were.
fn follow(engine: &Engine, file: &str) -> usize {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
    let (mut is_command, mut count) = (false, 0);
    for (number, line) in text.lines().enumerate() {
        if line.starts_with("```") {
            is_command = line == "```console";
        } else if is_command && !line.is_empty() {
            let output = engine.run(&["sh", "-c", line]);
            let said = Said::of(&output);
            assert_eq!(said.code, Some(0), "{file}:{}: {}\n{}", number + 1, said.out, said.err);
            count += 1;
        }
    }
    count
}
