//! The version of the JSON documents.

/// It changes when a field goes or gets another meaning.
pub const SCHEMA: u32 = 1;
