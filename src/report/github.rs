//! GitHub Actions: annotations as workflow commands, and a table for the job's summary.
//!
//! GitHub shows ten annotations of a kind for a step, so there is one for the host, and one for all targets
//! of which the same is told.

use std::fmt::{self, Display, Write as _};
use std::io::{self, Write};

use super::document::{Conclusion, DoctorDocument, ErrorDocument};
use super::group::{Group, Told};
use super::{plain, plain_lines};
use crate::doctor::{Status, Verdict};

/// A message behind `::`; in a property colon and comma mean something, too.
struct Escaped<'a> {
    text: &'a str,
    is_property: bool,
}

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.text.chars() {
            match c {
                '%' => f.write_str("%25")?,
                '\r' => f.write_str("%0D")?,
                '\n' => f.write_str("%0A")?,
                ':' if self.is_property => f.write_str("%3A")?,
                ',' if self.is_property => f.write_str("%2C")?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// How an annotation looks; the worst last.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Notice,
    Warning,
    Error,
}

fn command(out: &mut dyn Write, kind: Kind, title: &str, message: &str) -> io::Result<()> {
    let word = match kind {
        Kind::Notice => "notice",
        Kind::Warning => "warning",
        Kind::Error => "error",
    };
    let title = Escaped { text: title, is_property: true };
    let message = Escaped { text: message, is_property: false };
    writeln!(out, "::{word} title={title}::{message}")
}

/// `doctor`: an annotation for the host and for each group of targets that are not all well, and one
/// that says how it went.
pub fn doctor(out: &mut dyn Write, document: &DoctorDocument) -> io::Result<()> {
    let mut annotations: Vec<(Kind, String, String)> = Vec::new();
    let host = host(document);
    if let Some(kind) = host.iter().map(|told| kind(document, told)).max() {
        annotations.push((kind, "binfmtd: host".to_owned(), lines(&host)));
    }
    for group in Group::all(document, |_| true) {
        let worst = group.told.iter().map(|told| kind(document, told)).max();
        let verdict = if group.is_required() { Kind::Error } else { Kind::Warning };
        let verdict = (!group.verdict().is_sound()).then_some(verdict);
        let Some(kind) = worst.max(verdict) else { continue };
        let told = lines(&group.told);
        let message = match group.single() {
            Some(_) => told,
            None => format!("{}\n{told}", group.names()),
        };
        annotations.push((kind, heading(&group), message.trim_end().to_owned()));
    }
    // GitHub keeps the first of a kind.
    annotations.sort_by_key(|(kind, ..)| std::cmp::Reverse(*kind));
    for (kind, title, message) in annotations {
        command(out, kind, &title, &message)?;
    }
    command(out, Kind::Notice, "binfmtd doctor", &conclusion(document))
}

/// What is wrong with the host.
fn host(document: &DoctorDocument) -> Vec<Told<'_>> {
    let findings = document.findings_of(None).filter(|finding| finding.status.is_trouble());
    findings.map(|finding| Told::new(document, None, finding)).collect()
}

/// A command that ended early.
pub fn error(out: &mut dyn Write, document: &ErrorDocument) -> io::Result<()> {
    command(out, Kind::Error, "binfmtd", &plain_lines(&document.error.message))
}

/// Something went wrong that is no finding.
pub fn warning(out: &mut dyn Write, message: &str) -> io::Result<()> {
    command(out, Kind::Warning, "binfmtd", message)
}

