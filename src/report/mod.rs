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

/// The version of the JSON documents.
pub const SCHEMA: u32 = 1;

/// Anybody may name a rule, and an interpreter may write what it likes: nothing of that is to steer
/// a terminal, or whatever else reads line by line.
fn plain(text: &str) -> String {
    let shown =
        |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    if text.chars().any(char::is_control) {
        text.chars().map(shown).collect()
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests;
