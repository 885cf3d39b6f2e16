//! What programs left running when they ended: it becomes a child of ours, and is ended.

use std::collections::HashSet;
use std::io;

use nix::sys::prctl;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::Pid;
use procfs::process::Process;

/// While this lives, processes whose parents end become children of ours (`PR_SET_CHILD_SUBREAPER`):
/// a process group of its own does not take them away.
#[derive(Debug)]
pub struct Orphans {
    /// What was there before is not ours to end: whoever became us by exec may have had children.
    before: HashSet<i32>,
    was_subreaper: bool,
}

impl Orphans {
    /// Begins to take them in.
    pub fn adopt() -> io::Result<Self> {
        let was_subreaper = prctl::get_child_subreaper()?;
        prctl::set_child_subreaper(true)?;
        Ok(Self { before: children()?.into_iter().collect(), was_subreaper })
    }

    /// Ends all of them, and what they started in turn, which comes to us when they end. To be called
    /// when no other child is running.
    pub fn end(&self) -> io::Result<()> {
        loop {
            let left: Vec<i32> =
                children()?.into_iter().filter(|pid| !self.before.contains(pid)).collect();
            if left.is_empty() {
                return Ok(());
            }
            for pid in left.into_iter().map(Pid::from_raw) {
                // Ours, and not reaped yet, so the number is still its.
                let _ = kill(pid, Signal::SIGKILL);
                let _ = waitpid(pid, None);
            }
        }
    }
}

impl Drop for Orphans {
    fn drop(&mut self) {
        let _ = self.end();
        let _ = prctl::set_child_subreaper(self.was_subreaper);
    }
}

/// Where the kernel does not list them (`CONFIG_PROC_CHILDREN`), every process is asked for its parent.
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