/// A table in Markdown, for the end of the file that `GITHUB_STEP_SUMMARY` names.
pub fn summary(out: &mut dyn Write, document: &DoctorDocument) -> io::Result<()> {
    writeln!(out, "### binfmtd doctor\n\n{}\n", markdown(&conclusion(document)))?;
    if !document.targets.is_empty() {
        writeln!(out, "| | target | platforms | verdict | required | interpreter |")?;
        writeln!(out, "|---|---|---|---|---|---|")?;
    }
    for target in &document.targets {
        let interpreter = target.interpreter.as_ref();
        let version = interpreter.and_then(|interpreter| interpreter.version.as_deref());
        let path = interpreter.and_then(|interpreter| interpreter.path.as_deref());
        writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} |",
            match (target.verdict.is_sound(), target.required) {
                (true, _) => "✅",
                (false, true) => "❌",
                (false, false) => "⚠️",
            },
            markdown(&target.target),
            markdown(&target.platforms.join(", ")),
            target.verdict.as_str(),
            if target.required { "yes" } else { "no" },
            markdown(version.or(path).unwrap_or_default())
        )?;
    }
    let groups = Group::all(document, |_| true);
    let host = host(document);
    let told: Vec<&Told<'_>> =
        host.iter().chain(groups.iter().flat_map(|group| &group.told)).collect();
    if !told.is_empty() {
        writeln!(out, "\n| | about | check | what was found | fix |\n|---|---|---|---|---|")?;
    }
    for told in told {
        let names = told.names();
        writeln!(
            out,
            "| {} | {} | {} | {} | {} |",
            told.status().as_str(),
            markdown(if names.is_empty() { "host" } else { &names }),
            told.id(),
            markdown(&told.summary()),
            markdown(&told.fix().unwrap_or_default())
        )?;
    }
    writeln!(out)
}

fn kind(document: &DoctorDocument, told: &Told<'_>) -> Kind {
    match told.status() {
        Status::Fail | Status::Error if told.counts(document) => Kind::Error,
        Status::Fail | Status::Error | Status::Warn => Kind::Warning,
        Status::Pass | Status::Skip => Kind::Notice,
    }
}

fn heading(group: &Group<'_>) -> String {
    let required = if group.is_required() { "" } else { ", not required" };
    let who = match group.single() {
        Some(target) => target.target.clone(),
        None => format!("{} targets", group.targets.len()),
    };
    format!("binfmtd: {who} {}{required}", group.verdict().as_str())
}

fn lines(told: &[Told<'_>]) -> String {
    let lines = told.iter().enumerate().map(|(at, one)| {
        // What the next one's fix will do for as well is told there.
        let next = told.get(at + 1).and_then(Told::fix);
        line(one, one.fix().filter(|fix| next.as_ref() != Some(fix)))
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn line(told: &Told<'_>, fix: Option<String>) -> String {
    let found = format!("{} {}: {}", told.status().as_str(), told.id(), plain(&told.summary()));
    let seen = Some(told.evidence()).filter(|text| !text.is_empty());
    let seen = seen.map(|text| format!("  seen: {}", plain(&text)));
    let fix = fix.map(|text| format!("  fix: {}", plain(&text)));
    std::iter::once(found).chain(seen).chain(fix).collect::<Vec<_>>().join("\n")
}

/// One sentence.
fn conclusion(document: &DoctorDocument) -> String {
    let counts = Verdict::ALL.map(|verdict| {
        let count = document.targets.iter().filter(|target| target.verdict == verdict).count();
        (count > 0).then(|| format!("{count} {}", verdict.as_str()))
    });
    let counts: Vec<String> = counts.into_iter().flatten().collect();
    let word = match document.conclusion() {
        Conclusion::Well if document.require.is_some() => "what is required is well",
        Conclusion::Well => "all well",
        Conclusion::Failed => "failed",
        Conclusion::Unchecked => "not all could be checked",
    };
    let host = &document.host;
    let counts = if counts.is_empty() { "no targets".to_owned() } else { counts.join(", ") };
    format!("{word}: {counts} (Linux {} on {})", host.kernel, host.machine)
}

/// Text as text: nothing in it is markup, ends a cell or a line.
fn markdown(text: &str) -> String {
    let mut shown = String::new();
    for c in plain(text).chars() {
        match c {
            '&' => shown.push_str("&amp;"),
            '<' => shown.push_str("&lt;"),
            '>' => shown.push_str("&gt;"),
            // Not by a backslash: in a cell that is taken for the text's own.
            '|' => shown.push_str("&#124;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '~' | '@' | '#' => {
                let _ = write!(shown, "&#{};", u32::from(c));
            }
            c => shown.push(c),
        }
    }
    shown
}
