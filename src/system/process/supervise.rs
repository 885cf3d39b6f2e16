//! Runs a command as the first process of a container has to: forwards signals and reaps orphans.
#![allow(unsafe_code, reason = "a closure between fork and exec")]

use std::env;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{AccessFlags, Pid, access};
use thiserror::Error;

use super::child::{ExecError, Image};
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

/// Why a command did not run to its end.
#[derive(Debug, Error)]
pub enum CommandError {
    /// No such program, or none by that name in PATH.
    #[error("command not found")]
    NotFound,
    /// It exists, but the kernel does not run it.
    #[error(transparent)]
    Exec(#[from] ExecError),
    #[error("wait for it: {0}")]
    Wait(io::Error),
}

/// Starts `command`, hands it every signal that somebody sends us, reaps whatever becomes our child,
/// and returns its exit status: as in a shell, 128 and the signal's number when one ended it.
pub fn run(command: &[OsString], environment: &[(&str, OsString)]) -> Result<u8, CommandError> {
    let program = command.first().and_then(|name| find(name)).ok_or(CommandError::NotFound)?;
    let ours = environment.iter().map(|(name, value)| (OsString::from(name), value.clone()));
    let inherited =
        env::vars_os().filter(|(name, _)| !environment.iter().any(|own| own.0 == *name));
    let image =
        Image::new(&program, command.iter(), ours.chain(inherited)).map_err(ExecError::from)?;
    let mut watched = FORWARDED.to_vec();
    watched.push(Signal::SIGCHLD);
    // Block before the start, so that no signal is lost in between; the command gets an empty mask again.
    let signals = Interrupt::of(&watched).map_err(CommandError::Wait)?;
    let mut child = Command::new(&program);
    let become_program = move || {
        super::signal::unblock_all()?;
        image.execute()
    };
    // SAFETY: between fork and exec the closure makes system calls, and allocates two arrays of
    // pointers, which the C library's allocator allows after fork; it takes no lock of ours.
    unsafe { child.pre_exec(become_program) };
    let child = child.spawn().map_err(ExecError::from)?;
    wait(&signals, child.id()).map_err(CommandError::Wait)
}

fn wait(signals: &Interrupt, child: u32) -> io::Result<u8> {
    let child = Pid::from_raw(i32::try_from(child).map_err(io::Error::other)?);
    // Children that ended before the signal descriptor existed are not reported: reap once.
    if let Some(status) = reap(child)? {
        return Ok(status);
    }
    loop {
        let (number, from_process) = signals.next()?;
        if number == Signal::SIGCHLD as i32 {
            if let Some(status) = reap(child)? {
                return Ok(status);
            }
        } else if from_process || number == Signal::SIGHUP as i32 {
            // A terminal sends its signals to the whole process group, which includes the child. A hang-up goes only
            // to the session leader, which may be this process, so forward it; receiving it twice does no harm.
            let _ = kill(child, Signal::try_from(number)?);
        }
    }
}

/// Looks a program up as a shell does: a name without a slash in PATH, preferring an executable file.
pub fn find(name: &OsStr) -> Option<PathBuf> {
    if name.as_bytes().contains(&b'/') {
        return Some(PathBuf::from(name)).filter(|path| path.exists());
    }
    let path = env::var_os("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into());
    let found: Vec<PathBuf> = env::split_paths(&path)
        .map(|folder| folder.join(name))
        .filter(|path| path.is_file())
        .collect();
    let executable = found.iter().find(|path| access(*path, AccessFlags::X_OK).is_ok());
    executable.or(found.first()).cloned()
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
