//! `buildx` for a person: one table of the four facts, and below it what they mean.

use std::io::{self, Write};

use super::layout::{BAD, Cell, DOUBTFUL, GOOD, QUIET, STRONG, cell, rows, styled};
use crate::report::{
    BuilderDocument, BuilderState, EngineDocument, NodeDocument, OrphanDocument, PlatformDocument,
    RemovalDocument,
};
use crate::shown::plain;

/// `bootstrap`, `inspect` and `verify`; with `verbose`, logs of failed builds, too.
pub fn builder(out: &mut dyn Write, document: &BuilderDocument, verbose: bool) -> io::Result<()> {
    for step in &document.steps {
        writeln!(out, "{GOOD}done{GOOD:#}  {}", plain(step))?;
    }
    if let Some(builder) = &document.builder {
        head(out, builder, &document.engine, verbose)?;
    }
    if !document.platforms.is_empty() {
        writeln!(out)?;
        table(out, &document.platforms, verbose)?;
    }
    for one in &document.platforms {
        let Some(finding) = &one.finding else { continue };
        let style = if one.grade == "fails" { BAD } else { DOUBTFUL };
        writeln!(out, "\n{style}{}{style:#}  {}", plain(&one.platform), plain(finding))?;
        if let Some(fix) = &one.fix {
            writeln!(out, "  fix: {STRONG}{}{STRONG:#}", plain(&fix.line(document.reader)))?;
        }
        if let (true, Some(log)) = (verbose, &one.built.log) {
            for line in log.lines() {
                writeln!(out, "  {QUIET}| {}{QUIET:#}", plain(line))?;
            }
        }
    }
    if let Some(orphans) = document.orphans.as_ref().filter(|orphans| !orphans.is_empty()) {
        writeln!(out)?;
        list(out, orphans)?;
    }
    for warning in &document.warnings {
        writeln!(out, "\n{DOUBTFUL}warning{DOUBTFUL:#}  {}", plain(warning))?;
    }
    for error in &document.errors {
        writeln!(out, "\n{BAD}error{BAD:#}  {}", plain(error))?;
    }
    conclusion(out, document)
}

fn head(
    out: &mut dyn Write,
    builder: &BuilderState,
    engine: &EngineDocument,
    verbose: bool,
) -> io::Result<()> {
    let whose = if builder.ours { "" } else { ", not created by binfmtd" };
    let current = if builder.current == Some(true) { ", current" } else { "" };
    let name = plain(&builder.name);
    writeln!(out, "{STRONG}{name}{STRONG:#} ({}{current}{whose})", plain(&builder.driver))?;
    if let Some(error) = &builder.error {
        writeln!(out, "  {BAD}{}{BAD:#}", plain(error))?;
    }
    for node in &builder.nodes {
        let version = node.version.as_deref().map(|version| format!(", BuildKit {version}"));
        let error = node.error.as_deref().map(|error| format!(": {error}"));
        writeln!(
            out,
            "  {} {}{}{}, {}",
            plain(&node.name),
            status(node),
            plain(&error.unwrap_or_default()),
            plain(&version.unwrap_or_default()),
            plain(&node.endpoint),
        )?;
    }
    let rootless = if engine.rootless { ", rootless" } else { "" };
    if verbose || !engine.here {
        writeln!(
            out,
            "  Docker {}{rootless}, Linux {}, buildx {}, context {}",
            plain(&engine.version),
            plain(&engine.kernel),
            plain(&engine.buildx),
            plain(&engine.context)
        )?;
    }
    if let Some(elsewhere) = &engine.elsewhere {
        let note = format!("the engine is not on this machine: {elsewhere}");
        writeln!(out, "  {DOUBTFUL}{}{DOUBTFUL:#}", plain(&note))?;
    }
    Ok(())
}

fn status(node: &NodeDocument) -> String {
    let style = if node.status == "running" { GOOD } else { BAD };
    format!("{style}{}{style:#}", plain(&node.status))
}

fn table(out: &mut dyn Write, platforms: &[PlatformDocument], verbose: bool) -> io::Result<()> {
    let head = ["PLATFORM", "KERNEL", "EMBEDDED", "ADVERTISED", "BUILT"];
    let mut lines: Vec<Vec<Cell>> = vec![head.iter().map(|title| styled(QUIET, title)).collect()];
    lines.extend(platforms.iter().map(|one| {
        vec![
            styled(STRONG, &one.platform),
            kernel(one),
            embedded(one, verbose),
            if one.advertised { cell("yes") } else { styled(QUIET, "no") },
            built(one),
        ]
    }));
    rows(out, &lines)
}

