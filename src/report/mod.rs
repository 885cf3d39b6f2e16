//! What is printed: one document for each command, and one file for each output format.
//!
//! The documents are the JSON schema, described in `docs/reference/json.md`: keys are kebab-case, and within a
//! schema fields are only ever added.

mod document;
mod format;
mod formats;
mod github;
mod group;
mod json;
mod junit;
pub mod outputs;
pub mod text;

pub use document::*;
pub use format::{Audience, Format, Page, Printed, versioned};
pub use formats::{FORMATS, find as find_format, general_formats};

#[cfg(test)]
mod tests;
