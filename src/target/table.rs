//! The table of targets as data: TOML, embedded and extendable.

use std::collections::BTreeMap;

use serde::Deserialize;
use thiserror::Error;
use toml::Spanned;

use super::Target;
use super::identity::{ByteOrder, Class, FlagBits, Identity};
use crate::failure::Failure;
use crate::rule::Name;

/// All targets that we know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    targets: Vec<Target>,
}

/// What is wrong with a table.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TableError {
    /// Not TOML, an unknown key, or a wrong type; says line and column itself.
    #[error("{0}")]
    Toml(String),
    /// A target that cannot be.
    #[error("line {line}: target {name}: {problem}")]
    Target {
        /// Line of the target's first key, from 1.
        line: usize,
        /// Its name.
        name: String,
        /// What is wrong.
        problem: String,
    },
}

/// A name that no target has.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("unknown target {name:?}{}", nearest.as_ref().map(|near| format!(" (did you mean {near}?)")).unwrap_or_default())]
pub struct UnknownTarget {
    /// The name.
    pub name: String,
    /// A name that looks like it.
    pub nearest: Option<String>,
}

impl From<UnknownTarget> for Failure {
    fn from(error: UnknownTarget) -> Self {
        Self::usage(format!("{error}; binfmtd targets lists all"))
    }
}

/// A target as it is written.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Raw {
    family: Option<String>,
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

/// A target of the embedded table. What it does not say is empty, 0 or none, as in [`Raw`].
#[derive(Debug, Clone, Copy)]
struct Row {
    name: &'static str,
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
    const EMPTY: Self = Self {
        name: "",
        family: "",
        platforms: &[],
        debian: &[],
        uname: &[],
        aliases: &[],
        class: 0,
        byte_order: "",
        machines: &[],
        match_flags: None,
        e_flags: 0,
        abi_version: 0,
        descriptor: false,
        interpreters: &[],
        probe: "",
    };

    /// As it would be read from the file that it was made of.
    fn raw(&self) -> Raw {
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

/// `table.toml`, as `build.rs` writes it down, by name.
#[allow(clippy::unreadable_literal, reason = "a program wrote it for the compiler")]
const ROWS: &[Row] = include!(concat!(env!("OUT_DIR"), "/rows.rs"));

/// Variants of `linux/amd64`, by the levels of the x86-64 psABI.
const AMD64_LEVELS: [&str; 4] = ["/v1", "/v2", "/v3", "/v4"];

impl Table {
    /// The table that is built in.
    ///
    /// # Panics
    /// Never: a test reads the same rows.
    pub fn embedded() -> Self {
        let target =
            |row: &Row| row.raw().validate(row.name).expect("the embedded table is tested");
        Self { targets: ROWS.iter().map(target).collect() }
    }

    /// Adds the targets of a text, or replaces those of the same name; all or none.
    pub fn extend(&mut self, text: &str) -> Result<(), TableError> {
        let raw: BTreeMap<Spanned<String>, Raw> = toml::from_str(text)
            .map_err(|error| TableError::Toml(error.to_string().trim_end().to_owned()))?;
        let mut targets = self.targets.clone();
        let mut added = Vec::new();
        for (name, mut raw) in raw {
            let at = name.span().start;
            let name = name.into_inner();
            let error = |problem| TableError::Target {
                line: 1 + text[..at].matches('\n').count(),
                name: name.clone(),
                problem,
            };
            let known = targets.iter().position(|known| known.name == name);
            // A relative of the host that lost its family would no longer be tried on the host.
            raw.family = raw.family.or_else(|| known.map(|at| targets[at].family.clone()));
            let target = raw.validate(&name).map_err(error)?;
            added.push((name.clone(), at));
            match known {
                Some(at) => targets[at] = target,
                None => targets.push(target),
            }
        }
        for (name, at) in &added {
            let line = 1 + text[..*at].matches('\n').count();
            if let Some(other) = overlapping(&targets, name) {
                let problem = format!("its programs look like those of {other}");
                return Err(TableError::Target { line, name: name.clone(), problem });
            }
        }
        targets.sort_by(|one, two| one.name.cmp(&two.name));
        self.targets = targets;
        Ok(())
    }

    /// Every target, by name.
    pub fn targets(&self) -> &[Target] {
        &self.targets
    }

    /// Finds a target by any of its names, in any case: `arm64`, `linux/arm64`, `aarch64`, `armhf`.
    ///
    /// QEMU's own names come first, then all others but uname's, which several targets may share.
    pub fn find(&self, name: &str) -> Result<&Target, UnknownTarget> {
        let wanted = name.to_ascii_lowercase();
        let bare = wanted.strip_prefix("linux/").unwrap_or(&wanted);
        // buildx tells what the CPU has besides; the programs are the same target's.
        let bare = AMD64_LEVELS
            .iter()
            .find_map(|level| bare.strip_suffix(level))
            .map_or(bare, |own| if own == "amd64" { own } else { bare });
        let exact = self.targets.iter().find(|target| target.name == wanted);
        let alias = || {
            self.targets.iter().find(|target| {
                let platforms = target
                    .platforms
                    .iter()
                    .map(|platform| platform.strip_prefix("linux/").unwrap_or(platform));
                platforms
                    .chain(target.aliases.iter().map(String::as_str))
                    .any(|known| known.eq_ignore_ascii_case(bare))
                    || target.debian.iter().any(|known| known.eq_ignore_ascii_case(&wanted))
            })
        };
        let uname = || {
            let mut found = self.targets.iter().filter(|target| {
                target.uname.iter().any(|known| known.eq_ignore_ascii_case(&wanted))
            });
            found.next().filter(|_| found.next().is_none())
        };
        exact.or_else(alias).or_else(uname).ok_or_else(|| self.unknown(name))
    }

    fn unknown(&self, name: &str) -> UnknownTarget {
        let wanted = name.to_ascii_lowercase();
        let nearest = self
            .targets
            .iter()
            .flat_map(Target::names)
            .map(|known| (strsim::damerau_levenshtein(known, &wanted), known))
            .filter(|(distance, known)| *distance <= 2 && *distance < known.len().min(wanted.len()))
            .min_by_key(|(distance, _)| *distance)
            .map(|(_, known)| known.to_owned());
        UnknownTarget { name: name.to_owned(), nearest }
    }

    /// The targets whose programs have this header (of a file of theirs).
    pub fn of_header(&self, header: &crate::rule::Header) -> Option<&Target> {
        self.targets
            .iter()
            .find(|target| target.identity.magics().iter().any(|magic| magic.matches(header)))
    }
}

/// Another target whose rules could take this one's programs.
fn overlapping<'a>(targets: &'a [Target], name: &str) -> Option<&'a str> {
    let own = targets.iter().find(|target| target.name == name)?.identity.magics();
    let overlaps = |other: &&Target| {
        let theirs = other.identity.magics();
        theirs.iter().any(|theirs| own.iter().any(|own| own.overlaps(theirs)))
    };
    let mut others = targets.iter().filter(|other| other.name != name);
    others.find(overlaps).map(|other| other.name.as_str())
}

