//! `--format text`: for a person; aligned, coloured on a terminal only, quiet when all is well.

mod builder;
mod checks;
mod doctor;
mod fix;
mod layout;
mod register;
mod status;
mod targets;
mod which;

use std::io::{self, Write};

use super::document::{DoctorDocument, ErrorDocument};
use super::format::{Audience, Format, Page, PrintAny};
use crate::shown::plain_lines;
pub use builder::{builder, removal};
pub use checks::{check, checks};
pub use doctor::doctor;
pub use fix::{fixes, nothing_to_fix, steps};
use layout::BAD;
pub use register::{register, unregister};
pub use status::status;
pub use targets::{export, targets};
pub use which::which;

#[derive(Debug)]
pub struct Text;

impl Format for Text {
    fn name(&self) -> &'static str {
        "text"
    }

    fn help(&self) -> &'static str {
        "For a person"
    }

    fn audience(&self) -> Audience {
        Audience::Person
    }

    fn any(&self) -> Option<PrintAny> {
        Some(|out, document| document.text(out))
    }

    fn doctor(&self, out: &mut dyn Write, document: &DoctorDocument, page: Page) -> io::Result<()> {
        doctor(out, document, page)
    }

    fn failure(&self, out: &mut dyn Write, document: &ErrorDocument) -> io::Result<()> {
        writeln!(out, "{BAD}binfmtd:{BAD:#} {}", plain_lines(document.message()))
    }
}
