//! What an output format is. `docs/development/add-a-format.md` adds one step by step.
//!
//! A format writes to any [`Write`], so that a report can go to a file as well as to standard output.

use std::fmt::Debug;
use std::io::{self, Write};

use serde::Serialize;

use super::document::{DoctorDocument, ErrorDocument};

/// How much is said, and how wide a line may be.
#[derive(Debug, Clone, Copy, Default)]
pub struct Page {
    /// Everything that was found. Without it only problems, merged where several targets share them.
    pub verbose: bool,
    /// The columns of a terminal; `None` for no limit. Commands are never wrapped, because people copy them.
    pub width: Option<usize>,
}

/// One value of `--format`.
pub trait Format: Debug + Sync {
    fn name(&self) -> &'static str;

    /// Its line in the help, without a full stop.
    fn help(&self) -> &'static str;

    fn audience(&self) -> Audience {
        Audience::Program
    }

    /// Whether it always shows what takes long to find out, such as digests. Others do with `-v` only.
    fn is_complete(&self) -> bool {
        false
    }

    /// How it prints what a command found; `None` for a format that only has a form for the doctor's report.
    fn any(&self) -> Option<PrintAny> {
        None
    }

    fn doctor(&self, out: &mut dyn Write, document: &DoctorDocument, page: Page) -> io::Result<()>;

    /// Prints why a command ended early.
    fn failure(&self, out: &mut dyn Write, document: &ErrorDocument) -> io::Result<()>;
}

pub type PrintAny = fn(&mut dyn Write, &dyn Document) -> io::Result<()>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// Gets progress and the steps of a longer command as they are made; failures go to standard error.
    Person,
    /// Gets one whole document on standard output, failures included.
    Program,
}

/// What a command found, in the two forms that every command has.
pub trait Document {
    /// Two-space indents, no newline at the end.
    fn json(&self) -> io::Result<Vec<u8>>;

    fn text(&self, out: &mut dyn Write) -> io::Result<()>;
}

/// A document, and a function that writes it as text.
pub struct Printed<'a, D, T> {
    pub data: &'a D,
    pub text: T,
}

impl<D: Serialize, T: Fn(&mut dyn Write) -> io::Result<()>> Document for Printed<'_, D, T> {
    fn json(&self) -> io::Result<Vec<u8>> {
        Ok(serde_json::to_vec_pretty(&versioned(self.data))?)
    }

    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        (self.text)(out)
    }
}

/// The version of the JSON documents. It changes when a field goes or gets another meaning.
pub const SCHEMA: u32 = 2;

/// A document with its version, as it is printed.
#[derive(Serialize)]
pub struct Versioned<'a, D> {
    schema: u32,
    #[serde(flatten)]
    document: &'a D,
}

/// Puts [`SCHEMA`] before the fields of a document.
pub fn versioned<D: Serialize>(document: &D) -> Versioned<'_, D> {
    Versioned { schema: SCHEMA, document }
}
