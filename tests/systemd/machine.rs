//! A container with systemd. Whatever becomes of the test, nothing of it is left.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::unistd::getuid;
use tempfile::TempDir;

use crate::support::need;
use crate::support::stage::{BINFMTD, Qemu, eventually, fetched, has_ended, listing};
use binfmtd::testing::probe;
use binfmtd::testing::target::Table;

/// What the service is configured for at boot.
pub(crate) const TARGETS: [&str; 2] = ["aarch64", "riscv64"];
/// Has an interpreter and a program in the machine, and is in no configuration at boot.
pub(crate) const ANOTHER: &str = "s390x";

/// Stopped while containers may run, and when nothing of ours is left to stop.
pub(crate) const ENGINE: &str = "docker.service";
pub(crate) const LAST: &str = "last.service";

/// Longer than any of it takes, on a busy machine.
pub(crate) const LONG: Duration = Duration::from_secs(60);

const INSTANCE: &str = "proc/sys/fs/binfmt_misc";

/// Puts into a folder, which is laid over that suite of Debian, what a test is about.
pub(crate) type Prepare = fn(&Path, &str) -> Result<(), String>;

pub(crate) struct Machine {
    container: Child,
    name: String,
    /// Its process 1, as it is called out here.
    first: u32,
    folder: TempDir,
}

impl Machine {
    /// Boots a suite of Debian with interpreters and foreign programs, and with what `prepare` puts beside them.
    pub(crate) fn boot(suite: &str, prepare: Prepare) -> Option<Self> {
        let root = if getuid().is_root() { Ok(()) } else { Err("this is not root".to_owned()) };
        need("root", root)?;
        for tool in ["systemd-nspawn", "nsenter", "unshare", "setpriv"] {
            let found = Command::new(tool).arg("--version").output();
            need(tool, found.map_err(|error| error.to_string()))?;
        }
        let qemu = need("QEMU 7.2", Qemu::release("7.2"))?;
        let debian = need(suite, rootfs(suite))?;
        let folder = tempfile::Builder::new().prefix("binfmtd-systemd-").tempdir().unwrap();
        let ours = folder.path().join("ours");
        equip(&ours, &qemu);
        need("what is to be in it", prepare(&ours, suite))?;
        need("a container with systemd", Self::start(suite, &debian, folder))
    }

    fn start(suite: &str, debian: &Path, folder: TempDir) -> Result<Self, String> {
        let name = format!("binfmtd-test-{}-{suite}", std::process::id());
        let mount = folder.path().join("mount");
        fs::create_dir(&mount).unwrap();
        let console = File::create(folder.path().join("console")).unwrap();
        // Each ends when the one before it does: this process, unshare, process 1 of the namespace and with it all.
        let container = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--fork"])
            .args(["--kill-child=KILL", "--mount-proc"])
            .arg(script("boot"))
            .arg(&name)
            .args([&mount, debian, &folder.path().join("ours")])
            .stdin(Stdio::null())
            .stdout(console.try_clone().unwrap())
            .stderr(console)
            .spawn()
            .map_err(|error| format!("setpriv: {error}"))?;
        let mut machine = Self { container, name, first: 0, folder };
        let begin = Instant::now();
        let mut state = String::new();
        // No container, no answer: that is this machine's fault.
        while !["initializing", "starting", "running", "degraded"].contains(&state.as_str()) {
            if has_ended(&mut machine.container) || begin.elapsed() > LONG {
                return Err(format!("it does not boot: {state}\n{}", machine.console()));
            }
            std::thread::sleep(Duration::from_millis(20));
            machine.first = machine.find_first().unwrap_or_default();
            if machine.first != 0 {
                machine.run(&["systemctl", "is-system-running"]).0.trim().clone_into(&mut state);
            }
        }
        // From here on it is ours.
        eventually("the end of the boot", LONG, || {
            machine.run(&["systemctl", "list-jobs", "--no-legend"]) == (String::new(), true)
        });
        Ok(machine)
    }

    /// Process 1 of the namespace below the one that unshare made.
    fn find_first(&self) -> Option<u32> {
        let depth = namespaces(std::process::id())?.len() + 2;
        let nspawn = children(self.container.id()).into_iter().next()?;
        children(nspawn).into_iter().find(|process| {
            namespaces(*process).is_some_and(|ids| ids.len() == depth && ids.ends_with(&[1]))
        })
    }

    fn console(&self) -> String {
        fs::read_to_string(self.folder.path().join("console")).unwrap_or_default()
    }

