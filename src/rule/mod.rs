//! One entry of `binfmt_misc`: what a rule is made of, and the formats it is written in.
//!
//! A [`Rule`] is something we want in the kernel: it cannot be built unless the kernel could take it.
//! An [`Entry`] is something that was found in the kernel: it may hold anything.

mod binfmt_d;
mod debian;
mod entry;
mod escape;
mod flags;
mod magic;
mod parts;
mod register;
mod winner;

pub use binfmt_d::{BinfmtD, parse as parse_binfmt_d};
pub use debian::{DebianError, write as write_debian};
pub use entry::{Entry, EntryError};
pub use escape::{HexError, parse_hex, to_hex};
pub use flags::{Flags, FlagsError, ObservedFlags};
pub use magic::{HEADER_SIZE, Header, Magic, MagicError};
pub use parts::{Extension, InterpreterPath, Matcher, Name, PartError};
pub use register::{
    MAX_REGISTER_STRING, MIN_REGISTER_STRING, RegisterError, parse as parse_register,
};
pub use winner::{Takers, Verdict, judge, winner};

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
    /// Puts a rule together, with the flags as the kernel reads them back; fails when no delimiter is left or the register string is too long.
    pub fn new(
        name: Name,
        matcher: Matcher,
        interpreter: InterpreterPath,
        flags: Flags,
    ) -> Result<Self, RegisterError> {
        let flags = flags.as_read_back();
        let register = register::write(&name, &matcher, &interpreter, flags)?;
        Ok(Self { name, matcher, interpreter, flags, register })
    }

    /// The same rule under another name.
    pub fn renamed(&self, name: Name) -> Result<Self, RegisterError> {
        Self::new(name, self.matcher.clone(), self.interpreter.clone(), self.flags)
    }

    /// The same rule with other flags.
    pub fn with_flags(&self, flags: Flags) -> Result<Self, RegisterError> {
        Self::new(self.name.clone(), self.matcher.clone(), self.interpreter.clone(), flags)
    }

    /// The name of the entry under `/proc/sys/fs/binfmt_misc`.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// Which files the rule is for.
    pub fn matcher(&self) -> &Matcher {
        &self.matcher
    }

    /// The program that runs them.
    pub fn interpreter(&self) -> &InterpreterPath {
        &self.interpreter
    }

    /// The flags that it is registered with.
    pub fn flags(&self) -> Flags {
        self.flags
    }

    /// What is written to `register`, in one `write(2)`: 11 to 1,920 bytes.
    pub fn register_string(&self) -> &[u8] {
        &self.register
    }

    /// Whether `entry` is this very rule: name, matcher, interpreter and flags (its state apart).
    pub fn is(&self, entry: &Entry) -> bool {
        entry.name == self.name.as_str() && self.serves_like(entry)
    }

    /// Whether `entry` does what this rule does, whatever its name.
    pub fn serves_like(&self, entry: &Entry) -> bool {
        entry.matcher.is_same(&self.matcher)
            && entry.interpreter == self.interpreter.as_path()
            && entry.flags.known == self.flags
            && entry.flags.unknown.is_empty()
    }
}

#[cfg(test)]
mod tests;
