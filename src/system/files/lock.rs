//! Locks on files, between processes.

use std::fs::{File, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, Flock, FlockArg, fcntl};

/// A lock on a file, until it is dropped.
#[derive(Debug)]
pub struct Lock {
    _held: Flock<File>,
}

/// How long another binfmtd may hold the lock; probes have their own limits.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Waits for the lock. A file that can be read can be locked, so only its owner may read it.
pub fn lock(path: &Path) -> io::Result<Lock> {
    let begun = Instant::now();
    loop {
        // flock(2) has no time limit, and blocked signals would not interrupt it.
        match try_lock(path)? {
            Some(lock) => return Ok(lock),
            None if begun.elapsed() < LONGEST_WAIT => {
                std::thread::sleep(Duration::from_millis(20));
            }
            None => {
                let seconds = LONGEST_WAIT.as_secs();
                return Err(io::Error::other(format!(
                    "{}: another binfmtd has held this lock for {seconds} s (fuser {0} names it)",
                    path.display()
                )));
            }
        }
    }
}

/// `None` while another process has the lock.
pub fn try_lock(path: &Path) -> io::Result<Option<Lock>> {
    let file = File::options().create(true).truncate(false).write(true).mode(0o600).open(path)?;
    if file.metadata()?.permissions().mode() & 0o077 != 0 {
        file.set_permissions(Permissions::from_mode(0o600))?;
    }
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(held) => Ok(Some(Lock { _held: held })),
        Err((_, Errno::EWOULDBLOCK)) => Ok(None),
        Err((_, errno)) => Err(errno.into()),
    }
}

/// Locks a file for this process alone, or returns the process that holds it. Unlike [`lock`], a fork does not
/// inherit it: a worker that outlives the process does not keep the lock.
pub fn hold(path: &Path) -> io::Result<Result<File, u32>> {
    let file = File::options().create(true).truncate(false).write(true).mode(0o600).open(path)?;
    let mut whole = libc::flock {
        l_type: i16::try_from(libc::F_WRLCK).unwrap_or_default(),
        l_whence: i16::try_from(libc::SEEK_SET).unwrap_or_default(),
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    match fcntl(&file, FcntlArg::F_SETLK(&whole)) {
        Ok(_) => Ok(Ok(file)),
        Err(Errno::EAGAIN | Errno::EACCES) => {
            fcntl(&file, FcntlArg::F_GETLK(&mut whole))?;
            Ok(Err(u32::try_from(whole.l_pid).unwrap_or_default()))
        }
        Err(errno) => Err(errno.into()),
    }
}
