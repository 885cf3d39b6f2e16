//! `doctor --list-checks` and `doctor --explain`

use std::io::{self, Write};

use super::layout::{QUIET, STRONG};
use crate::report::document::{CheckDocument, ChecksDocument};

pub fn checks(out: &mut dyn Write, document: &ChecksDocument) -> io::Result<()> {
    let width = document.checks.iter().map(|check| check.id.len()).max().unwrap_or(0);
    for check in &document.checks {
        writeln!(out, "{STRONG}{:<width$}{STRONG:#} {}", check.id, check.title)?;
        writeln!(out, "{:<width$} {QUIET}{}{QUIET:#}", "", check.proves)?;
    }
    Ok(())
}

pub fn check(out: &mut dyn Write, document: &CheckDocument) -> io::Result<()> {
    let check = &document.check;
    writeln!(out, "{STRONG}{}{STRONG:#}: {}", check.id, check.title)?;
    writeln!(out, "family: {}", check.family)?;
    match check.level {
        Some(level) => writeln!(out, "level:  {level}, by running a program")?,
        None => writeln!(
            out,
            "level:  none: it judges what was read or listed, without running a program"
        )?,
    }
    writeln!(out, "proves: {}", check.proves)?;
    writeln!(out, "fix:    {}", check.cure)
}
