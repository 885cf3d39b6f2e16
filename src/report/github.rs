//! GitHub Actions: annotations as workflow commands, and a table for the job's summary.
//!
//! GitHub shows ten annotations of a kind for a step, so there is one for the host and one for each
//! target, with all that was found of it.

use std::fmt::{self, Display, Write as _};
use std::io::{self, Write};

use super::document::{Conclusion, DoctorDocument, DoctorTarget, ErrorDocument};
use super::plain;
use crate::doctor::{Finding, Status, Verdict};

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

/// `doctor`: an annotation for each whose checks are not all well, and one that says how it went.
pub fn doctor(out: &mut dyn Write, document: &DoctorDocument) -> io::Result<()> {
    let mut annotations: Vec<(Kind, String, String)> = Vec::new();
    let groups = std::iter::once(None).chain(document.targets.iter().map(Some));
    for target in groups {
        let name = target.map(|target| target.target.as_str());
        let told: Vec<&Finding> =
            document.findings_of(name).filter(|one| one.status.is_trouble()).collect();
        let worst = told.iter().map(|finding| kind(document, finding)).max();
        let verdict = target.and_then(|target| {
            let kind = if target.required { Kind::Error } else { Kind::Warning };
            (!target.verdict.is_sound()).then_some(kind)
        });
        let Some(kind) = worst.max(verdict) else { continue };
        let title = target.map_or_else(|| "binfmtd: host".to_owned(), heading);
        let lines: Vec<String> = told.into_iter().map(line).collect();
        annotations.push((kind, title, lines.join("\n")));
    }
    // GitHub keeps the first of a kind.
    annotations.sort_by_key(|(kind, ..)| std::cmp::Reverse(*kind));
    for (kind, title, message) in annotations {
        command(out, kind, &title, &message)?;
    }
    command(out, Kind::Notice, "binfmtd doctor", &conclusion(document))
}

/// A command that ended early.
pub fn error(out: &mut dyn Write, document: &ErrorDocument) -> io::Result<()> {
    command(out, Kind::Error, "binfmtd", &document.error.message)
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
    let told: Vec<&Finding> =
        document.checks.iter().filter(|one| one.status.is_trouble()).collect();
    if !told.is_empty() {
        writeln!(out, "\n| | about | check | what was found | fix |\n|---|---|---|---|---|")?;
    }
    for finding in told {
        writeln!(
            out,
            "| {} | {} | {} | {} | {} |",
            finding.status.as_str(),
            markdown(finding.target.as_deref().unwrap_or("host")),
            finding.id,
            markdown(&finding.summary),
            markdown(finding.fix.as_deref().unwrap_or_default())
        )?;
    }
    writeln!(out)
}

fn kind(document: &DoctorDocument, finding: &Finding) -> Kind {
    match finding.status {
        Status::Fail | Status::Error if document.counts(finding) => Kind::Error,
        Status::Fail | Status::Error | Status::Warn => Kind::Warning,
        Status::Pass | Status::Skip => Kind::Notice,
    }
}

fn heading(target: &DoctorTarget) -> String {
    let required = if target.required { "" } else { ", not required" };
    format!("binfmtd: {} {}{required}", target.target, target.verdict.as_str())
}

fn line(finding: &Finding) -> String {
    let found = format!("{} {}: {}", finding.status.as_str(), finding.id, plain(&finding.summary));
    let seen = Some(&finding.evidence).filter(|text| !text.is_empty());
    let seen = seen.map(|text| format!("  seen: {}", plain(text)));
    let fix = finding.fix.as_ref().map(|text| format!("  fix: {}", plain(text)));
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
