//! Signals as a readable descriptor, so that work can be given up cleanly.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// While this lives, INT, TERM and HUP do not end the process but make a descriptor readable.
#[derive(Debug)]
pub struct Interrupt {
    descriptor: SignalFd,
    before: SigSet,
}

/// What a signal asks of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServiceSignal {
    Stop,
    /// Read the configuration again.
    Reload,
}

impl Interrupt {
    pub fn catch() -> io::Result<Self> {
        Self::of(&[Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP])
    }

    /// Whether a signal is pending. It stays pending.
    pub fn is_pending(&self) -> bool {
        is_readable(self.as_fd())
    }

    pub(in crate::system) fn of(signals: &[Signal]) -> io::Result<Self> {
        let mut set = SigSet::empty();
        for signal in signals {
            set.add(*signal);
        }
        let mut before = SigSet::empty();
        sigprocmask(SigmaskHow::SIG_BLOCK, Some(&set), Some(&mut before))?;
        let descriptor = SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC)?;
        Ok(Self { descriptor, before })
    }

    /// Waits for the next signal and translates it: HUP asks for a reload, the others for an end.
    pub fn service_signal(&self) -> io::Result<ServiceSignal> {
        let (number, _) = self.next()?;
        Ok(if number == Signal::SIGHUP as i32 {
            ServiceSignal::Reload
        } else {
            ServiceSignal::Stop
        })
    }

    /// Waits for the next signal: its number, and whether a process sent it (not a terminal or the kernel).
    pub(in crate::system) fn next(&self) -> io::Result<(i32, bool)> {
        loop {
            match self.descriptor.read_signal() {
                Ok(Some(info)) => {
                    return Ok((info.ssi_signo.cast_signed(), info.ssi_code <= 0));
                }
                Ok(None) | Err(nix::errno::Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}

impl AsFd for Interrupt {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

impl Drop for Interrupt {
    /// A pending signal is delivered now, and ends the process.
    fn drop(&mut self) {
        let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&self.before), None);
    }
}

/// Whether reading would not block now.
pub(super) fn is_readable(descriptor: BorrowedFd<'_>) -> bool {
    let mut polled = [PollFd::new(descriptor, PollFlags::POLLIN)];
    matches!(poll(&mut polled, PollTimeout::ZERO), Ok(count) if count > 0)
}

/// Unblocks every signal; for a child, between fork and exec.
pub(in crate::system) fn unblock_all() -> io::Result<()> {
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None).map_err(io::Error::from)
}
