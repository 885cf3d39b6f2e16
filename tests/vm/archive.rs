//! An initramfs: a cpio archive in the format that the kernel unpacks ("newc" of
//! Documentation/driver-api/early-userspace/buffer-format.rst).

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

const FOLDER: u32 = 0o040_000;
const REGULAR: u32 = 0o100_000;
const LINK: u32 = 0o120_000;
const DEVICE: u32 = 0o020_000;

pub(crate) struct Archive {
    out: BufWriter<File>,
    inodes: u32,
    folders: BTreeSet<String>,
}

impl Archive {
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        let out = BufWriter::new(File::create(path)?);
        Ok(Self { out, inodes: 0, folders: BTreeSet::new() })
    }

    /// A folder, and those above it.
    pub(crate) fn folder(&mut self, path: &str) -> io::Result<()> {
        let path = path.trim_matches('/');
        for (end, _) in path.match_indices('/').chain([(path.len(), "")]) {
            let folder = &path[..end];
            if self.folders.insert(folder.to_owned()) {
                self.entry(folder, FOLDER | 0o755, (0, 0), &[])?;
            }
        }
        Ok(())
    }

    pub(crate) fn program(&mut self, path: &str, content: &[u8]) -> io::Result<()> {
        self.above(path)?;
        self.entry(path, REGULAR | 0o755, (0, 0), content)
    }

    pub(crate) fn data(&mut self, path: &str, content: &[u8]) -> io::Result<()> {
        self.above(path)?;
        self.entry(path, REGULAR | 0o644, (0, 0), content)
    }

    /// A file of this machine's, under another name.
    pub(crate) fn copy(&mut self, path: &str, from: &Path) -> io::Result<()> {
        let content = fs::read(from)
            .map_err(|error| io::Error::other(format!("{}: {error}", from.display())))?;
        self.program(path, &content)
    }

    pub(crate) fn link(&mut self, path: &str, to: &str) -> io::Result<()> {
        self.above(path)?;
        self.entry(path, LINK | 0o777, (0, 0), to.as_bytes())
    }

    /// A character device.
    pub(crate) fn device(&mut self, path: &str, major: u32, minor: u32) -> io::Result<()> {
        self.above(path)?;
        self.entry(path, DEVICE | 0o600, (major, minor), &[])
    }

    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.entry("TRAILER!!!", 0, (0, 0), &[])?;
        self.out.flush()
    }

    fn above(&mut self, path: &str) -> io::Result<()> {
        match path.trim_matches('/').rsplit_once('/') {
            Some((folder, _)) => self.folder(folder),
            None => Ok(()),
        }
    }

    fn entry(
        &mut self,
        path: &str,
        mode: u32,
        device: (u32, u32),
        content: &[u8],
    ) -> io::Result<()> {
        self.inodes += 1;
        let name = path.trim_matches('/');
        let size = u32::try_from(content.len()).map_err(io::Error::other)?;
        let name_size = u32::try_from(name.len() + 1).map_err(io::Error::other)?;
        let mut header = "070701".to_owned();
        // Inode, mode, owner, group, links, time, size, the filesystem's device, our device, name, checksum.
        let (major, minor) = device;
        for field in [self.inodes, mode, 0, 0, 1, 0, size, 0, 0, major, minor, name_size, 0] {
            let _ = write!(header, "{field:08x}");
        }
        self.padded(&[header.as_bytes(), name.as_bytes(), b"\0"])?;
        self.padded(&[content])
    }

    /// Zeros up to a multiple of four.
    fn padded(&mut self, parts: &[&[u8]]) -> io::Result<()> {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        for part in parts {
            self.out.write_all(part)?;
        }
        self.out.write_all(&[0; 3][..length.next_multiple_of(4) - length])
    }
}
