//! `--format json`: two-space indents, one document, a newline.

use std::io::{self, Write};

use serde::Serialize;

use super::document::{DoctorDocument, ErrorDocument};
use super::format::{Format, Page, PrintAny, versioned};

#[derive(Debug)]
pub(super) struct Json;

impl Format for Json {
    fn name(&self) -> &'static str {
        "json"
    }

    fn help(&self) -> &'static str {
        "One JSON document, valid also on failure"
    }

    fn is_complete(&self) -> bool {
        true
    }

    fn any(&self) -> Option<PrintAny> {
        Some(|out, document| {
            out.write_all(&document.json()?)?;
            out.write_all(b"\n")
        })
    }

    fn doctor(&self, out: &mut dyn Write, document: &DoctorDocument, _: Page) -> io::Result<()> {
        write(out, document)
    }

    fn failure(&self, out: &mut dyn Write, document: &ErrorDocument) -> io::Result<()> {
        write(out, document)
    }
}

pub(super) fn write(out: &mut dyn Write, document: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, &versioned(document))?;
    out.write_all(b"\n")
}
