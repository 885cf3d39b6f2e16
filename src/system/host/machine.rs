//! The machine itself.

use std::fs;
use std::io::{self, Read as _};

/// The machine, for reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Kernel release: `6.12.0-amd64`.
    pub kernel: String,
    /// `uname -m`.
    pub machine: String,
}

pub fn describe() -> io::Result<Host> {
    let uname = nix::sys::utsname::uname()?;
    let text = |value: &std::ffi::OsStr| value.to_string_lossy().into_owned();
    Ok(Host { kernel: text(uname.release()), machine: text(uname.machine()) })
}

/// The host name.
pub fn name() -> io::Result<String> {
    Ok(nix::sys::utsname::uname()?.nodename().to_string_lossy().into_owned())
}

/// The header of our own program, which is native by definition: the kernel runs it.
pub fn own_header() -> io::Result<Vec<u8>> {
    let mut header = vec![0; crate::rule::HEADER_SIZE];
    fs::File::open("/proc/self/exe")?.read_exact(&mut header)?;
    Ok(header)
}

pub fn boot_id() -> io::Result<String> {
    // One read: it has 37 bytes.
    let mut id = [0; 64];
    let length = fs::File::open("/proc/sys/kernel/random/boot_id")?.read(&mut id)?;
    Ok(String::from_utf8_lossy(&id[..length]).trim().to_owned())
}

/// When a process started, in clock ticks since boot; `None` when there is no such process.
pub fn started(pid: u32) -> Option<u64> {
    let process = procfs::process::Process::new(i32::try_from(pid).ok()?).ok()?;
    Some(process.stat().ok()?.starttime)
}

/// Number of CPUs for this process.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}
