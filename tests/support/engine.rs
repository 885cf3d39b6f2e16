//! A Docker engine with buildx and BuildKit, in a world of its own: the script `engine` beside this file says which. Rules
//! that are registered in it are nobody else's, and nothing of it is left however the test ends.
//!
//! It takes root, and a machine with Debian's tools; the rest is fetched (`tests/setup/engine`, `tests/setup/buildkit`).
#![allow(dead_code, reason = "each test takes what it needs")]

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nix::unistd::getuid;

use crate::support::daemon::descendants;
use crate::support::stage::{BINFMTD, Qemu, fetched, has_ended};

/// What buildx starts a builder from; there is no registry, so it takes the one that is there.
pub(crate) const BUILDKIT_IMAGE: &str = "moby/buildkit:buildx-stable-1";

/// Targets whose emulator is in the world from the start, of QEMU 7.2, in [`INTERPRETERS`].
pub(crate) const TARGETS: [&str; 3] = ["aarch64", "riscv64", "s390x"];
/// The only folder of the world in which `binfmtd` looks for interpreters.
pub(crate) const INTERPRETERS: &str = "/opt/qemu";

const SOCKET: &str = "run/docker.sock";
/// Where the engine and `binfmtd` (in the first of these folders) are, and what the docker command needs.
const ENVIRONMENT: [(&str, &str); 6] = [
    ("PATH", "/opt/bin:/opt/engine/usr/sbin:/opt/engine/usr/bin:/usr/sbin:/usr/bin"),
    ("HOME", "/root"),
    ("DOCKER_HOST", "unix:///run/docker.sock"),
    ("DOCKER_CONFIG", "/root/.docker"),
    ("BUILDX_CONFIG", "/root/.buildx"),
    ("BUILDKIT_PROGRESS", "plain"),
];
const LOG: &str = "run/engine.log";

/// One that dockerd starts by itself would take it a second to find.
const CONTAINERD: &str = "run/containerd/containerd.sock";
const CONTAINERD_CONFIG: &str = "version = 2\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n";

/// Longer than anything here takes, on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);
/// The same for a command, in seconds.
const SECONDS: &str = "120";

/// Which release of buildx the docker command has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Buildx {
    /// 0.13, the first whose `ls` knows JSON.
    Trixie,
    /// 0.29 or newer.
    Sid,
}

impl Buildx {
    fn suite(self) -> &'static str {
        match self {
            Self::Trixie => "trixie",
            Self::Sid => "sid",
        }
    }
}

/// A running engine in its world.
pub(crate) struct Engine {
    /// The script; the world ends with its standard input.
    world: Child,
    /// Process 1 of the world, as it is called out here.
    first: u32,
    /// containerd and dockerd: what entered the world for them.
    containerd: Option<Child>,
    dockerd: Option<Child>,
    /// The name of its control group.
    name: String,
    /// BuildKit's image.
    image: String,
}

impl Engine {
    /// Starts an engine that knows BuildKit's image and nothing else. `binfmtd` is in it, configured with
    /// [`TARGETS`] and [`INTERPRETERS`]; no rule is registered. What is missing on this machine is the error.
    pub(crate) fn start(buildx: Buildx) -> Result<Self, String> {
        if !getuid().is_root() {
            return Err("this is not root".to_owned());
        }
        for (tool, word) in [
            ("setsid", "--version"),
            ("setpriv", "--version"),
            ("unshare", "--version"),
            ("nsenter", "--version"),
            ("ip", "-Version"),
        ] {
            let found = Command::new(tool).arg(word).output();
            found.map_err(|error| format!("{tool}: {error}"))?;
        }
        let qemu = Qemu::release("7.2")?;
        let engine = fetched("engine", &["trixie"])?;
        let plugin = fetched("engine", &[buildx.suite()])?;
        let image = fetched("buildkit", &[])?;
        let mut engine = Self::enter(&engine, &plugin, &image)?;
        engine.copy(Path::new(BINFMTD), "/opt/bin/binfmtd");
        for target in TARGETS {
            engine.add_interpreter(&qemu, target);
        }
        engine.configure("");
        engine.start_containerd()?;
        engine.try_start()?;
        engine.load_buildkit();
        Ok(engine)
    }

