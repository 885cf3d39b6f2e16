//! Opens files that somebody else may have created.

use std::fs::{self, File, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Opens a regular file of exactly this many bytes. Nothing else is opened: reading a named pipe may block for ever,
/// and a device may have no end.
pub fn open_regular(path: &Path, size: u64) -> io::Result<File> {
    open_if(path, |metadata| metadata.is_file() && metadata.len() == size)
}

/// The same, of any size.
pub fn open_any_regular(path: &Path) -> io::Result<File> {
    open_if(path, Metadata::is_file)
}

fn open_if(path: &Path, is_it: impl Fn(&Metadata) -> bool) -> io::Result<File> {
    let is_it = |metadata: Metadata| {
        let is_it = is_it(&metadata);
        is_it.then_some(()).ok_or_else(|| io::Error::other("another kind of file, or another size"))
    };
    // Opening a device may already have an effect.
    is_it(fs::metadata(path)?)?;
    // It may have been replaced since.
    let file = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    is_it(file.metadata()?)?;
    Ok(file)
}

/// The part of a regular file that the kernel compares.
pub fn first_bytes(path: &Path) -> io::Result<Vec<u8>> {
    let mut start = Vec::new();
    open_any_regular(path)?.take(crate::rule::HEADER_SIZE as u64).read_to_end(&mut start)?;
    Ok(start)
}

/// Every file of a folder with its content, by name, without those that cannot be read.
pub fn read_folder(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<_> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter_map(|path| Some((path.clone(), fs::read(path).ok()?)))
        .collect();
    files.sort();
    files
}
