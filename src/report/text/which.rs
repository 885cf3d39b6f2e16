//! `which`

use std::io::{self, Write};

use super::layout::{BAD, GOOD, QUIET, cell, rows, styled};
use crate::report::document::{RuleVerdict, WhichDocument};

/// `which`: the winner, and with `verbose` why not each of the others.
pub fn which(out: &mut dyn Write, document: &WhichDocument, verbose: bool) -> io::Result<()> {
    let target = document.target.as_deref();
    let target = target.map(|target| format!(", a program for {target}")).unwrap_or_default();
    write!(out, "{}{target}: ", document.file)?;
    match (&document.winner, &document.interpreter) {
        (Some(winner), Some(interpreter)) => {
            writeln!(out, "{GOOD}{winner}{GOOD:#} runs it with {interpreter}")?;
            if document.native {
                writeln!(
                    out,
                    "{BAD}the host could run it by itself{BAD:#}: this rule captures native programs"
                )?;
            }
        }
        _ if document.native => writeln!(out, "no rule; the kernel runs it by itself")?,
        _ => writeln!(out, "{BAD}nothing runs it{BAD:#} (exec format error)")?,
    }
    let interesting = document.rules.iter().filter(|line| verbose || is_near(line.verdict));
    let shown = interesting.map(|line| {
        let verdict = styled(QUIET, line.verdict.to_string());
        vec![cell("  "), cell(&line.rule), verdict, cell(&line.why)]
    });
    rows(out, &shown.collect::<Vec<_>>())
}

/// Whether the rule matches the file, and does not run it.
fn is_near(verdict: RuleVerdict) -> bool {
    match verdict {
        RuleVerdict::Shadowed | RuleVerdict::Disabled => true,
        RuleVerdict::Wins | RuleVerdict::Differs | RuleVerdict::OtherExtension => false,
    }
}
