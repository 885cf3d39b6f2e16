//! Orphans: processes that programs left running become children of this process, and are killed.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::io;
use std::time::Duration;

use nix::sys::prctl;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;
use procfs::process::Process;

/// An environment variable for programs that are started by the first process of a container; their orphans inherit
/// it.
const MARK: (&str, &str) = ("BINFMTD_STARTED", "1");

/// The variable, where it is needed to distinguish our programs' orphans from others.
pub(in crate::system) fn mark() -> Option<(&'static OsStr, &'static OsStr)> {
    is_first().then(|| (OsStr::new(MARK.0), OsStr::new(MARK.1)))
}

/// Whether this is process 1, which all orphans of the namespace come to.
fn is_first() -> bool {
    std::process::id() == 1
}

/// While this lives, orphans become children of this process (`PR_SET_CHILD_SUBREAPER`), even from other process
/// groups and sessions.
#[derive(Debug)]
pub struct Orphans {
    /// Children from before, which must not be killed: the program that exec'd this one may have had some.
    before: HashSet<i32>,
    /// Start of this guard, in the kernel's ticks since boot. Orphans that began earlier were left by somebody else.
    since: u64,
    was_subreaper: bool,
}

impl Orphans {
    pub fn adopt() -> io::Result<Self> {
        let since = ticks()?;
        let before = children()?.into_iter().collect();
        let was_subreaper = prctl::get_child_subreaper()?;
        prctl::set_child_subreaper(true)?;
        Ok(Self { before, since, was_subreaper })
    }

    /// Kills all of them, and the children that they leave in turn. Call it only when no other child is running.
    pub fn end(&self) -> io::Result<()> {
        let mut spared = self.before.clone();
        loop {
            let left = children()?.into_iter().filter(|pid| !spared.contains(pid));
            let left: Vec<i32> = left.collect();
            if left.is_empty() {
                return Ok(());
            }
            for number in left {
                let pid = Pid::from_raw(number);
                // A child that has not been reaped, so the process ID is its own. One with other rights cannot be
                // killed, and waiting for it would take until it ends.
                if self.is_theirs(number) && kill(pid, Signal::SIGKILL).is_ok() {
                    let _ = waitpid(pid, None);
                } else {
                    spared.insert(number);
                }
            }
        }
    }

    /// Whether a process began with the programs that are looked after, or later; and of what comes to the first
    /// process, whether it is one of these programs'. A process that entered the container by `docker exec` may leave orphans too.
    fn is_theirs(&self, pid: i32) -> bool {
        let stat = Process::new(pid).and_then(|process| process.stat());
        stat.is_ok_and(|stat| stat.starttime >= self.since) && (!is_first() || has_mark(pid))
    }
}

impl Drop for Orphans {
    fn drop(&mut self) {
        let _ = self.end();
        let _ = prctl::set_child_subreaper(self.was_subreaper);
    }
}

fn has_mark(pid: i32) -> bool {
    let mark = format!("{}={}", MARK.0, MARK.1);
    std::fs::read(format!("/proc/{pid}/environ"))
        .is_ok_and(|variables| variables.split(|byte| *byte == 0).any(|one| one == mark.as_bytes()))
}

/// The time since boot in the unit of process start times. A tick may be shared with a process that started before.
fn ticks() -> io::Result<u64> {
    let now = Duration::from(clock_gettime(ClockId::CLOCK_BOOTTIME)?);
    let ticks = now.as_nanos() * u128::from(procfs::ticks_per_second()) / 1_000_000_000;
    u64::try_from(ticks).map_err(io::Error::other)
}

/// Without `CONFIG_PROC_CHILDREN` the kernel does not list children, so look at every process's parent.
fn children() -> io::Result<Vec<i32>> {
    let me = Process::myself().map_err(io::Error::other)?;
    let tasks = me.tasks().map_err(io::Error::other)?;
    let listed: Result<Vec<Vec<u32>>, _> = tasks.flatten().map(|task| task.children()).collect();
    if let Ok(listed) = listed {
        return Ok(listed.into_iter().flatten().map(u32::cast_signed).collect());
    }
    let all = procfs::process::all_processes().map_err(io::Error::other)?;
    Ok(all
        .flatten()
        .filter_map(|process| process.stat().ok())
        .filter(|stat| stat.ppid == me.pid)
        .map(|stat| stat.pid)
        .collect())
}
