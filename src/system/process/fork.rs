//! Runs a task in a fork, so that its changes to namespaces end with it.
#![allow(unsafe_code, reason = "fork and _exit")]

use std::io::{self, Read as _, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};

use nix::errno::Errno;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork};

/// Whether it is safe to fork: a lock held by another thread would stay locked forever in the child.
pub(in crate::system) fn only_thread() -> io::Result<()> {
    // A joined thread may be listed for a moment longer.
    for _ in 0..100 {
        if std::fs::read_dir("/proc/self/task")?.count() == 1 {
            return Ok(());
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    Err(io::Error::other("a task can only be forked off while there is one thread"))
}

/// Runs `task` in a child and returns what it returned. A child that dies is an error.
pub fn run(task: impl FnOnce() -> Vec<u8>) -> io::Result<Vec<u8>> {
    only_thread()?;
    let (mut reader, mut writer) = io::pipe()?;
    let parent = nix::unistd::getpid();
    // SAFETY: this process has one thread, so the child's memory is whole and no lock is held by
    // anybody who is not there any more.
    match unsafe { fork() }? {
        ForkResult::Child => {
            drop(reader);
            // The child must not outlive this process; TERM lets it clean up.
            let _ = nix::sys::prctl::set_pdeathsig(Signal::SIGTERM);
            if nix::unistd::getppid() != parent {
                // The parent died before prctl(2) took effect. SAFETY: as below.
                unsafe { libc::_exit(1) }
            }
            // Where panics unwind (not in releases), a panic must not unwind into the parent's code.
            let status = match catch_unwind(AssertUnwindSafe(task)) {
                Ok(answer) => i32::from(writer.write_all(&answer).is_err()),
                Err(_) => 101,
            };
            // SAFETY: _exit(2) never returns; what the parent registered to run at exit is its own.
            unsafe { libc::_exit(status) }
        }
        ForkResult::Parent { child } => {
            drop(writer);
            let mut answer = Vec::new();
            let read = reader.read_to_end(&mut answer);
            let ended = wait(child, None)?;
            read?;
            match ended {
                WaitStatus::Exited(_, 0) => Ok(answer),
                other => Err(io::Error::other(format!("the child ended early: {other:?}"))),
            }
        }
    }
}

/// waitpid(2), whatever signals come meanwhile.
pub(in crate::system) fn wait(child: Pid, options: Option<WaitPidFlag>) -> nix::Result<WaitStatus> {
    loop {
        match waitpid(child, options) {
            Err(Errno::EINTR) => {}
            other => return other,
        }
    }
}
