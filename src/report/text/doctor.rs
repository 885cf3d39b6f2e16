//! `doctor`: by host and target, quiet when all is well.

use std::io::{self, Write};

use super::layout::{BAD, Cell, DOUBTFUL, GOOD, QUIET, STRONG, cell, rows, styled, wrapped};
use crate::doctor::{Status, Verdict};
use crate::report::document::{Conclusion, DoctorDocument, DoctorTarget, MatchState};
use crate::report::format::Page;
use crate::report::group::{Group, MergedFinding};
use crate::shown::plain;

/// Where lines of a wrapped sentence begin if there is no room for them below its first line.
const INDENT: usize = 8;
/// A sentence needs this much room beside the checks' ids.
const NARROW: usize = 30;

/// What is wrong, and lines that say how much is well; with `verbose`, every check.
pub fn doctor(out: &mut dyn Write, document: &DoctorDocument, page: Page) -> io::Result<()> {
    let is_shown = |merged: &MergedFinding<'_>| page.verbose || merged.status().is_trouble();
    let host =
        document.findings_of(None).map(|finding| MergedFinding::new(document, None, finding));
    let host: Vec<MergedFinding<'_>> = host.filter(is_shown).collect();
    let groups: Vec<Group<'_>> = if page.verbose {
        document.targets.iter().map(|target| Group::of(document, target)).collect()
    } else {
        Group::all(document, |target| target.required)
    };
    let shown = host.iter().chain(groups.iter().flat_map(|group| &group.findings));
    let ids = shown.map(|merged| merged.id().len()).max().unwrap_or(0);
    if !host.is_empty() {
        writeln!(out, "{STRONG}host{STRONG:#}")?;
        findings(out, &host, ids, page)?;
        writeln!(out)?;
    }
    for group in &groups {
        heading(out, group, page)?;
        findings(out, &group.findings, ids, page)?;
        writeln!(out)?;
    }
    summary(out, document, &groups, page)
}

