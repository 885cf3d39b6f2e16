//! Reads TOML tables and gathers the faults, each with its line and key.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::ConfigError;
use super::origin::{Located, Origin};
use super::values::ValueError;

/// Whether a text is TOML at all. For tables of targets, whose own reader stops at the first error.
pub(super) fn check_syntax(text: &str, file: &Path) -> Result<(), Vec<ConfigError>> {
    TomlReader::new(text, file).document().map(|_| ())
}

/// A value, or what is wrong with it; each fault with its line, or `None` for the key's.
pub(super) type Read<T> = Result<T, Vec<(Option<usize>, ValueError)>>;

/// Gathers the faults of one text.
pub(super) struct TomlReader<'x> {
    pub(super) text: &'x str,
    file: Arc<Path>,
    /// Offset of each line, so that finding a line does not count from the start again.
    lines: Vec<usize>,
    errors: Vec<ConfigError>,
}

impl<'x> TomlReader<'x> {
    pub(super) fn new(text: &'x str, file: &Path) -> Self {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let lines = std::iter::once(0).chain(ends.map(|(at, _)| at + 1)).collect();
        Self { text, file: file.into(), lines, errors: Vec::new() }
    }

    pub(super) fn origin(&self, at: usize) -> Origin {
        Origin {
            file: Arc::clone(&self.file),
            line: self.lines.partition_point(|begin| *begin <= at),
        }
    }

    /// The whole text as a table, or all places where it is not TOML.
    pub(super) fn document(&self) -> Result<DeTable<'x>, Vec<ConfigError>> {
        let (document, mut faults) = DeTable::parse_recoverable(self.text);
        if faults.is_empty() {
            return Ok(document.into_inner());
        }
        faults.sort_by_key(|fault| fault.span().map(|span| span.start));
        let mut errors: Vec<ConfigError> = Vec::new();
        for fault in faults {
            let line = fault.span().map(|span| self.origin(span.start).line);
            // Further errors on the same line are mostly consequences of the first.
            if errors.last().is_none_or(|last| last.line != line) {
                let problem = format!("not TOML: {}", fault.message().replace('`', "\""));
                errors.push(ConfigError { line, ..ConfigError::of_file(&self.file, problem) });
            }
        }
        Err(errors)
    }

    /// Separates a table's keys into known ones and faults.
    pub(super) fn section<'r, 't>(
        &'r mut self,
        prefix: String,
        table: &'t DeTable<'x>,
        known: &'static [&'static str],
    ) -> Section<'r, 't, 'x> {
        let mut found = BTreeMap::new();
        for (key, value) in table {
            let origin = self.origin(key.span().start);
            if let Some(known) = known.iter().find(|known| **known == key.get_ref().as_ref()) {
                found.insert(*known, (origin, value));
            } else {
                let path = join(&prefix, key.get_ref());
                self.errors.push(ConfigError::at(&origin, path, unknown(key.get_ref(), known)));
            }
        }
        Section { reader: self, prefix, found }
    }

    pub(super) fn finish<T>(mut self, read: T) -> Result<T, Vec<ConfigError>> {
        if self.errors.is_empty() {
            return Ok(read);
        }
        self.errors.sort_by_key(|error| error.line);
        Err(self.errors)
    }
}

/// One table, with the known keys that have not been read yet.
pub(super) struct Section<'r, 't, 'x> {
    reader: &'r mut TomlReader<'x>,
    prefix: String,
    found: BTreeMap<&'static str, (Origin, &'t Spanned<DeValue<'x>>)>,
}

