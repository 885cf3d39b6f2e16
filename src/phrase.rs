//! Sentences in parts, so that the sentences about several targets can be merged into one.

use std::collections::BTreeSet;
use std::fmt::{self, Display};
use std::ops::Add;
use std::path::{Path, PathBuf};

use serde::{Serialize, Serializer};

/// A sentence or a command about one target. A document has its text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Phrase(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    /// The same for every target: sentences with other words are not merged.
    Words(String),
    /// A per-target value, and the generic wording used when findings are merged.
    Own { this: String, any: String },
    /// The same for a file. If all files are in one folder, the merged wording names it.
    File { before: &'static str, path: PathBuf, any: &'static str },
    /// An argument of a command that accepts several, with the space before it.
    Argument(String),
    /// A target's name, for a command that handles all configured targets if none is named.
    Target(String),
}

impl Phrase {
    /// A per-target value; `any` replaces it when findings with different values are merged.
    pub fn own(this: impl Into<String>, any: impl Into<String>) -> Self {
        Self(vec![Part::Own { this: this.into(), any: any.into() }])
    }

    pub fn file(path: impl AsRef<Path>, any: &'static str) -> Self {
        Self(vec![Part::File { before: "", path: path.as_ref().to_owned(), any }])
    }

    pub fn interpreter(path: impl AsRef<Path>) -> Self {
        let path = path.as_ref().to_owned();
        Self(vec![Part::File { before: "interpreter ", path, any: "interpreters" }])
    }

    /// An argument of a command that accepts several.
    pub fn argument(argument: impl Into<String>) -> Self {
        Self(vec![Part::Argument(argument.into())])
    }

    /// A target's name, for a command that handles all configured targets if none is named.
    pub fn target(name: impl Into<String>) -> Self {
        Self(vec![Part::Target(name.into())])
    }

    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|part| part.this().is_empty())
    }

    /// Whether the two differ in per-target values only, so that they can be merged.
    pub fn is_like(&self, other: &Self) -> bool {
        self.0.len() == other.0.len()
            && self.0.iter().zip(&other.0).all(|(one, another)| one.is_like(another))
    }

    /// Whether nothing is left of it after merging.
    fn is_private(&self) -> bool {
        self.0.iter().all(|part| matches!(part, Part::Own { any, .. } if any.is_empty()))
    }

    /// Merges phrases that are alike. `configured` are the targets that a command without names handles.
    pub fn of_all(phrases: &[&Self], configured: &BTreeSet<&str>) -> String {
        let Some((first, others)) = phrases.split_first() else { return String::new() };
        let parts = first.0.iter().enumerate();
        parts
            .map(|(at, part)| {
                let others = others.iter().filter_map(|phrase| phrase.0.get(at));
                part.of_all(&others.collect::<Vec<_>>(), configured)
            })
            .collect()
    }
}

impl Part {
    fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Words(words), Self::Words(others)) => words == others,
            (Self::Own { any, .. }, Self::Own { any: others, .. }) => any == others,
            (Self::File { before, any, .. }, Self::File { before: theirs, any: others, .. }) => {
                (before, any) == (theirs, others)
            }
            (Self::Argument(_), Self::Argument(_)) | (Self::Target(_), Self::Target(_)) => true,
            _ => false,
        }
    }

    fn this(&self) -> String {
        match self {
            Self::Words(words) | Self::Own { this: words, .. } => words.clone(),
            Self::File { before, path, .. } => format!("{before}{}", path.display()),
            Self::Argument(argument) | Self::Target(argument) => format!(" {argument}"),
        }
    }

    fn of_all(&self, others: &[&Self], configured: &BTreeSet<&str>) -> String {
        if others.iter().all(|other| *other == self) {
            return self.this();
        }
        match self {
            Self::Words(words) => words.clone(),
            Self::Own { any, .. } => any.clone(),
            Self::File { path, any, .. } => {
                let shared = |folder: &&Path| {
                    let mut files = others.iter().map(|other| other.folder());
                    !folder.as_os_str().is_empty() && files.all(|other| other == Some(folder))
                };
                let folder = path.parent().filter(shared);
                folder.map_or_else(
                    || (*any).to_owned(),
                    |folder| format!("{any} in {}", folder.display()),
                )
            }
            Self::Argument(_) | Self::Target(_) => {
                let named = std::iter::once(self).chain(others.iter().copied());
                let named: BTreeSet<&str> = named.filter_map(Self::argument).collect();
                if matches!(self, Self::Target(_)) && named == *configured {
                    return String::new();
                }
                named.iter().flat_map(|argument| [" ", argument]).collect()
            }
        }
    }

    fn folder(&self) -> Option<&Path> {
        if let Self::File { path, .. } = self { path.parent() } else { None }
    }

    fn argument(&self) -> Option<&str> {
        match self {
            Self::Argument(argument) | Self::Target(argument) => Some(argument),
            _ => None,
        }
    }
}

impl Display for Phrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|part| f.write_str(&part.this()))
    }
}

impl Serialize for Phrase {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl From<String> for Phrase {
    fn from(words: String) -> Self {
        Self(vec![Part::Words(words)])
    }
}

impl From<&str> for Phrase {
    fn from(words: &str) -> Self {
        words.to_owned().into()
    }
}

impl From<&String> for Phrase {
    fn from(words: &String) -> Self {
        words.clone().into()
    }
}

impl<T: Into<Self>> Add<T> for Phrase {
    type Output = Self;

    fn add(mut self, more: T) -> Self {
        self.0.extend(more.into().0);
        self
    }
}

/// What was seen, piece by piece. A document has one text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Evidence(Vec<Phrase>);

impl Evidence {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a piece, unless it is empty.
    pub fn add(&mut self, piece: impl Into<Phrase>) {
        self.0.extend(Some(piece.into()).filter(|piece| !piece.is_empty()));
    }

    /// The pieces that remain after merging.
    fn shared(&self) -> impl Iterator<Item = &Phrase> {
        self.0.iter().filter(|piece| !piece.is_private())
    }

    /// Whether the two can be merged.
    pub fn is_like(&self, other: &Self) -> bool {
        self.shared().count() == other.shared().count()
            && self.shared().zip(other.shared()).all(|(one, another)| one.is_like(another))
    }

    /// Merges evidence that is alike: what all of it has in common.
    pub fn of_all(evidence: &[&Self], configured: &BTreeSet<&str>) -> String {
        if let Some((first, others)) = evidence.split_first()
            && others.iter().all(|other| other == first)
        {
            return first.to_string();
        }
        let all: Vec<Vec<&Phrase>> = evidence.iter().map(|one| one.shared().collect()).collect();
        let pieces = 0..all.first().map_or(0, Vec::len);
        let pieces = pieces.map(|at| {
            let pieces: Vec<&Phrase> = all.iter().filter_map(|one| one.get(at).copied()).collect();
            Phrase::of_all(&pieces, configured)
        });
        pieces.collect::<Vec<_>>().join("; ")
    }
}

impl Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut between = "";
        for piece in &self.0 {
            write!(f, "{between}{piece}")?;
            between = "; ";
        }
        Ok(())
    }
}

impl Serialize for Evidence {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests;
