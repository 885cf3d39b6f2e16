//! A builder as it is asked for.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::builder::{Builder, Node};
use crate::config::{BUILDER_MARK, Buildx, Settings, builder_name};
use crate::failure::Failure;
use crate::rule::to_hex;

/// What a builder is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuilderSpec {
    pub name: String,
    /// The driver's options.
    pub options: BTreeMap<String, String>,
    /// `buildkitd`'s flags, in one word as buildx takes them.
    pub flags: Option<String>,
    /// `buildkitd`'s configuration.
    pub config: Option<ConfigFile>,
    /// The node to create, by this name.
    pub node: Option<String>,
    /// Whether that is a further node of a builder that is there.
    pub append: bool,
    /// The engine that the node is to run in: an address or a context; `None` for the current one.
    pub endpoint: Option<String>,
    /// Whether it becomes the builder of builds that name none.
    pub make_current: bool,
    pub recreate: Recreate,
}

/// `buildkitd`'s configuration, a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigFile {
    pub path: PathBuf,
    pub content: Vec<u8>,
}

impl ConfigFile {
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let content = std::fs::read(path).map_err(|error| {
            Failure::usage(format!("buildkitd's configuration: {}: {error}", path.display()))
        })?;
        Ok(Self { path: path.to_owned(), content })
    }
}

/// Whether a builder may be removed and created again. Its state is kept, and only builders that binfmtd made are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recreate {
    /// When nothing else helps.
    Auto,
    Always,
    Never,
}

/// The name of the builder that a command is about: the one that it was given, else the configured one.
pub fn name(settings: &Settings, given: Option<&str>) -> Result<String, Failure> {
    builder_name(given.unwrap_or(&settings.buildx.name)).map_err(Failure::usage)
}

impl BuilderSpec {
    /// As the configuration describes it, with another name.
    pub fn configured(name: &str, buildx: &Buildx) -> Result<Self, Failure> {
        Ok(Self {
            name: name.to_owned(),
            options: buildx.driver_options.clone(),
            flags: buildx.buildkitd_flags.clone(),
            config: buildx.buildkitd_config.as_deref().map(ConfigFile::read).transpose()?,
            node: None,
            append: false,
            endpoint: None,
            make_current: false,
            recreate: Recreate::Auto,
        })
    }

    /// Whether anything is asked of how the builder is made.
    pub(super) fn is_particular(&self) -> bool {
        !self.options.is_empty() || self.flags.is_some() || self.config.is_some()
    }

    /// The node that is named, where the builder has it.
    pub(super) fn node_of<'b>(&self, builder: &'b Builder) -> Option<&'b Node> {
        let name = self.node.as_ref()?;
        builder.nodes.iter().find(|node| node.name == *name)
    }

    /// The value of [`BUILDER_MARK`]: a digest of the options that a node was made with. Builders of earlier versions
    /// carry it, so it has to stay what it is.
    pub fn mark(&self) -> String {
        let mut digest = Sha256::new();
        let mut field = |text: &[u8]| {
            digest.update(text.len().to_le_bytes());
            digest.update(text);
        };
        for (name, value) in &self.options {
            field(name.as_bytes());
            field(value.as_bytes());
        }
        field(self.flags.as_deref().unwrap_or_default().as_bytes());
        field(self.config.as_ref().map(|file| file.content.as_slice()).unwrap_or_default());
        to_hex(&digest.finalize()[..8])
    }

    /// Whether a node that somebody else made has what is asked for, as far as buildx shows it: it does not show
    /// `buildkitd`'s configuration.
    pub(super) fn fits(&self, node: &Node) -> bool {
        let has = |flag: &str| node.flags.iter().any(|known| known == flag);
        self.options.iter().all(|(name, value)| node.options.get(name) == Some(value))
            && self.flags.iter().flat_map(|flags| flags.split_whitespace()).all(has)
    }

    /// All options of the driver, the mark included.
    pub fn all_options(&self) -> impl Iterator<Item = (String, String)> + '_ {
        let asked = self.options.iter().map(|(name, value)| (name.clone(), value.clone()));
        asked.chain([(BUILDER_MARK.to_owned(), self.mark())])
    }
}
