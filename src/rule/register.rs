//! A rule and its register string: `:name:type:offset:magic:mask:interpreter:flags`.

use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use thiserror::Error;

use super::entry::Entry;
use super::escape::{HexError, escape, escape_tightly, unescape};
use super::flags::{Flags, FlagsError};
use super::magic::{Magic, MagicError};
use super::parts::{Extension, InterpreterPath, Matcher, Name, PartError};

/// The shortest string that the kernel takes, in bytes.
pub const MIN_REGISTER_STRING: usize = 11;

/// The longest string that the kernel takes, in bytes (`MAX_REGISTER_LENGTH`).
pub const MAX_REGISTER_STRING: usize = 1920;

/// What may stand between the fields, best first; `:` is what everybody writes.
const DELIMITERS: &[u8] = b":,|!%+=@~^";

/// Why a register string cannot be written or read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RegisterError {
    /// The kernel answers EINVAL.
    #[error(
        "the register string has {0} bytes: the kernel takes {MIN_REGISTER_STRING} to {MAX_REGISTER_STRING}"
    )]
    Length(usize),
    /// The kernel takes any byte, but a letter, a digit or a backslash changes what escapes and flags mean.
    #[error("the first byte is {:?}: it must be the delimiter, a punctuation character but no backslash", char::from(*.0))]
    BadDelimiter(u8),
    /// The kernel's string functions stop there.
    #[error("byte {0} is NUL: write it as \\x00")]
    Nul(usize),
    /// Every candidate occurs in the name, the interpreter or the extension.
    #[error("no delimiter is left that is in neither the name nor the interpreter")]
    Delimiter,
    #[error("a rule has seven fields, name:type:offset:magic:mask:interpreter:flags; this has {0}")]
    Fields(usize),
    #[error("the type is {0:?}: it must be M (magic) or E (extension)")]
    Type(String),
    #[error("the offset {0:?} is not a number")]
    Offset(String),
    /// A field that has to be text is not UTF-8.
    #[error("the {0} is not valid UTF-8")]
    Text(&'static str),
    /// Half an escape: the kernel answers EINVAL.
    #[error(transparent)]
    Hex(#[from] HexError),
    #[error(transparent)]
    Part(#[from] PartError),
    #[error(transparent)]
    Magic(#[from] MagicError),
    #[error(transparent)]
    Flags(#[from] FlagsError),
}

/// A rule that the kernel can take: every part is valid, and so is the register string as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    name: Name,
    matcher: Matcher,
    interpreter: InterpreterPath,
    flags: Flags,
    register: Vec<u8>,
}

impl Rule {
    /// The flags become those that the kernel reads back. Fails when no delimiter is left or the register string is
    /// too long.
    pub fn new(
        name: Name,
        matcher: Matcher,
        interpreter: InterpreterPath,
        flags: Flags,
    ) -> Result<Self, RegisterError> {
        let flags = flags.as_read_back();
        let register = write(&name, &matcher, &interpreter, flags)?;
        Ok(Self { name, matcher, interpreter, flags, register })
    }

    pub fn renamed(&self, name: Name) -> Result<Self, RegisterError> {
        Self::new(name, self.matcher.clone(), self.interpreter.clone(), self.flags)
    }

    /// The same without the flag `P`.
    pub fn without_p(&self) -> Result<Self, RegisterError> {
        let flags = Flags { preserve_argv0: false, ..self.flags };
        Self::new(self.name.clone(), self.matcher.clone(), self.interpreter.clone(), flags)
    }

    /// The name of the entry under `/proc/sys/fs/binfmt_misc`.
    pub fn name(&self) -> &Name {
        &self.name
    }

    pub fn matcher(&self) -> &Matcher {
        &self.matcher
    }

    pub fn interpreter(&self) -> &InterpreterPath {
        &self.interpreter
    }

    /// The flags that it is registered with.
    pub fn flags(&self) -> Flags {
        self.flags
    }

    /// The bytes for one `write(2)` to `register`: 11 to 1,920.
    pub fn register_string(&self) -> &[u8] {
        &self.register
    }

    /// Whether `entry` has this rule's name, matcher, interpreter and flags; it may be disabled.
    pub fn is(&self, entry: &Entry) -> bool {
        entry.name == self.name.as_str() && self.serves_like(entry)
    }

    /// The same for any name.
    pub fn serves_like(&self, entry: &Entry) -> bool {
        entry.matcher.is_same(&self.matcher)
            && entry.interpreter == self.interpreter.as_path()
            && entry.flags.known == self.flags
            && entry.flags.unknown.is_empty()
    }
}

/// Writes the string for the parts of a rule.
fn write(
    name: &Name,
    matcher: &Matcher,
    interpreter: &InterpreterPath,
    flags: Flags,
) -> Result<Vec<u8>, RegisterError> {
    let interpreter = interpreter.as_path().as_os_str().as_bytes();
    let plain: Vec<&[u8]> = match matcher {
        Matcher::Magic(_) => vec![name.as_str().as_bytes(), interpreter],
        Matcher::Extension(extension) => {
            vec![name.as_str().as_bytes(), interpreter, extension.as_str().as_bytes()]
        }
    };
    let delimiter = *DELIMITERS
        .iter()
        .find(|delimiter| !plain.iter().any(|field| field.contains(delimiter)))
        .ok_or(RegisterError::Delimiter)?;
    let mut length = 0;
    for escape in [escape as fn(&[u8], u8, &mut Vec<u8>), escape_tightly] {
        let string = assemble(delimiter, name, matcher, interpreter, flags, escape);
        length = string.len();
        if (MIN_REGISTER_STRING..=MAX_REGISTER_STRING).contains(&length) {
            return Ok(string);
        }
    }
    Err(RegisterError::Length(length))
}

fn assemble(
    delimiter: u8,
    name: &Name,
    matcher: &Matcher,
    interpreter: &[u8],
    flags: Flags,
    escape: fn(&[u8], u8, &mut Vec<u8>),
) -> Vec<u8> {
    let mut string = Vec::with_capacity(512);
    string.push(delimiter);
    string.extend_from_slice(name.as_str().as_bytes());
    string.push(delimiter);
    match matcher {
        Matcher::Magic(magic) => {
            string.extend_from_slice(&[b'M', delimiter]);
            if magic.offset() > 0 {
                string.extend_from_slice(magic.offset().to_string().as_bytes());
            }
            string.push(delimiter);
            escape(magic.magic(), delimiter, &mut string);
            string.push(delimiter);
            if !magic.is_exact() {
                escape(magic.mask(), delimiter, &mut string);
            }
        }
        Matcher::Extension(extension) => {
            string.extend_from_slice(&[b'E', delimiter, delimiter]);
            string.extend_from_slice(extension.as_str().as_bytes());
            string.push(delimiter);
        }
    }
    string.push(delimiter);
    string.extend_from_slice(interpreter);
    string.push(delimiter);
    string.extend_from_slice(flags.to_string().as_bytes());
    string
}

/// Reads a register string as the kernel would; refuses what [`Rule`] cannot be.
pub fn parse(string: &[u8]) -> Result<Rule, RegisterError> {
    // The newline counts: the kernel looks at the length before anything else.
    if !(MIN_REGISTER_STRING..=MAX_REGISTER_STRING).contains(&string.len()) {
        return Err(RegisterError::Length(string.len()));
    }
    if let Some(at) = string.iter().position(|byte| *byte == 0) {
        return Err(RegisterError::Nul(at));
    }
    let string = string.strip_suffix(b"\n").unwrap_or(string);
    let (delimiter, fields) = string.split_first().ok_or(RegisterError::Length(0))?;
    if !delimiter.is_ascii_punctuation() || *delimiter == b'\\' {
        return Err(RegisterError::BadDelimiter(*delimiter));
    }
    let fields: Vec<&[u8]> = fields.split(|byte| byte == delimiter).collect();
    let &[name, kind, offset, magic, mask, interpreter, flags] = fields.as_slice() else {
        return Err(RegisterError::Fields(fields.len()));
    };
    let name: Name = text(name, "name")?.parse()?;
    let matcher = match kind {
        b"M" => {
            let offset = text(offset, "offset")?;
            let offset = match offset {
                "" => 0,
                digits => digits.parse().map_err(|_| RegisterError::Offset(digits.to_owned()))?,
            };
            let mask = if mask.is_empty() { None } else { Some(unescape(mask)?) };
            Matcher::Magic(Magic::new(offset, unescape(magic)?, mask)?)
        }
        b"E" => Matcher::Extension(text(magic, "extension")?.parse::<Extension>()?),
        other => return Err(RegisterError::Type(String::from_utf8_lossy(other).into_owned())),
    };
    let interpreter =
        InterpreterPath::new(PathBuf::from(std::ffi::OsString::from_vec(interpreter.to_vec())))?;
    Rule::new(name, matcher, interpreter, text(flags, "flags")?.parse()?)
}

fn text<'a>(field: &'a [u8], what: &'static str) -> Result<&'a str, RegisterError> {
    std::str::from_utf8(field).map_err(|_| RegisterError::Text(what))
}
