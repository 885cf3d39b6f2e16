//! The service on a stage: started, told, listened to, and ended with everything that belongs to it.
//!
//! Starts it from the process' first thread: when that ends, by whatever, the service is killed.

use std::cell::Cell;
use std::fs;
use std::io::{self, Read as _};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::Pid;
use serde_json::Value;

use super::stage::{BINFMTD, Stage};

/// More than anything here takes, on a busy machine.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);
/// How often a condition is looked at that nobody tells of. What the service writes is told at once.
const TICK: Duration = Duration::from_millis(10);

/// What the service told its manager, and when it came.
#[derive(Debug, Clone)]
pub(crate) struct Notice {
    pub(crate) at: Instant,
    /// `READY=1\nSTATUS=…`
    pub(crate) text: String,
}

/// How the service is to be started.
pub(crate) struct Launch<'a> {
    stage: &'a Stage,
    wrapper: Vec<String>,
    environment: Vec<(String, String)>,
    config: Option<PathBuf>,
}

impl<'a> Launch<'a> {
    /// With the stage's configuration and folders.
    pub(crate) fn new(stage: &'a Stage) -> Self {
        let config = Some(stage.path("binfmtd.toml"));
        Self { stage, wrapper: Vec::new(), environment: Vec::new(), config }
    }

    /// These words before the command line; they have to end in an `exec` of it.
    pub(crate) fn wrapped(mut self, words: &[&str]) -> Self {
        self.wrapper = words.iter().map(|word| (*word).to_owned()).collect();
        self
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Without `--config`: it reads the usual folders.
    pub(crate) fn with_usual_configuration(mut self) -> Self {
        self.config = None;
        self
    }

    /// Starts it, and waits for nothing.
    pub(crate) fn start(self) -> Daemon {
        thread_local!(static COUNT: Cell<u32> = const { Cell::new(0) });
        let number = COUNT.replace(COUNT.get() + 1);
        // An abstract address would be every namespace's; the tmpfs is ours.
        let address = self.stage.path(&format!("manager-{number}"));
        let socket = UnixDatagram::bind(&address).expect("a socket of the manager");
        socket.set_nonblocking(true).expect("a socket");
        let runtime = self.stage.path("run");
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC);
        let inotify = inotify.expect("inotify");
        inotify
            .add_watch(&runtime, AddWatchFlags::IN_MOVED_TO | AddWatchFlags::IN_DELETE)
            .expect("a watch on the runtime folder");

        // It must not outlive us; and a Command cannot ask for that itself without unsafe code.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).args(&self.wrapper).arg(BINFMTD);
        if let Some(config) = &self.config {
            command.arg("--config").arg(config);
        }
        command
            .arg("daemon")
            .env("BINFMTD_RUNTIME_DIRECTORY", &runtime)
            .env("TMPDIR", self.stage.path("scratch"))
            .env("NOTIFY_SOCKET", &address)
            .env_remove("WATCHDOG_USEC")
            .env_remove("WATCHDOG_PID")
            .env_remove("JOURNAL_STREAM")
            .envs(self.environment)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let started = Instant::now();
        let mut child = command.spawn().expect("setpriv (util-linux) starts");
        let stderr = child.stderr.take().expect("its standard error");
        fcntl(&stderr, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).expect("a pipe");
        Daemon {
            child,
            ended: None,
            started,
            runtime,
            socket,
            inotify,
            stderr: Some(stderr),
            partial: Vec::new(),
            log: Vec::new(),
            notices: Vec::new(),
        }
    }

    /// Starts it, and waits until it is ready.
    pub(crate) fn ready(self) -> Daemon {
        let mut daemon = self.start();
        daemon.wait_notice(0, "READY=1");
        daemon
    }
}

/// A running service. Dropped, it is killed with everything that it started.
pub(crate) struct Daemon {
    child: Child,
    ended: Option<ExitStatus>,
    started: Instant,
    runtime: PathBuf,
    socket: UnixDatagram,
    inotify: Inotify,
    stderr: Option<ChildStderr>,
    partial: Vec<u8>,
    log: Vec<String>,
    notices: Vec<Notice>,
}

impl Daemon {
    /// Starts the service with the stage's configuration, and waits until it is ready.
    pub(crate) fn ready(stage: &Stage) -> Self {
        Launch::new(stage).ready()
    }

