//! The nodes that binfmtd created: a volume carries no mark, so it is ours only if its node is recorded here.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::system::files::lock::{self, Lock};
use crate::system::files::write;

/// Names a folder other than `$XDG_STATE_HOME/binfmtd`.
pub const FOLDER_VARIABLE: &str = "BINFMTD_STATE_DIRECTORY";
const FILE: &str = "builders.json";
const LOCK: &str = "builders.lock";

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct BuilderRecord {
    /// The version of this format.
    pub schema: u32,
    pub nodes: BTreeSet<OwnedNode>,
}

/// A node that binfmtd created.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct OwnedNode {
    /// [`super::engine::Engine::id`]
    pub engine: String,
    pub node: String,
    pub builder: String,
}

impl BuilderRecord {
    const SCHEMA: u32 = 1;

    pub fn owns(&self, engine: &str, node: &str) -> bool {
        self.builder_of(engine, node).is_some()
    }

    /// The builder that a node of ours belongs to.
    pub fn builder_of(&self, engine: &str, node: &str) -> Option<&str> {
        let mut nodes = self.nodes.iter();
        let made = nodes.find(|made| made.engine == engine && made.node == node);
        made.map(|made| made.builder.as_str())
    }
}

/// `$XDG_STATE_HOME/binfmtd`, else `~/.local/state/binfmtd`; `None` for a user without a home.
pub fn folder() -> Option<PathBuf> {
    folder_by(|name| std::env::var_os(name))
}

pub(super) fn folder_by(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let variable = |name| variable(name).filter(|value| !value.is_empty());
    let absolute = |path: PathBuf| path.is_absolute().then_some(path);
    if let Some(own) = variable(FOLDER_VARIABLE) {
        return Some(PathBuf::from(own));
    }
    let state = variable("XDG_STATE_HOME").map(PathBuf::from).and_then(absolute);
    let home = || Some(PathBuf::from(variable("HOME")?).join(".local/state"));
    Some(state.or_else(home)?.join("binfmtd"))
}

/// The record, locked: only one process at a time creates or removes builders.
#[derive(Debug)]
pub struct BuilderStore {
    place: Option<(PathBuf, Lock)>,
    pub record: BuilderRecord,
}

impl BuilderStore {
    /// Waits for the lock and reads the record. A user without a home has neither, and creates builders all the same.
    pub fn open() -> io::Result<Self> {
        let Some(folder) = folder() else {
            return Ok(Self { place: None, record: BuilderRecord::default() });
        };
        let named = |error: io::Error| {
            let message =
                format!("{}: {error} ({FOLDER_VARIABLE} names another folder)", folder.display());
            io::Error::new(error.kind(), message)
        };
        std::fs::create_dir_all(&folder).map_err(named)?;
        let lock = lock::lock(&folder.join(LOCK)).map_err(named)?;
        let record = load(&folder);
        Ok(Self { place: Some((folder, lock)), record })
    }

    /// Records that a node is ours, before it is created. Returns whether that is new.
    pub fn add(&mut self, made: OwnedNode) -> io::Result<bool> {
        let is_new = self.record.nodes.insert(made);
        if is_new {
            self.save()?;
        }
        Ok(is_new)
    }

    /// Forgets a node that is gone.
    pub fn forget(&mut self, engine: &str, node: &str) -> io::Result<()> {
        let before = self.record.nodes.len();
        self.record.nodes.retain(|made| made.engine != engine || made.node != node);
        if self.record.nodes.len() == before { Ok(()) } else { self.save() }
    }

    fn save(&mut self) -> io::Result<()> {
        let Some((folder, _)) = &self.place else { return Ok(()) };
        self.record.schema = BuilderRecord::SCHEMA;
        let content = serde_json::to_vec_pretty(&self.record).map_err(io::Error::other)?;
        let path = folder.join(FILE);
        write::write_atomically(&path, &content, 0o600)
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
    }
}

/// Reads the record without the lock, for readers that change nothing.
pub fn read() -> BuilderRecord {
    folder().map(|folder| load(&folder)).unwrap_or_default()
}

/// If the record cannot be read, nothing counts as ours, so nothing is removed.
pub(super) fn load(folder: &Path) -> BuilderRecord {
    let path = folder.join(FILE);
    let content = match std::fs::read(&path) {
        Ok(content) => content,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return BuilderRecord::default(),
        Err(error) => {
            tracing::warn!("{}: {error}; no volume is taken for ours", path.display());
            return BuilderRecord::default();
        }
    };
    match serde_json::from_slice::<BuilderRecord>(&content) {
        Ok(record) if record.schema == BuilderRecord::SCHEMA => record,
        Ok(record) => {
            let schema = record.schema;
            tracing::warn!(
                "{}: schema {schema} is not ours; no volume is taken for ours",
                path.display()
            );
            BuilderRecord::default()
        }
        Err(error) => {
            tracing::warn!("{}: {error}; no volume is taken for ours", path.display());
            BuilderRecord::default()
        }
    }
}
