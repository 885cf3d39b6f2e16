//! What is wrong with a configuration.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::ser::{SerializeStruct as _, Serializer};
use thiserror::Error;

use super::origin::Origin;
use crate::failure::Failure;
use crate::observation::TrustFault;
use crate::shown::plain;
use crate::target::TableError;

/// One fault: `file:line: key: problem`.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct ConfigError {
    pub file: PathBuf,
    /// The line, from 1; `None` for a fault of the file as a whole.
    pub line: Option<usize>,
    /// The key with its table, as TOML would have it: `target.aarch64.flags`.
    pub key: Option<String>,
    /// What is wrong, and what is allowed.
    pub problem: String,
}

impl ConfigError {
    pub(super) fn at(origin: &Origin, key: impl Into<String>, problem: impl Into<String>) -> Self {
        Self {
            file: origin.file.to_path_buf(),
            line: Some(origin.line),
            key: Some(key.into()),
            problem: problem.into(),
        }
    }

    /// A fault of a file as a whole.
    pub(super) fn of_file(file: &Path, problem: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line: None, key: None, problem: problem.into() }
    }

    pub(super) fn of_io(file: &Path, error: &io::Error) -> Self {
        let problem = match error.kind() {
            io::ErrorKind::NotFound => "not found".to_owned(),
            io::ErrorKind::NotADirectory => "not a folder".to_owned(),
            io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
            _ => error.to_string(),
        };
        Self::of_file(file, format!("cannot be read: {problem}"))
    }

    pub(super) fn of_fault(fault: &TrustFault) -> Self {
        Self::of_file(&fault.path, format!("not trusted: {}", fault.sentence()))
    }

    pub(super) fn of_table(file: &Path, error: TableError) -> Self {
        match error {
            TableError::Target { line, name, problem } => Self {
                line: Some(line),
                key: Some(name),
                ..Self::of_file(file, problem.to_string())
            },
            TableError::Toml { line, message } => {
                Self { line, ..Self::of_file(file, message.replace('`', "\"")) }
            }
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&plain(&*self.file))?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if let Some(key) = &self.key {
            write!(f, ": {key}")?;
        }
        write!(f, ": {}", self.problem)
    }
}

impl Serialize for ConfigError {
    /// The file's name may not be UTF-8; JSON has to be valid anyway.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut error = serializer.serialize_struct("ConfigError", 4)?;
        error.serialize_field("file", &self.file.to_string_lossy())?;
        error.serialize_field("line", &self.line)?;
        error.serialize_field("key", &self.key)?;
        error.serialize_field("problem", &self.problem)?;
        error.end()
    }
}

/// All that is wrong, in the order of reading; at least one fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Error)]
#[serde(transparent)]
pub struct ConfigErrors(Vec<ConfigError>);

impl From<ConfigErrors> for Failure {
    fn from(errors: ConfigErrors) -> Self {
        let faults = errors.into_iter().map(|ConfigError { file, line, key, problem }| {
            let text = key.map_or_else(|| problem.clone(), |key| format!("{key}: {problem}"));
            (file, line, text)
        });
        Self::input(faults.collect())
    }
}

impl ConfigErrors {
    pub(super) fn new(errors: Vec<ConfigError>) -> Self {
        debug_assert!(!errors.is_empty(), "there is no failure without a fault");
        Self(errors)
    }

    pub fn iter(&self) -> std::slice::Iter<'_, ConfigError> {
        self.0.iter()
    }
}

impl fmt::Display for ConfigErrors {
    /// A line for each fault.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            error.fmt(f)?;
        }
        Ok(())
    }
}

impl IntoIterator for ConfigErrors {
    type Item = ConfigError;
    type IntoIter = std::vec::IntoIter<ConfigError>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a ConfigErrors {
    type Item = &'a ConfigError;
    type IntoIter = std::slice::Iter<'a, ConfigError>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::Table;

    #[test]
    fn a_fault_of_a_table_keeps_its_line_and_its_target() {
        let of = |text: &str| {
            let error = Table::embedded().extend(text).unwrap_err();
            ConfigError::of_table(Path::new("/t.toml"), error).to_string()
        };
        assert_eq!(
            of("\n[x1]\nclass = 16\nbyte-order = \"big\"\nmachines = [1]\n"),
            "/t.toml:2: x1: class is 16; it must be 32 or 64"
        );
        assert!(of("\n\n[x1]\ncolour = 1\n").starts_with("/t.toml:4: unknown field \"colour\""));
    }
}
