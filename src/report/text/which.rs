//! `which`

use std::io::{self, Write};

use super::layout::{BAD, Cell, GOOD, QUIET, cell, rows, styled};
use crate::report::document::{RuleVerdict, WhichDocument};

/// `which`: the winner, and with `verbose` why not each of the others.
pub fn which(out: &mut dyn Write, document: &WhichDocument, verbose: bool) -> io::Result<()> {
    let target = document
        .target
        .as_deref()
        .map(|target| format!(", a program for {target}"))
        .unwrap_or_default();
    match (&document.winner, &document.interpreter) {
        (Some(winner), Some(interpreter)) => {
            writeln!(
                out,
                "{}{target}: {GOOD}{winner}{GOOD:#} runs it with {interpreter}",
                document.file
            )?;
            if document.native {
                writeln!(
                    out,
                    "{BAD}the host could run it by itself{BAD:#}: this rule captures native programs"
                )?;
            }
        }
        _ if document.native => {
            writeln!(out, "{}{target}: no rule; the kernel runs it by itself", document.file)?;
        }
        _ => writeln!(
            out,
            "{}{target}: {BAD}nothing runs it{BAD:#} (exec format error)",
            document.file
        )?,
    }
    let interesting = document.rules.iter().filter(|line| verbose || is_near(line.verdict));
    let shown: Vec<Vec<Cell>> = interesting
        .map(|line| {
            vec![
                cell("  "),
                cell(&line.rule),
                styled(QUIET, line.verdict.as_str()),
                cell(&line.why),
            ]
        })
        .collect();
    rows(out, &shown)
}

/// Whether the rule matches the file, and does not run it.
fn is_near(verdict: RuleVerdict) -> bool {
    match verdict {
        RuleVerdict::Shadowed | RuleVerdict::Disabled => true,
        RuleVerdict::Wins | RuleVerdict::Differs | RuleVerdict::OtherExtension => false,
    }
}
