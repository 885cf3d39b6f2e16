//! A target: its names and the rules that it takes.

use super::identity::Identity;
use crate::rule::{Header, Magic, Name, PartError};

/// One CPU, by the name that QEMU gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// QEMU's name: `aarch64`.
    pub name: String,
    /// Kernels may run programs of other targets of their family: `arm` on an `aarch64` host.
    pub family: String,
    /// OCI's names, best first: `linux/arm/v7`, `linux/arm/v6`. May be empty.
    pub platforms: Vec<String>,
    /// Debian's names: `armhf`, `armel`.
    pub debian: Vec<String>,
    /// What `uname -m` prints on such a machine, or under QEMU.
    pub uname: Vec<String>,
    pub aliases: Vec<String>,
    pub identity: Identity,
    /// File names of the interpreter, best first: `qemu-aarch64-static`, `qemu-aarch64`.
    pub interpreters: Vec<String>,
    /// The target whose machine code the probe uses; usually the target itself.
    pub probe: String,
}

impl Target {
    /// One rule for each value of `e_machine`: its name and magic.
    pub fn rules(&self) -> Vec<(Name, Magic)> {
        self.identity
            .magics()
            .into_iter()
            .zip(&self.identity.machines)
            .enumerate()
            .filter_map(|(index, (magic, machine))| {
                Some((self.rule_name(index, *machine).ok()?, magic))
            })
            .collect()
    }

    /// A complete header as linkers write it, for one value of `e_machine`: rules of others may compare more of it
    /// than ours do.
    pub fn header(&self, machine: u16) -> Option<Header> {
        self.identity.machines.iter().find(|known| **known == machine)?;
        self.identity.programs(machine).first().map(|program| Header::new(program.magic()))
    }

    /// `qemu-aarch64`, the usual name; further rules of the target have their `e_machine` in the name.
    fn rule_name(&self, index: usize, machine: u16) -> Result<Name, PartError> {
        if index == 0 {
            format!("qemu-{}", self.name).parse()
        } else {
            format!("qemu-{}-{machine:#x}", self.name).parse()
        }
    }

    /// All names of the target, best first.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.name)
            .chain(&self.aliases)
            .chain(&self.platforms)
            .chain(&self.debian)
            .chain(&self.uname)
            .map(String::as_str)
    }

    /// The platform that `name` stands for: the platform of that name, or the one whose variant is in the name
    /// (`armv6l`), else the first. `None` when OCI has no name for the target.
    pub fn platform(&self, name: &str) -> Option<&str> {
        let wanted = name.to_ascii_lowercase();
        let bare = |name: &str| name.strip_prefix("linux/").unwrap_or(name).to_ascii_lowercase();
        let variant = |platform: &str| match *bare(platform).split('/').collect::<Vec<_>>() {
            [_, variant] => wanted.contains(variant),
            _ => false,
        };
        let platforms = || self.platforms.iter().map(String::as_str);
        platforms()
            .find(|platform| bare(platform) == bare(&wanted))
            .or_else(|| platforms().find(|platform| variant(platform)))
            .or_else(|| platforms().next())
    }

    /// The name for messages: `aarch64 (linux/arm64)`.
    pub fn label(&self) -> String {
        match self.platforms.first() {
            Some(platform) => format!("{} ({platform})", self.name),
            None => self.name.clone(),
        }
    }
}
