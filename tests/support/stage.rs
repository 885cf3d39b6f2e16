//! A private instance with everything that `binfmtd` needs around it: configuration, record of
//! ownership, interpreters. After each command nothing of it may be left behind.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use serde_json::Value;

use super::{INSTANCE, Private};
use binfmtd::testing::probe;
use binfmtd::testing::target::Table;

/// The program under test.
pub(crate) const BINFMTD: &str = env!("CARGO_BIN_EXE_binfmtd");

/// What a command said.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The exit status.
    pub(crate) code: Option<i32>,
    /// The document on standard output.
    pub(crate) json: Value,
    /// Standard error.
    pub(crate) errors: String,
}

/// Entry files by name, byte for byte.
pub(crate) type Entries = BTreeMap<String, Vec<u8>>;

pub(crate) struct Stage {
    private: Private,
    table: Table,
}

impl Stage {
    /// Moves this process into an instance of its own; see [`Private::enter`].
    pub(crate) fn enter() -> Result<Self, String> {
        Self::set(Private::enter()?)
    }

    /// The same, with every user of the host in it.
    pub(crate) fn enter_with_every_user() -> Result<Self, String> {
        Self::set(Private::enter_with_every_user()?)
    }

    fn set(private: Private) -> Result<Self, String> {
        // Whatever a command leaves behind becomes our child, and is seen.
        nix::sys::prctl::set_child_subreaper(true).map_err(|error| error.to_string())?;
        let stage = Self { private, table: Table::embedded() };
        for folder in ["run", "scratch", "bin"] {
            fs::create_dir(stage.path(folder)).map_err(|error| error.to_string())?;
        }
        stage.configure("");
        Ok(stage)
    }

