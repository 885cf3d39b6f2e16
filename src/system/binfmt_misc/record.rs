//! The file of the record of ownership, and its lock.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use crate::observation::{FileId, OwnershipRecord};
use crate::system::files::identity;
use crate::system::files::lock;
use crate::system::files::lock::Lock;
use crate::system::files::read;
use crate::system::files::trust::Trust;
use crate::system::files::write;
use crate::system::host::machine;

/// Overrides `/run/binfmtd`; a private instance has its own folder.
pub const FOLDER_VARIABLE: &str = "BINFMTD_RUNTIME_DIRECTORY";

/// The lock for the record and for changes of the kernel's rules.
pub const LOCK: &str = "lock";

/// The runtime folder: the record and its lock, which are void after a reboot.
pub fn folder() -> PathBuf {
    std::env::var_os(FOLDER_VARIABLE).map_or_else(|| PathBuf::from("/run/binfmtd"), PathBuf::from)
}

/// The locked record: meanwhile no other binfmtd changes the kernel's rules.
#[derive(Debug)]
pub struct Store {
    folder: PathBuf,
    _lock: Lock,
}

impl Store {
    /// Creates the folder if necessary, and waits for the lock.
    pub fn open(folder: &Path) -> io::Result<Self> {
        make_folder(folder)?;
        let lock = lock::lock(&folder.join(LOCK)).map_err(|error| named(folder, &error))?;
        Ok(Self { folder: folder.to_owned(), _lock: lock })
    }

    /// Does not wait; `None` while another process has the lock.
    pub fn try_open(folder: &Path) -> io::Result<Option<Self>> {
        let lock = lock::try_lock(&folder.join(LOCK)).map_err(|error| named(folder, &error))?;
        Ok(lock.map(|lock| Self { folder: folder.to_owned(), _lock: lock }))
    }

    pub fn save(&self, record: &OwnershipRecord) -> io::Result<()> {
        let path = path_in(&self.folder);
        let content = serde_json::to_vec_pretty(record).map_err(io::Error::other)?;
        write::write_atomically(&path, &content, 0o644).map_err(|error| named(&path, &error))
    }
}

/// Creates the runtime folder; refuses one that others could write.
pub fn make_folder(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    let made = fs::DirBuilder::new().recursive(true).mode(0o755).create(folder);
    made.map_err(|error| named(folder, &error))?;
    match distrust(folder) {
        Some(fault) => Err(io::Error::new(io::ErrorKind::PermissionDenied, fault)),
        None => Ok(()),
    }
}

fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// The record's file; it changes with the content.
pub fn id(folder: &Path) -> Option<FileId> {
    identity::id_of(&path_in(folder)).ok()
}

/// Whether the record cannot be parsed. One of another boot or instance is not damaged.
pub fn is_damaged(folder: &Path) -> bool {
    read(folder).is_ok_and(|content| serde_json::from_slice::<OwnershipRecord>(&content).is_err())
}

/// Regular files only: reading a pipe in its place could block for ever.
fn read(folder: &Path) -> io::Result<Vec<u8>> {
    let path = path_in(folder);
    let mut content = Vec::new();
    read::open_any_regular(&path)?.read_to_end(&mut content)?;
    Ok(content)
}

/// Reads the record for this boot and this instance. Without one, or when it is old or cannot be parsed, the result
/// is empty: then no rule is ours, and none will be touched.
pub fn load(folder: &Path, instance: u64) -> io::Result<OwnershipRecord> {
    let boot = machine::boot_id()?;
    let empty = OwnershipRecord {
        schema: OwnershipRecord::SCHEMA,
        boot: boot.clone(),
        instance,
        ..OwnershipRecord::default()
    };
    let content = match read(folder) {
        Ok(content) => content,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(empty),
        Err(error) => return Err(named(&path_in(folder), &error)),
    };
    if let Some(fault) = distrust(&path_in(folder)) {
        tracing::warn!("the record of ownership is left out: {fault}");
        return Ok(empty);
    }
    Ok(match serde_json::from_slice::<OwnershipRecord>(&content) {
        Ok(record)
            if (record.schema, record.instance) == (OwnershipRecord::SCHEMA, instance)
                && record.boot == boot =>
        {
            record
        }
        Ok(_) => empty,
        Err(error) => {
            tracing::warn!("{}: {error}; taken for empty", path_in(folder).display());
            empty
        }
    })
}

/// Where somebody other than root could forge the record.
fn distrust(path: &Path) -> Option<String> {
    match Trust::default().check(path) {
        Ok(checked) => checked.faults.first().map(ToString::to_string),
        Err(error) => Some(error.to_string()),
    }
}

fn path_in(folder: &Path) -> PathBuf {
    folder.join("rules.json")
}