    fn enter(engine: &Path, plugin: &Path, image: &Path) -> Result<Self, String> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("binfmtd-engine-{}-{number}", std::process::id());
        let script = repository("tests/support/engine");
        let mut world = Command::new("setsid")
            .arg(script)
            .arg(&name)
            .args([engine, plugin, image])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("setsid: {error}"))?;
        let mut said = String::new();
        let stdout = world.stdout.take().expect("a pipe");
        let read = BufReader::new(stdout).read_line(&mut said);
        let mut entered =
            Self { world, first: 0, containerd: None, dockerd: None, name, image: String::new() };
        if read.is_ok() && said == "ready\n" {
            entered.first = entered.find_first().ok_or("its first process is not to be found")?;
            return Ok(entered);
        }
        let errors = entered.end();
        Err(format!("a world of its own does not come up: {}", errors.trim()))
    }

    /// Process 1 of the namespace below the one that the script made.
    fn find_first(&self) -> Option<u32> {
        let depth = namespaces(std::process::id())?.len() + 2;
        descendants(self.world.id()).into_iter().find(|process| {
            namespaces(*process).is_some_and(|ids| ids.len() == depth && ids.ends_with(&[1]))
        })
    }

    /// The world's root, from out here: to look at files. To write them, see [`Self::write`].
    pub(crate) fn root(&self) -> PathBuf {
        Path::new("/proc").join(self.first.to_string()).join("root")
    }

    /// The script that the world ends with, and process 1 of the world, as they are called out here.
    pub(crate) fn processes(&self) -> [u32; 2] {
        [self.world.id(), self.first]
    }

    /// A command line with which a person gets a shell in the world.
    pub(crate) fn door(&self) -> String {
        let environment = ENVIRONMENT.map(|(name, value)| format!("{name}={value}")).join(" ");
        let first = self.first;
        format!(
            "sh -c 'echo 0 >/proc/{first}/root/sys/fs/cgroup/cgroup.procs; exec nsenter --all --target {first} env {environment} sh'"
        )
    }

    /// What enters the world before a command: its control group too, as runc may move processes about within that alone.
    fn entering(&self, mut command: Command) -> Command {
        command
            .args(["sh", "-ec", "echo 0 >\"$0\"; exec nsenter --all --target \"$@\""])
            .arg(self.root().join("sys/fs/cgroup/cgroup.procs"))
            .arg(self.first.to_string())
            .env_clear()
            .envs(ENVIRONMENT)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// A command in the world, as its root: `docker`, `binfmtd` or any of the machine's own. It has the environment that the
    /// docker command needs and nothing else, ends after two minutes at the latest (124), and has pipes to write to.
    pub(crate) fn command<S: AsRef<OsStr>>(&self, program: S) -> Command {
        let mut limited = Command::new("timeout");
        limited.args(["--kill-after=5", SECONDS]);
        let mut command = self.entering(limited);
        command.arg(program);
        command
    }

    /// Runs a command in the world.
    #[track_caller]
    pub(crate) fn run<S: AsRef<OsStr>>(&self, words: &[S]) -> Output {
        let mut command = self.command(&words[0]);
        command.args(&words[1..]).output().expect("timeout (coreutils) starts")
    }

    /// Runs a command that has to succeed; what it wrote on standard output.
    #[track_caller]
    pub(crate) fn well<S: AsRef<OsStr> + std::fmt::Debug>(&self, words: &[S]) -> String {
        let output = self.run(words);
        assert!(output.status.success(), "{words:?}: {}\n{}", words_of(&output), self.log());
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    /// Runs a shell's script that has to succeed.
    #[track_caller]
    pub(crate) fn sh(&self, script: &str) -> String {
        self.well(&["sh", "-ec", script])
    }

    /// Runs a command that has to succeed and reads `input`; what it wrote on standard output.
    #[track_caller]
    pub(crate) fn feed<S: AsRef<OsStr> + std::fmt::Debug>(
        &self,
        words: &[S],
        input: &mut impl io::Read,
    ) -> String {
        let mut command = self.command(&words[0]);
        let mut child = command
            .args(&words[1..])
            .stdin(Stdio::piped())
            .spawn()
            .expect("timeout (coreutils) starts");
        // One that does not read has its reasons, which it tells.
        let _ = io::copy(input, &mut child.stdin.take().expect("a pipe"));
        let output = child.wait_with_output().expect("a child of ours");
        assert!(output.status.success(), "{words:?}: {}\n{}", words_of(&output), self.log());
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    /// Writes a file of the world's root, that nobody else may write; folders are made.
    #[track_caller]
    pub(crate) fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        self.put(&mut content.as_ref(), path, "644");
    }

    /// Copies a program of the machine into the world: a new file each time, by rename.
    #[track_caller]
    pub(crate) fn copy(&self, from: &Path, path: &str) {
        let mut file =
            File::open(from).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
        self.put(&mut file, path, "755");
    }

    /// The same from bytes.
    #[track_caller]
    pub(crate) fn program(&self, path: &str, content: impl AsRef<[u8]>) {
        self.put(&mut content.as_ref(), path, "755");
    }

    fn put(&self, content: &mut impl io::Read, path: &str, mode: &str) {
        // Its owner has no number out here that a file of the world could have.
        let script =
            "mkdir -p \"${0%/*}\"; cat >\"$0.new\"; chmod \"$1\" \"$0.new\"; mv \"$0.new\" \"$0\"";
        self.feed(&["sh", "-ec", script, path, mode], content);
    }

    /// Writes the configuration that `binfmtd` reads: [`TARGETS`], [`INTERPRETERS`] and what is given.
    #[track_caller]
    pub(crate) fn configure(&self, more: &str) {
        self.write(
            "/etc/binfmtd/binfmtd.toml",
            format!(
                "targets = {TARGETS:?}\ninterpreter-directories = [\"{INTERPRETERS}\"]\n{more}"
            ),
        );
    }

    /// Puts an emulator into [`INTERPRETERS`], or another release of it in its place.
    #[track_caller]
    pub(crate) fn add_interpreter(&self, qemu: &Qemu, target: &str) {
        let known = qemu.programs();
        let names = [format!("qemu-{target}-static"), format!("qemu-{target}")];
        let found = known.iter().find(|(name, _)| names.contains(name));
        let (_, path) = found.unwrap_or_else(|| panic!("{}: no {target}", qemu.package));
        self.copy(path, &format!("{INTERPRETERS}/qemu-{target}-static"));
    }

    /// Gives BuildKit's image an emulator of its own, which it takes where the kernel has no rule: one of
    /// [`INTERPRETERS`]. It holds for builders that are created from then on.
    #[track_caller]
    pub(crate) fn embed(&self, target: &str) {
        let file = "/run/embedded.tar";
        self.sh(&format!(
            "cp /opt/buildkit.tar {file}
            tar --append --file {file} --absolute-names --transform 's|.*|./usr/bin/buildkit-qemu-{target}|' \
                {INTERPRETERS}/qemu-{target}-static"
        ));
        self.import(file);
        self.sh(&format!("rm {file}"));
    }

    /// Imports the image that buildx starts a builder from; its ID.
    #[track_caller]
    fn import(&self, file: &str) -> String {
        self.well(&[
            "docker",
            "import",
            "--change=ENTRYPOINT [\"buildkitd\"]",
            "--change=ENV PATH=/usr/bin",
            file,
            BUILDKIT_IMAGE,
        ])
    }

    #[track_caller]
    fn load_buildkit(&mut self) {
        self.image = self.import("/opt/buildkit.tar");
    }

    /// The rules that are registered in the world.
    #[track_caller]
    pub(crate) fn rules(&self) -> Vec<String> {
        let names = self.well(&["ls", "/proc/sys/fs/binfmt_misc"]);
        let rules = names.lines().filter(|name| !matches!(*name, "register" | "status"));
        rules.map(str::to_owned).collect()
    }

    /// As after [`Self::start`]: no rule, no container, no builder, of images only BuildKit's. Other files stay.
    #[track_caller]
    pub(crate) fn reset(&mut self) {
        if self.dockerd.is_none() {
            self.start_engine();
        }
        let image = self.sh(&format!(
            "exec 3>&1 >&2
            for left in $(docker ps --all --quiet); do docker rm --force --volumes $left; done
            docker volume prune --all --force
            docker network prune --force
            for left in $(docker images --quiet --no-trunc | grep -vx {0}); do docker rmi --force $left; done
            docker tag {0} {BUILDKIT_IMAGE} || :
            docker image inspect --format '{{{{.Id}}}}' {BUILDKIT_IMAGE} >&3 || :
            rm -rf $BUILDX_CONFIG $DOCKER_CONFIG/buildx $DOCKER_CONFIG/contexts $DOCKER_CONFIG/config.json
            rm -rf /etc/binfmtd /run/binfmtd /root/.local/state/binfmtd
            echo -1 >/proc/sys/fs/binfmt_misc/status; echo 1 >/proc/sys/fs/binfmt_misc/status",
            self.image
        ));
        if image != self.image {
            self.load_buildkit();
        }
        self.configure("");
    }

    fn start_containerd(&mut self) -> Result<(), String> {
        self.write("/etc/containerd/config.toml", CONTAINERD_CONFIG);
        self.containerd = Some(self.spawn(&["containerd"])?);
        self.wait_for("containerd", Self::containerd_listens)
    }

    fn containerd_listens(&self) -> bool {
        UnixStream::connect(self.root().join(CONTAINERD)).is_ok()
    }

    /// Starts dockerd, after [`Self::stop_engine`]; containers that are to be restarted are.
    #[track_caller]
    pub(crate) fn start_engine(&mut self) {
        if let Err(problem) = self.try_start() {
            panic!("{problem}");
        }
    }

    fn try_start(&mut self) -> Result<(), String> {
        assert!(self.dockerd.is_none(), "the engine is running");
        let dockerd = self.spawn(&[
            "dockerd",
            "--iptables=false",
            "--ip6tables=false",
            "--userland-proxy=false",
            &format!("--containerd=/{CONTAINERD}"),
            &format!("--host=unix:///{SOCKET}"),
        ])?;
        self.dockerd = Some(dockerd);
        self.wait_for("dockerd", Self::dockerd_answers)
    }

    /// It listens before it is there.
    fn dockerd_answers(&self) -> bool {
        let ask = || {
            let mut stream = UnixStream::connect(self.root().join(SOCKET))?;
            stream.set_read_timeout(Some(LIMIT))?;
            stream.write_all(b"GET /_ping HTTP/1.0\r\n\r\n")?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            io::Result::Ok(answer)
        };
        ask().is_ok_and(|answer| answer.starts_with("HTTP/1.0 200"))
    }

    fn spawn(&self, words: &[&str]) -> Result<Child, String> {
        // A session of its own: an interrupted test is to end it like the rest, with the world.
        let mut command = self.entering(Command::new("setsid"));
        command
            .args(["sh", "-c", &format!("exec \"$@\" >>/{LOG} 2>&1"), "sh"])
            .args(words)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command.spawn().map_err(|error| format!("setsid: {error}"))
    }

    fn wait_for(&mut self, what: &str, is_up: impl Fn(&Self) -> bool) -> Result<(), String> {
        let begin = Instant::now();
        while !is_up(self) {
            let ended =
                [&mut self.containerd, &mut self.dockerd].into_iter().flatten().any(has_ended);
            if ended || begin.elapsed() > LIMIT {
                return Err(format!("{what} does not come up:\n{}", self.log()));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Stops dockerd as a service manager would, and with it its containers. containerd goes on, as a service of its own.
    #[track_caller]
    pub(crate) fn stop_engine(&mut self) {
        let mut dockerd = self.dockerd.take().expect("a running engine");
        self.sh("kill \"$(cat /run/docker.pid)\"");
        let begin = Instant::now();
        while !has_ended(&mut dockerd) {
            assert!(begin.elapsed() < LIMIT, "dockerd does not stop: {}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The last words of containerd and dockerd that are not routine.
    pub(crate) fn log(&self) -> String {
        let text = fs::read_to_string(self.root().join(LOG)).unwrap_or_default();
        let lines: Vec<_> = text.lines().filter(|line| !line.contains(" level=info ")).collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }

    /// Ends the world and all that runs in it; the script's last words.
    fn end(&mut self) -> String {
        drop(self.world.stdin.take());
        let mut words = String::new();
        if let Some(mut stderr) = self.world.stderr.take() {
            let _ = stderr.read_to_string(&mut words);
        }
        let _ = self.world.wait();
        for child in [&mut self.containerd, &mut self.dockerd].into_iter().flatten() {
            let _ = child.wait();
        }
        words
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let words = self.end();
        let clean = self.world.wait().is_ok_and(|status| status.success());
        // Of what never came up, that was said.
        assert!(
            clean || self.first == 0 || std::thread::panicking(),
            "control groups of {} are left behind: {words}",
            self.name
        );
    }
}

/// What a command said, with its status.
fn words_of(output: &Output) -> String {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    format!("{}\n{}{}", output.status, text(&output.stdout), text(&output.stderr))
}

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// What a process is called in each PID namespace from ours down.
fn namespaces(process: u32) -> Option<Vec<u32>> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("NSpid:"))?;
    Some(line.split_whitespace().filter_map(|word| word.parse().ok()).collect())
}
