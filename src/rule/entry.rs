//! Entries: the files under `/proc/sys/fs/binfmt_misc`, in which the kernel describes its rules.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::escape::parse_hex;
use super::flags::ObservedFlags;
use super::magic::{Header, Magic, MagicError};
use super::parts::{Extension, Matcher};

/// A rule as it was found in the kernel. Anybody may have registered it, with any name and path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub name: OsString,
    /// Whether the rule itself is on (the instance as a whole may be off).
    pub enabled: bool,
    /// The path it was registered with; with `F` the file may be another one by now.
    pub interpreter: PathBuf,
    pub flags: ObservedFlags,
    pub matcher: Matcher,
    /// Lines of a newer kernel, as read.
    pub unknown: Vec<String>,
}

/// Why a file of the kernel could not be understood.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EntryError {
    /// The first line says neither `enabled` nor `disabled`.
    #[error("the first line is {0:?}, neither \"enabled\" nor \"disabled\"")]
    State(String),
    /// A line that every entry has is not there.
    #[error("there is no line {0:?}")]
    Missing(&'static str),
    /// A line that every entry has once. A path or an extension with a newline in it makes such files.
    #[error("there are two lines {0:?}: one of them is part of a path or an extension")]
    Twice(String),
    /// Magic or mask are no hex digits, or the offset is no number.
    #[error("{0:?} is not what the kernel writes there")]
    Value(String),
    /// Magic, mask and offset do not go together.
    #[error(transparent)]
    Magic(#[from] MagicError),
}

const KEYS: [&[u8]; 6] = [b"interpreter", b"flags:", b"extension", b"offset", b"magic", b"mask"];

impl Entry {
    /// Reads an entry file. Unknown flags and lines are kept, not refused.
    pub fn parse(name: &OsStr, content: &[u8]) -> Result<Self, EntryError> {
        let mut lines = content.split(|byte| *byte == b'\n');
        let enabled = match lines.next() {
            Some(b"enabled") => true,
            Some(b"disabled") => false,
            other => return Err(EntryError::State(lossy(other.unwrap_or_default()))),
        };
        let (mut interpreter, mut flags, mut extension) = (None, ObservedFlags::default(), None);
        let (mut offset, mut magic, mut mask) = (0, None, None);
        let (mut unknown, mut seen) = (Vec::new(), Vec::new());
        for line in lines.filter(|line| !line.is_empty()) {
            let at = line.iter().position(|byte| *byte == b' ');
            let (key, value) = at.map_or((line, &[][..]), |at| (&line[..at], &line[at + 1..]));
            if KEYS.contains(&key) {
                if seen.contains(&key) {
                    return Err(EntryError::Twice(lossy(key)));
                }
                seen.push(key);
            }
            match key {
                b"interpreter" => {
                    interpreter = Some(PathBuf::from(OsString::from_vec(value.to_vec())));
                }
                b"flags:" => flags = ObservedFlags::parse(&lossy(value)),
                b"extension" => extension = Some(value),
                b"offset" => {
                    offset = lossy(value).parse().map_err(|_| EntryError::Value(lossy(line)))?;
                }
                b"magic" => magic = Some(hex(line, value)?),
                b"mask" => mask = Some(hex(line, value)?),
                _ => unknown.push(lossy(line)),
            }
        }
        let matcher = match (magic, extension) {
            (Some(magic), _) => Matcher::Magic(Magic::observed(offset, magic, mask)?),
            (None, Some(extension)) => {
                let text = lossy(extension);
                Matcher::Extension(Extension::observed(text.strip_prefix('.').unwrap_or(&text)))
            }
            (None, None) => return Err(EntryError::Missing("magic")),
        };
        let interpreter = interpreter.ok_or(EntryError::Missing("interpreter"))?;
        Ok(Self { name: name.to_owned(), enabled, interpreter, flags, matcher, unknown })
    }

    /// Whether the kernel would hand it a file with this header, started by this path.
    pub fn takes(&self, header: &Header, path: &Path) -> bool {
        self.enabled && self.matcher.matches(header, path)
    }

    /// The name for people.
    pub fn display_name(&self) -> String {
        lossy(self.name.as_bytes())
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn hex(line: &[u8], value: &[u8]) -> Result<Vec<u8>, EntryError> {
    std::str::from_utf8(value)
        .ok()
        .and_then(|text| parse_hex(text).ok())
        .ok_or_else(|| EntryError::Value(lossy(line)))
}
