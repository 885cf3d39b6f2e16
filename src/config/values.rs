//! Single values: their types, and what is wrong with one, whoever writes it.

use serde::Serialize;
use thiserror::Error;

use crate::rule::{FlagsError, HexError, PartError};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verify {
    /// In a private instance, before the host gets it.
    Before,
    /// On the host, right after; it is rolled back when it fails.
    After,
    Off,
}

/// Whether an interpreter is told the argv\[0\] that a program was started with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PreserveArgv0 {
    /// As the probe finds right for the interpreter.
    Auto,
    Yes,
    No,
}

impl Verify {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Before => "before",
            Self::After => "after",
            Self::Off => "off",
        }
    }
}

impl PreserveArgv0 {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Yes => "yes",
            Self::No => "no",
        }
    }
}

/// Why a value is refused. Texts of values are as TOML has them.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ValueError {
    #[error("{0} is not a string; put it in quotes")]
    NotString(String),
    #[error("{0} is neither true nor false")]
    NotBoolean(String),
    #[error("{value} is none of {}", words.join(", "))]
    UnknownWord { value: String, words: Vec<&'static str> },
    #[error("{value} is not a number from {from} to {to}")]
    NotInRange { value: String, from: String, to: String },
    #[error("{0:?} is not an absolute path without control characters")]
    NotAbsolute(String),
    #[error("{0:?} is a folder; add the name of a file in it")]
    Folder(String),
    #[error("{0} does not end in .prom")]
    NotMetrics(String),
    #[error("{0} is not a list of absolute paths")]
    NotPaths(String),
    #[error("{0:?} is not \"auto\"; write a list: [{0:?}]")]
    NotAuto(String),
    /// What the names are names of: `targets`, `platforms`.
    #[error("{value} is neither \"auto\" nor a list of {of}")]
    NotNames { value: String, of: &'static str },
    #[error("an empty list: no platform is asked for; \"auto\" means all that work")]
    NoPlatforms,
    #[error("TOML itself reads backslashes in double quotes; put it in single quotes")]
    TomlEscapes,
    #[error("{0:?} cannot name a builder: a letter, then letters, digits, \".\", \"_\" and \"-\"")]
    BuilderName(String),
    #[error("{0:?} is Docker's own builder; choose another name")]
    DefaultBuilder(String),
    #[error(
        "{0:?} cannot name an option: at least one character, and no \"=\", \",\" or control character"
    )]
    OptionName(String),
    #[error("binfmtd sets it itself, as the mark of its builders; remove this")]
    BuilderMark,
    #[error("{0:?} has control characters")]
    ControlCharacters(String),
    /// A bare key with a dot makes a table of the option.
    #[error("a table is not a string; put a name with a dot in quotes: {0}")]
    TableForOption(String),
    #[error("{0:?} has no flags; give some, or remove this")]
    NoFlags(String),
    #[error(transparent)]
    Hex(#[from] HexError),
    #[error(transparent)]
    Part(#[from] PartError),
    #[error(transparent)]
    Flags(#[from] FlagsError),
}

/// A builder's or node's name as buildx keeps it, in lower case; the rule is buildx' own (`store/util.go`).
pub fn builder_name(text: &str) -> Result<String, ValueError> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if !text.starts_with(|c: char| c.is_ascii_alphabetic()) || !text.chars().all(is_allowed) {
        return Err(ValueError::BuilderName(text.to_owned()));
    }
    Ok(text.to_ascii_lowercase())
}

/// Marks the builders that binfmtd made: an option of the docker-container driver, kept with the builder, that gives its
/// container a variable. Nothing else sets it.
pub const BUILDER_MARK: &str = "env.BINFMTD_BUILDER";

/// Refuses an option of the driver that would be read otherwise: buildx gets it as `NAME=VALUE` in a line of CSV, and
/// splits it at the first `=`.
pub fn check_driver_option(name: &str, value: &str) -> Result<(), ValueError> {
    if name.is_empty() || name.contains(['=', ',']) || name.chars().any(char::is_control) {
        return Err(ValueError::OptionName(name.to_owned()));
    }
    if name == BUILDER_MARK {
        return Err(ValueError::BuilderMark);
    }
    if value.chars().any(char::is_control) {
        return Err(ValueError::ControlCharacters(value.to_owned()));
    }
    Ok(())
}

/// Flags for `buildkitd`, in one word as buildx takes them.
pub fn buildkitd_flags(text: &str) -> Result<String, ValueError> {
    if text.trim().is_empty() {
        return Err(ValueError::NoFlags(text.to_owned()));
    }
    if text.chars().any(char::is_control) {
        return Err(ValueError::ControlCharacters(text.to_owned()));
    }
    Ok(text.to_owned())
}