    /// A path on the stage's own tmpfs, whose files only root can write.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.private.folder().join(name)
    }

    /// Writes the configuration that every command reads.
    pub(crate) fn configure(&self, text: &str) {
        let path = self.path("binfmtd.toml");
        fs::write(&path, text).expect("a configuration file");
        chmod(&path, 0o644);
    }

    /// An empty instance and no record, as after a boot.
    pub(crate) fn reset(&self) {
        Private::flush().expect("an instance that can be emptied");
        Private::tell("status", "1").expect("an instance that can be switched on");
        self.forget();
    }

    /// Loses the record of ownership.
    pub(crate) fn forget(&self) {
        let _ = fs::remove_file(self.record_path());
    }

    pub(crate) fn record_path(&self) -> PathBuf {
        self.path("run/rules.json")
    }

    /// The record of ownership.
    pub(crate) fn record(&self) -> Value {
        let text = fs::read(self.record_path()).expect("a record of ownership");
        serde_json::from_slice(&text).expect("a record in JSON")
    }

    /// `binfmtd` with the stage's configuration and folders.
    pub(crate) fn command<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Command {
        let mut command = Command::new(BINFMTD);
        command
            .arg("--format=json")
            .arg("--config")
            .arg(self.path("binfmtd.toml"))
            .args(arguments)
            .env("BINFMTD_RUNTIME_DIRECTORY", self.path("run"))
            .env("TMPDIR", self.path("scratch"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs `binfmtd`. Whatever it is asked, it leaves neither a process nor a file behind.
    pub(crate) fn run(&self, arguments: &[&str]) -> Answer {
        let output = self.command(arguments).output().expect("binfmtd starts");
        self.nothing_left(&format!("binfmtd {arguments:?}"));
        Answer::of(&output)
    }

    /// Runs `binfmtd`, which has to be content.
    pub(crate) fn well(&self, arguments: &[&str]) -> Answer {
        let answer = self.run(arguments);
        assert_eq!(answer.code, Some(0), "binfmtd {arguments:?}: {answer}");
        answer
    }

    /// Runs `binfmtd`, which has to say that something does not work.
    pub(crate) fn fails(&self, arguments: &[&str]) -> Answer {
        let answer = self.run(arguments);
        assert_eq!(answer.code, Some(1), "binfmtd {arguments:?}: {answer}");
        answer
    }

    /// Asserts that no process and no temporary file is left.
    pub(crate) fn nothing_left(&self, after: &str) {
        let alive = children();
        assert!(alive.is_empty(), "{after}: processes left behind: {alive:?}");
        let left = listing(&self.path("scratch"));
        assert!(left.is_empty(), "{after}: files left behind: {left:?}");
    }

    /// Every rule there is, as the kernel tells it.
    pub(crate) fn entries() -> Entries {
        listing(Path::new(INSTANCE))
            .into_iter()
            .filter(|name| !matches!(name.as_str(), "register" | "status"))
            .map(|name| {
                let content = fs::read(Private::path(&name)).expect("a readable entry");
                (name, content)
            })
            .collect()
    }

    /// One rule, as the kernel tells it.
    pub(crate) fn entry(name: &str) -> String {
        fs::read_to_string(Private::path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Puts a rule there as somebody else would.
    pub(crate) fn plant(&self, register: &str) {
        self.private
            .register(register.as_bytes())
            .unwrap_or_else(|error| panic!("register {register}: {error}"));
    }

    /// Copies a program into the stage's folder `bin`; a new file each time, by rename.
    pub(crate) fn install(&self, from: &Path, name: &str) -> PathBuf {
        let content = fs::read(from).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
        self.install_content(&content, name)
    }

    /// The same, from bytes.
    pub(crate) fn install_content(&self, content: &[u8], name: &str) -> PathBuf {
        let (new, path) = (self.path("bin/.new"), self.path("bin").join(name));
        fs::write(&new, content).expect("a program");
        chmod(&new, 0o755);
        fs::rename(&new, &path).expect("a program in its place");
        path
    }

    /// A program of a target: the probe, which with no standard input says what it sees and ends.
    pub(crate) fn foreign(&self, target: &str, machine: Option<u16>) -> PathBuf {
        let target = self.table.find(target).expect("a known target");
        let machine = machine.unwrap_or(target.identity.machines[0]);
        let path = self.path(&format!("foreign-{}-{machine:x}", target.name));
        if !path.exists() {
            fs::write(&path, probe::build(target, machine).expect("a probe")).expect("a program");
            chmod(&path, 0o755);
        }
        path
    }

    /// Whether a target's program starts now, and ends well.
    pub(crate) fn starts(&self, target: &str) -> bool {
        starts(&self.foreign(target, None))
    }

    pub(crate) fn table(&self) -> &Table {
        &self.table
    }

    /// Starts `program` again and again from another thread, each time a process of its own, while
    /// `work` goes on; `work` sees how many started so far, and how many failed. How many started, and
    /// what went wrong with the others.
    pub(crate) fn under_load(
        program: &Path,
        work: impl FnOnce(&AtomicUsize, &AtomicUsize),
    ) -> (usize, Vec<String>) {
        let (started, failed, over) =
            (AtomicUsize::new(0), AtomicUsize::new(0), AtomicBool::new(false));
        let failures = std::thread::scope(|scope| {
            let load = scope.spawn(|| {
                let mut failures = Vec::new();
                while !over.load(Ordering::Relaxed) {
                    match start(program) {
                        Ok(()) => started.fetch_add(1, Ordering::Relaxed),
                        Err(problem) => {
                            failures.push(problem);
                            failed.fetch_add(1, Ordering::Relaxed)
                        }
                    };
                }
                failures
            });
            {
                // A panic in the work must not leave the thread running, which the scope waits for.
                let _end = SetOnDrop(&over);
                work(&started, &failed);
            }
            load.join().expect("a thread that does not panic")
        });
        (started.into_inner(), failures)
    }
}

struct SetOnDrop<'a>(&'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{:#}", self.errors, self.json)
    }
}

impl Answer {
    pub(crate) fn of(output: &Output) -> Self {
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        let json = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
            panic!("{error}: {}\n{errors}", String::from_utf8_lossy(&output.stdout))
        });
        Self { code: output.status.code(), json, errors }
    }

    /// The lines of `register`.
    pub(crate) fn rules(&self) -> &[Value] {
        self.json["rules"].as_array().map_or(&[], Vec::as_slice)
    }

    /// The line of a target; of the first of its rules.
    pub(crate) fn rule_of(&self, target: &str) -> &Value {
        self.rules()
            .iter()
            .find(|line| line["target"] == target)
            .unwrap_or_else(|| panic!("no line for {target}: {self}"))
    }

    /// The verdict on a target in `doctor`'s document.
    pub(crate) fn verdict(&self, target: &str) -> &str {
        let targets = self.json["targets"].as_array().map_or(&[][..], Vec::as_slice);
        targets
            .iter()
            .find(|line| line["target"] == target)
            .and_then(|line| line["verdict"].as_str())
            .unwrap_or_else(|| panic!("no verdict on {target}: {self}"))
    }

    /// One check of `doctor`'s document.
    pub(crate) fn check(&self, id: &str, target: &str) -> &Value {
        let checks = self.json["checks"].as_array().map_or(&[][..], Vec::as_slice);
        checks
            .iter()
            .find(|check| check["id"] == id && check["target"] == target)
            .unwrap_or_else(|| panic!("no check {id} of {target}: {self}"))
    }

    /// Whether nothing was written to the kernel.
    pub(crate) fn changed_nothing(&self) -> bool {
        self.rules().iter().all(|line| line["changed"] == false)
    }
}

/// Asserts that a field of a document is a sentence with all these words in it.
#[track_caller]
pub(crate) fn says(text: &Value, words: &[&str]) {
    let sentence = text.as_str().unwrap_or_else(|| panic!("no sentence but {text}"));
    for word in words {
        assert!(sentence.contains(word), "{word:?} is not in: {sentence}");
    }
}

/// Whether a program starts and ends well, with no standard input.
pub(crate) fn starts(program: &Path) -> bool {
    start(program).is_ok()
}

/// Starts a program with no standard input; what went wrong.
fn start(program: &Path) -> Result<(), String> {
    let output = Command::new(program).stdin(Stdio::null()).output();
    let output = output.map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim()))
}

