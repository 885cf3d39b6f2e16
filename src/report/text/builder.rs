//! `buildx` for a person: one table of the four facts, and below it what they mean.

use std::io::{self, Write};

use super::layout::{BAD, Cell, DOUBTFUL, GOOD, QUIET, STRONG, cell, rows, styled};
use crate::buildx::builder::{Builder, NodeStatus};
use crate::buildx::embedded::Embedded;
use crate::buildx::engine::{Engine, Location};
use crate::buildx::facts::Grade;
use crate::buildx::kernel::Kernel;
use crate::buildx::observe::{Orphan, OrphanKind};
use crate::buildx::removal::BuilderRemoval;
use crate::buildx::test_build::{Built, Runner};
use crate::report::{BuilderDocument, BuilderState, PlatformDocument};
use crate::shown::plain;

/// `bootstrap`, `inspect` and `verify`; with `verbose`, logs of failed builds, too.
pub fn builder(out: &mut dyn Write, document: &BuilderDocument, verbose: bool) -> io::Result<()> {
    for step in &document.steps {
        writeln!(out, "{GOOD}done{GOOD:#}  {}", plain(step))?;
    }
    if let Some(BuilderState { builder, .. }) = &document.builder {
        head(out, builder, &document.engine, verbose)?;
    }
    if !document.platforms.is_empty() {
        writeln!(out)?;
        table(out, &document.platforms, verbose)?;
    }
    for one in &document.platforms {
        let Some(finding) = &one.finding else { continue };
        let style = if one.grade == Grade::Fails { BAD } else { DOUBTFUL };
        writeln!(out, "\n{style}{}{style:#}  {}", plain(&one.facts.platform), plain(finding))?;
        if let Some(fix) = &one.fix {
            writeln!(out, "  fix: {STRONG}{}{STRONG:#}", plain(&fix.line(document.reader)))?;
        }
        if let (true, Built::No { log, .. }) = (verbose, &one.facts.built) {
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

fn head(out: &mut dyn Write, builder: &Builder, engine: &Engine, verbose: bool) -> io::Result<()> {
    let whose = if builder.is_ours() { "" } else { ", not created by binfmtd" };
    let current = if builder.current == Some(true) { ", current" } else { "" };
    let name = plain(&builder.name);
    writeln!(out, "{STRONG}{name}{STRONG:#} ({}{current}{whose})", plain(&builder.driver))?;
    if let Some(error) = &builder.error {
        writeln!(out, "  {BAD}{}{BAD:#}", plain(error))?;
    }
    for node in &builder.nodes {
        let version = node.version.as_deref().map(|version| format!(", BuildKit {version}"));
        let error = node.status.error().map(|error| format!(": {error}"));
        let style = if node.status == NodeStatus::Running { GOOD } else { BAD };
        writeln!(
            out,
            "  {} {style}{}{style:#}{}{}, {}",
            plain(&node.name),
            plain(node.status.word()),
            plain(&error.unwrap_or_default()),
            plain(&version.unwrap_or_default()),
            plain(&node.endpoint),
        )?;
    }
    let rootless = if engine.rootless { ", rootless" } else { "" };
    if verbose || engine.location != Location::Here {
        writeln!(
            out,
            "  Docker {}{rootless}, Linux {}, buildx {}, context {}",
            plain(&engine.version),
            plain(&engine.kernel),
            plain(&engine.buildx),
            plain(&engine.context)
        )?;
    }
    if let Location::Elsewhere(elsewhere) = &engine.location {
        let note = format!("the engine is not on this machine: {elsewhere}");
        writeln!(out, "  {DOUBTFUL}{}{DOUBTFUL:#}", plain(&note))?;
    }
    Ok(())
}

fn table(out: &mut dyn Write, platforms: &[PlatformDocument], verbose: bool) -> io::Result<()> {
    let head = ["PLATFORM", "KERNEL", "EMBEDDED", "ADVERTISED", "BUILT"];
    let mut lines: Vec<Vec<Cell>> = vec![head.iter().map(|title| styled(QUIET, title)).collect()];
    lines.extend(platforms.iter().map(|one| {
        vec![
            styled(STRONG, &one.facts.platform),
            kernel(&one.facts.kernel),
            embedded(&one.facts.embedded, verbose),
            if one.facts.advertised { cell("yes") } else { styled(QUIET, "no") },
            built(&one.facts.built),
        ]
    }));
    rows(out, &lines)
}

/// `qemu-aarch64 version 7.2.22 (Debian 1:7.2+dfsg-7)` is as long as a line.
fn short(version: Option<&str>) -> String {
    let words = version.and_then(|version| version.split_once(" version ")).map(|(_, rest)| rest);
    words.and_then(|rest| rest.split_whitespace().next()).unwrap_or_default().to_owned()
}

fn kernel(kernel: &Kernel) -> Cell {
    let rule = kernel.rule().unwrap_or("a rule out of sight");
    match kernel {
        Kernel::Native => styled(GOOD, "native"),
        Kernel::Runs { version, .. } => {
            styled(GOOD, format!("{rule} {}", short(version.as_deref())).trim_end())
        }
        Kernel::HasRule(_) => cell(format!("{rule}, not run")),
        Kernel::NoRule => styled(BAD, "no rule"),
        Kernel::Fails { .. } => styled(BAD, format!("{rule} fails")),
        Kernel::Unknown(_) => styled(QUIET, "unknown"),
    }
}

fn embedded(embedded: &Embedded, verbose: bool) -> Cell {
    match embedded {
        Embedded::Yes { version, sha256, .. } => {
            let version = short(version.as_deref());
            let version = if version.is_empty() { "yes" } else { &version };
            let digest = sha256.as_deref().filter(|_| verbose);
            let digest = digest.and_then(|digest| digest.get(..12));
            cell(digest.map_or(version.to_owned(), |digest| format!("{version} {digest}")))
        }
        Embedded::No => styled(QUIET, "no"),
        Embedded::Unknown(_) => styled(QUIET, "unknown"),
    }
}

fn built(built: &Built) -> Cell {
    let (by, version) = match built {
        Built::Yes { by, version, .. } => (by, short(version.as_deref())),
        Built::No { .. } => return styled(BAD, "no"),
        Built::NotTried(_) => return styled(QUIET, "not tried"),
    };
    match by {
        Runner::Native => styled(GOOD, "yes, natively"),
        Runner::Embedded => styled(DOUBTFUL, format!("yes, by the embedded {version}").trim_end()),
        Runner::Rule => styled(GOOD, format!("yes, by the rule's {version}").trim_end()),
    }
}

fn conclusion(out: &mut dyn Write, document: &BuilderDocument) -> io::Result<()> {
    let platforms = &document.platforms;
    let works = || platforms.iter().map(|one| one.facts.built.works());
    let built = works().filter(|works| *works == Some(true)).count();
    let tried = works().flatten().count();
    let failing = platforms.iter().filter(|one| one.grade == Grade::Fails).count();
    if document.builder.is_none() || platforms.is_empty() {
        return Ok(());
    }
    let style = if document.ok { GOOD } else { BAD };
    let all = platforms.len();
    let counted = if tried == 0 {
        format!("{all} platforms, none built; {failing} would fail")
    } else {
        format!("{built} of {all} platforms built")
    };
    writeln!(out, "\n{style}{counted}{style:#}")
}

fn list(out: &mut dyn Write, orphans: &[Orphan]) -> io::Result<()> {
    let lines: Vec<Vec<Cell>> = orphans
        .iter()
        .map(|one| {
            let what = match (one.removed, one.ours) {
                (true, _) => styled(GOOD, "removed"),
                (false, true) => styled(DOUBTFUL, "ours"),
                (false, false) => styled(QUIET, "not ours"),
            };
            let state = one.state.as_deref().unwrap_or_default();
            vec![what, cell(one.kind.word()), cell(&one.name), styled(QUIET, state)]
        })
        .collect();
    rows(out, &lines)
}

pub fn removal(out: &mut dyn Write, document: &BuilderRemoval) -> io::Result<()> {
    if let Some(builder) = &document.builder {
        writeln!(out, "{GOOD}removed{GOOD:#}  builder {}", plain(builder))?;
    }
    list(out, &document.orphans)?;
    let left =
        |ours: bool| document.orphans.iter().filter(move |one| !one.removed && one.ours == ours);
    if left(true).next().is_some() && document.errors.is_empty() {
        writeln!(
            out,
            "\nto remove what binfmtd created: {STRONG}binfmtd buildx remove --all-orphans --yes{STRONG:#}"
        )?;
    }
    if left(false).next().is_some() {
        writeln!(
            out,
            "\nwhat is not ours may be another user's builder; if nobody uses it, remove it by hand:"
        )?;
        for one in left(false) {
            let force = if one.kind == OrphanKind::Container { " --force" } else { "" };
            writeln!(out, "  docker {} rm{force} {}", one.kind.word(), plain(&one.name))?;
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
