//! Asks the kernel who would run a program, and runs none.
//!
//! What is executed are files that end where the path of their loader should stand
//! (`probe::truncated`). Who would run them says so by an error of their own:
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
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
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

/// Who would run a program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum RunBy {
    /// The kernel by itself.
    Kernel,
    /// Whatever a rule says.
    Rule,
    /// Nobody.
    Nobody,
    /// It was not told, and why.
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

/// Asks about each of these files, which must be truncated ones. An error says nothing about any.
pub fn ask(programs: &[Vec<u8>]) -> Result<Vec<RunBy>, ExecError> {
    let files: Vec<File> =
        programs.iter().map(|program| executable(program)).collect::<io::Result<_>>()?;
    let mut answers = Vec::with_capacity(files.len());
    while answers.len() < files.len() {
        answers.extend(ask_by_child(&files[answers.len()..])?);
    }
    Ok(answers)
}

/// Asks in a private instance, where no rule stands before the kernel's own loaders; `None` where there is
/// none for us.
pub fn ask_without_rules(programs: &[Vec<u8>]) -> Result<Option<Vec<RunBy>>, ExecError> {
    // With more than one thread nobody gets a user namespace; an emulator brings one of its own.
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
        // `vm.memfd_noexec` is 2, or a sandbox lets nobody have such files.
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

/// The folder goes at once: the descriptor is enough.
fn on_disk(content: &[u8]) -> io::Result<File> {
    // Who asks us to end waits until it is gone.
    let _interrupt = Interrupt::catch()?;
    let folder = programs::executable_folder()?;
    let path = folder.path().join("program");
    programs::write_program(&path, content)?;
    File::open(&path)
}

/// The answers about as many of the files, from the first on, as one child could ask about: all, or
/// up to the first that became a program, against all expectation.
fn ask_by_child(files: &[File]) -> io::Result<Vec<RunBy>> {
    let (mut reader, writer) = io::pipe()?;
    let mut stack = vec![0; STACK];
    // As vfork(2): the child has our memory, which spares a copy of it, and this thread stands still until it has ended or
    // has become a program. It answers by a pipe all the same: an emulator's child has a copy.
    let flags = CloneFlags::CLONE_VM | CloneFlags::CLONE_VFORK;
    let task = || isize::from(answer(files, &writer).is_err());
    let mut before = SigSet::empty();
    // No handler of ours may run in the child, nor a signal end it halfway.
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
        wait(child, None)?;
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
        // Where there is no execveat(2), in an emulator, a rule takes it by a path.
        answers.push(RunBy::Rule);
    } else if !is_whole {
        return Err(io::Error::other("the child that asks the kernel was ended"));
    }
    Ok(answers)
}

/// Ends a child that answered less than it was asked: whether it became a program. The other reason
/// is that a signal ended it.
fn end(child: Pid) -> io::Result<bool> {
    // A process that is about to end does not stop any more, so that either can be told from the other.
    kill(child, Signal::SIGSTOP)?;
    match wait(child, Some(WaitPidFlag::WUNTRACED))? {
        WaitStatus::Stopped(..) => {
            kill(child, Signal::SIGKILL)?;
            wait(child, None)?;
            Ok(true)
        }
        WaitStatus::Exited(..) => Ok(true),
        _ => Ok(false),
    }
}

fn wait(child: Pid, options: Option<WaitPidFlag>) -> nix::Result<WaitStatus> {
    loop {
        match waitpid(child, options) {
            Err(Errno::EINTR) => {}
            other => return other,
        }
    }
}

/// Executes one after the other, and writes what the kernel says; a negative number is a failure of ours.
fn answer(files: &[File], mut writer: &PipeWriter) -> io::Result<()> {
    if let Err(error) = child::confine() {
        return writer.write_all(&(-error.raw_os_error().unwrap_or(libc::EIO)).to_ne_bytes());
    }
    // Should it become a program, that has no business with our terminal.
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
mod tests {
    use super::*;
    use crate::probe::{self, ElfType, truncated};
    use crate::rule::Header;
    use crate::target::{Table, Target};

    fn own_target() -> Target {
        let header = crate::system::host::machine::own_header().unwrap();
        Table::embedded().of_header(&Header::new(&header)).unwrap().clone()
    }

    /// Truncated programs of this machine, as two kinds of file.
    fn own() -> [Vec<u8>; 2] {
        [ElfType::Executable, ElfType::Shared].map(|kind| truncated(&own_target(), kind))
    }

    /// The same of a machine that there is not.
    fn of_no_machine() -> Vec<u8> {
        let [mut program, _] = own();
        program[18..20].fill(0xfe);
        program
    }

    #[test]
    fn the_kernel_knows_its_own() {
        let [executable, shared] = own();
        let answers = ask(&[executable, of_no_machine(), shared]).unwrap();
        assert_eq!(answers, [RunBy::Kernel, RunBy::Nobody, RunBy::Kernel]);
        assert_eq!(ask(&[]).unwrap(), []);
    }

    #[test]
    fn nobody_can_write_to_what_is_executed() {
        let mut file = in_memory(b"text").unwrap();
        let error = file.write_all(b"more").unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EPERM));
    }

    #[test]
    fn what_runs_all_the_same_is_ended_and_the_rest_is_asked() {
        let target = own_target();
        let program = probe::build(&target, target.identity.machines[0]).unwrap();
        let [executable, shared] = own();
        let answers = ask(&[executable, program, shared]).unwrap();
        assert_eq!(answers, [RunBy::Kernel, RunBy::Rule, RunBy::Kernel]);
    }
}