/// `qemu-aarch64 version 7.2.22 (Debian 1:7.2+dfsg-7)` is as long as a line.
fn short(version: Option<&str>) -> String {
    let words = version.and_then(|version| version.split_once(" version ")).map(|(_, rest)| rest);
    words.and_then(|rest| rest.split_whitespace().next()).unwrap_or_default().to_owned()
}

fn kernel(one: &PlatformDocument) -> Cell {
    let rule = one.kernel.rule.as_deref().unwrap_or("a rule out of sight");
    match one.kernel.state {
        "native" => styled(GOOD, "native"),
        "runs" => {
            let version = short(one.kernel.version.as_deref());
            styled(GOOD, format!("{rule} {version}").trim_end())
        }
        "has-rule" => cell(format!("{rule}, not run")),
        "no-rule" => styled(BAD, "no rule"),
        "fails" => styled(BAD, format!("{rule} fails")),
        _ => styled(QUIET, "unknown"),
    }
}

fn embedded(one: &PlatformDocument, verbose: bool) -> Cell {
    match one.embedded.state {
        "yes" => {
            let version = short(one.embedded.version.as_deref());
            let version = if version.is_empty() { "yes" } else { &version };
            let digest = one.embedded.sha256.as_deref().filter(|_| verbose);
            let digest = digest.and_then(|digest| digest.get(..12));
            cell(digest.map_or(version.to_owned(), |digest| format!("{version} {digest}")))
        }
        "no" => styled(QUIET, "no"),
        _ => styled(QUIET, "unknown"),
    }
}

fn built(one: &PlatformDocument) -> Cell {
    let version = short(one.built.version.as_deref());
    match (one.built.state, one.built.by) {
        ("yes", Some("native")) => styled(GOOD, "yes, natively"),
        ("yes", Some("embedded")) => {
            styled(DOUBTFUL, format!("yes, by the embedded {version}").trim_end())
        }
        ("yes", _) => styled(GOOD, format!("yes, by the rule's {version}").trim_end()),
        ("no", _) => styled(BAD, "no"),
        _ => styled(QUIET, "not tried"),
    }
}

fn conclusion(out: &mut dyn Write, document: &BuilderDocument) -> io::Result<()> {
    let built = document.platforms.iter().filter(|one| one.built.state == "yes").count();
    let tried = document.platforms.iter().filter(|one| one.built.state != "not-tried").count();
    let failing = document.platforms.iter().filter(|one| one.grade == "fails").count();
    if document.builder.is_none() || document.platforms.is_empty() {
        return Ok(());
    }
    let style = if document.ok { GOOD } else { BAD };
    let counted = if tried == 0 {
        format!(
            "{} platforms, none of them built to try; {failing} would fail",
            document.platforms.len()
        )
    } else {
        format!("{built} of {} platforms built", document.platforms.len())
    };
    writeln!(out, "\n{style}{counted}{style:#}")
}

fn list(out: &mut dyn Write, orphans: &[OrphanDocument]) -> io::Result<()> {
    let lines: Vec<Vec<Cell>> = orphans
        .iter()
        .map(|one| {
            let what = match (one.removed, one.ours) {
                (true, _) => styled(GOOD, "removed"),
                (false, true) => styled(DOUBTFUL, "ours"),
                (false, false) => styled(QUIET, "not ours"),
            };
            let state = one.state.as_deref().unwrap_or_default();
            vec![what, cell(one.kind), cell(&one.name), styled(QUIET, state)]
        })
        .collect();
    rows(out, &lines)
}

pub fn removal(out: &mut dyn Write, document: &RemovalDocument) -> io::Result<()> {
    if let Some(builder) = &document.builder {
        writeln!(out, "{GOOD}removed{GOOD:#}  builder {}", plain(builder))?;
    }
    list(out, &document.orphans)?;
    let left =
        |ours: bool| document.orphans.iter().filter(move |one| !one.removed && one.ours == ours);
    if left(true).next().is_some() && document.errors.is_empty() {
        writeln!(
            out,
            "\nto take away what is ours: {STRONG}binfmtd buildx remove --all-orphans --yes{STRONG:#}"
        )?;
    }
    if left(false).next().is_some() {
        writeln!(
            out,
            "\nwhat is not ours may be another user's builder; if it is nobody's, take it away by hand:"
        )?;
        for one in left(false) {
            let force = if one.kind == "container" { " --force" } else { "" };
            writeln!(out, "  docker {} rm{force} {}", one.kind, plain(&one.name))?;
        }
    }
    for error in &document.errors {
        writeln!(out, "{BAD}error{BAD:#}  {}", plain(error))?;
    }
    if document.builder.is_none() && document.orphans.is_empty() && document.errors.is_empty() {
        writeln!(out, "nothing to remove")?;
    }
    Ok(())
}
