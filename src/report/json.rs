//! JSON: two-space indents, one document, a newline.

use std::io::{self, Write};

use serde::Serialize;

/// Writes a document.
pub fn write(out: &mut dyn Write, document: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, document)?;
    out.write_all(b"\n")
}
