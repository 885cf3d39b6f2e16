//! `doctor`: by host and target, quiet when all is well.

use std::io::{self, Write};

use super::{BAD, Cell, DOUBTFUL, GOOD, QUIET, STRONG, cell, plain, rows, styled};
use crate::doctor::{Finding, Status, Verdict};
use crate::report::{
    CheckDocument, ChecksDocument, Conclusion, DoctorDocument, DoctorTarget, Taker, TakerState,
};

/// The check that is about several rules for one target.
const CONFLICT: &str = "rule.shadowed";

/// What is wrong, and lines that say how much is well; with `verbose`, every check.
pub fn doctor(out: &mut dyn Write, document: &DoctorDocument, verbose: bool) -> io::Result<()> {
    let is_shown = |check: &&Finding| verbose || check.status.is_trouble();
    let width =
        document.checks.iter().filter(is_shown).map(|check| check.id.len()).max().unwrap_or(0);
    let host: Vec<&Finding> = document.findings_of(None).filter(is_shown).collect();
    if !host.is_empty() {
        writeln!(out, "{STRONG}host{STRONG:#}")?;
        for check in host {
            finding(out, check, width, &[])?;
        }
        writeln!(out)?;
    }
    for target in &document.targets {
        let checks: Vec<&Finding> =
            document.findings_of(Some(&target.target)).filter(is_shown).collect();
        if target.verdict.is_sound() && !verbose && checks.is_empty() {
            continue;
        }
        writeln!(out, "{}", heading(target))?;
        let mut conflicts = target.machines.iter().map(|machine| machine.rules.as_slice());
        for check in checks {
            // This check is made for each value of e_machine, in their order.
            let takers = if check.id == CONFLICT { conflicts.next() } else { None };
            finding(out, check, width, takers.filter(|takers| takers.len() > 1).unwrap_or(&[]))?;
        }
        writeln!(out)?;
    }
    summary(out, document)
}

fn summary(out: &mut dyn Write, document: &DoctorDocument) -> io::Result<()> {
    let host = format!("Linux {} on {}", document.host.kernel, document.host.machine);
    let names = |wanted: &dyn Fn(&DoctorTarget) -> bool| -> Vec<&str> {
        let targets = document.targets.iter().filter(|target| wanted(target));
        targets.map(|target| target.target.as_str()).collect()
    };
    if document.targets.iter().all(|target| target.verdict == Verdict::Native) {
        writeln!(
            out,
            "{host}: nothing is emulated here; natively runs {} (no interpreter and no rule was found: install \
             qemu-user-static, then binfmtd register)",
            document.host.natives.join(", ")
        )?;
    } else {
        let mut lines: Vec<Vec<Cell>> = Vec::new();
        for verdict in Verdict::ALL {
            let names = names(&|target| target.verdict == verdict);
            if !names.is_empty() {
                let count = format!("{:>3} {}", names.len(), verdict.as_str());
                lines.push(vec![styled(style(verdict), count), cell(names.join(" "))]);
            }
        }
        writeln!(out, "{STRONG}{host}{STRONG:#}")?;
        rows(out, &lines)?;
    }
    if document.require.is_some() {
        writeln!(out, "only these count: {}", names(&|target| target.required).join(" "))?;
    }
    if document.conclusion() == Conclusion::Unchecked {
        writeln!(
            out,
            "{DOUBTFUL}not all could be checked{DOUBTFUL:#}: that says nothing about the host"
        )?;
    }
    Ok(())
}

fn style(verdict: Verdict) -> anstyle::Style {
    match verdict {
        Verdict::Working | Verdict::Native => GOOD,
        Verdict::Unproved => DOUBTFUL,
        Verdict::Flaky | Verdict::Broken | Verdict::Missing => BAD,
    }
}

fn heading(target: &DoctorTarget) -> String {
    let style = style(target.verdict);
    let platforms = match target.platforms.as_slice() {
        [] => String::new(),
        names => format!(" ({})", names.join(", ")),
    };
    let tries = target.tries.filter(|tries| tries.answered < tries.of);
    let tries = tries.map(|tries| format!(", {} of {} runs", tries.answered, tries.of));
    let required =
        if target.required { String::new() } else { format!("{QUIET}, not required{QUIET:#}") };
    let interpreter = target.interpreter.as_ref();
    let version = interpreter.and_then(|interpreter| interpreter.version.as_deref());
    let version = version.map(|version| format!("  {QUIET}{}{QUIET:#}", plain(version)));
    format!(
        "{STRONG}{}{STRONG:#}{platforms}: {style}{}{style:#}{}{required}{}",
        target.target,
        target.verdict.as_str(),
        tries.unwrap_or_default(),
        version.unwrap_or_default()
    )
}

fn finding(
    out: &mut dyn Write,
    check: &Finding,
    width: usize,
    conflict: &[Taker],
) -> io::Result<()> {
    let style = match check.status {
        Status::Pass => GOOD,
        Status::Warn => DOUBTFUL,
        Status::Fail | Status::Error => BAD,
        Status::Skip => QUIET,
    };
    let word = check.status.as_str();
    writeln!(out, "  {style}{word:<5}{style:#} {:<width$} {}", check.id, plain(&check.summary))?;
    let takers: Vec<Vec<Cell>> = conflict
        .iter()
        .map(|taker| {
            let style = match taker.state {
                TakerState::Winner => GOOD,
                TakerState::Shadowed => DOUBTFUL,
                TakerState::Disabled => QUIET,
            };
            // Its first column is where the others have theirs.
            let name = format!("        {}", plain(&taker.name));
            vec![cell(name), styled(style, taker.state.as_str()), cell(&taker.owner)]
        })
        .collect();
    rows(out, &takers)?;
    if !check.evidence.is_empty() {
        writeln!(out, "        {QUIET}seen: {}{QUIET:#}", plain(&check.evidence))?;
    }
    if let Some(fix) = &check.fix {
        writeln!(out, "        fix:  {}", plain(fix))?;
    }
    Ok(())
}

/// `doctor --list-checks`.
pub fn checks(out: &mut dyn Write, document: &ChecksDocument) -> io::Result<()> {
    let width = document.checks.iter().map(|check| check.id.len()).max().unwrap_or(0);
    for check in &document.checks {
        writeln!(out, "{STRONG}{:<width$}{STRONG:#} {}", check.id, check.title)?;
        writeln!(out, "{:<width$} {QUIET}{}{QUIET:#}", "", check.proves)?;
    }
    Ok(())
}

/// `doctor --explain`.
pub fn check(out: &mut dyn Write, document: &CheckDocument) -> io::Result<()> {
    let check = &document.check;
    writeln!(out, "{STRONG}{}{STRONG:#}: {}", check.id, check.title)?;
    writeln!(out, "family: {}", check.family)?;
    match check.level {
        Some(level) => writeln!(out, "level:  {level}, by running a program")?,
        None => writeln!(out, "level:  none of its own: it goes by what is there to be seen")?,
    }
    writeln!(out, "proves: {}", check.proves)?;
    writeln!(out, "fix:    {}", check.cure)
}
