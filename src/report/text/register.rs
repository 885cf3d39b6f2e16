//! `register` and `unregister`: what was done.

use std::io::{self, Write};

use super::layout::{BAD, Cell, GOOD, QUIET, STRONG, cell, rows, styled};
use crate::report::document::{RegisterDocument, RegisterLine, UnregisterDocument};

/// `register`: what was done; with `verbose`, what was left as it is, too.
pub fn register(out: &mut dyn Write, document: &RegisterDocument, verbose: bool) -> io::Result<()> {
    let interesting = |line: &&RegisterLine| {
        verbose
            || line.error.is_some()
            || line.remark.is_some()
            || line.changed
            || document.dry_run
            || !matches!(line.action, "keep" | "native")
    };
    let shown: Vec<Vec<Cell>> = document
        .rules
        .iter()
        .filter(interesting)
        .map(|line| {
            let state = match (&line.error, line.action) {
                (Some(_), "refuse") => styled(BAD, "refused"),
                (Some(_), _) => styled(BAD, "failed"),
                (None, action) if document.dry_run => styled(STRONG, action),
                (None, "add" | "replace" | "enable" | "enable-instance") => {
                    styled(GOOD, done(line.action))
                }
                (None, "remove") => styled(GOOD, "removed"),
                (None, action) => styled(QUIET, action),
            };
            let name = line
                .target
                .clone()
                .or_else(|| line.rule.clone())
                .unwrap_or_else(|| "binfmt_misc".to_owned());
            // The state has said the verb already.
            let bare = |word: &str| {
                line.detail.strip_prefix(word).map(|rest| rest.trim_start_matches([' ', ':']))
            };
            let detail = bare(line.action).or_else(|| bare("leave alone")).unwrap_or(&line.detail);
            vec![state, cell(name), cell(line.error.as_deref().unwrap_or(detail))]
        })
        .collect();
    rows(out, &shown)?;
    let count = |wanted: &dyn Fn(&RegisterLine) -> bool| {
        document.rules.iter().filter(|line| wanted(line)).count()
    };
    let changed =
        count(&|line| if document.dry_run { is_change(line.action) } else { line.changed });
    let kept = count(&|line| line.error.is_none() && matches!(line.action, "keep" | "served"));
    let failed = count(&|line| line.error.is_some());
    let proved = count(&|line| line.proved == Some(true));
    let would = if document.dry_run { "to change" } else { "changed" };
    writeln!(
        out,
        "{changed} {would}, {kept} left as they are, {failed} failed; {proved} proved by running"
    )
}

fn is_change(action: &str) -> bool {
    matches!(action, "add" | "replace" | "enable" | "enable-instance" | "remove")
}

fn done(action: &str) -> &str {
    match action {
        "add" => "added",
        "replace" => "replaced",
        _ => "enabled",
    }
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
        writeln!(out, "nothing of ours was there")?;
    }
    Ok(())
}
