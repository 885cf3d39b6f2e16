//! What is wrong with a configuration.

use std::io;
use std::path::{Path, PathBuf};

use super::origin::Origin;
use crate::failure::Failure;
use crate::target::TableError;

/// One fault: `file:line: key: problem`.
#[derive(Debug, Clone, PartialEq, Eq)]
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

impl From<Vec<ConfigError>> for Failure {
    /// All that is wrong, in the order of reading; at least one fault.
    fn from(errors: Vec<ConfigError>) -> Self {
        let faults = errors.into_iter().map(|ConfigError { file, line, key, problem }| {
            let text = key.map_or_else(|| problem.clone(), |key| format!("{key}: {problem}"));
            (file, line, text)
        });
        Self::input(faults.collect())
    }
}
