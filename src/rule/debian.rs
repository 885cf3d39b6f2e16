//! Debian's import files (`update-binfmts(8)`): `key value` lines under `/usr/share/binfmts`.

use std::fmt::Write as _;

use thiserror::Error;

use super::Rule;
use super::escape::{HexError, escape, unescape};
use super::flags::Flags;
use super::magic::{Magic, MagicError};
use super::parts::{Extension, InterpreterPath, Matcher, Name, PartError};
use super::register::RegisterError;

/// What a file says: a rule, and what the kernel never sees of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Debian {
    /// The rule.
    pub rule: Rule,
    /// The Debian package that owns the file.
    pub package: Option<String>,
    /// A program that decides whether a file is really for this interpreter; update-binfmts then
    /// registers its own run-detectors in the interpreter's place.
    pub detector: Option<String>,
}

/// Why a file could not be understood; lines are counted from 1.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DebianError {
    /// A key that update-binfmts does not know, or one without a value.
    #[error("line {line}: unknown key or no value: {text:?}")]
    Line {
        /// Its number.
        line: usize,
        /// The line.
        text: String,
    },
    /// A key twice.
    #[error("line {line}: {key} is given a second time")]
    Twice {
        /// Its number.
        line: usize,
        /// The key.
        key: String,
    },
    /// Neither `yes` nor `no`, or no number.
    #[error("line {line}: {value:?} will not do for {key}")]
    Value {
        /// Its number.
        line: usize,
        /// The key.
        key: &'static str,
        /// What stands there.
        value: String,
    },
    /// A file needs an interpreter, and either a magic or an extension.
    #[error("{0}")]
    Missing(&'static str),
    /// The format has lines of UTF-8 text without space at either end.
    #[error("the {0} cannot be written in this format: no line of text can hold it")]
    Unwritable(&'static str),
    /// Half an escape.
    #[error(transparent)]
    Hex(#[from] HexError),
    /// A name, extension or interpreter that cannot be.
    #[error(transparent)]
    Part(#[from] PartError),
    /// A magic that cannot be.
    #[error(transparent)]
    Magic(#[from] MagicError),
    /// A whole that the kernel would not take.
    #[error(transparent)]
    Rule(#[from] RegisterError),
}

const KEYS: [&str; 10] = [
    "package",
    "interpreter",
    "magic",
    "offset",
    "mask",
    "extension",
    "detector",
    "credentials",
    "preserve",
    "fix_binary",
];

/// Reads a file's content; the file's name is the rule's.
pub fn parse(name: &str, content: &str) -> Result<Debian, DebianError> {
    let mut found: [Option<(usize, &str)>; KEYS.len()] = [None; KEYS.len()];
    for (index, text) in content.lines().enumerate() {
        let line = index + 1;
        if text.trim().is_empty() {
            continue;
        }
        let bad = || DebianError::Line { line, text: text.to_owned() };
        let (key, value) = text.trim().split_once([' ', '\t']).ok_or_else(bad)?;
        let slot = KEYS.iter().position(|known| *known == key).ok_or_else(bad)?;
        if found[slot].replace((line, value.trim())).is_some() {
            return Err(DebianError::Twice { line, key: key.to_owned() });
        }
    }
    let [
        package,
        interpreter,
        magic,
        offset,
        mask,
        extension,
        detector,
        credentials,
        preserve,
        fix,
    ] = found;
    let value = |slot: Option<(usize, &str)>| slot.map(|(_, value)| value.to_owned());
    let interpreter = value(interpreter).ok_or(DebianError::Missing("there is no interpreter"))?;
    let matcher = match (magic, extension) {
        (Some((_, magic)), None) => {
            let offset = offset.map_or(Ok(0), |(line, text)| {
                text.parse().map_err(|_| DebianError::Value {
                    line,
                    key: "offset",
                    value: text.to_owned(),
                })
            })?;
            let mask = mask.map(|(_, text)| unescape(text.as_bytes())).transpose()?;
            Matcher::Magic(Magic::new(offset, unescape(magic.as_bytes())?, mask)?)
        }
        (None, Some((_, extension))) => Matcher::Extension(extension.parse::<Extension>()?),
        (Some(_), Some(_)) => {
            return Err(DebianError::Missing("there is both a magic and an extension"));
        }
        (None, None) => {
            return Err(DebianError::Missing("there is neither a magic nor an extension"));
        }
    };
    let credentials = yes_or_no("credentials", credentials)?;
    let flags = Flags {
        preserve_argv0: yes_or_no("preserve", preserve)?,
        open_binary: false,
        credentials,
        fix_binary: yes_or_no("fix_binary", fix)?,
    };
    let rule =
        Rule::new(name.parse::<Name>()?, matcher, InterpreterPath::new(interpreter)?, flags)?;
    Ok(Debian { rule, package: value(package), detector: value(detector) })
}

fn yes_or_no(key: &'static str, slot: Option<(usize, &str)>) -> Result<bool, DebianError> {
    match slot {
        None | Some((_, "no")) => Ok(false),
        Some((_, "yes")) => Ok(true),
        Some((line, value)) => Err(DebianError::Value { line, key, value: value.to_owned() }),
    }
}

/// Writes a file's content. The format has no word for the flag `O`, so it is lost.
pub fn write(rule: &Rule, package: &str) -> Result<String, DebianError> {
    let line = |what, text: Option<&str>| {
        text.filter(|text| !text.is_empty() && text.trim() == *text && !text.contains('\n'))
            .map(str::to_owned)
            .ok_or(DebianError::Unwritable(what))
    };
    let package = line("package", Some(package))?;
    let interpreter = line("interpreter", rule.interpreter().as_path().to_str())?;
    let escaped = |bytes: &[u8]| {
        let mut text = Vec::new();
        // A space would end nothing here, but update-binfmts' own display splits at it.
        escape(bytes, b' ', &mut text);
        String::from_utf8_lossy(&text).into_owned()
    };
    let mut text = format!("package {package}\ninterpreter {interpreter}\n");
    match rule.matcher() {
        Matcher::Magic(magic) => {
            let _ = writeln!(text, "magic {}", escaped(magic.magic()));
            let _ = writeln!(text, "offset {}", magic.offset());
            let _ = writeln!(text, "mask {}", escaped(magic.mask()));
        }
        Matcher::Extension(extension) => {
            let _ = writeln!(text, "extension {}", extension.as_str());
        }
    }
    let flags = rule.flags();
    for (key, set) in [
        ("credentials", flags.credentials),
        ("preserve", flags.preserve_argv0),
        ("fix_binary", flags.fix_binary),
    ] {
        let _ = writeln!(text, "{key} {}", if set { "yes" } else { "no" });
    }
    Ok(text)
}
