//! Which file a path leads to, and what its filesystem allows.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use nix::sys::statvfs::{FsFlags, statvfs};
use procfs::process::Process;

use crate::observation::FileId;
use crate::system::host::namespace;

pub fn id(metadata: &Metadata) -> FileId {
    FileId {
        device: metadata.dev(),
        inode: metadata.ino(),
        size: metadata.len(),
        modified: metadata
            .mtime()
            .saturating_mul(1_000_000_000)
            .saturating_add(metadata.mtime_nsec()),
    }
}

/// Which file this path leads to now.
pub fn id_of(path: &Path) -> io::Result<FileId> {
    Ok(id(&fs::metadata(path)?))
}

/// Whether programs on this filesystem may not be started.
pub fn is_noexec(path: &Path) -> io::Result<bool> {
    Ok(statvfs(path)?.flags().contains(FsFlags::ST_NOEXEC))
}

/// The mount that an open file is of (`mnt_id` of its `fdinfo`, since Linux 3.15).
pub(in crate::system) fn mount_of(file: &File) -> io::Result<Option<i32>> {
    let facts = fs::read_to_string(format!("/proc/self/fdinfo/{}", file.as_raw_fd()))?;
    Ok(facts.lines().find_map(|line| line.strip_prefix("mnt_id:")?.trim().parse().ok()))
}

/// Where the filesystem is mounted that a path leads to.
pub fn mount_point(path: &Path) -> io::Result<PathBuf> {
    let file = File::options().read(true).custom_flags(libc::O_PATH).open(path)?;
    let mount = mount_of(&file)?;
    let mut mounts = namespace::mounts(Process::myself())?.into_iter();
    let point = mounts.find(|known| Some(known.mnt_id) == mount);
    point.map(|known| known.mount_point).ok_or_else(|| io::ErrorKind::NotFound.into())
}

/// Whether the set-user-ID bit means nothing on this filesystem.
pub fn is_nosuid(path: &Path) -> io::Result<bool> {
    Ok(statvfs(path)?.flags().contains(FsFlags::ST_NOSUID))
}
