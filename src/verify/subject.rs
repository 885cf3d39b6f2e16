//! What to prove, and how thoroughly.

use std::path::Path;

use crate::rule::Entry;
use crate::target::Target;

/// How many levels to prove.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// What one run in an empty root shows: no death by a signal, no version.
    Quick,
    /// Every level.
    Full,
}

/// How much to prove, and how often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scope {
    pub depth: Depth,
    /// How many further runs there are, for what fails only now and then.
    pub again: u32,
    /// Whether to take the digest of each interpreter, which reads megabytes. Whether it is the file on disk is known
    /// without it.
    pub digests: bool,
}

impl From<Depth> for Scope {
    fn from(depth: Depth) -> Self {
        Self { depth, again: 0, digests: depth == Depth::Full }
    }
}

/// A target to prove, and the rule that should serve it.
#[derive(Debug, Clone, Copy)]
pub struct ProbeSubject<'a> {
    pub target: &'a Target,
    /// One of the target's values of `e_machine`.
    pub machine: u16,
    /// The rule's path of the interpreter; `None` where no rule is known.
    pub interpreter: Option<&'a Path>,
    /// Whether the rule has the flag `C`: set-user-ID programs keep their rights.
    pub credentials: bool,
}

impl<'a> ProbeSubject<'a> {
    /// For the entry that takes the target's programs; `None` where none is in sight.
    pub fn taken_by(target: &'a Target, machine: u16, entry: Option<&'a Entry>) -> Self {
        Self {
            target,
            machine,
            interpreter: entry.map(|entry| entry.interpreter.as_path()),
            credentials: entry.is_some_and(|entry| entry.flags.known.credentials),
        }
    }
}
