//! `doctor --fix`, in text.

use std::io::{self, Write};

use super::layout::{BAD, Cell, DOUBTFUL, GOOD, STRONG, cell, rows, styled};
use crate::report::document::FixDocument;

/// Before the run: what will be done, and what will not.
pub fn steps(out: &mut dyn Write, fixes: &[FixDocument]) -> io::Result<()> {
    let steps =
        fixes.iter().map(|fix| line(fix, styled(STRONG, "to do"), styled(DOUBTFUL, "left")));
    rows(out, &steps.collect::<Vec<_>>())
}

/// `register` could change nothing of what is wrong.
pub fn nothing_to_fix(out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "nothing here is binfmtd's to change: do what the fix of each finding says")
}

/// After the run: what was done, and what was not.
pub fn fixes(out: &mut dyn Write, fixes: &[FixDocument]) -> io::Result<()> {
    let lines = fixes.iter().map(|fix| line(fix, styled(GOOD, "done"), styled(BAD, "not done")));
    rows(out, &lines.collect::<Vec<_>>())?;
    let done = fixes.iter().filter(|fix| fix.done).count();
    writeln!(out, "{done} of {} done; state after the repair:", fixes.len())
}

fn line(fix: &FixDocument, well: Cell, otherwise: Cell) -> Vec<Cell> {
    let state = if fix.error.is_none() { well } else { otherwise };
    let why = fix.error.as_ref().map(|error| format!(": {error}")).unwrap_or_default();
    let name = fix.target.as_deref().unwrap_or("binfmt_misc");
    vec![state, cell(name), cell(format!("{}{why}", fix.step))]
}
