//! The version of the JSON documents.

use serde::Serialize;

/// It changes when a field goes or gets another meaning.
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
