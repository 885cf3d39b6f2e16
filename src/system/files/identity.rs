//! Which file a path leads to, and what its filesystem allows.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use nix::sys::statvfs::{FsFlags, statvfs};

use crate::observation::FileId;

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

/// Whether the set-user-ID bit means nothing on this filesystem.
pub fn is_nosuid(path: &Path) -> io::Result<bool> {
    Ok(statvfs(path)?.flags().contains(FsFlags::ST_NOSUID))
}
