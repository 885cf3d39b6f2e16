//! A helper process that keeps the privileges this one drops, and forks a worker for each job: whatever a job
//! allocates, opens or does to its namespaces ends with the worker.
#![allow(unsafe_code, reason = "fork and _exit")]

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::{ForkResult, Pid, fork};

use super::fork;

/// Larger than any answer; a length beyond it is not one.
const LARGEST: usize = 256 * 1024 * 1024;
/// How long workers may take to clean up.
const LONGEST_END: Duration = Duration::from_secs(10);

/// The parent's end of the helper.
#[derive(Debug)]
pub struct Helper {
    process: Pid,
    socket: UnixStream,
    received: Vec<u8>,
}

impl Helper {
    /// Forks the helper off. `prepare` runs in it once, `work` in a fork of it for each job.
    pub fn start(
        prepare: impl FnOnce() -> io::Result<()>,
        work: impl Fn(&[u8]) -> Vec<u8>,
    ) -> io::Result<Self> {
        fork::only_thread()?;
        let (socket, theirs) = UnixStream::pair()?;
        let parent = nix::unistd::getpid();
        // SAFETY: this process has one thread, so the child's memory is whole.
        match unsafe { fork() }? {
            ForkResult::Child => {
                drop(socket);
                let _ = nix::sys::prctl::set_pdeathsig(Signal::SIGTERM);
                // A HUP sent to all processes of this name is meant for the parent.
                let _ = SigSet::from(Signal::SIGHUP).thread_block();
                let alone = nix::unistd::getppid() != parent;
                let served = !alone && prepare().and_then(|()| serve(theirs, work)).is_ok();
                // SAFETY: _exit(2) never returns; what the parent registered to run at exit is its own.
                unsafe { libc::_exit(i32::from(!served)) }
            }
            ForkResult::Parent { child } => {
                drop(theirs);
                // If the helper dies, its worker becomes a child of this process, which can wait for it.
                let _ = nix::sys::prctl::set_child_subreaper(true);
                Ok(Self { process: child, socket, received: Vec::new() })
            }
        }
    }

    /// Sends a job; only one may be pending.
    pub fn ask(&mut self, job: &[u8]) -> io::Result<()> {
        self.socket.set_nonblocking(false)?;
        send(&mut self.socket, job)
    }

    /// Reads what has arrived of the answer, and returns it when it is complete. An error, including end of file,
    /// means that the helper is gone.
    pub fn answer(&mut self) -> io::Result<Option<Vec<u8>>> {
        self.socket.set_nonblocking(true)?;
        let mut chunk = [0; 16 * 1024];
        loop {
            match self.socket.read(&mut chunk) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(length) => self.received.extend_from_slice(&chunk[..length]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        let Some((head, rest)) = self.received.split_first_chunk::<8>() else { return Ok(None) };
        if rest.len() < length_of(*head)? {
            return Ok(None);
        }
        let answer = rest.to_vec();
        self.received = Vec::new();
        Ok(Some(answer))
    }

    /// Readable when a part of the answer has arrived.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for Helper {
    /// Ends the helper, and waits for a worker that may be busy.
    fn drop(&mut self) {
        let _ = self.socket.shutdown(Shutdown::Both);
        let _ = kill(self.process, Signal::SIGTERM);
        let begun = Instant::now();
        while begun.elapsed() < LONGEST_END {
            match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Err(Errno::ECHILD) => return,
                // Polling is good enough here: this takes a few milliseconds, once.
                Ok(nix::sys::wait::WaitStatus::StillAlive) => {
                    std::thread::sleep(Duration::from_millis(2));
                }
                _ => {}
            }
        }
    }
}

/// Lowers the priority, for work that nobody waits for.
pub fn step_back() {
    // SAFETY: nice(2) takes a number. Its answer does not matter: at worst we are as before.
    unsafe { libc::nice(19) };
}

/// Runs one job after the other until the parent closes its end.
fn serve(mut socket: UnixStream, work: impl Fn(&[u8]) -> Vec<u8>) -> io::Result<()> {
    loop {
        let mut head = [0; 8];
        match socket.read_exact(&mut head) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(error),
        }
        let mut job = vec![0; length_of(head)?];
        socket.read_exact(&mut job)?;
        // A worker that dies sends an empty answer, which no worker sends otherwise.
        let answer = fork::run(|| work(&job)).unwrap_or_default();
        send(&mut socket, &answer)?;
    }
}

fn send(socket: &mut impl Write, message: &[u8]) -> io::Result<()> {
    socket.write_all(&(message.len() as u64).to_ne_bytes())?;
    socket.write_all(message)
}

fn length_of(head: [u8; 8]) -> io::Result<usize> {
    usize::try_from(u64::from_ne_bytes(head))
        .ok()
        .filter(|length| *length <= LARGEST)
        .ok_or_else(|| io::ErrorKind::InvalidData.into())
}
