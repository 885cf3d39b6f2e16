//! What was seen: plain data about the machine, filled at the edge, decided upon by pure code.

mod owner;

pub use owner::{Owner, Runtime};

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::rule::Entry;

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
    /// Whether both are the same inode.
    pub fn is_same_file(&self, other: &Self) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }
}

/// What the first page of an ELF file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ElfFacts {
    /// Its first 256 bytes, which tell the target.
    pub header: crate::rule::Header,
    /// `PT_INTERP`: the loader that a dynamic file needs in the root it runs in.
    pub loader: Option<String>,
}

/// A file that may serve as an interpreter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InterpreterFile {
    /// As it is written into the rule.
    pub path: PathBuf,
    /// Which file that is now.
    pub id: FileId,
    /// Permission bits.
    pub mode: u32,
    /// Whether its filesystem is mounted `noexec`.
    pub noexec: bool,
    /// What it is; `None` when it is no ELF file.
    pub elf: Option<ElfFacts>,
    /// Where somebody else than root could replace it: a sentence each.
    pub distrust: Vec<String>,
}

/// Why a file cannot serve as an interpreter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InterpreterFault {
    /// There is none.
    Missing,
    /// It is there and could not be read.
    Unreadable(String),
    /// No execute bit.
    NotExecutable,
    /// Its filesystem is mounted `noexec`.
    Noexec,
    /// No ELF file at all.
    NotElf,
    /// An ELF file for another machine.
    Foreign(String),
    /// It needs a loader, which other roots lack.
    Dynamic(String),
    /// Others could replace it, and the rule would give it their credentials.
    Untrusted(String),
}

/// What was found for one target.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Candidates {
    /// The first file that can serve.
    pub usable: Option<InterpreterFile>,
    /// Every file before it that cannot, and why.
    pub faulty: Vec<(PathBuf, InterpreterFault)>,
}

/// How an existing rule of somebody else serves a target, shown by running its probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Serving {
    /// It runs, on the host and in an empty root.
    Works,
    /// It runs, but not the file that its path leads to now.
    Stale(String),
    /// It runs, by a file of another root: where its path leads to in ours says nothing of it.
    Elsewhere,
    /// It does not run.
    Fails(String),
}

/// A rule of ours, as we put it into the kernel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Owned {
    /// The register string as text; two are the same rule when these are equal.
    pub register: String,
    /// The target, for rules of the table.
    pub target: Option<String>,
    /// The interpreter that the kernel opened, where it was known.
    pub interpreter: Option<FileId>,
}

/// The record of ownership: our rules by name, in one instance of one boot.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Record {
    /// Version of this format.
    pub schema: u32,
    /// `boot_id` of the kernel; a record of another boot is void.
    pub boot: String,
    /// `st_dev` of the instance; a record of another instance is void.
    pub instance: u64,
    /// Name to rule.
    pub rules: BTreeMap<String, Owned>,
    /// What replacements are to put in place, by the rule's name: written down before the kernel hears
    /// of it, and gone when they are finished. Until then both the old and the new rule are ours.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub coming: BTreeMap<String, Owned>,
}

/// Before a replacement is finished, the new rule goes by its name and this.
const SWAP_SUFFIX: &str = ".binfmtd-swap";

/// Names that a rule may go by before a replacement is finished, best first: what an interrupted
/// replacement left stays until the next is finished.
pub fn swap_names(rule: &str) -> impl Iterator<Item = String> {
    std::iter::once(format!("{rule}{SWAP_SUFFIX}"))
        .chain((2..10).map(move |number| format!("{rule}.{number}{SWAP_SUFFIX}")))
}

/// The rule that goes by this name before a replacement is finished.
pub fn unfinished_name(name: &str) -> Option<&str> {
    let rule = name.strip_suffix(SWAP_SUFFIX)?;
    Some(match rule.rsplit_once('.') {
        Some((bare, number)) if matches!(number.as_bytes(), [b'2'..=b'9']) => bare,
        _ => rule,
    })
}

impl Record {
    /// The version that this program writes.
    pub const SCHEMA: u32 = 1;

    /// Whether `entry` is ours: its name is in the record, and its content is what we wrote.
    pub fn owns(&self, entry: &Entry) -> bool {
        self.owned(entry).is_some()
    }

    /// Takes a name out, whether it is a rule's or one that a rule goes by for the meantime.
    pub fn forget(&mut self, name: &str) {
        self.rules.remove(name);
        self.coming.remove(unfinished_name(name).unwrap_or(name));
    }

    /// What the record says of `entry`, if it is ours.
    pub fn owned(&self, entry: &Entry) -> Option<&Owned> {
        let name = entry.name.to_str()?;
        let names = [Some(name), unfinished_name(name)].into_iter().flatten();
        let known = names.flat_map(|name| [self.rules.get(name), self.coming.get(name)]);
        known.flatten().find(|owned| {
            crate::rule::parse_register(owned.register.as_bytes())
                .is_ok_and(|rule| rule.serves_like(entry))
        })
    }
}

/// The instance of `binfmt_misc` that this process sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceFacts {
    /// `st_dev`, which tells instances apart.
    pub device: u64,
    /// The switch of the instance as a whole.
    pub enabled: bool,
    /// Whether this process could register.
    pub writable: bool,
    /// Its rules, in the kernel's order: newest first.
    pub entries: Vec<Entry>,
    /// Files that could not be understood.
    pub unreadable: Vec<(OsString, String)>,
}

/// Everything that a plan is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// The target that this machine is.
    pub host: String,
    /// Targets whose programs ran without any interpreter, the host's own first.
    pub natives: Vec<String>,
    /// The instance.
    pub instance: InstanceFacts,
    /// Interpreters by target.
    pub interpreters: BTreeMap<String, Candidates>,
    /// Interpreters of rules that are not of the table, by path.
    pub others: BTreeMap<PathBuf, Result<InterpreterFile, InterpreterFault>>,
    /// Native programs and scripts whose names end in an extension that the settings want a rule for.
    pub captured: BTreeMap<String, PathBuf>,
    /// How rules of others serve, by the entry's name; empty when nothing was run.
    pub serving: BTreeMap<OsString, Serving>,
    /// What is ours.
    pub record: Record,
}
