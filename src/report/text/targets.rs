//! `targets` and `export`

use std::io::{self, Write};

use super::layout::{DOUBTFUL, GOOD, QUIET, STRONG, cell, rows, styled};
use crate::report::document::{ExportDocument, TargetsDocument};

/// `targets`: a row for each; with `verbose`, magic and mask and every name.
pub fn targets(out: &mut dyn Write, document: &TargetsDocument, verbose: bool) -> io::Result<()> {
    let mut shown =
        vec![["TARGET", "PLATFORMS", "INTERPRETER"].map(|title| styled(QUIET, title)).to_vec()];
    for target in &document.targets {
        let interpreter = match (&target.interpreter, target.unusable.first()) {
            _ if target.native => styled(GOOD, "native"),
            (Some(path), _) => cell(path),
            (None, Some(why)) => styled(DOUBTFUL, why),
            (None, None) => styled(QUIET, "none found"),
        };
        let platforms = target.platforms.join(",");
        shown.push(vec![
            styled(STRONG, &target.name),
            cell(if platforms.is_empty() { "-" } else { &platforms }),
            interpreter,
        ]);
        if verbose {
            if !target.aliases.is_empty() {
                shown.push(vec![
                    cell(""),
                    styled(QUIET, "also called"),
                    cell(target.aliases.join(", ")),
                ]);
            }
            for rule in &target.rules {
                shown.push(vec![cell(""), styled(QUIET, "rule"), cell(&rule.name)]);
                shown.push(vec![cell(""), styled(QUIET, "magic"), cell(&rule.magic)]);
                shown.push(vec![cell(""), styled(QUIET, "mask"), cell(&rule.mask)]);
            }
        }
    }
    rows(out, &shown)
}

/// `export` to standard output.
pub fn export(out: &mut dyn Write, document: &ExportDocument) -> io::Result<()> {
    document.files.iter().try_for_each(|file| out.write_all(file.content.as_bytes()))
}
