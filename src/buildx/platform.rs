//! Platforms, which OCI names, and the targets that run their programs.

use thiserror::Error;

use super::builder::Builder;
use crate::config::Settings;
use crate::failure::Failure;
use crate::target::{Table, Target, UnknownTarget};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Platform<'a> {
    /// OCI's name: `linux/arm/v7`.
    pub name: String,
    pub target: &'a Target,
}

/// A name that is not a platform's.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PlatformError {
    #[error(transparent)]
    Unknown(#[from] UnknownTarget),
    #[error("target {0} has no name in images: Docker cannot build for it")]
    Nameless(String),
    #[error("an empty name: no platform is asked for")]
    Empty,
}

impl From<PlatformError> for Failure {
    fn from(error: PlatformError) -> Self {
        match error {
            PlatformError::Unknown(unknown) => unknown.into(),
            PlatformError::Nameless(_) | PlatformError::Empty => Self::usage(error),
        }
    }
}

impl<'a> Platform<'a> {
    /// By any name: `linux/arm64`, `arm64`, `aarch64`, `linux/arm/v6`.
    pub fn find(table: &'a Table, name: &str) -> Result<Self, PlatformError> {
        let target = table.find(name)?;
        let platform = target.platform(name);
        let name = platform.ok_or_else(|| PlatformError::Nameless(target.name.clone()))?;
        Ok(Self { name: name.to_owned(), target })
    }

    /// By names in one or several comma-separated lists, each once.
    pub fn find_all(table: &'a Table, lists: &[String]) -> Result<Vec<Self>, PlatformError> {
        let mut found: Vec<Self> = Vec::new();
        let names = lists.iter().flat_map(|list| list.split(',')).map(str::trim);
        for name in names.filter(|name| !name.is_empty()) {
            let platform = Self::find(table, name)?;
            if !found.contains(&platform) {
                found.push(platform);
            }
        }
        // A script's empty variable would ask for nothing, and the command would succeed.
        if found.is_empty() && !lists.is_empty() {
            return Err(PlatformError::Empty);
        }
        Ok(found)
    }

    /// Those of the command line, else the configured ones; `None` if neither names any.
    pub fn requested(
        settings: &'a Settings,
        lists: &[String],
    ) -> Result<Option<Vec<Self>>, PlatformError> {
        let configured = settings.buildx.platforms.as_deref();
        let lists = if lists.is_empty() { configured } else { Some(lists) };
        lists.map(|lists| Self::find_all(&settings.table, lists)).transpose()
    }

    /// Everything that Docker could build for.
    pub fn all(table: &'a Table) -> Vec<Self> {
        table.targets().iter().filter_map(Self::of).collect()
    }

    /// The platform that a target is built for by default.
    pub fn of(target: &'a Target) -> Option<Self> {
        Some(Self { name: target.platforms.first()?.clone(), target })
    }

    /// What a builder advertises and the table knows, each target once.
    pub fn advertised(table: &'a Table, builder: &Builder) -> Vec<Self> {
        let mut found: Vec<Self> = Vec::new();
        let names = builder.nodes.iter().flat_map(|node| &node.platforms);
        for platform in names.filter_map(|name| Self::exactly(table, name)) {
            if !found.iter().any(|known| known.target.name == platform.target.name) {
                found.push(platform);
            }
        }
        found
    }

    fn exactly(table: &'a Table, name: &str) -> Option<Self> {
        let target =
            table.targets().iter().find(|target| target.platforms.iter().any(|p| p == name));
        Some(Self { name: name.to_owned(), target: target? })
    }

    /// `e_machine` of its programs: the one that compilers write.
    pub fn machine(&self) -> u16 {
        self.target.identity.machines.first().copied().unwrap_or_default()
    }

    /// The name of its emulator in a `BuildKit` image: `buildkit-qemu-aarch64`
    /// (`solver/llbsolver/ops/exec_binfmt.go`).
    pub fn emulator(&self) -> String {
        let architecture = self.name.split('/').nth(1).unwrap_or(&self.name);
        let name = match architecture {
            "arm64" => "aarch64",
            "amd64" => "x86_64",
            "386" => "i386",
            other => other,
        };
        format!("buildkit-qemu-{name}")
    }

    /// Whether `BuildKit` has a probe for it (`util/archutil`): it never advertises another.
    pub fn is_known_to_buildkit(&self) -> bool {
        const KNOWN: [&str; 11] = [
            "amd64", "arm64", "riscv64", "ppc64", "ppc64le", "s390x", "386", "mips64le", "mips64",
            "loong64", "arm",
        ];
        self.name.split('/').nth(1).is_some_and(|architecture| KNOWN.contains(&architecture))
    }
}

impl std::fmt::Display for Platform<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)
    }
}
