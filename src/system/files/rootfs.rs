//! A root filesystem in a folder: its files, looked up as programs in it would see them.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::statvfs::{FsFlags, fstatvfs};

use super::interpreter;
use crate::observation::ElfFacts;
use crate::rule::HEADER_SIZE;

/// A folder that is the root of other programs. It is only read.
#[derive(Debug)]
pub struct RootFilesystem {
    path: PathBuf,
    folder: OwnedFd,
}

/// What is at a path instead of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoProgram {
    Missing,
    /// A folder, a device, a socket.
    NoFile,
    /// A file without an execute bit.
    NotExecutable,
    /// A script whose interpreter, named here, does not exist.
    NoShell(PathBuf),
}

impl AsFd for RootFilesystem {
    /// The open folder, whatever its path leads to now.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.folder.as_fd()
    }
}

impl RootFilesystem {
    pub fn open(path: &Path) -> io::Result<Self> {
        // Absolute, because a child has another working directory.
        let path = fs::canonicalize(path)?;
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let folder = openat2(AT_FDCWD, &path, OpenHow::new().flags(flags))?;
        Ok(Self { path, folder })
    }

    /// Absolute and without links.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The ELF facts of a file in it; `None` when it is not an ELF file. Links are resolved inside: `/lib64/ld.so`
    /// may point to `/lib/…`, which is another file on the host.
    pub fn program(&self, path: &Path) -> io::Result<Option<ElfFacts>> {
        // Non-blocking: it may be a pipe without a writer.
        let mut file = File::from(self.look_up(path, OFlag::O_RDONLY | OFlag::O_NONBLOCK)?);
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("not a regular file"));
        }
        interpreter::read_elf(&mut file)
    }

    /// Whether its filesystem is mounted `noexec`.
    pub fn is_noexec(&self) -> bool {
        fstatvfs(&self.folder).is_ok_and(|facts| facts.flags().contains(FsFlags::ST_NOEXEC))
    }

    /// Whether the path leads to a program or script that can be started.
    pub fn may_start(&self, path: &Path) -> Result<(), NoProgram> {
        let open = self.look_up(path, OFlag::O_PATH).map_err(|_| NoProgram::Missing)?;
        let metadata = File::from(open).metadata().map_err(|_| NoProgram::Missing)?;
        if !metadata.is_file() {
            return Err(NoProgram::NoFile);
        }
        if metadata.permissions().mode() & 0o111 == 0 {
            return Err(NoProgram::NotExecutable);
        }
        match self.shell_of(path) {
            Some(shell) if !self.has(&shell) => Err(NoProgram::NoShell(shell)),
            _ => Ok(()),
        }
    }

    /// The interpreter that a script names after `#!`.
    fn shell_of(&self, path: &Path) -> Option<PathBuf> {
        let open = self.look_up(path, OFlag::O_RDONLY | OFlag::O_NONBLOCK).ok()?;
        let mut start = Vec::new();
        File::from(open).take(HEADER_SIZE as u64).read_to_end(&mut start).ok()?;
        let line = start.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
        let name = line.trim_ascii().split(u8::is_ascii_whitespace).next()?;
        (!name.is_empty()).then(|| Path::new("/").join(OsStr::from_bytes(name)))
    }

    /// Whether there is something at this path.
    pub fn has(&self, path: &Path) -> bool {
        self.look_up(path, OFlag::O_PATH).is_ok()
    }

    /// The names in one of its folders, sorted; none where there is no such folder.
    pub fn names(&self, folder: &Path) -> Vec<String> {
        let Ok(open) = self.look_up(folder, OFlag::O_RDONLY | OFlag::O_DIRECTORY) else {
            return Vec::new();
        };
        let listed = fs::read_dir(Path::new("/proc/self/fd").join(open.as_raw_fd().to_string()));
        let entries = listed.into_iter().flatten().flatten();
        let mut names: Vec<String> =
            entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort_unstable();
        names
    }

    fn look_up(&self, path: &Path, flags: OFlag) -> Result<OwnedFd, Errno> {
        let how = OpenHow::new()
            .flags(flags | OFlag::O_CLOEXEC)
            .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS);
        loop {
            match openat2(&self.folder, path, how) {
                // The kernel returns EAGAIN when something was renamed meanwhile.
                Err(Errno::EAGAIN) => {}
                other => return other,
            }
        }
    }
}
