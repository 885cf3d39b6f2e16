//! One target as TOML has it, and what makes it a valid [`Target`].

use serde::Deserialize;
use thiserror::Error;

use super::cpu::Target;
use super::identity::{ByteOrder, Class, FlagBits, Identity};
use crate::rule::{Name, PartError};

/// Why a target of a table is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TargetError {
    #[error(transparent)]
    Name(#[from] PartError),
    #[error("class is {0}; it must be 32 or 64")]
    Class(u8),
    /// Names are found in any case, so two must not differ in it alone.
    #[error("the name has capital letters")]
    Capitals,
    #[error("machines is empty; give at least one e_machine")]
    NoMachine,
    #[error("machines holds {0} twice")]
    MachineTwice(u16),
    #[error("match-flags: the value has bits outside of the mask, or the mask is 0")]
    MatchFlags,
    #[error("e-flags are not what match-flags asks for: the rule would not take the probe")]
    ProbeFlags,
    #[error("interpreters holds {0:?}; give file names without folders")]
    Interpreter(String),
    #[error("platforms holds {0:?}; they begin with linux/")]
    Platform(String),
    /// The rules for a second `e_machine` have longer names.
    #[error("the name is too long for that of a rule")]
    NameTooLong,
    #[error("its programs look like those of {0}")]
    Overlaps(String),
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Raw {
    pub(super) family: Option<String>,
    #[serde(default)]
    platforms: Vec<String>,
    #[serde(default)]
    debian: Vec<String>,
    #[serde(default)]
    uname: Vec<String>,
    #[serde(default)]
    aliases: Vec<String>,
    class: u8,
    byte_order: ByteOrder,
    machines: Vec<u16>,
    match_flags: Option<FlagBits>,
    #[serde(default)]
    e_flags: u32,
    #[serde(default)]
    abi_version: u8,
    #[serde(default)]
    descriptor: bool,
    interpreters: Option<Vec<String>>,
    probe: Option<String>,
}

/// A target of the embedded table. Empty, 0 and `None` mean that the key is absent, as in [`Raw`].
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Row {
    pub(super) name: &'static str,
    family: &'static str,
    platforms: &'static [&'static str],
    debian: &'static [&'static str],
    uname: &'static [&'static str],
    aliases: &'static [&'static str],
    class: u8,
    byte_order: &'static str,
    machines: &'static [u16],
    match_flags: Option<FlagBits>,
    e_flags: u32,
    abi_version: u8,
    descriptor: bool,
    interpreters: &'static [&'static str],
    probe: &'static str,
}

impl Row {
    /// What TOML would give for the same target.
    pub(super) fn raw(&self) -> Raw {
        let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        let said = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let little = self.byte_order == "little";
        Raw {
            family: said(self.family),
            platforms: owned(self.platforms),
            debian: owned(self.debian),
            uname: owned(self.uname),
            aliases: owned(self.aliases),
            class: self.class,
            byte_order: if little { ByteOrder::Little } else { ByteOrder::Big },
            machines: self.machines.to_vec(),
            match_flags: self.match_flags,
            e_flags: self.e_flags,
            abi_version: self.abi_version,
            descriptor: self.descriptor,
            interpreters: Some(owned(self.interpreters)).filter(|names| !names.is_empty()),
            probe: said(self.probe),
        }
    }
}

/// `table.toml` as `build.rs` writes it, sorted by name.
#[allow(clippy::unreadable_literal, reason = "a program wrote it for the compiler")]
pub(super) fn rows() -> Vec<Row> {
    include!(concat!(env!("OUT_DIR"), "/rows.rs"))
}

impl Raw {
    pub(super) fn validate(self, name: &str) -> Result<Target, TargetError> {
        format!("qemu-{name}").parse::<Name>()?;
        let class = match self.class {
            32 => Class::Elf32,
            64 => Class::Elf64,
            other => return Err(TargetError::Class(other)),
        };
        if name.contains(|c: char| c.is_ascii_uppercase()) {
            return Err(TargetError::Capitals);
        }
        if self.machines.is_empty() {
            return Err(TargetError::NoMachine);
        }
        if let Some(twice) =
            (1..self.machines.len()).find(|at| self.machines[..*at].contains(&self.machines[*at]))
        {
            return Err(TargetError::MachineTwice(self.machines[twice]));
        }
        if let Some(bits) = self.match_flags
            && (bits.mask == 0 || bits.value & !bits.mask != 0)
        {
            return Err(TargetError::MatchFlags);
        }
        if let Some(bits) = self.match_flags
            && self.e_flags & bits.mask != bits.value
        {
            return Err(TargetError::ProbeFlags);
        }
        let interpreters = self
            .interpreters
            .unwrap_or_else(|| vec![format!("qemu-{name}-static"), format!("qemu-{name}")]);
        if let Some(bad) = interpreters.iter().find(|file| file.is_empty() || file.contains('/')) {
            return Err(TargetError::Interpreter(bad.clone()));
        }
        if let Some(bad) = self.platforms.iter().find(|platform| !platform.starts_with("linux/")) {
            return Err(TargetError::Platform(bad.clone()));
        }
        let target = Target {
            name: name.to_owned(),
            family: self.family.unwrap_or_else(|| name.to_owned()),
            platforms: self.platforms,
            debian: self.debian,
            uname: self.uname,
            aliases: self.aliases,
            identity: Identity {
                class,
                order: self.byte_order,
                machines: self.machines,
                match_flags: self.match_flags,
                e_flags: self.e_flags,
                abi_version: self.abi_version,
                descriptor: self.descriptor,
            },
            interpreters,
            probe: self.probe.unwrap_or_else(|| name.to_owned()),
        };
        if target.rules().len() == target.identity.machines.len() {
            Ok(target)
        } else {
            Err(TargetError::NameTooLong)
        }
    }
}
