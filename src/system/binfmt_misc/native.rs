//! Asks the kernel what would run a program, without running it.
//!
//! Executes files that end before the path of their loader (`probe::truncated`). The error tells what would run them:
//!
//! - EIO: a loader of the kernel took the file, and could not read that path;
//! - ENOENT: a rule of `binfmt_misc` took it, and its interpreter could not open it, for the
//!   descriptor that it is executed by is closed on exec (`load_misc_binary`);
//! - ENOEXEC: nobody took it.
#![allow(unsafe_code, reason = "clone(2), and execveat(2) without an allocation")]

use std::fs::File;
use std::io::{self, PipeWriter, Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::ptr;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sched::{CloneFlags, clone};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill, sigprocmask};
use nix::sys::wait::{WaitPidFlag, WaitStatus};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use super::private;
use crate::system::files::programs;
use crate::system::process::child::{self, ExecError};
use crate::system::process::fork;
use crate::system::process::signal::Interrupt;

/// `MFD_EXEC` of `include/uapi/linux/memfd.h`, which neither crate has.
const MFD_EXEC: u32 = 0x10;

/// Bytes for a child that makes a few system calls.
const STACK: usize = 64 * 1024;

/// What would run a program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum RunBy {
    Kernel,
    Rule,
    Nobody,
    /// Unknown, and why.
    Unclear(String),
}

impl RunBy {
    fn of(errno: i32) -> Self {
        match Errno::from_raw(errno) {
            Errno::EIO => Self::Kernel,
            Errno::ENOENT => Self::Rule,
            Errno::ENOEXEC => Self::Nobody,
            _ => Self::Unclear(ExecError::from(io::Error::from_raw_os_error(errno)).to_string()),
        }
    }
}

/// Asks about each of these files, which must be truncated ones. An error says nothing about any of them.
pub fn ask(programs: &[Vec<u8>]) -> Result<Vec<RunBy>, ExecError> {
    let files: Vec<File> =
        programs.iter().map(|program| executable(program)).collect::<io::Result<_>>()?;
    let mut answers = Vec::with_capacity(files.len());
    while answers.len() < files.len() {
        answers.extend(ask_by_child(&files[answers.len()..])?);
    }
    Ok(answers)
}

/// Asks in a private instance, where no rule comes before the kernel's own loaders; `None` without private instances.
pub fn ask_without_rules(programs: &[Vec<u8>]) -> Result<Option<Vec<RunBy>>, ExecError> {
    // A process with more than one thread cannot create a user namespace; an emulator starts a second one.
    if fork::only_thread().is_err() {
        return Ok(None);
    }
    let answer = fork::run(|| {
        let alone = match private::enter_private() {
            Ok(_instance) => ask(programs).map(Some).map_err(|error| error.to_string()),
            Err(_) => Ok(None),
        };
        serde_json::to_vec(&alone).unwrap_or_default()
    })?;
    let alone: Result<Option<Vec<RunBy>>, String> =
        serde_json::from_slice(&answer).map_err(io::Error::other)?;
    alone.map_err(ExecError::Other)
}

/// A file that can be executed by its descriptor.
fn executable(content: &[u8]) -> io::Result<File> {
    match in_memory(content) {
        // `vm.memfd_noexec` is 2, or a sandbox forbids such files.
        Err(Errno::EACCES | Errno::EPERM | Errno::ENOSYS) => on_disk(content),
        other => Ok(other?),
    }
}

fn in_memory(content: &[u8]) -> nix::Result<File> {
    let usual = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    let create = |flags| memfd_create(c"binfmtd", flags);
    let descriptor = match create(usual | MFdFlags::from_bits_retain(MFD_EXEC)) {
        // Before Linux 6.3.
        Err(Errno::EINVAL) => create(usual),
        other => other,
    }?;
    let mut file = File::from(descriptor);
    file.write_all(content)
        .map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)))?;
    let all = SealFlag::F_SEAL_WRITE
        | SealFlag::F_SEAL_SHRINK
        | SealFlag::F_SEAL_GROW
        | SealFlag::F_SEAL_SEAL;
    fcntl(&file, FcntlArg::F_ADD_SEALS(all))?;
    Ok(file)
}

