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

pub use binfmt_d::parse as parse_binfmt_d;
pub use debian::{DebianError, write as write_debian};
pub use entry::Entry;
#[cfg(test)]
pub use entry::EntryError;
pub use escape::{HexError, parse_hex, to_hex};
#[cfg(test)]
pub use flags::ObservedFlags;
pub use flags::{Flags, FlagsError};
pub use magic::{HEADER_SIZE, Header, Magic, MagicError};
pub use parts::{Extension, InterpreterPath, Matcher, Name, PartError};
pub use register::{
    MAX_REGISTER_STRING, MIN_REGISTER_STRING, RegisterError, Rule, parse as parse_register,
};
pub use winner::{MatchResult, Takers, judge, winner};

#[cfg(test)]
mod tests;