    /// A command in the machine.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("timeout");
        command
            .args(["--kill-after=5", "60", "nsenter", "--all", "--target"])
            .arg(self.first.to_string())
            .args(["env", "-i", "PATH=/usr/sbin:/usr/bin", "SYSTEMD_PAGER=", "SYSTEMD_COLORS=0"])
            .args(words)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs a command in the machine: what it wrote, and whether it succeeded.
    pub(crate) fn run(&self, words: &[&str]) -> (String, bool) {
        let Output { status, stdout, stderr } = self.command(words).output().unwrap();
        let mut text = String::from_utf8_lossy(&stdout).into_owned();
        text += &String::from_utf8_lossy(&stderr);
        (text, status.success())
    }

    /// Runs a command that has to succeed; what it wrote.
    #[track_caller]
    pub(crate) fn well(&self, words: &[&str]) -> String {
        let (text, well) = self.run(words);
        assert!(well, "{words:?}: {text}\n{}", self.journal());
        text.trim_end().to_owned()
    }

    /// Runs a shell's script that has to succeed.
    #[track_caller]
    pub(crate) fn sh(&self, script: &str) -> String {
        self.well(&["sh", "-ec", script])
    }

    /// What the service said since boot.
    pub(crate) fn journal(&self) -> String {
        self.run(&[
            "journalctl",
            "--quiet",
            "--no-pager",
            "--unit=binfmtd*",
            "--output=short-precise",
        ])
        .0
    }

    /// A property of the service.
    #[track_caller]
    pub(crate) fn property(&self, name: &str) -> String {
        self.well(&["systemctl", "show", "--value", "--property", name, "binfmtd.service"])
    }

    /// The main process, as it is called in the machine.
    #[track_caller]
    pub(crate) fn daemon(&self) -> String {
        let process = self.property("MainPID");
        assert_ne!(process, "0", "{}", self.journal());
        process
    }

    /// Waits until the service is up, as systemd sees it.
    #[track_caller]
    pub(crate) fn is_up(&self, what: &str) {
        eventually(what, LONG, || self.property("ActiveState") == "active");
    }

    /// Holds that a target's program runs, here and in an empty root.
    #[track_caller]
    pub(crate) fn runs(&self, target: &str) {
        for words in [
            &[format!("/srv/empty/{target}").as_str()] as &[&str],
            &["chroot", "/srv/empty", &format!("/{target}")],
        ] {
            let (text, well) = self.run(words);
            assert!(well, "{words:?}: {text}\n{}", self.journal());
        }
    }

    /// The same for all targets that are wanted at boot.
    #[track_caller]
    pub(crate) fn runs_all(&self) {
        for target in TARGETS {
            self.runs(target);
        }
    }

    /// Whether a target's program runs.
    pub(crate) fn can_run(&self, target: &str) -> bool {
        self.run(&[&format!("/srv/empty/{target}")]).1
    }

    /// The names of the rules in the kernel.
    pub(crate) fn rules(&self) -> Vec<String> {
        Held::of(self).rules()
    }

    /// Writes a file that root alone may write.
    pub(crate) fn write(&self, path: &str, content: &str) {
        let folder = Path::new(path).parent().unwrap().display().to_string();
        self.sh(&format!(
            "mkdir -p {folder}; cat >{path} <<'END'\n{content}\nEND\nchmod 644 {path}"
        ));
    }

    /// Configures the service; it has to be told.
    pub(crate) fn configure(&self, targets: &[&str]) {
        self.write("/etc/binfmtd/binfmtd.toml", &configuration(targets));
    }

    /// Ends all of it at once.
    pub(crate) fn cut_power(&mut self) {
        let _ = self.container.kill();
        let _ = self.container.wait();
    }

