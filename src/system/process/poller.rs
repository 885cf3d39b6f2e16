//! Waiting for several descriptors and one deadline, without polling.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::time::{TimeSpec, TimeValLike as _};
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

/// The timer's token; callers must not use it.
const TIMER: u64 = u64::MAX;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ready {
    /// The descriptor that was added with this token.
    Descriptor(u64),
    Deadline,
}

/// Descriptors to wait for, and a deadline.
#[derive(Debug)]
pub struct Poller {
    epoll: Epoll,
    timer: TimerFd,
    armed: Option<Instant>,
}

impl Poller {
    pub fn new() -> io::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let flags = TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK;
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?;
        epoll.add(&timer, EpollEvent::new(EpollFlags::EPOLLIN, TIMER))?;
        Ok(Self { epoll, timer, armed: None })
    }

    /// Adds a descriptor that becomes readable.
    pub fn add(&self, descriptor: BorrowedFd<'_>, token: u64) -> io::Result<()> {
        Ok(self.epoll.add(descriptor, EpollEvent::new(EpollFlags::EPOLLIN, token))?)
    }

    /// Adds a descriptor with exceptional conditions (`EPOLLPRI`): the kernel reports changes of mountinfo so.
    pub fn add_exceptional(&self, descriptor: BorrowedFd<'_>, token: u64) -> io::Result<()> {
        Ok(self.epoll.add(descriptor, EpollEvent::new(EpollFlags::EPOLLPRI, token))?)
    }

    /// Waits until something is ready, or `deadline` has passed. An unchanged deadline costs no system call.
    pub fn wait(&mut self, deadline: Option<Instant>) -> io::Result<Vec<Ready>> {
        if deadline != self.armed {
            self.arm(deadline)?;
        }
        let mut events = [EpollEvent::empty(); 16];
        let count = loop {
            match self.epoll.wait(&mut events, EpollTimeout::NONE) {
                Ok(count) => break count,
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        };
        let mut ready = Vec::with_capacity(count);
        for event in &events[..count] {
            if event.data() == TIMER {
                // The timer has to be armed again, even for the same moment.
                self.armed = None;
                self.timer.unset()?;
                ready.push(Ready::Deadline);
            } else {
                ready.push(Ready::Descriptor(event.data()));
            }
        }
        Ok(ready)
    }

    fn arm(&mut self, deadline: Option<Instant>) -> io::Result<()> {
        match deadline {
            None => self.timer.unset()?,
            Some(moment) => {
                let left = moment.saturating_duration_since(Instant::now());
                // Zero would disarm it.
                let left = left.max(Duration::from_nanos(1));
                let left =
                    TimeSpec::nanoseconds(i64::try_from(left.as_nanos()).unwrap_or(i64::MAX));
                self.timer.set(Expiration::OneShot(left), TimerSetTimeFlags::empty())?;
            }
        }
        self.armed = deadline;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
