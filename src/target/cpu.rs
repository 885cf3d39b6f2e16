//! A target: its names and the rules that it takes.

use super::identity::Identity;
use crate::rule::{Header, Magic, Name, PartError};

/// One CPU, by the name that QEMU gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// QEMU's name: `aarch64`.
    pub name: String,
    /// Targets of one family may run on each other's kernels: `arm` on an `aarch64` host.
    pub family: String,
    /// OCI's names, best first: `linux/arm/v7`, `linux/arm/v6`. May be empty.
    pub platforms: Vec<String>,
    /// Debian's names: `armhf`, `armel`.
    pub debian: Vec<String>,
    /// What `uname -m` says on such a machine, or under QEMU.
    pub uname: Vec<String>,
    /// Any other name that people use.
    pub aliases: Vec<String>,
    /// What its programs look like.
    pub identity: Identity,
    /// File names of its interpreter, best first: `qemu-aarch64-static`, `qemu-aarch64`.
    pub interpreters: Vec<String>,
    /// The target whose machine code its probe runs: mostly its own name.
    pub probe: String,
}

impl Target {
    /// The rules that it takes: a name and a magic for each value of `e_machine` that its files carry.
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

    /// The header of its programs with one value of `e_machine`, as linkers write it: a rule may look at more of
    /// it than ours does.
    pub fn header(&self, machine: u16) -> Option<Header> {
        self.identity.machines.iter().find(|known| **known == machine)?;
        self.identity.programs(machine).first().map(|program| Header::new(program.magic()))
    }

    /// `qemu-aarch64`, as everybody calls it; the further ones carry their `e_machine`.
    fn rule_name(&self, index: usize, machine: u16) -> Result<Name, PartError> {
        if index == 0 {
            format!("qemu-{}", self.name).parse()
        } else {
            format!("qemu-{}-{machine:#x}", self.name).parse()
        }
    }

    /// Every name that it goes by, best first.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.name)
            .chain(&self.aliases)
            .chain(&self.platforms)
            .chain(&self.debian)
            .chain(&self.uname)
            .map(String::as_str)
    }

    /// The platform that one of its names means: the one that it is, or whose variant it has (`armv6l`),
    /// else the first; `None` where OCI has no name for it.
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

    /// How it is called in a sentence: `aarch64 (linux/arm64)`.
    pub fn label(&self) -> String {
        match self.platforms.first() {
            Some(platform) => format!("{} ({platform})", self.name),
            None => self.name.clone(),
        }
    }
}
