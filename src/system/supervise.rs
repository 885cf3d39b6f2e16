//! Being the parent of a command, as the first process of a container has to be.
#![allow(unsafe_code, reason = "a closure between fork and exec")]

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::signal::Interrupt;

const FORWARDED: [Signal; 8] = [
    Signal::SIGTERM,
    Signal::SIGINT,
    Signal::SIGHUP,
    Signal::SIGQUIT,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGWINCH,
    Signal::SIGALRM,
];

/// Starts `command`, hands it every signal that somebody sends us, reaps whatever becomes our child,
/// and returns its exit status: as in a shell, 128 and the signal's number when one ended it.
pub fn run(command: &[OsString], environment: &[(&str, OsString)]) -> io::Result<u8> {
    let (program, arguments) = command.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let mut watched = FORWARDED.to_vec();
    watched.push(Signal::SIGCHLD);
    // Before the start, so that no signal is lost between; the command gets an empty mask again.
    let signals = Interrupt::of(&watched)?;
    let mut child = Command::new(program);
    child.args(arguments).envs(environment.iter().map(|(name, value)| (name, value)));
    // SAFETY: between fork and exec, one system call.
    unsafe { child.pre_exec(super::signal::unblock_all) };
    let child = child.spawn()?;
    let child = Pid::from_raw(i32::try_from(child.id()).map_err(io::Error::other)?);
    loop {
        let (number, from_process) = signals.next()?;
        if number == Signal::SIGCHLD as i32 {
            if let Some(status) = reap(child)? {
                return Ok(status);
            }
        } else if from_process {
            // A terminal's signals reach the child by themselves: it is in our process group.
            let _ = kill(child, Signal::try_from(number)?);
        }
    }
}

/// Reaps everything that ended; the status of `child` if it was among them.
fn reap(child: Pid) -> io::Result<Option<u8>> {
    let mut status = None;
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, code)) if pid == child => status = u8::try_from(code).ok(),
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == child => {
                status = u8::try_from(128 + signal as i32).ok();
            }
            Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => return Ok(status),
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}
