//! Child processes: started in a root of their own, and never waited for without a limit.
#![allow(
    unsafe_code,
    reason = "a closure between fork and exec, and pidfd_open, which no crate here has"
)]

use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Read as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd, FromRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, unshare};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::{Pid, execve};
use thiserror::Error;

use super::orphan;
use super::signal::is_readable;
use crate::observation::FileId;
use crate::system::files::identity;
use crate::system::host::privilege;

/// The number of the signal that asks a program to end, the same on every architecture.
pub const SIGTERM: i32 = Signal::SIGTERM as i32;
/// Higher than any descriptor that a shell or a service manager leaves open.
const MOST_DESCRIPTORS: i32 = 65_536;

#[derive(Debug, Clone, Copy)]
pub enum Root<'a> {
    /// The root of this process.
    Host,
    /// This folder; programs are looked up in it.
    Folder(&'a Path),
    /// This open folder, wherever it has been moved since.
    Open(BorrowedFd<'a>),
}

#[derive(Debug, Clone)]
pub struct Launch<'a> {
    /// The program, as seen from its root.
    pub program: &'a Path,
    /// argv\[0\].
    pub argv0: &'a OsStr,
    pub arguments: &'a [&'a OsStr],
    pub environment: &'a [(&'a OsStr, &'a OsStr)],
    pub root: Root<'a>,
    /// The limit for each output, in bytes; a program that writes more is killed.
    pub largest_output: usize,
}

/// A child that runs, and what it wrote so far.
#[derive(Debug)]
pub struct Child {
    process: std::process::Child,
    pidfd: OwnedFd,
    stdin: Option<PipeWriter>,
    stdout: Option<PipeReader>,
    stderr: Option<PipeReader>,
    pub output: Vec<u8>,
    pub errors: Vec<u8>,
    largest_output: usize,
    /// Whether it wrote more than the limit.
    pub flooded: bool,
    /// `None` while it runs.
    pub ended: Option<ExitStatus>,
}

/// The program that a process runs, as the kernel holds it: with `F`, the pinned interpreter.
#[derive(Debug)]
pub struct Executable {
    /// The file, open: readable even when it is deleted on disk.
    pub file: File,
    pub id: FileId,
    /// Where the kernel says it is, ` (deleted)` included.
    pub path: PathBuf,
}

/// Why execve(2) did not run a program, and what that means for a program of another CPU.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ExecError {
    /// ENOEXEC.
    #[error("exec format error: no rule takes it, and the kernel does not run it by itself")]
    Format,
    /// ENOENT, though the program is there.
    #[error(
        "no such file or directory, though the program is there: the rule's interpreter, or the loader that the \
         interpreter needs, does not exist in this root (a rule without F, or a dynamic interpreter)"
    )]
    NoInterpreter,
    /// EACCES.
    #[error("permission denied: the interpreter may not be executed")]
    Denied,
    /// ELOOP.
    #[error("too many levels of symbolic links: the interpreter itself is captured by a rule")]
    Loop,
    /// ETXTBSY.
    #[error("text file busy: somebody is writing to the interpreter")]
    Busy,
    /// EPERM.
    #[error("not permitted: a security policy forbids it, or there is no right to change the root")]
    NotPermitted,
    /// This process or the machine is at a limit, which says nothing about the program.
    #[error("no resources to start it: {0}")]
    Resources(String),
    /// Any other error, or a failure before execve(2).
    #[error("{0}")]
    Other(String),
}

impl From<io::Error> for ExecError {
    fn from(error: io::Error) -> Self {
        match error.raw_os_error().map(Errno::from_raw) {
            Some(Errno::ENOEXEC) => Self::Format,
            Some(Errno::ENOENT) => Self::NoInterpreter,
            Some(Errno::EACCES) => Self::Denied,
            Some(Errno::ELOOP) => Self::Loop,
            Some(Errno::ETXTBSY) => Self::Busy,
            Some(Errno::EPERM) => Self::NotPermitted,
            Some(Errno::EMFILE | Errno::ENFILE | Errno::EAGAIN | Errno::ENOMEM) => {
                Self::Resources(error.to_string())
            }
            _ => Self::Other(error.to_string()),
        }
    }
}

