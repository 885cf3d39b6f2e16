//! The ids of all checks, each declared once.

use std::fmt::{self, Display};

use serde::{Serialize, Serializer};
use thiserror::Error;

use crate::phrase::Phrase;

/// Declares each check's name under its family, in the order of a report. The id is `family.name`.
macro_rules! ids {
    ($($family:ident $word:literal { $($id:ident $name:literal,)+ })+) => {
        /// What a group of checks is about: the part of an id before the dot.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Family { $($family,)+ }

        /// A check's id. It is stable: reports and documentation refer to it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum CheckId { $($($id,)+)+ }

        impl Family {
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$family => $word,)+ }
            }
        }

        impl CheckId {
            /// In the order of a report.
            pub const ALL: &[Self] = &[$($(Self::$id,)+)+];

            /// `family.name`
            pub fn as_str(self) -> &'static str {
                match self { $($(Self::$id => concat!($word, ".", $name),)+)+ }
            }

            fn name(self) -> &'static str {
                match self { $($(Self::$id => $name,)+)+ }
            }

            pub fn family(self) -> Family {
                match self { $($(Self::$id => Family::$family,)+)+ }
            }
        }
    };
}

ids! {
    Kernel "kernel" {
        KernelSupported "supported",
        KernelMounted "mounted",
        KernelEnabled "enabled",
        KernelWritable "writable",
        KernelInstance "instance",
        KernelLifetime "lifetime",
        KernelLimit "limit",
        KernelPageSize "page-size",
        KernelAddressSpace "address-space",
        KernelWrittenCode "written-code",
    }
    Rule "rule" {
        RulePresent "present",
        RuleEnabled "enabled",
        RuleFixBinary "fix-binary",
        RuleMatcher "matcher",
        RuleShadowed "shadowed",
        RuleCredentials "credentials",
        RuleNative "native",
    }
    Interpreter "interpreter" {
        InterpreterExists "exists",
        InterpreterUsable "usable",
        InterpreterTrusted "trusted",
        InterpreterLabel "label",
    }
    Exec "exec" {
        ExecHost "host",
        ExecEmptyRoot "empty-root",
        ExecPie "pie",
        ExecArgv0 "argv0",
        ExecStatus "status",
        ExecSignal "signal",
        ExecIdentity "identity",
        ExecCredentials "credentials",
        ExecRepeat "repeat",
        ExecVersion "version",
        ExecCost "cost",
        ExecCpuLevel "cpu-level",
    }
    Service "service" {
        ServiceRunning "running",
        ServiceDegraded "degraded",
        ServiceConflicts "conflicts",
        ServiceRecord "record",
        ServiceBoot "boot",
        ServiceBinfmtD "binfmt-d",
    }
    Load "load" {
        LoadLoader "loader",
        LoadShell "shell",
        LoadSignal "signal",
        LoadPipes "pipes",
        LoadCommand "command",
    }
    Docker "docker" {
        DockerCli "cli",
        DockerEngine "engine",
        DockerHere "here",
        DockerBuildx "buildx",
    }
    Builder "builder" {
        BuilderPresent "present",
        BuilderRunning "running",
        BuilderBuilds "builds",
        BuilderFacts "facts",
        BuilderOrphans "orphans",
    }
}

/// No check has this id.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("unknown check \"{id}\"{}", nearest.map(|id| format!(" (did you mean {id}?)")).unwrap_or_default())]
pub struct UnknownCheck {
    pub id: String,
    pub nearest: Option<CheckId>,
}

impl CheckId {
    pub fn parse(id: &str) -> Result<Self, UnknownCheck> {
        let known = Self::ALL.iter().find(|known| known.as_str() == id);
        known.copied().ok_or_else(|| UnknownCheck {
            id: id.to_owned(),
            nearest: Self::nearest(&id.to_lowercase()),
        })
    }

    /// The id that was probably meant: up to half of the letters may be wrong, or the family may be missing.
    fn nearest(id: &str) -> Option<Self> {
        let distance = |known: Self| {
            let whole = strsim::damerau_levenshtein(known.as_str(), id);
            whole.min(strsim::damerau_levenshtein(known.name(), id))
        };
        Self::ALL
            .iter()
            .map(|known| (distance(*known), *known))
            .filter(|(distance, _)| *distance <= id.chars().count() / 2)
            .min_by_key(|(distance, _)| *distance)
            .map(|(_, known)| known)
    }
}

impl Display for CheckId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<CheckId> for Phrase {
    fn from(id: CheckId) -> Self {
        id.as_str().into()
    }
}

impl Serialize for CheckId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