impl Raw {
    fn validate(self, name: &str) -> Result<Target, String> {
        format!("qemu-{name}").parse::<Name>().map_err(|error| error.to_string())?;
        let class = match self.class {
            32 => Class::Elf32,
            64 => Class::Elf64,
            other => return Err(format!("class is {other}; it must be 32 or 64")),
        };
        // Names are found in any case, so two must not differ in it alone.
        if name.contains(|c: char| c.is_ascii_uppercase()) {
            return Err("the name has capital letters".to_owned());
        }
        if self.machines.is_empty() {
            return Err("machines is empty; give at least one e_machine".to_owned());
        }
        if let Some(twice) =
            (1..self.machines.len()).find(|at| self.machines[..*at].contains(&self.machines[*at]))
        {
            return Err(format!("machines holds {} twice", self.machines[twice]));
        }
        if let Some(bits) = self.match_flags
            && (bits.mask == 0 || bits.value & !bits.mask != 0)
        {
            return Err("match-flags: the value has bits that the mask has not, or the mask is 0"
                .to_owned());
        }
        if let Some(bits) = self.match_flags
            && self.e_flags & bits.mask != bits.value
        {
            return Err(
                "e-flags are not what match-flags asks for: the rule would not take the probe"
                    .to_owned(),
            );
        }
        let interpreters = self
            .interpreters
            .unwrap_or_else(|| vec![format!("qemu-{name}-static"), format!("qemu-{name}")]);
        if let Some(bad) = interpreters.iter().find(|file| file.is_empty() || file.contains('/')) {
            return Err(format!("interpreters holds {bad:?}; give file names without folders"));
        }
        if let Some(bad) = self.platforms.iter().find(|platform| !platform.starts_with("linux/")) {
            return Err(format!("platforms holds {bad:?}; they begin with linux/"));
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
        // The further rules have longer names.
        if target.rules().len() == target.identity.machines.len() {
            Ok(target)
        } else {
            Err("the name is too long for that of a rule".to_owned())
        }
    }
}
