//! Which files make up the configuration, by the precedence of systemd (`systemd.unit(5)`), and their texts.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::error::ConfigError;
use crate::observation::TrustFault;
use crate::system::files::trust::Trust;

/// Configuration folders, best first: the administrator's, this boot's, the machine's own, the distribution's.
const FOLDERS: [&str; 4] =
    ["etc/binfmtd", "run/binfmtd", "usr/local/lib/binfmtd", "usr/lib/binfmtd"];
const MAIN: &str = "binfmtd.toml";
const DROP_INS: &str = "binfmtd.d";
const TABLES: &str = "tables.d";

/// The largest file that is read, in bytes.
const MAX_SIZE: u64 = 1024 * 1024;

/// The folders whose files make up the configuration, absolute, whether they exist or not.
///
/// Files that links lead to are not in them. A path that cannot be made absolute is left out:
/// [`super::load`] says why.
pub fn places(root: &Path, explicit: Option<&Path>) -> Vec<PathBuf> {
    let root = std::path::absolute(root);
    let folders = root.iter().flat_map(|root| FOLDERS.map(|folder| root.join(folder)));
    match explicit {
        Some(file) => {
            let file = std::path::absolute(file).ok();
            let of_file = file.iter().filter_map(|file| file.parent()).map(Path::to_owned);
            of_file.chain(folders.map(|folder| folder.join(TABLES))).collect()
        }
        None => folders
            .flat_map(|folder| {
                let (drop_ins, tables) = (folder.join(DROP_INS), folder.join(TABLES));
                [folder, drop_ins, tables]
            })
            .collect(),
    }
}

/// The texts in the order in which they apply, each with its path, and the errors of files that could not be read.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) settings: Vec<(PathBuf, String)>,
    pub(super) tables: Vec<(PathBuf, String)>,
    pub(super) errors: Vec<ConfigError>,
}

pub(super) fn find(root: &Path, explicit: Option<&Path>) -> Found {
    let mut finder = Finder { trust: Trust::default(), seen: BTreeSet::new(), errors: Vec::new() };
    let folders: Vec<_> = match std::path::absolute(root) {
        Ok(root) => {
            let folders = FOLDERS.iter().map(|folder| root.join(folder));
            folders.filter(|folder| finder.is_usable(folder)).collect()
        }
        Err(error) => {
            finder.errors.push(ConfigError::of_io(root, &error));
            Vec::new()
        }
    };
    let settings = match explicit {
        Some(path) => match std::path::absolute(path) {
            Ok(path) => finder.read(&path).into_iter().collect(),
            Err(error) => {
                finder.errors.push(ConfigError::of_io(path, &error));
                Vec::new()
            }
        },
        None => {
            finder.main(&folders).into_iter().chain(finder.all_of(&folders, DROP_INS)).collect()
        }
    };
    let tables = finder.all_of(&folders, TABLES);
    Found { settings, tables, errors: finder.errors }
}

struct Finder {
    trust: Trust,
    /// A folder's faults come up with each file in it; each is reported once.
    seen: BTreeSet<TrustFault>,
    errors: Vec<ConfigError>,
}

impl Finder {
    /// Whether a folder exists and nobody else could put files into it.
    fn is_usable(&mut self, folder: &Path) -> bool {
        // Most of the folders do not exist, which one call tells; following the path takes a call for each folder
        // above.
        if fs::symlink_metadata(folder).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
        {
            return false;
        }
        match self.trust.check(folder) {
            Ok(checked) if !checked.metadata.is_dir() => {
                self.errors.push(ConfigError::of_file(folder, "not a folder"));
                false
            }
            Ok(checked) => self.accept(&checked.faults),
            Err(error) => {
                if !error.is_not_found() {
                    self.errors.push(ConfigError::of_io(&error.path, &error.source));
                }
                false
            }
        }
    }

    fn accept(&mut self, faults: &[TrustFault]) -> bool {
        for fault in faults {
            if self.seen.insert(fault.clone()) {
                let problem = format!("not trusted: {}", fault.sentence());
                self.errors.push(ConfigError::of_file(&fault.path, problem));
            }
        }
        faults.is_empty()
    }

    /// The first main file that is there.
    fn main(&mut self, folders: &[PathBuf]) -> Option<(PathBuf, String)> {
        let path = folders.iter().map(|folder| folder.join(MAIN)).find(|path| {
            // A dangling link counts, so that it is reported instead of another file being read in its place.
            fs::symlink_metadata(path).is_ok()
        })?;
        self.read_unless_masked(&path)
    }

    /// The files of one kind in all folders, by name; of files with the same name the first counts.
    fn all_of(&mut self, folders: &[PathBuf], name: &str) -> Vec<(PathBuf, String)> {
        let mut paths = BTreeMap::<OsString, PathBuf>::new();
        for folder in folders.iter().map(|folder| folder.join(name)) {
            if !self.is_usable(&folder) {
                continue;
            }
            match names(&folder) {
                Ok(names) => {
                    for name in names {
                        paths.entry(name).or_insert_with_key(|name| folder.join(name));
                    }
                }
                Err(error) => self.errors.push(ConfigError::of_io(&folder, &error)),
            }
        }
        paths.into_values().filter_map(|path| self.read_unless_masked(&path)).collect()
    }

    /// A link to `/dev/null` masks files of the same name in later folders. It is not checked itself: everybody may
    /// write the device, and the link's folder has been checked.
    fn read_unless_masked(&mut self, path: &Path) -> Option<(PathBuf, String)> {
        let masked = fs::read_link(path).is_ok_and(|target| target == Path::new("/dev/null"));
        if masked { None } else { self.read(path) }
    }

    /// The text of one file; on `None`, the reason is among the errors.
    fn read(&mut self, path: &Path) -> Option<(PathBuf, String)> {
        let checked = match self.trust.check(path) {
            Ok(checked) => checked,
            Err(error) => {
                self.errors.push(ConfigError::of_io(path, &error.source));
                return None;
            }
        };
        if !self.accept(&checked.faults) {
            return None;
        }
        let refused = |problem: String| ConfigError::of_file(path, problem);
        let text = if !checked.metadata.is_file() {
            Err(refused("not a regular file".to_owned()))
        } else if checked.metadata.len() > MAX_SIZE {
            let size = checked.metadata.len();
            Err(refused(format!("has {size} bytes; at most {MAX_SIZE} are read")))
        } else {
            // The path was checked above: nobody but root can have replaced it since.
            read_text(&checked.path)
                .map_err(|error| ConfigError::of_io(path, &error))
                .and_then(|bytes| decode(path, bytes))
        };
        match text {
            Ok(text) => Some((path.to_owned(), text)),
            Err(error) => {
                self.errors.push(error);
                None
            }
        }
    }
}

/// The file names that count: `*.toml`, and not hidden (an editor's or a package manager's leftovers are neither).
pub(super) fn is_read(name: &OsStr) -> bool {
    !name.as_bytes().starts_with(b".")
        && Path::new(name).extension().is_some_and(|end| end == "toml")
}

/// The names in a folder that count.
fn names(folder: &Path) -> io::Result<Vec<OsString>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        if is_read(&name) {
            names.push(name);
        }
    }
    Ok(names)
}

fn read_text(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_SIZE).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn decode(path: &Path, bytes: Vec<u8>) -> Result<String, ConfigError> {
    String::from_utf8(bytes).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = good.split(|byte| *byte == b'\n').count();
        ConfigError { line: Some(line), ..ConfigError::of_file(path, "not UTF-8") }
    })
}
