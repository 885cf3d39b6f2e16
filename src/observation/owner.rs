//! Who registered a rule.

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::path::PathBuf;

use serde::{Serialize, Serializer};

use super::OwnershipRecord;
use crate::rule::Entry;

/// Who registers a rule, as far as files tell. Documents contain its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// The record of ownership names it.
    Binfmtd,
    /// A line of this file in `binfmt.d` describes the same rule.
    SystemdBinfmt {
        file: PathBuf,
    },
    /// This state file of update-binfmts describes the same rule.
    UpdateBinfmts {
        file: PathBuf,
    },
    /// An emulator or run-time, by the rule's name or its interpreter.
    Runtime(Runtime),
    Unknown,
}

/// Emulators and run-times other than QEMU that register rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runtime {
    Wsl,
    Fex,
    Box64,
    Rosetta,
    Wine,
    Mono,
    Java,
    Python,
    Llvm,
    AppImage,
}

impl Owner {
    /// By the record first, then by the files of other tools, which are known by the rule's name.
    pub fn of<'a>(
        entry: &Entry,
        record: &OwnershipRecord,
        files: &'a BTreeMap<String, Self>,
    ) -> &'a Self {
        if record.owns(entry) {
            return &Self::Binfmtd;
        }
        entry.name.to_str().and_then(|name| files.get(name)).unwrap_or(&Self::Unknown)
    }

    /// The kind of owner, whatever its files are.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Binfmtd => "binfmtd",
            Self::SystemdBinfmt { .. } => "systemd-binfmt",
            Self::UpdateBinfmts { .. } => "update-binfmts",
            Self::Runtime(runtime) => runtime.as_str(),
            Self::Unknown => "an unknown owner",
        }
    }
}

impl Runtime {
    /// As the project calls itself.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Wsl => "WSL",
            Self::Fex => "FEX",
            Self::Box64 => "box64",
            Self::Rosetta => "Rosetta",
            Self::Wine => "Wine",
            Self::Mono => "Mono",
            Self::Java => "Java",
            Self::Python => "Python",
            Self::Llvm => "LLVM",
            Self::AppImage => "AppImage",
        }
    }
}

impl Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SystemdBinfmt { file } | Self::UpdateBinfmts { file } => {
                write!(f, "{} ({})", self.kind(), file.display())
            }
            Self::Binfmtd | Self::Runtime(_) => f.write_str(self.kind()),
            Self::Unknown => f.write_str("unknown"),
        }
    }
}

impl Serialize for Owner {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