    /// The loop's process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn started(&self) -> Instant {
        self.started
    }

    /// The helper's process.
    #[track_caller]
    pub(crate) fn helper(&self) -> u32 {
        let children = children_of(self.pid());
        // An orphan that the loop adopted has another parent's name in it for a moment only.
        *children.first().unwrap_or_else(|| panic!("no helper: {self}"))
    }

    /// The processes that do a job at the moment, and what they started.
    pub(crate) fn workers(&self) -> Vec<u32> {
        children_of(self.pid()).first().map_or_else(Vec::new, |helper| descendants(*helper))
    }

    /// Waits until a worker is there; its process.
    #[track_caller]
    pub(crate) fn wait_worker(&mut self) -> u32 {
        self.until("a worker", |daemon| daemon.workers().first().copied())
    }

    /// What is in `state.json`, if it is there; a file that is no JSON is a failure.
    #[track_caller]
    pub(crate) fn find_state(&self) -> Option<Value> {
        let text = match fs::read(self.runtime.join("state.json")) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => panic!("state.json: {error}"),
        };
        let state = serde_json::from_slice(&text)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&text)));
        Some(state)
    }

    /// What is in `state.json`.
    #[track_caller]
    pub(crate) fn state(&self) -> Value {
        self.find_state().unwrap_or_else(|| panic!("no state.json: {self}"))
    }

    /// How many heals of this cause there were.
    #[track_caller]
    pub(crate) fn heals(&self, cause: &str) -> u64 {
        self.state()["heals"][cause].as_u64().unwrap_or(0)
    }

    /// The state of a rule.
    #[track_caller]
    pub(crate) fn rule(&self, name: &str) -> Value {
        self.find_rule(name).unwrap_or_else(|| panic!("no rule {name} in {:#}", self.state()))
    }

    /// The same, of one that may not be there.
    pub(crate) fn find_rule(&self, name: &str) -> Option<Value> {
        let state = self.find_state()?;
        state["rules"].as_array()?.iter().find(|rule| rule["rule"] == name).cloned()
    }

    /// Everything it logged so far, as far as it was taken in: a line each.
    pub(crate) fn log(&self) -> &[String] {
        &self.log
    }

    /// How much was logged so far: the place after which something new is waited for.
    pub(crate) fn mark(&mut self) -> usize {
        self.take_in();
        self.log.len()
    }

    /// The lines since `mark` with all these words in them.
    pub(crate) fn logged(&mut self, mark: usize, words: &[&str]) -> Vec<String> {
        self.take_in();
        matching(&self.log[mark..], words)
    }

    /// Waits for a line after `mark` with all these words in it.
    #[track_caller]
    pub(crate) fn wait_log(&mut self, mark: usize, words: &[&str]) -> String {
        self.until(&format!("a line with {words:?}"), |daemon| {
            matching(&daemon.log[mark..], words).first().cloned()
        })
    }

    /// Everything it told its manager, as far as it was taken in.
    pub(crate) fn notices(&mut self) -> &[Notice] {
        self.take_in();
        &self.notices
    }

    /// Waits for a notice with this line in it, after that many others.
    #[track_caller]
    pub(crate) fn wait_notice(&mut self, after: usize, line: &str) -> Notice {
        self.until(&format!("notice {line}"), |daemon| {
            daemon.notices[after..].iter().find(|it| it.has(line)).cloned()
        })
    }

    /// Waits until a condition holds; it is looked at whenever the service says or writes something.
    #[track_caller]
    pub(crate) fn until<T>(&mut self, what: &str, is_so: impl FnMut(&Self) -> Option<T>) -> T {
        self.within(LIMIT, what, is_so)
    }

    /// The same, with a limit of one's own.
    #[track_caller]
    pub(crate) fn within<T>(
        &mut self,
        limit: Duration,
        what: &str,
        mut is_so: impl FnMut(&Self) -> Option<T>,
    ) -> T {
        let begin = Instant::now();
        loop {
            // The condition may look at more than was taken in: what is seen was true before.
            let over = begin.elapsed() >= limit;
            self.take_in();
            if let Some(found) = is_so(self) {
                return found;
            }
            assert!(!over, "{what}: not after {limit:?}: {self}");
            self.listen(TICK);
        }
    }

    /// Listens for as long, which is how one sees that nothing comes.
    pub(crate) fn listen_for(&mut self, time: Duration) {
        let begin = Instant::now();
        while let Some(left) = time.checked_sub(begin.elapsed()).filter(|left| !left.is_zero()) {
            self.listen(left);
            self.take_in();
        }
    }

    /// Waits until it says or writes something, at most for `limit`.
    fn listen(&self, limit: Duration) {
        let mut watched = vec![
            PollFd::new(self.socket.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.inotify.as_fd(), PollFlags::POLLIN),
        ];
        if let Some(stderr) = &self.stderr {
            watched.push(PollFd::new(stderr.as_fd(), PollFlags::POLLIN));
        }
        let milliseconds = limit.as_nanos().div_ceil(1_000_000);
        // EINTR: looked at again.
        let _ = poll(&mut watched, PollTimeout::try_from(milliseconds).unwrap_or(PollTimeout::MAX));
    }

    fn take_in(&mut self) {
        let mut buffer = [0; 8192];
        while let Ok(length) = self.socket.recv(&mut buffer) {
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            self.notices.push(Notice { at: Instant::now(), text });
        }
        // What it told is of no interest, only that it did.
        while self.inotify.read_events().is_ok() {}
        while let Some(stderr) = &mut self.stderr {
            match stderr.read(&mut buffer) {
                Ok(0) => self.stderr = None,
                Ok(length) => self.partial.extend_from_slice(&buffer[..length]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        while let Some(end) = self.partial.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.partial.drain(..=end).collect();
            self.log.push(String::from_utf8_lossy(&line).trim_end().to_owned());
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        assert!(self.ended.is_none(), "it has ended: {self}");
        kill(pid_of(self.pid()), signal).expect("a child of ours");
    }

    /// Kills the loop, and nothing else, without a warning.
    pub(crate) fn kill(&mut self) {
        self.signal(Signal::SIGKILL);
        self.wait_exit();
    }

    /// Waits for the end of the loop and of everything that belongs to it: the last of them closes
    /// standard error.
    #[track_caller]
    pub(crate) fn wait_exit(&mut self) -> ExitStatus {
        if let Some(status) = self.ended {
            return status;
        }
        self.until("its end", |daemon| daemon.stderr.is_none().then_some(()));
        let status = self.child.wait().expect("a child of ours");
        self.ended = Some(status);
        status
    }

    /// Asks it to end, which it has to do well.
    #[track_caller]
    pub(crate) fn stop(&mut self) {
        self.signal(Signal::SIGTERM);
        let status = self.wait_exit();
        assert!(status.success(), "{status}: {self}");
        assert_eq!(self.find_state(), None, "a state file of nobody");
    }
}

impl Notice {
    /// Whether it has this line.
    pub(crate) fn has(&self, line: &str) -> bool {
        self.text.lines().any(|own| own == line)
    }

    /// What follows `NAME=`.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
    }
}

impl std::fmt::Display for Daemon {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(
            f,
            "the service (process {}, {:?})",
            self.pid(),
            self.ended.map(|it| (it.code(), it.signal()))
        )?;
        for line in &self.log {
            writeln!(f, "  {line}")?;
        }
        for notice in &self.notices {
            writeln!(f, "  {:?} {:?}", notice.at - self.started, notice.text)?;
        }
        let state = fs::read_to_string(self.runtime.join("state.json"));
        writeln!(f, "{}", state.as_deref().unwrap_or("no state.json"))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if self.ended.is_some() {
            return;
        }
        let mut all = vec![self.pid()];
        all.extend(descendants(self.pid()));
        for pid in &all {
            let _ = kill(pid_of(*pid), Signal::SIGKILL);
        }
        let _ = self.child.wait();
        // Orphans come to us (`Stage::enter`); a worker that was forked meanwhile ends by itself.
        for pid in &all[1..] {
            let _ = waitpid(pid_of(*pid), None);
        }
    }
}

fn matching(lines: &[String], words: &[&str]) -> Vec<String> {
    lines.iter().filter(|line| words.iter().all(|word| line.contains(word))).cloned().collect()
}

fn pid_of(pid: u32) -> Pid {
    Pid::from_raw(pid.cast_signed())
}

/// The children of a process with one thread, oldest first.
pub(crate) fn children_of(pid: u32) -> Vec<u32> {
    fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))
        .unwrap_or_default()
        .split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect()
}

/// The same with theirs, and so on.
pub(crate) fn descendants(pid: u32) -> Vec<u32> {
    let mut all = children_of(pid);
    let mut next = 0;
    while let Some(one) = all.get(next) {
        all.extend(children_of(*one));
        next += 1;
    }
    all
}

/// A field of `/proc/PID/status`, without what surrounds it.
#[track_caller]
pub(crate) fn status_of(pid: u32, field: &str) -> String {
    find_status_of(pid, field).unwrap_or_else(|| panic!("no process {pid}, or no {field} of it"))
}

/// The same of a process that may end at any moment; `None` when it has.
pub(crate) fn find_status_of(pid: u32, field: &str) -> Option<String> {
    let path = Path::new("/proc").join(pid.to_string()).join("status");
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    Some(line.trim().to_owned())
}