/// Removes the folder at once: the descriptor is enough.
fn on_disk(content: &[u8]) -> io::Result<File> {
    // Hold signals back until the folder is removed.
    let _interrupt = Interrupt::catch()?;
    let folder = programs::executable_folder()?;
    let path = folder.path().join("program");
    programs::write_program(&path, content)?;
    File::open(&path)
}

/// The answers about the first files: all, or up to the first that unexpectedly became a program.
fn ask_by_child(files: &[File]) -> io::Result<Vec<RunBy>> {
    let (mut reader, writer) = io::pipe()?;
    let mut stack = vec![0; STACK];
    // As vfork(2): the child shares our memory, which saves the copy, and this thread waits until it has ended or
    // become a program. It answers by a pipe anyway, because under an emulator it has a copy.
    let flags = CloneFlags::CLONE_VM | CloneFlags::CLONE_VFORK;
    let task = || isize::from(answer(files, &writer).is_err());
    let mut before = SigSet::empty();
    // No signal handler may run in the child, and no signal may end it halfway.
    sigprocmask(SigmaskHow::SIG_BLOCK, Some(&SigSet::all()), Some(&mut before))?;
    // SAFETY: the child makes system calls, and neither allocates nor takes a lock. It has its own stack.
    let child = unsafe { clone(Box::new(task), &mut stack, flags, Some(libc::SIGCHLD)) };
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&before), None)?;
    let child = child?;
    drop(writer);
    let mut said = Vec::new();
    let read = reader.read_to_end(&mut said);
    let (numbers, _) = said.as_chunks();
    let numbers: Vec<i32> = numbers.iter().copied().map(i32::from_ne_bytes).collect();
    let failed = numbers.iter().find(|number| **number < 0).copied();
    let is_whole = failed.is_some() || numbers.len() == files.len();
    let became_a_program = if is_whole {
        fork::wait(child, None)?;
        false
    } else {
        end(child)?
    };
    read?;
    if let Some(failed) = failed {
        return Err(io::Error::from_raw_os_error(-failed));
    }
    let mut answers: Vec<RunBy> = numbers.into_iter().map(RunBy::of).collect();
    if became_a_program {
        // Emulators without execveat(2): a rule takes the file by its path.
        answers.push(RunBy::Rule);
    } else if !is_whole {
        return Err(io::Error::other("the child that asks the kernel was ended"));
    }
    Ok(answers)
}

/// Ends a child that gave too few answers; true if it became a program, false if a signal ended it.
fn end(child: Pid) -> io::Result<bool> {
    // A dying process does not react to SIGSTOP, which tells the two apart.
    kill(child, Signal::SIGSTOP)?;
    match fork::wait(child, Some(WaitPidFlag::WUNTRACED))? {
        WaitStatus::Stopped(..) => {
            kill(child, Signal::SIGKILL)?;
            fork::wait(child, None)?;
            Ok(true)
        }
        WaitStatus::Exited(..) => Ok(true),
        _ => Ok(false),
    }
}

/// Executes one file after the other and writes the kernel's errors; a negative number is a failure of our own.
fn answer(files: &[File], mut writer: &PipeWriter) -> io::Result<()> {
    if let Err(error) = child::confine() {
        return writer.write_all(&(-error.raw_os_error().unwrap_or(libc::EIO)).to_ne_bytes());
    }
    // If it becomes a program, keep that off our terminal.
    for descriptor in 0..3 {
        let _ = nix::unistd::close(descriptor);
    }
    let arguments = [c"binfmtd".as_ptr(), ptr::null()];
    let environment = [ptr::null()];
    for file in files {
        // SAFETY: both are arrays of pointers to strings that end with a null pointer. It returns only when it fails.
        unsafe { libc::fexecve(file.as_raw_fd(), arguments.as_ptr(), environment.as_ptr()) };
        writer.write_all(&(Errno::last_raw()).to_ne_bytes())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
