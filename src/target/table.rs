//! The table of targets as data: TOML, embedded and extendable.

use std::collections::BTreeMap;

use thiserror::Error;
use toml::Spanned;

use super::cpu::Target;
use super::raw::{self, Raw, TargetError};
use crate::failure::Failure;
use crate::rule::Header;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    targets: Vec<Target>,
}

/// What is wrong with a table; lines are counted from 1.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TableError {
    /// Not TOML, an unknown key, or a wrong type.
    #[error("{}{message}", line.map(|line| format!("line {line}: ")).unwrap_or_default())]
    Toml { line: Option<usize>, message: String },
    #[error("line {line}: target {name}: {problem}")]
    Target {
        /// Of the target's first key.
        line: usize,
        name: String,
        problem: TargetError,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("unknown target {name:?}{}", nearest.as_ref().map(|near| format!(" (did you mean {near}?)")).unwrap_or_default())]
pub struct UnknownTarget {
    pub name: String,
    pub nearest: Option<String>,
}

impl From<UnknownTarget> for Failure {
    fn from(error: UnknownTarget) -> Self {
        Self::usage(format!("{error}; binfmtd targets lists all"))
    }
}

/// Variants of `linux/amd64`, by the levels of the x86-64 psABI.
const AMD64_LEVELS: [&str; 4] = ["/v1", "/v2", "/v3", "/v4"];

impl Table {
    /// The table that is built in.
    ///
    /// # Panics
    /// Never: a test reads the same rows.
    pub fn embedded() -> Self {
        let target =
            |row: raw::Row| row.raw().validate(row.name).expect("the embedded table is tested");
        Self { targets: raw::rows().into_iter().map(target).collect() }
    }

    /// Adds the targets of a TOML text, or replaces those of the same name. On an error the table stays as it was.
    pub fn extend(&mut self, text: &str) -> Result<(), TableError> {
        let line = |at: usize| 1 + text[..at].matches('\n').count();
        let raw: BTreeMap<Spanned<String>, Raw> =
            toml::from_str(text).map_err(|error| TableError::Toml {
                line: error.span().map(|span| line(span.start)),
                message: error.message().lines().next_back().unwrap_or_default().to_owned(),
            })?;
        let mut targets = self.targets.clone();
        let mut added = Vec::new();
        for (name, mut raw) in raw {
            let at = name.span().start;
            let name = name.into_inner();
            let error =
                |problem| TableError::Target { line: line(at), name: name.clone(), problem };
            let known = targets.iter().position(|known| known.name == name);
            // Keep the family: without it, a relative of the host would no longer be tried on the host.
            raw.family = raw.family.or_else(|| known.map(|at| targets[at].family.clone()));
            let target = raw.validate(&name).map_err(error)?;
            added.push((name.clone(), at));
            match known {
                Some(at) => targets[at] = target,
                None => targets.push(target),
            }
        }
        for (name, at) in &added {
            if let Some(other) = overlapping(&targets, name) {
                let problem = TargetError::Overlaps(other.to_owned());
                return Err(TableError::Target { line: line(*at), name: name.clone(), problem });
            }
        }
        targets.sort_by(|one, two| one.name.cmp(&two.name));
        self.targets = targets;
        Ok(())
    }

    pub fn targets(&self) -> &[Target] {
        &self.targets
    }

    /// Finds a target by any of its names, in any case: `arm64`, `linux/arm64`, `aarch64`, `armhf`.
    ///
    /// QEMU's own names come first, then all others but uname's, which several targets may share.
    pub fn find(&self, name: &str) -> Result<&Target, UnknownTarget> {
        let wanted = name.to_ascii_lowercase();
        let bare = wanted.strip_prefix("linux/").unwrap_or(&wanted);
        // buildx names the level of the CPU, too (`linux/amd64/v3`); the target is the same.
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

    /// The target whose programs have this header.
    pub fn of_header(&self, header: &Header) -> Option<&Target> {
        self.targets
            .iter()
            .find(|target| target.identity.magics().iter().any(|magic| magic.matches(header)))
    }
}

/// Another target whose rules could match this one's programs.
fn overlapping<'a>(targets: &'a [Target], name: &str) -> Option<&'a str> {
    let own = targets.iter().find(|target| target.name == name)?.identity.magics();
    let overlaps = |other: &&Target| {
        let theirs = other.identity.magics();
        theirs.iter().any(|theirs| own.iter().any(|own| own.overlaps(theirs)))
    };
    let mut others = targets.iter().filter(|other| other.name != name);
    others.find(overlaps).map(|other| other.name.as_str())
}