impl Child {
    /// Starts a program. An error is what execve(2) said, before the program ran.
    pub fn start(launch: &Launch<'_>) -> Result<Self, ExecError> {
        let (stdin_theirs, stdin) = io::pipe()?;
        let (stdout, stdout_theirs) = io::pipe()?;
        let (stderr, stderr_theirs) = io::pipe()?;
        let words = std::iter::once(&launch.argv0).chain(launch.arguments).copied();
        let environment = launch.environment.iter().copied().chain(orphan::mark());
        let image = Image::new(launch.program, words, environment)?;
        let mut command = Command::new(launch.program);
        command.stdin(stdin_theirs).stdout(stdout_theirs).stderr(stderr_theirs);
        let root = match launch.root {
            Root::Host => None,
            Root::Folder(folder) => Some(ChildRoot::Folder(folder.to_owned())),
            Root::Open(folder) => Some(ChildRoot::Open(folder.try_clone_to_owned()?)),
        };
        let root = root.map(|root| (root, !privilege::may_chroot()));
        let become_program = move || {
            stand_alone()?;
            prepare(root.as_ref().map(|(root, unprivileged)| (root, *unprivileged)))?;
            image.execute()
        };
        // SAFETY: between fork and exec the closure makes system calls, and allocates two short arrays
        // of pointers, which the C library's allocator allows after fork; it takes no lock of ours.
        unsafe { command.pre_exec(become_program) };
        let process = command.spawn()?;
        // The command holds the child's ends of the pipes; as long as it does, reading never ends.
        drop(command);
        let pidfd = open_pidfd(process.id())?;
        Ok(Self {
            process,
            pidfd,
            stdin: Some(stdin),
            stdout: Some(stdout),
            stderr: Some(stderr),
            output: Vec::new(),
            errors: Vec::new(),
            largest_output: launch.largest_output,
            flooded: false,
            ended: None,
        })
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.process.id().cast_signed())
    }

    pub fn executable(&self) -> io::Result<Executable> {
        let link = Path::new("/proc").join(self.process.id().to_string()).join("exe");
        let file = File::open(&link)?;
        let id = identity::id(&file.metadata()?);
        Ok(Executable { file, id, path: std::fs::read_link(&link)? })
    }

    /// The effective uid.
    pub fn effective_user(&self) -> io::Result<u32> {
        // Not the owner of its folder in /proc: a set-user-ID process is not dumpable, so that folder belongs to
        // root.
        let process = procfs::process::Process::new(self.pid().as_raw());
        let process = process.map_err(io::Error::other)?;
        Ok(process.status().map_err(io::Error::other)?.euid)
    }

    /// Writes one byte to its standard input and closes it.
    pub fn release(&mut self, byte: u8) {
        if let Some(mut stdin) = self.stdin.take() {
            // It may have ended already; its exit status says more than this error.
            let _ = stdin.write_all(&[byte]);
        }
    }

    /// Closes its standard input, so that it reads end of file.
    pub fn close_input(&mut self) {
        self.stdin = None;
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        // It has not been reaped, so the process ID is still its own.
        let _ = kill(self.pid(), Signal::SIGTERM);
    }

    /// Kills it and its process group, and reaps it.
    pub fn kill(&mut self) {
        if self.ended.is_some() {
            return;
        }
        self.kill_group();
        self.ended = self.process.wait().ok();
    }

    /// The child leads its own session and process group. Until it is reaped, the process ID is its own.
    fn kill_group(&self) {
        let _ = killpg(self.pid(), Signal::SIGKILL);
    }

    /// The signal that ended it.
    pub fn ended_by(&self) -> Option<i32> {
        self.ended.and_then(|status| status.signal())
    }

    fn descriptors(&self) -> [Option<BorrowedFd<'_>>; 3] {
        let running = self.ended.is_none();
        [
            self.stdout.as_ref().map(AsFd::as_fd),
            self.stderr.as_ref().map(AsFd::as_fd),
            running.then(|| self.pidfd.as_fd()),
        ]
    }

    fn take_in(&mut self, ready: [bool; 3]) {
        if ready[0] {
            self.flooded |= drain(&mut self.stdout, &mut self.output, self.largest_output);
        }
        if ready[1] {
            self.flooded |= drain(&mut self.stderr, &mut self.errors, self.largest_output);
        }
        if ready[2] {
            // It has ended; kill what it left in its process group.
            self.kill_group();
            self.ended = self.process.try_wait().ok().flatten();
            // Its last output may still be in the pipes. Processes that inherited them are not waited for.
            if self.ended.is_some() {
                self.read_rest();
            }
        }
    }

    fn read_rest(&mut self) {
        for (pipe, buffer) in
            [(&mut self.stdout, &mut self.output), (&mut self.stderr, &mut self.errors)]
        {
            while pipe.as_ref().is_some_and(|open| is_readable(open.as_fd())) {
                self.flooded |= drain(pipe, buffer, self.largest_output);
            }
            *pipe = None;
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Waits until a child wrote something or ended, `interrupt` became readable, or the time is over, and reads the
/// output. True when `interrupt` became readable.
pub fn wait(
    children: &mut [&mut Child],
    interrupt: Option<BorrowedFd<'_>>,
    limit: Duration,
) -> io::Result<bool> {
    let (interrupted, ready) = {
        let mut watched: Vec<PollFd<'_>> = Vec::with_capacity(children.len() * 3 + 1);
        let mut places = Vec::with_capacity(children.len() * 3);
        for (index, child) in children.iter().enumerate() {
            for (which, descriptor) in child.descriptors().into_iter().enumerate() {
                if let Some(descriptor) = descriptor {
                    watched.push(PollFd::new(descriptor, PollFlags::POLLIN));
                    places.push((index, which));
                }
            }
        }
        if let Some(interrupt) = interrupt {
            watched.push(PollFd::new(interrupt, PollFlags::POLLIN));
        }
        // Rounded up: a limit of less than a millisecond must not spin.
        let milliseconds = limit.as_nanos().div_ceil(1_000_000);
        let timeout = PollTimeout::try_from(milliseconds).unwrap_or(PollTimeout::MAX);
        match poll(&mut watched, timeout) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        let is_ready = |polled: &PollFd<'_>| polled.any().unwrap_or(false);
        let mut ready = vec![[false; 3]; children.len()];
        for ((index, which), polled) in places.iter().zip(&watched) {
            ready[*index][*which] = is_ready(polled);
        }
        let interrupted = interrupt.is_some() && watched.last().is_some_and(is_ready);
        (interrupted, ready)
    };
    for (child, ready) in children.iter_mut().zip(ready) {
        child.take_in(ready);
    }
    Ok(interrupted)
}

/// Reads once; true when the limit is exceeded.
fn drain(pipe: &mut Option<PipeReader>, buffer: &mut Vec<u8>, largest: usize) -> bool {
    let Some(open) = pipe else { return false };
    let mut chunk = [0; 4096];
    match open.read(&mut chunk) {
        Ok(0) | Err(_) => *pipe = None,
        Ok(length) => buffer.extend_from_slice(&chunk[..length]),
    }
    buffer.len() > largest
}

/// A program with its arguments and environment, ready for execve(2).
pub(in crate::system) struct Image {
    program: CString,
    arguments: Vec<CString>,
    environment: Vec<CString>,
}

impl Image {
    /// The first word is argv\[0\].
    pub(in crate::system) fn new<W, N, V>(
        program: &Path,
        words: impl Iterator<Item = W>,
        environment: impl Iterator<Item = (N, V)>,
    ) -> io::Result<Self>
    where
        W: AsRef<OsStr>,
        N: AsRef<OsStr>,
        V: AsRef<OsStr>,
    {
        let words = words.map(|word| CString::new(word.as_ref().as_bytes()));
        let environment = environment.map(|(name, value)| {
            CString::new([name.as_ref().as_bytes(), b"=", value.as_ref().as_bytes()].concat())
        });
        Ok(Self {
            program: CString::new(program.as_os_str().as_bytes())?,
            arguments: words.collect::<Result<_, _>>()?,
            environment: environment.collect::<Result<_, _>>()?,
        })
    }

    /// The standard library calls execvp(3), which on ENOEXEC starts a shell instead of reporting the error.
    pub(in crate::system) fn execute(&self) -> io::Result<()> {
        match execve(&self.program, &self.arguments, &self.environment)? {}
    }
}

/// The child's root, prepared for use after fork.
pub(in crate::system) enum ChildRoot {
    Folder(PathBuf),
    Open(OwnedFd),
}

/// Leaves the program nothing but its three pipes: no terminal to open (`/dev/tty` is the session's), and no
/// inherited descriptor.
fn stand_alone() -> io::Result<()> {
    nix::unistd::setsid()?;
    // SAFETY: close_range(2) takes three numbers; with this flag it closes nothing before the exec.
    let result =
        unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    if result == 0 {
        return Ok(());
    }
    // Before Linux 5.11.
    let (most, _) = getrlimit(Resource::RLIMIT_NOFILE)?;
    for number in 3..i32::try_from(most).unwrap_or(MOST_DESCRIPTORS).min(MOST_DESCRIPTORS) {
        // SAFETY: fcntl(2) with these takes two numbers; on a closed descriptor it fails without effect.
        unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) };
    }
    Ok(())
}

