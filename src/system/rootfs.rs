//! A root filesystem in a folder: its files, looked up as programs in it would see them.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, OpenHow, ResolveFlag, openat2};

use super::interpreter;
use crate::observation::ElfFacts;

/// A folder that is somebody's `/`. Only read: nothing is mounted on it or written into it.
#[derive(Debug)]
pub struct RootFilesystem {
    path: PathBuf,
    folder: OwnedFd,
}

impl RootFilesystem {
    /// Opens a folder.
    pub fn open(path: &Path) -> io::Result<Self> {
        // A path that changes with the working directory would not be found from a child's.
        let path = fs::canonicalize(path)?;
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let folder = openat2(AT_FDCWD, &path, OpenHow::new().flags(flags))?;
        Ok(Self { path, folder })
    }

    /// Where it is, absolute and without links.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What a file in it is; `None` when it is no ELF file. Links lead to where they would in there:
    /// `/lib64/ld.so` may point to `/lib/…`, which on the host is another file.
    pub fn program(&self, path: &Path) -> io::Result<Option<ElfFacts>> {
        // Not a named pipe that nobody writes to.
        let mut file = File::from(self.look_up(path, OFlag::O_RDONLY | OFlag::O_NONBLOCK)?);
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("not a regular file"));
        }
        interpreter::read_elf(&mut file)
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
                // The kernel gives up when something was renamed meanwhile.
                Err(Errno::EAGAIN) => {}
                other => return other,
            }
        }
    }
}
