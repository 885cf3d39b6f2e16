//! Text for a person: aligned, coloured on a terminal only, quiet when all is well.

mod builder;
mod doctor;
mod fix;

use std::fmt::Write as _;
use std::io::{self, Write};
use std::time::Duration;

use anstyle::{AnsiColor, Style};

use super::document::{
    ErrorDocument, ExportDocument, RegisterDocument, RegisterLine, ServiceDocument, StatusDocument,
    TargetsDocument, UnregisterDocument, WhichDocument,
};
use super::{plain, plain_lines};
pub use builder::{builder, removal};
pub use doctor::{Page, check, checks, doctor};
pub use fix::{fixes, nothing_to_fix, steps};

const GOOD: Style = AnsiColor::Green.on_default();
const DOUBTFUL: Style = AnsiColor::Yellow.on_default();
const BAD: Style = AnsiColor::Red.on_default().bold();
const QUIET: Style = Style::new().dimmed();
const STRONG: Style = Style::new().bold();

/// One field of a row: a text, and how it looks.
type Cell = (String, Style);

fn cell(text: impl AsRef<str>) -> Cell {
    styled(Style::new(), text)
}

fn styled(style: Style, text: impl AsRef<str>) -> Cell {
    (plain(text.as_ref()), style)
}

/// Writes rows with aligned columns; the last one is as long as it likes.
fn rows(out: &mut dyn Write, rows: &[Vec<Cell>]) -> io::Result<()> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|(text, _)| text.chars().count())
            .max()
            .unwrap_or_default()
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for row in rows {
        for (column, (text, style)) in row.iter().enumerate() {
            let last = column + 1 == row.len();
            let padding = if last { 0 } else { widths[column] - text.chars().count() + 2 };
            write!(out, "{style}{text}{style:#}{:padding$}", "")?;
        }
        writeln!(out)?;
    }
    Ok(())
}

/// Breaks a text at its spaces where it would be wider than `width`, which counts from the line's first
/// column; it begins in column `at`, and goes on in column `indent`. What has no space is not broken.
fn wrapped(text: &str, at: usize, indent: usize, width: Option<usize>) -> String {
    let Some(width) = width else { return text.to_owned() };
    let mut shown = String::with_capacity(text.len());
    let mut column = at;
    for (place, word) in text.split(' ').enumerate() {
        let length = word.chars().count();
        if place > 0 && column + 1 + length > width {
            let _ = write!(shown, "\n{:indent$}", "");
            column = indent;
        } else if place > 0 {
            shown.push(' ');
            column += 1;
        }
        shown.push_str(word);
        column += length;
    }
    shown
}

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

/// `status`: a row for each rule, newest first, and a line about the service; `now` is since 1970.
pub fn status(out: &mut dyn Write, document: &StatusDocument, now: Duration) -> io::Result<()> {
    let mut shown = vec![
        ["RULE", "TARGET", "STATE", "FLAGS", "OWNER", "INTERPRETER"]
            .map(|title| styled(QUIET, title))
            .to_vec(),
    ];
    for rule in &document.rules {
        let state = match (rule.state, &rule.shadowed_by) {
            ("active", _) => styled(GOOD, "active"),
            (_, Some(by)) => styled(DOUBTFUL, format!("shadowed by {by}")),
            (state, None) => styled(BAD, state),
        };
        shown.push(vec![
            cell(&rule.name),
            cell(rule.target.as_deref().unwrap_or("-")),
            state,
            cell(if rule.flags.is_empty() { "-" } else { &rule.flags }),
            cell(rule.owner.to_string()),
            cell(&rule.interpreter),
        ]);
    }
    if document.rules.is_empty() {
        writeln!(out, "no rules")?;
    } else {
        rows(out, &shown)?;
    }
    for unreadable in &document.unreadable {
        writeln!(out, "{DOUBTFUL}not understood{DOUBTFUL:#} {unreadable}")?;
    }
    if !document.enabled {
        writeln!(out, "{BAD}binfmt_misc as a whole is switched off{BAD:#}: no rule is used")?;
    }
    if !document.host {
        writeln!(out, "this is the instance of a user namespace, not the host's")?;
    }
    document.service.as_ref().map_or(Ok(()), |running| service(out, running, now.as_secs_f64()))
}

/// One line; what else there is to be told of is in the service's own words.
fn service(out: &mut dyn Write, service: &ServiceDocument, now: f64) -> io::Result<()> {
    let (style, ready) = if service.ready { (GOOD, "ready") } else { (DOUBTFUL, "not ready") };
    write!(
        out,
        "service: process {}, running for {}, {style}{ready}{style:#}: {}",
        service.pid,
        span(now - service.started),
        plain(&service.status)
    )?;
    if let Some(heal) = service.last_heal {
        let changes = match heal.changes {
            1 => "1 change".to_owned(),
            changes => format!("{changes} changes"),
        };
        write!(
            out,
            "; last heal {} ago ({}, {changes} in {:.1} ms)",
            span(now - heal.at),
            heal.cause.as_str(),
            heal.seconds * 1000.0
        )?;
    }
    match service.conflicts {
        0 => {}
        1 => write!(out, "; paused once")?,
        times => write!(out, "; paused {times} times")?,
    }
    if let Some(until) = service.paused_until.filter(|until| *until > now) {
        write!(out, ", {DOUBTFUL}the next attempt is in {}{DOUBTFUL:#}", span(until - now))?;
    }
    writeln!(out)
}

/// A time that a person reads. One that has not come is no time: somebody set the clock.
fn span(seconds: f64) -> String {
    let seconds = Duration::try_from_secs_f64(seconds).unwrap_or_default().as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

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
    let interesting = document
        .rules
        .iter()
        .filter(|line| verbose || matches!(line.verdict, "shadowed" | "disabled"));
    let shown: Vec<Vec<Cell>> = interesting
        .map(|line| {
            vec![cell("  "), cell(&line.rule), styled(QUIET, line.verdict), cell(&line.why)]
        })
        .collect();
    rows(out, &shown)
}

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

/// An error, for standard error.
pub fn error(out: &mut dyn Write, document: &ErrorDocument) -> io::Result<()> {
    writeln!(out, "{BAD}binfmtd:{BAD:#} {}", plain_lines(&document.error.message))
}
