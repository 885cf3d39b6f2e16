//! `--format github`: annotations for GitHub Actions, and a table for the job's summary.
//!
//! GitHub shows ten annotations of a level for a step, so there is one for the host, and one for all targets
//! with the same findings.

mod command;
pub(super) mod summary;

use std::cmp::Reverse;
use std::io::{self, Write};

use super::document::{DoctorDocument, ErrorDocument};
use super::format::{Format, Page};
use super::group::{Group, MergedFinding};
use crate::doctor::Status;
use crate::shown::{plain, plain_lines};
use command::{AnnotationLevel, annotate};
use summary::conclusion;

#[derive(Debug)]
pub(super) struct Github;

impl Format for Github {
    fn name(&self) -> &'static str {
        "github"
    }

    fn help(&self) -> &'static str {
        "Of doctor only: annotations and a step summary for GitHub Actions"
    }

    fn doctor(&self, out: &mut dyn Write, document: &DoctorDocument, _: Page) -> io::Result<()> {
        write(out, document)?;
        match summary::append(document) {
            Ok(()) => Ok(()),
            // The host is not at fault.
            Err(error) => annotate(out, AnnotationLevel::Warning, "binfmtd", &error),
        }
    }

    fn failure(&self, out: &mut dyn Write, document: &ErrorDocument) -> io::Result<()> {
        let message = plain_lines(document.message());
        annotate(out, AnnotationLevel::Error, "binfmtd", &message)
    }
}

/// An annotation for the host, one for each group of targets that are not all well, and one for the result.
pub(super) fn write(out: &mut dyn Write, document: &DoctorDocument) -> io::Result<()> {
    let mut annotations = annotations(document);
    // GitHub keeps the first of a level.
    annotations.sort_by_key(|(level, ..)| Reverse(*level));
    for (level, title, message) in annotations {
        annotate(out, level, &title, &message)?;
    }
    annotate(out, AnnotationLevel::Notice, "binfmtd doctor", &conclusion(document))
}

fn annotations(document: &DoctorDocument) -> Vec<(AnnotationLevel, String, String)> {
    let mut annotations = Vec::new();
    let host = MergedFinding::of_host(document);
    if let Some(level) = host.iter().map(|finding| level(document, finding)).max() {
        annotations.push((level, "binfmtd: host".to_owned(), lines(&host)));
    }
    for group in Group::all(document, |_| true) {
        let worst = group.findings.iter().map(|finding| level(document, finding)).max();
        let verdict =
            if group.is_required() { AnnotationLevel::Error } else { AnnotationLevel::Warning };
        let verdict = (!group.verdict().is_sound()).then_some(verdict);
        let Some(level) = worst.max(verdict) else { continue };
        let findings = lines(&group.findings);
        let message = match group.single() {
            Some(_) => findings,
            None => format!("{}\n{findings}", group.names()),
        };
        annotations.push((level, heading(&group), message.trim_end().to_owned()));
    }
    annotations
}

fn level(document: &DoctorDocument, finding: &MergedFinding<'_>) -> AnnotationLevel {
    match finding.status() {
        Status::Fail | Status::Error if finding.counts(document) => AnnotationLevel::Error,
        Status::Fail | Status::Error | Status::Warn => AnnotationLevel::Warning,
        Status::Pass | Status::Skip => AnnotationLevel::Notice,
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

fn lines(findings: &[MergedFinding<'_>]) -> String {
    let lines = MergedFinding::with_fixes(findings, false).map(|(finding, fix)| line(finding, fix));
    lines.collect::<Vec<_>>().join("\n")
}

fn line(finding: &MergedFinding<'_>, fix: Option<String>) -> String {
    let status = finding.status().as_str();
    let found = format!("{status} {}: {}", finding.id(), plain(&finding.summary()));
    let seen = Some(finding.evidence()).filter(|text| !text.is_empty());
    let seen = seen.map(|text| format!("  seen: {}", plain(&text)));
    let fix = fix.map(|text| format!("  fix: {}", plain(&text)));
    std::iter::once(found).chain(seen).chain(fix).collect::<Vec<_>>().join("\n")
}
