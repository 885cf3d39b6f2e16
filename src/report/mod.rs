//! What is printed: one document for each command, and one file for each format.
//!
//! The shapes below are the JSON schema, described in `docs/reference/json.md`: keys are kebab-case,
//! fields are only ever added within `"schema": 1`.

mod document;
pub mod github;
mod group;
pub mod json;
pub mod junit;
pub mod outputs;
pub mod text;

pub use document::*;

use crate::shown::{plain, plain_lines};

/// The version of the JSON documents.
pub const SCHEMA: u32 = 1;

#[cfg(test)]
mod tests;
