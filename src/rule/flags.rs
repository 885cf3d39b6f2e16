//! The flags of a rule (`Documentation/admin-guide/binfmt-misc.rst`).

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// The flags that we register rules with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Flags {
    /// `P`: the interpreter is also told the argv\[0\] that the program was started with.
    pub preserve_argv0: bool,
    /// `O`: the kernel opens the program and passes the descriptor, so it need not be readable.
    pub open_binary: bool,
    /// `C`: credentials are those of the program (set-user-ID works); the kernel then sets `O` too.
    pub credentials: bool,
    /// `F`: the interpreter is opened at registration, so it also serves other roots and mounts.
    pub fix_binary: bool,
}

/// A letter that no known kernel takes.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("unknown flag {0:?} (known: P, O, C, F)")]
pub struct FlagsError(pub char);

impl Flags {
    /// The flags as the kernel reads them back: it sets `O` wherever `C` is.
    #[must_use]
    pub fn as_read_back(self) -> Self {
        Self { open_binary: self.open_binary || self.credentials, ..self }
    }
}

impl fmt::Display for Flags {
    /// In the kernel's order of reading them back, `POCF`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letters = [
            (self.preserve_argv0, "P"),
            (self.open_binary, "O"),
            (self.credentials, "C"),
            (self.fix_binary, "F"),
        ];
        letters.iter().filter(|(set, _)| *set).try_for_each(|(_, letter)| f.write_str(letter))
    }
}

impl FromStr for Flags {
    type Err = FlagsError;

    fn from_str(text: &str) -> Result<Self, FlagsError> {
        let observed = ObservedFlags::parse(text);
        match observed.unknown.chars().next() {
            Some(letter) => Err(FlagsError(letter)),
            None => Ok(observed.known),
        }
    }
}

/// The flags of an entry: those we know, and the letters of a newer kernel that we do not.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ObservedFlags {
    pub known: Flags,
    /// Every other letter, as read.
    pub unknown: String,
}

impl ObservedFlags {
    pub fn parse(text: &str) -> Self {
        let mut flags = Self::default();
        for letter in text.chars() {
            match letter {
                'P' => flags.known.preserve_argv0 = true,
                'O' => flags.known.open_binary = true,
                'C' => flags.known.credentials = true,
                'F' => flags.known.fix_binary = true,
                other => flags.unknown.push(other),
            }
        }
        flags.known = flags.known.as_read_back();
        flags
    }
}

impl fmt::Display for ObservedFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.known, self.unknown)
    }
}