/// Runs in the child between fork and exec.
pub(in crate::system) fn prepare(root: Option<(&ChildRoot, bool)>) -> io::Result<()> {
    // This process blocks signals to read them from a descriptor; the program would inherit the mask.
    super::signal::unblock_all()?;
    outlive_nobody()?;
    if let Some((root, unprivileged)) = root {
        if unprivileged {
            // A user namespace grants CAP_SYS_CHROOT. It has no instance of its own, so the kernel uses ours.
            unshare(CloneFlags::CLONE_NEWUSER).map_err(|errno| match errno {
                // Where user namespaces are not allowed (`user.max_user_namespaces` is 0), report EPERM.
                Errno::ENOSPC => Errno::EPERM,
                other => other,
            })?;
        }
        match root {
            ChildRoot::Folder(folder) => nix::unistd::chroot(folder)?,
            ChildRoot::Open(folder) => {
                nix::unistd::fchdir(folder)?;
                nix::unistd::chroot(".")?;
            }
        }
        nix::unistd::chdir("/")?;
    }
    // Drop the capabilities that were needed for chroot. (Without no_new_privs, uid 0 gets them back at exec.)
    privilege::clear()?;
    Ok(())
}

/// The part of [`prepare`] without root and signals; it does not allocate.
pub(in crate::system) fn confine() -> io::Result<()> {
    outlive_nobody()?;
    privilege::clear()
}

/// A broken interpreter must not leave core dumps on the host, nor outlive this process.
fn outlive_nobody() -> io::Result<()> {
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
    Ok(())
}

fn open_pidfd(pid: u32) -> io::Result<OwnedFd> {
    // SAFETY: pidfd_open(2) takes two numbers and returns a descriptor or -1.
    let result = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    let descriptor = i32::try_from(result).map_err(io::Error::other)?;
    if descriptor < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel just gave us this descriptor, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}