fn summary(
    out: &mut dyn Write,
    document: &DoctorDocument,
    groups: &[Group<'_>],
    page: Page,
) -> io::Result<()> {
    let host = format!("Linux {} on {}", document.host.kernel, document.host.machine);
    if document.targets.iter().all(|target| target.verdict == Verdict::Native) {
        let natives = document.host.natives.join(", ");
        let sentence = if document.named {
            format!("{host}: natively runs {natives}")
        } else if document.asks_for_none {
            format!(
                "{host}: no target is configured, so nothing is emulated; natively runs {natives}"
            )
        } else {
            format!(
                "{host}: nothing is emulated here; natively runs {natives} (no interpreter and no rule was found: \
                 install qemu-user-static, then binfmtd register)"
            )
        };
        writeln!(out, "{}", wrapped(&sentence, 0, 0, page.width))?;
    } else {
        writeln!(out, "{STRONG}{host}{STRONG:#}")?;
        counts(out, document, groups, page)?;
    }
    others(out, document, page)?;
    if document.conclusion() == Conclusion::Unchecked {
        writeln!(
            out,
            "{DOUBTFUL}not all could be checked{DOUBTFUL:#}: that says nothing about the host"
        )?;
    }
    let is_more = |group: &Group<'_>| group.single().is_none();
    if !page.verbose && (groups.iter().any(is_more) || !left_out(document).is_empty()) {
        writeln!(out, "{QUIET}-v lists every check of each target{QUIET:#}")?;
    }
    Ok(())
}

/// A line for each verdict, with the targets that count.
fn counts(
    out: &mut dyn Write,
    document: &DoctorDocument,
    groups: &[Group<'_>],
    page: Page,
) -> io::Result<()> {
    let lines = Verdict::ALL.into_iter().filter_map(|verdict| {
        let targets = document.targets.iter();
        let is_in_it = |target: &&DoctorTarget| target.required && target.verdict == verdict;
        let names: Vec<&str> =
            targets.filter(is_in_it).map(|target| target.target.as_str()).collect();
        (!names.is_empty()).then_some((verdict, names))
    });
    let lines: Vec<(Verdict, Vec<&str>)> = lines.collect();
    let width = lines.iter().map(|(verdict, _)| verdict.as_str().len()).max().unwrap_or(0);
    for (verdict, names) in lines {
        // The names were just listed above.
        let is_it = |group: &&Group<'_>| {
            group.verdict() == verdict
                && group.single().is_none()
                && group.targets.len() == names.len()
        };
        let count = format!("{:>3}", names.len());
        let names = match groups.iter().find(is_it) {
            Some(_) => "as above".to_owned(),
            None => names.join(" "),
        };
        let (style, word) = (style(verdict), verdict.as_str());
        let column = count.len() + 1 + width + 2;
        writeln!(
            out,
            "{style}{count} {word}{style:#}{:padding$}{}",
            "",
            wrapped(&names, column, column, page.width),
            padding = width - word.len() + 2
        )?;
    }
    Ok(())
}

/// The targets that are not required and not sound, or have warnings.
fn left_out(document: &DoctorDocument) -> Vec<&str> {
    let is_wrong = |target: &&DoctorTarget| {
        let mut findings = document.findings_of(Some(&target.target));
        !target.verdict.is_sound() || findings.any(|finding| finding.status.is_trouble())
    };
    let others = document.targets.iter().filter(|target| !target.required);
    others.filter(is_wrong).map(|target| target.target.as_str()).collect()
}

/// One line for the targets that are not required; it names those with problems.
fn others(out: &mut dyn Write, document: &DoctorDocument, page: Page) -> io::Result<()> {
    let others: Vec<&DoctorTarget> =
        document.targets.iter().filter(|target| !target.required).collect();
    if others.is_empty() {
        return Ok(());
    }
    let left_out = left_out(document);
    let mut parts = Vec::new();
    for verdict in Verdict::ALL {
        let (wrong, well): (Vec<&DoctorTarget>, Vec<&DoctorTarget>) = others
            .iter()
            .copied()
            .filter(|target| target.verdict == verdict)
            .partition(|target| left_out.contains(&target.target.as_str()));
        if !well.is_empty() {
            parts.push(format!("{} {}", well.len(), verdict.as_str()));
        }
        if !wrong.is_empty() {
            let word = if verdict.is_sound() { " with warnings" } else { "" };
            let names: Vec<&str> = wrong.iter().map(|target| target.target.as_str()).collect();
            let names = names.join(" ");
            parts.push(format!("{} {}{word} ({names})", wrong.len(), verdict.as_str()));
        }
    }
    let line = format!("not required, {}: {}", others.len(), parts.join(", "));
    writeln!(out, "{QUIET}{}{QUIET:#}", wrapped(&line, 0, 2, page.width))
}

fn style(verdict: Verdict) -> anstyle::Style {
    match verdict {
        Verdict::Working | Verdict::Native => GOOD,
        Verdict::Unproved => DOUBTFUL,
        Verdict::Flaky | Verdict::Broken | Verdict::Missing => BAD,
    }
}

/// For one target, all that is known; for several, their number, verdict and names.
fn heading(out: &mut dyn Write, group: &Group<'_>, page: Page) -> io::Result<()> {
    let (style, word) = (style(group.verdict()), group.verdict().as_str());
    let required = if group.is_required() { "" } else { ", not required" };
    let Some(target) = group.single() else {
        let count = group.targets.len().to_string();
        let column = count.len() + 1 + word.len() + required.len() + 2;
        let names = wrapped(&group.names(), column, column, page.width);
        return writeln!(
            out,
            "{STRONG}{count}{STRONG:#} {style}{word}{style:#}{QUIET}{required}{QUIET:#}: {STRONG}{names}{STRONG:#}"
        );
    };
    let platforms = match target.platforms.as_slice() {
        [] => String::new(),
        names => format!(" ({})", names.join(", ")),
    };
    let tries = target.tries.filter(|tries| tries.answered < tries.of);
    let tries = tries.map(|tries| format!(", {} of {} runs", tries.answered, tries.of));
    let interpreter = target.interpreter.as_ref();
    let version = interpreter.and_then(|interpreter| interpreter.version.as_deref());
    let version = version.map(|version| format!("  {QUIET}{}{QUIET:#}", plain(version)));
    writeln!(
        out,
        "{STRONG}{}{STRONG:#}{platforms}: {style}{word}{style:#}{}{QUIET}{required}{QUIET:#}{}",
        target.target,
        tries.unwrap_or_default(),
        version.unwrap_or_default()
    )
}

fn findings(
    out: &mut dyn Write,
    all: &[MergedFinding<'_>],
    ids: usize,
    page: Page,
) -> io::Result<()> {
    for (merged, fix) in MergedFinding::with_fixes(all, page.verbose) {
        finding(out, merged, fix.as_deref(), ids, page)?;
    }
    Ok(())
}

fn finding(
    out: &mut dyn Write,
    merged: &MergedFinding<'_>,
    fix: Option<&str>,
    ids: usize,
    page: Page,
) -> io::Result<()> {
    let style = match merged.status() {
        Status::Pass => GOOD,
        Status::Warn => DOUBTFUL,
        Status::Fail | Status::Error => BAD,
        Status::Skip => QUIET,
    };
    let word = merged.status().as_str();
    let column = INDENT + ids + 1;
    let has_place = page.width.is_none_or(|width| width >= column + NARROW);
    let indent = if has_place { column } else { INDENT };
    let summary = wrapped(&plain(&merged.summary()), column, indent, page.width);
    writeln!(out, "  {style}{word:<5}{style:#} {:<ids$} {summary}", merged.id())?;
    let matching_rules: Vec<Vec<Cell>> = merged
        .matching_rules
        .iter()
        .map(|rule| {
            let style = match rule.state {
                MatchState::Winner => GOOD,
                MatchState::Shadowed => DOUBTFUL,
                MatchState::Disabled => QUIET,
            };
            // Aligned with the evidence and the fix below.
            let name = format!("{:INDENT$}{}", "", plain(&rule.name));
            vec![cell(name), styled(style, rule.state.to_string()), cell(rule.owner.to_string())]
        })
        .collect();
    rows(out, &matching_rules)?;
    let evidence = plain(&merged.evidence());
    if !evidence.is_empty() {
        let column = INDENT + "seen: ".len();
        let seen = wrapped(&evidence, column, column, page.width);
        writeln!(out, "{:INDENT$}{QUIET}seen: {seen}{QUIET:#}", "")?;
    }
    if let Some(fix) = fix {
        writeln!(out, "{:INDENT$}fix:  {}", "", plain(fix))?;
    }
    Ok(())
}