    /// Shuts the machine down as an administrator would, and waits for its end.
    pub(crate) fn shut_down(&mut self) {
        self.run(&["systemctl", "poweroff"]);
        let mut ended = false;
        for _ in 0..LONG.as_millis() / 20 {
            ended = has_ended(&mut self.container);
            if ended {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(ended, "it did not shut down: {}", self.console());
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.cut_power();
        let clean = Command::new("unshare")
            .arg("--mount")
            .arg(script("boot"))
            .args(["--clean", &self.name])
            .status();
        let clean = clean.is_ok_and(|status| status.success());
        assert!(
            clean || std::thread::panicking(),
            "control groups of {} are left behind",
            self.name
        );
    }
}

/// A machine's instance and what its witnesses wrote, held open from out here: they outlive it.
pub(crate) struct Held {
    instance: File,
    witnesses: File,
}

impl Held {
    pub(crate) fn of(machine: &Machine) -> Self {
        let root = Path::new("/proc").join(machine.first.to_string()).join("root");
        let open = |path: PathBuf| {
            File::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        };
        Self { instance: open(root.join(INSTANCE)), witnesses: open(root.join("srv")) }
    }

    pub(crate) fn rules(&self) -> Vec<String> {
        rules_of(listing(&descriptor(&self.instance)))
    }

    /// The rules that a witness saw when it was stopped.
    #[track_caller]
    pub(crate) fn seen_by(&self, witness: &str) -> Vec<String> {
        let path = descriptor(&self.witnesses).join(witness);
        let text = fs::read_to_string(&path)
            .unwrap_or_else(|error| panic!("{witness} was not stopped: {error}"));
        rules_of(text.lines().map(str::to_owned).collect())
    }
}

fn descriptor(file: &File) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

fn rules_of(mut names: Vec<String>) -> Vec<String> {
    let before = names.len();
    names.retain(|name| !matches!(name.as_str(), "register" | "status"));
    assert_eq!(names.len() + 2, before, "this is no instance of binfmt_misc");
    names
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/systemd").join(name)
}

fn rootfs(suite: &str) -> Result<PathBuf, String> {
    fetched("rootfs", &[suite])
}

/// What a machine has besides Debian: interpreters and foreign programs.
fn equip(folder: &Path, qemu: &Qemu) {
    for made in ["srv/empty", "usr/bin", "etc/systemd/system"] {
        fs::create_dir_all(folder.join(made)).unwrap();
    }
    // Not for a user namespace, and nobody's business here.
    for unit in ["sys-kernel-debug.mount", "sys-kernel-tracing.mount"] {
        let mask = folder.join("etc/systemd/system").join(unit);
        std::os::unix::fs::symlink("/dev/null", mask).unwrap();
    }
    let table = Table::embedded();
    for target in TARGETS.iter().chain([&ANOTHER]) {
        let interpreter = format!("qemu-{target}-static");
        fs::copy(qemu.folder.join(&interpreter), folder.join("usr/bin").join(interpreter)).unwrap();
        let known = table.find(target).unwrap();
        let program = folder.join("srv/empty").join(target);
        fs::write(&program, probe::build(known, known.identity.machines[0]).unwrap()).unwrap();
        crate::support::stage::chmod(&program, 0o755);
    }
}

/// The program and its units by `make install`, enabled as by preset, with a configuration.
#[allow(clippy::unnecessary_wraps, reason = "it is a Prepare")]
pub(crate) fn installed(folder: &Path, suite: &str) -> Result<(), String> {
    let version = if suite == "bookworm" { 252 } else { 257 };
    well(
        Command::new("make")
            .args(["--silent", "manual", "install", "PREFIX=/usr"])
            .arg(format!("DESTDIR={}", folder.display()))
            .arg(format!("BINARY={BINFMTD}"))
            .arg(format!("SYSTEMD_VERSION={version}"))
            .env_remove("MAKEFLAGS")
            .current_dir(env!("CARGO_MANIFEST_DIR")),
    );
    well(Command::new("systemctl").arg(format!("--root={}", folder.display())).args([
        "preset",
        "binfmtd.service",
        "binfmtd-doctor.timer",
    ]));
    // By its name a container engine: it has to start a foreign program at boot.
    witness(folder, ENGINE, "", &format!("ExecStart=/srv/empty/{}", TARGETS[0]));
    witness(folder, LAST, "Before=binfmtd-cleanup.service", "");
    fs::create_dir_all(folder.join("etc/binfmtd")).unwrap();
    let file = folder.join("etc/binfmtd/binfmtd.toml");
    fs::write(&file, configuration(&TARGETS)).unwrap();
    crate::support::stage::chmod(&file, 0o644);
    Ok(())
}

/// A unit that writes down which rules there are when it is stopped.
fn witness(folder: &Path, name: &str, unit: &str, service: &str) {
    let units = folder.join("etc/systemd/system");
    let wants = units.join("multi-user.target.wants");
    fs::create_dir_all(&wants).unwrap();
    let content = format!(
        "[Unit]\n{unit}\n[Service]\nType=oneshot\nRemainAfterExit=yes\n{service}\n\
         ExecStop=/bin/sh -c 'ls /{INSTANCE} >/srv/{name}'\n"
    );
    fs::write(units.join(name), content).unwrap();
    std::os::unix::fs::symlink(Path::new("..").join(name), wants.join(name)).unwrap();
}

fn configuration(targets: &[&str]) -> String {
    let mut text = "targets = [".to_owned();
    for target in targets {
        write!(text, "\"{target}\", ").unwrap();
    }
    text + "]\n"
}

pub(crate) fn well(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// The children of a process and of its threads.
fn children(process: u32) -> Vec<u32> {
    let text = fs::read_to_string(format!("/proc/{process}/task/{process}/children"));
    text.unwrap_or_default().split_whitespace().filter_map(|word| word.parse().ok()).collect()
}

/// What a process is called in each PID namespace from ours down.
fn namespaces(process: u32) -> Option<Vec<u32>> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("NSpid:"))?;
    Some(line.split_whitespace().filter_map(|word| word.parse().ok()).collect())
}
