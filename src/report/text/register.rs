//! `register` and `unregister`: what was done.

use std::io::{self, Write};

use super::layout::{BAD, Cell, GOOD, QUIET, STRONG, cell, rows, styled};
use crate::report::document::{RegisterAction, RegisterDocument, RegisterLine, UnregisterDocument};

/// What was done; with `verbose`, what was left as it is, too.
pub fn register(out: &mut dyn Write, document: &RegisterDocument, verbose: bool) -> io::Result<()> {
    let interesting = |line: &&RegisterLine| {
        let is_quiet = matches!(line.action, RegisterAction::Keep | RegisterAction::Native);
        verbose
            || line.error.is_some()
            || line.remark.is_some()
            || line.changed
            || document.dry_run
            || !is_quiet
    };
    let lines = document.rules.iter().filter(interesting).map(|line| {
        let name = line.target.as_deref().or(line.rule.as_deref()).unwrap_or("binfmt_misc");
        let what = line.error.as_deref().unwrap_or(&line.without_verb);
        vec![state(line, document.dry_run), cell(name), cell(what)]
    });
    rows(out, &lines.collect::<Vec<_>>())?;
    let count = |wanted: &dyn Fn(&RegisterLine) -> bool| {
        document.rules.iter().filter(|line| wanted(line)).count()
    };
    let changed =
        count(&|line| if document.dry_run { line.action.is_change() } else { line.changed });
    let is_left = |action| matches!(action, RegisterAction::Keep | RegisterAction::Served);
    let kept = count(&|line| line.error.is_none() && is_left(line.action));
    let failed = count(&|line| line.error.is_some());
    let proved = count(&|line| line.proved == Some(true));
    let would = if document.dry_run { "to change" } else { "changed" };
    writeln!(
        out,
        "{changed} {would}, {kept} left as they are, {failed} failed; {proved} proved by running"
    )
}

fn state(line: &RegisterLine, dry_run: bool) -> Cell {
    let failed = if line.action == RegisterAction::Refuse { "refused" } else { "failed" };
    let done = match line.action {
        _ if line.error.is_some() => return styled(BAD, failed),
        action if dry_run => return styled(STRONG, action.to_string()),
        RegisterAction::Add => "added",
        RegisterAction::Replace => "replaced",
        RegisterAction::Enable | RegisterAction::EnableInstance => "enabled",
        RegisterAction::Remove => "removed",
        RegisterAction::Keep
        | RegisterAction::Served
        | RegisterAction::Native
        | RegisterAction::Refuse => return styled(QUIET, line.action.to_string()),
    };
    styled(GOOD, done)
}

/// `unregister`: what went.
pub fn unregister(out: &mut dyn Write, document: &UnregisterDocument) -> io::Result<()> {
    for name in &document.removed {
        writeln!(out, "{} {name}", if document.dry_run { "would remove" } else { "removed" })?;
    }
    for error in &document.errors {
        writeln!(out, "{BAD}failed{BAD:#} {error}")?;
    }
    if document.removed.is_empty() && document.errors.is_empty() {
        writeln!(out, "binfmtd had registered no such rule")?;
    }
    Ok(())
}