/// This thread's children that live, by what they run; the dead ones are buried. Those of another
/// thread, which makes load, are its own to wait for; orphans come to the first thread.
pub(crate) fn children() -> Vec<String> {
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG | WaitPidFlag::__WNOTHREAD)) {
            Ok(WaitStatus::StillAlive) => break,
            Err(Errno::ECHILD) => return Vec::new(),
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => panic!("waitpid: {errno}"),
        }
    }
    let me = std::process::id();
    fs::read_to_string(format!("/proc/{me}/task/{me}/children"))
        .unwrap_or_default()
        .split_whitespace()
        .map(|pid| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            format!("{pid} {}", String::from_utf8_lossy(&line).replace('\0', " "))
        })
        .collect()
}

/// Waits for a condition that comes by itself, looking again and again; panics after `limit`.
#[track_caller]
pub(crate) fn eventually(what: &str, limit: Duration, mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < limit, "{what}: not after {limit:?}");
        std::thread::yield_now();
    }
}

/// Whether a child has ended.
pub(crate) fn has_ended(child: &mut Child) -> bool {
    child.try_wait().expect("a child of ours").is_some()
}

pub(crate) fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("a file of ours");
}

/// The names in a folder, sorted.
pub(crate) fn listing(folder: &Path) -> Vec<String> {
    let entries =
        fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut names: Vec<_> = entries
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// A release of QEMU: where its programs are, and what Debian calls it.
pub(crate) struct Qemu {
    /// The folder.
    pub(crate) folder: PathBuf,
    /// `1:7.2+dfsg-7+deb12u18+b3`.
    pub(crate) package: String,
}

impl Qemu {
    /// Fetches a release of Debian's, or finds it in the cache.
    pub(crate) fn release(version: &str) -> Result<Self, String> {
        let folder = fetched("qemu", &[version])?;
        let origin = folder.join("../../origin");
        let package = fs::read_to_string(&origin)
            .ok()
            .and_then(|line| line.split_whitespace().nth(1).map(str::to_owned))
            .ok_or_else(|| format!("{}: no version in it", origin.display()))?;
        Ok(Self { folder, package })
    }

    /// A static emulator of a target, installed or of any release.
    pub(crate) fn any(target: &str) -> Result<PathBuf, String> {
        let name = format!("qemu-{target}-static");
        let installed = Path::new("/usr/bin").join(&name);
        if installed.is_file() {
            return Ok(installed);
        }
        Ok(Self::release("7.2")?.folder.join(name))
    }

    /// Its programs: name and path; links are none.
    pub(crate) fn programs(&self) -> Vec<(String, PathBuf)> {
        listing(&self.folder)
            .into_iter()
            .filter(|name| name.starts_with("qemu-"))
            .map(|name| (name.clone(), self.folder.join(name)))
            .filter(|(_, path)| fs::symlink_metadata(path).is_ok_and(|found| found.is_file()))
            .collect()
    }
}

/// Device and inode, which tell one file from another.
pub(crate) fn inode(path: &Path) -> (u64, u64) {
    let found = fs::metadata(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    (found.dev(), found.ino())
}

/// What a script of `tests/setup` fetched, or found in the cache.
pub(crate) fn fetched(script: &str, words: &[&str]) -> Result<PathBuf, String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/setup").join(script);
    let output = Command::new(&script)
        .args(words)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{}: {error}", script.display()))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned());
    }
    let answer = String::from_utf8_lossy(&output.stdout);
    Ok(PathBuf::from(answer.lines().last().unwrap_or_default()))
}
