//! Files: which one a path leads to, what kind of program it is, and who could replace it.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::fix::{Command, Reader};
use crate::rule::Header;
use crate::shown::quote;

/// Which file a path leads to; changes when the file is replaced or written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct FileId {
    /// `st_dev`.
    pub device: u64,
    /// `st_ino`.
    pub inode: u64,
    /// Bytes.
    pub size: u64,
    /// `st_mtim` in nanoseconds since 1970.
    pub modified: i64,
}

impl FileId {
    pub fn is_same_file(&self, other: &Self) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }
}

/// What the first page of an ELF file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ElfFacts {
    /// The first 256 bytes, which tell the target.
    pub header: Header,
    /// `PT_INTERP`: the loader that a dynamic file needs in the root it runs in.
    pub loader: Option<String>,
}

/// A file that may serve as an interpreter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InterpreterFile {
    /// As written in the rule.
    pub path: PathBuf,
    pub id: FileId,
    /// Permissions: the twelve lower bits of `st_mode`.
    pub mode: u32,
    /// Whether its filesystem is mounted `noexec`.
    pub noexec: bool,
    /// `None` when it is not an ELF file.
    pub elf: Option<ElfFacts>,
    /// Where users other than root could replace it; the topmost folder comes first.
    pub distrust: Vec<TrustFault>,
}

/// Why a file cannot serve as an interpreter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InterpreterFault {
    Missing,
    Unreadable(SystemError),
    /// A folder, a device or a pipe.
    NotRegular,
    NotExecutable,
    Noexec,
    NotElf,
    /// An ELF file for this target, as [`Target::label`](crate::target::Target::label) writes it; `None` for a
    /// machine that the table does not have.
    Foreign(Option<String>),
    /// It needs this loader, which other roots lack.
    Dynamic(String),
    /// Others could replace it, and the rule would give it their credentials.
    Untrusted(Vec<TrustFault>),
}

/// An error of the kernel by its number (`errno(3)`): unlike [`io::Error`] it can be compared and copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SystemError(pub i32);

/// `EIO`, for the errors without a number, which the standard library makes itself.
const INPUT_OUTPUT: i32 = 5;

impl From<&io::Error> for SystemError {
    fn from(error: &io::Error) -> Self {
        Self(error.raw_os_error().unwrap_or(INPUT_OUTPUT))
    }
}

impl fmt::Display for SystemError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        io::Error::from_raw_os_error(self.0).fmt(f)
    }
}

/// A file, folder or link that users other than root could write or replace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TrustFault {
    /// Without any link on the way.
    pub path: PathBuf,
    /// The uid, as this user namespace sees it.
    pub owner: u32,
    /// Permissions: the twelve lower bits of `st_mode`.
    pub mode: u32,
    pub problem: TrustProblem,
}

/// Why somebody else could change a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TrustProblem {
    /// It belongs to somebody else.
    Owner,
    /// A link in a folder that everybody may write, and it belongs to somebody else.
    LinkOwner,
    /// Its group or others may write it.
    Writable,
}

impl TrustFault {
    /// The command that corrects it.
    pub fn command(&self) -> Command {
        let words: &[&str] = match self.problem {
            TrustProblem::Owner => &["chown", "root:"],
            TrustProblem::LinkOwner => &["chown", "-h", "root:"],
            TrustProblem::Writable => &["chmod", "go-w"],
        };
        Command::root(words).each(self.path.to_string_lossy())
    }

    /// What is wrong and the command, without the path: for messages that begin with it.
    pub fn sentence(&self) -> String {
        format!("{}; run: {}", self.what(), self.command().line(Reader::ROOT))
    }

    fn what(&self) -> String {
        let Self { owner, mode, problem, .. } = self;
        let what = match problem {
            TrustProblem::Owner | TrustProblem::LinkOwner => "belongs to somebody other than root",
            TrustProblem::Writable => "users other than root may write it",
        };
        format!("{what} (owner {owner}, mode {mode:04o})")
    }
}

impl fmt::Display for TrustFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", quote(&self.path), self.what())
    }
}

pub fn list_of(faults: &[TrustFault]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Candidates {
    /// The first file that can serve.
    pub usable: Option<InterpreterFile>,
    /// Every file before it that cannot, and why.
    pub faulty: Vec<(PathBuf, InterpreterFault)>,
}

impl Candidates {
    /// The file that explains why there is no usable one. One that is missing explains least, and was named by the
    /// settings: folders are listed, not guessed at.
    pub fn culprit(&self) -> Option<(&Path, &InterpreterFault)> {
        let there = |(_, fault): &&(_, InterpreterFault)| *fault != InterpreterFault::Missing;
        let found = self.faulty.iter().find(there).or(self.faulty.first());
        found.map(|(path, fault)| (path.as_path(), fault))
    }
}

#[cfg(test)]
mod tests;