impl<'t, 'x> Section<'_, 't, 'x> {
    /// Reads a value whose faults may be on several lines.
    pub(super) fn get<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&TomlReader<'x>, &'t Spanned<DeValue<'x>>) -> Read<T>,
    ) -> Option<Located<T>> {
        let (origin, value) = self.found.remove(key)?;
        match read(self.reader, value) {
            Ok(value) => Some(Located { value, origin }),
            Err(problems) => {
                let path = join(&self.prefix, key);
                self.reader.errors.extend(problems.into_iter().map(|(line, problem)| {
                    let line = line.unwrap_or(origin.line);
                    let origin = Origin { line, ..origin.clone() };
                    ConfigError::at(&origin, path.clone(), problem.to_string())
                }));
                None
            }
        }
    }

    /// Reads a value on one line.
    pub(super) fn one<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&'t DeValue<'x>) -> Result<T, ValueError>,
    ) -> Option<Located<T>> {
        self.get(key, |_, value| read(value.get_ref()).map_err(|problem| vec![(None, problem)]))
    }

    /// Reads a table: `[key]`.
    pub(super) fn table<T>(
        &mut self,
        key: &'static str,
        known: &'static [&'static str],
        read: impl FnOnce(Section<'_, 't, 'x>) -> T,
    ) -> Option<T> {
        let (origin, value) = self.found.remove(key)?;
        let path = join(&self.prefix, key);
        if let Some(table) = value.get_ref().as_table() {
            return Some(read(self.reader.section(path, table, known)));
        }
        let problem = no_table(value.get_ref(), &path, known);
        self.reader.errors.push(ConfigError::at(&origin, path, problem));
        None
    }

    /// Reads a table with arbitrary keys; `entry` is an example of a line, for errors.
    pub(super) fn entries<T>(
        &mut self,
        key: &'static str,
        entry: &'static str,
        read: impl Fn(&str, &'t DeValue<'x>) -> Result<T, ValueError>,
    ) -> BTreeMap<String, Located<T>> {
        let Some((origin, value)) = self.found.remove(key) else { return BTreeMap::new() };
        let path = join(&self.prefix, key);
        let Some(table) = value.get_ref().as_table() else {
            let problem = no_table(value.get_ref(), &path, &[entry]);
            self.reader.errors.push(ConfigError::at(&origin, path, problem));
            return BTreeMap::new();
        };
        let mut results = BTreeMap::new();
        for (name, value) in table {
            let origin = self.reader.origin(name.span().start);
            match read(name.get_ref(), value.get_ref()) {
                Ok(value) => {
                    results.insert(name.get_ref().clone().into_owned(), Located { value, origin });
                }
                Err(problem) => {
                    let path = join(&path, name.get_ref());
                    self.reader.errors.push(ConfigError::at(&origin, path, problem.to_string()));
                }
            }
        }
        results
    }

    /// Reads a table of tables: `[key.NAME]`.
    pub(super) fn tables<T>(
        &mut self,
        key: &'static str,
        known: &'static [&'static str],
        mut read: impl FnMut(Located<String>, Section<'_, 't, 'x>) -> T,
    ) -> Vec<T> {
        let Some((origin, value)) = self.found.remove(key) else { return Vec::new() };
        let path = join(&self.prefix, key);
        let Some(table) = value.get_ref().as_table() else {
            let problem = no_table(value.get_ref(), &join(&path, "NAME"), known);
            self.reader.errors.push(ConfigError::at(&origin, path, problem));
            return Vec::new();
        };
        let mut all: Vec<_> = table.iter().collect();
        all.sort_by_key(|(name, _)| name.span().start);
        let mut results = Vec::new();
        for (name, value) in all {
            let path = join(&path, name.get_ref());
            let origin = self.reader.origin(name.span().start);
            let Some(table) = value.get_ref().as_table() else {
                let problem = no_table(value.get_ref(), &path, known);
                self.reader.errors.push(ConfigError::at(&origin, path, problem));
                continue;
            };
            let name = Located { value: name.get_ref().clone().into_owned(), origin };
            results.push(read(name, self.reader.section(path, table, known)));
        }
        results
    }
}

/// The full key in TOML's spelling.
pub(super) fn join(prefix: &str, key: &str) -> String {
    let key = key_text(key);
    if prefix.is_empty() { key } else { format!("{prefix}.{key}") }
}

/// A key in TOML's spelling: bare where possible, and never with a control character.
pub(super) fn key_text(key: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !key.is_empty() && key.chars().all(is_bare) {
        key.to_owned()
    } else if key.chars().any(char::is_control) {
        format!("{key:?}")
    } else {
        // Unlike values, keys cannot use three quotes to span several lines.
        format!("\"{}\"", key.replace('\\', r"\\").replace('"', "\\\""))
    }
}

fn unknown(key: &str, known: &[&str]) -> String {
    // The distance grows with the length, so that interpreter_directories finds interpreter-directories.
    let nearest = known
        .iter()
        .map(|known| (strsim::damerau_levenshtein(known, key), known))
        .filter(|(distance, known)| *distance <= 2.max(known.len() / 4))
        .min_by_key(|(distance, _)| *distance);
    match nearest {
        Some((_, nearest)) => format!("unknown key (did you mean {nearest}?)"),
        None => format!("unknown key (known: {})", known.join(", ")),
    }
}

fn no_table(value: &DeValue<'_>, path: &str, known: &[&str]) -> String {
    format!("{} is not a table; write [{path}] and {} below it", what(value), known.join(", "))
}

/// A value as error messages name it.
pub(super) fn what(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("{text:?}"),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.as_str().to_owned(),
        DeValue::Boolean(value) => value.to_string(),
        DeValue::Datetime(time) => time.to_string(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}
