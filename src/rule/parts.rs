//! The small parts of a rule, each valid by its type.

use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::magic::{Header, Magic};

/// Why a text cannot be a part of a rule.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PartError {
    #[error(
        "{0:?} cannot name a rule: 1 to {MAX_NAME} printable characters, no space, no '/', and not '.', '..', 'register' or 'status'"
    )]
    Name(String),
    #[error(
        "{0:?} cannot be an extension: it must not be empty, nor hold '/', '.', spaces or control characters"
    )]
    Extension(String),
    #[error(
        "{0:?} cannot be an interpreter: it must be an absolute path without control characters"
    )]
    Interpreter(PathBuf),
}

/// The longest name that the filesystem takes, in bytes.
const MAX_NAME: usize = 255;

/// The name of a rule. Narrower than the kernel's: no spaces or control characters, so that every
/// format and every log can carry it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(String);

impl Name {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = PartError;

    fn from_str(text: &str) -> Result<Self, PartError> {
        let plain = text.chars().all(|c| !c.is_control() && !c.is_whitespace() && c != '/');
        let taken = matches!(text, "" | "." | ".." | "register" | "status");
        if plain && !taken && text.len() <= MAX_NAME {
            Ok(Self(text.to_owned()))
        } else {
            Err(PartError::Name(text.to_owned()))
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The part of a file's name after the last dot.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Extension(String);

impl Extension {
    /// Takes whatever an entry of the kernel says: others may register what binfmtd would not.
    pub(super) fn observed(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The extension as text, without the dot.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Extension {
    type Err = PartError;

    fn from_str(text: &str) -> Result<Self, PartError> {
        let plain =
            text.chars().all(|c| !c.is_control() && !c.is_whitespace() && c != '/' && c != '.');
        if plain && !text.is_empty() {
            Ok(Self(text.to_owned()))
        } else {
            Err(PartError::Extension(text.to_owned()))
        }
    }
}

/// The absolute path of an interpreter. The kernel would resolve a relative one in the working directory of the
/// process that starts a program, so relative paths are refused.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InterpreterPath(PathBuf);

impl InterpreterPath {
    pub fn new(path: impl Into<PathBuf>) -> Result<Self, PartError> {
        let path = path.into();
        let plain = path.as_os_str().as_bytes().iter().all(|byte| !byte.is_ascii_control());
        if path.is_absolute() && plain { Ok(Self(path)) } else { Err(PartError::Interpreter(path)) }
    }

    pub fn as_path(&self) -> &Path {
        &self.0
    }
}

impl fmt::Display for InterpreterPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.display().fmt(f)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Matcher {
    /// By their first bytes (type `M`).
    Magic(Magic),
    /// By their name (type `E`).
    Extension(Extension),
}

impl Matcher {
    /// Whether the kernel would take a file with this header, started by this path.
    pub fn matches(&self, header: &Header, path: &Path) -> bool {
        match self {
            Self::Magic(magic) => magic.matches(header),
            // The kernel looks for the last dot of the whole path, folders included.
            Self::Extension(extension) => {
                let path = path.as_os_str().as_bytes();
                path.iter()
                    .rposition(|byte| *byte == b'.')
                    .is_some_and(|dot| &path[dot + 1..] == extension.0.as_bytes())
            }
        }
    }

    pub fn magic(&self) -> Option<&Magic> {
        match self {
            Self::Magic(magic) => Some(magic),
            Self::Extension(_) => None,
        }
    }

    /// Whether both match the very same files.
    pub fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Magic(one), Self::Magic(two)) => one.is_same(two),
            (Self::Extension(one), Self::Extension(two)) => one == two,
            _ => false,
        }
    }
}
