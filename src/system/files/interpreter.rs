//! Interpreters on disk: what a file is, and whether it could serve.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use goblin::container::{Container, Ctx};
use goblin::elf::program_header::{PT_INTERP, ProgramHeader};

use super::identity;
use super::trust::Trust;
use crate::observation::{ElfFacts, InterpreterFault, InterpreterFile};
use crate::rule::Header;

/// Enough for the header and the program headers of any interpreter.
const FIRST_PAGE: usize = 4096;
/// No loader's path is longer.
const PATH_MAX: u64 = 4096;

/// Size of a folder (`st_size`, bytes) above which looking up names is cheaper than reading it: some 400 files.
/// Reading Debian's `/usr/bin` takes 0.6 ms, because ext4 sorts it.
const LARGE_FOLDER: u64 = 16 * 1024;

/// What is known of a folder's files.
#[derive(Debug)]
pub enum Listing {
    /// The wanted names that exist.
    Names(HashSet<String>),
    /// The folder is too large to read.
    Large,
}

impl Listing {
    pub fn may_have(&self, name: &str) -> bool {
        match self {
            Self::Names(names) => names.contains(name),
            Self::Large => true,
        }
    }
}

fn is_nothing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// The files of a folder that may be interpreters, by their names; a folder that does not exist has none.
pub fn list_unless_large(folder: &Path, wanted: &dyn Fn(&str) -> bool) -> io::Result<Listing> {
    let is_large = std::fs::metadata(folder).is_ok_and(|metadata| metadata.len() > LARGE_FOLDER);
    if is_large { Ok(Listing::Large) } else { list(folder, wanted).map(Listing::Names) }
}

/// The names in a folder that `wanted` accepts; a folder that does not exist has none.
pub fn list(folder: &Path, wanted: &dyn Fn(&str) -> bool) -> io::Result<HashSet<String>> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if is_nothing(&error) => return Ok(HashSet::new()),
        Err(error) => return Err(error),
    };
    let mut names = HashSet::new();
    for entry in entries {
        if let Ok(name) = entry?.file_name().into_string()
            && wanted(&name)
        {
            names.insert(name);
        }
    }
    Ok(names)
}

/// Inspects files; looks at each folder and filesystem once.
#[derive(Debug, Default)]
pub struct Inspector {
    trust: Trust,
    noexec: HashMap<u64, bool>,
}

impl Inspector {
    pub fn inspect(&mut self, path: &Path) -> Result<InterpreterFile, InterpreterFault> {
        let unreadable = |error: &io::Error| match error {
            error if is_nothing(error) => InterpreterFault::Missing,
            error => InterpreterFault::Unreadable(error.into()),
        };
        let checked = self.trust.check(path).map_err(|error| unreadable(&error.source))?;
        let metadata = checked.metadata;
        if !metadata.is_file() {
            return Err(InterpreterFault::NotRegular);
        }
        let noexec = *self
            .noexec
            .entry(metadata.dev())
            .or_insert_with(|| identity::is_noexec(path).unwrap_or(false));
        // Non-blocking: it may have been replaced by a pipe without a writer.
        let open = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path);
        let mut open = open.map_err(|error| unreadable(&error))?;
        Ok(InterpreterFile {
            path: path.to_owned(),
            id: identity::id(&metadata),
            mode: metadata.permissions().mode() & 0o7777,
            noexec,
            elf: read_elf(&mut open).map_err(|error| unreadable(&error))?,
            distrust: checked.faults,
        })
    }
}

/// Reads the headers that the kernel checks; `None` when it is not an ELF file.
pub(in crate::system) fn read_elf(file: &mut File) -> io::Result<Option<ElfFacts>> {
    // One read is enough for a regular file.
    let mut page = [0; FIRST_PAGE];
    let length = file.read(&mut page)?;
    let page = &page[..length];
    let Ok(elf) = goblin::elf::Elf::parse_header(page) else { return Ok(None) };
    let (Ok(container), Ok(endianness)) = (elf.container(), elf.endianness()) else {
        return Ok(None);
    };
    let context = Ctx::new(container, endianness);
    let at = usize::try_from(elf.e_phoff).unwrap_or(usize::MAX);
    let size = usize::from(elf.e_phnum) * if container == Container::Big { 56 } else { 32 };
    if at.checked_add(size).is_none_or(|end| end > page.len()) {
        return Ok(None);
    }
    let Ok(segments) = ProgramHeader::parse(page, at, usize::from(elf.e_phnum), context) else {
        return Ok(None);
    };
    let loader = match segments.iter().find(|segment| segment.p_type == PT_INTERP) {
        None => None,
        Some(segment) => {
            let mut name = Vec::new();
            file.seek(SeekFrom::Start(segment.p_offset))?;
            file.take(segment.p_filesz.min(PATH_MAX)).read_to_end(&mut name)?;
            let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
            Some(std::ffi::OsStr::from_bytes(name).to_string_lossy().into_owned())
        }
    };
    Ok(Some(ElfFacts { header: Header::new(page), loader }))
}
