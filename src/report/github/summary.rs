//! The summary of a job's step: a table in Markdown.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;

use crate::doctor::Verdict;
use crate::report::document::{Conclusion, DoctorDocument};
use crate::report::group::{Group, MergedFinding};
use crate::shown::plain;

/// The variable that names the file of a step's summary.
const STEP_SUMMARY: &str = "GITHUB_STEP_SUMMARY";

/// Appends the summary to the file that the runner names, if it does.
pub(super) fn append(document: &DoctorDocument) -> Result<(), String> {
    let file = std::env::var_os(STEP_SUMMARY).filter(|file| !file.is_empty());
    let Some(file) = file else { return Ok(()) };
    let file = Path::new(&file);
    append_to(file, document)
        .map_err(|error| format!("{STEP_SUMMARY}: {}: {error}", file.display()))
}

fn append_to(file: &Path, document: &DoctorDocument) -> io::Result<()> {
    let mut summary = Vec::new();
    write(&mut summary, document)?;
    OpenOptions::new().append(true).create(true).open(file)?.write_all(&summary)
}

pub(in crate::report) fn write(out: &mut dyn Write, document: &DoctorDocument) -> io::Result<()> {
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
    let host = MergedFinding::of_host(document);
    let findings: Vec<&MergedFinding<'_>> =
        host.iter().chain(groups.iter().flat_map(|group| &group.findings)).collect();
    if !findings.is_empty() {
        writeln!(out, "\n| | about | check | what was found | fix |\n|---|---|---|---|---|")?;
    }
    for finding in findings {
        let names = finding.names();
        writeln!(
            out,
            "| {} | {} | {} | {} | {} |",
            finding.status().as_str(),
            markdown(if names.is_empty() { "host" } else { &names }),
            finding.id(),
            markdown(&finding.summary()),
            markdown(&finding.fix().unwrap_or_default())
        )?;
    }
    writeln!(out)
}

pub(super) fn conclusion(document: &DoctorDocument) -> String {
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

/// Escapes a text so that nothing in it is markup, or ends a cell or a line.
fn markdown(text: &str) -> String {
    let mut shown = String::new();
    for c in plain(text).chars() {
        match c {
            '&' => shown.push_str("&amp;"),
            '<' => shown.push_str("&lt;"),
            '>' => shown.push_str("&gt;"),
            // A backslash before it would be shown.
            '|' => shown.push_str("&#124;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '~' | '@' | '#' => {
                let _ = write!(shown, "&#{};", u32::from(c));
            }
            c => shown.push(c),
        }
    }
    shown
}
