//! `status`

use std::io::{self, Write};
use std::time::Duration;

use super::layout::{BAD, DOUBTFUL, GOOD, QUIET, cell, rows, styled};
use crate::daemon::State;
use crate::report::document::{RuleStatus, StatusDocument};
use crate::shown::plain;

/// `status`: a row for each rule, newest first, and a line about the service; `now` is since 1970.
pub fn status(out: &mut dyn Write, document: &StatusDocument, now: Duration) -> io::Result<()> {
    let mut shown = vec![
        ["RULE", "TARGET", "STATE", "FLAGS", "OWNER", "INTERPRETER"]
            .map(|title| styled(QUIET, title))
            .to_vec(),
    ];
    for rule in &document.rules {
        let state = match (rule.state, &rule.shadowed_by) {
            (RuleStatus::Active, _) => styled(GOOD, "active"),
            (RuleStatus::Shadowed | RuleStatus::Disabled, Some(by)) => {
                styled(DOUBTFUL, format!("shadowed by {by}"))
            }
            (RuleStatus::Shadowed, None) => styled(BAD, "shadowed"),
            (RuleStatus::Disabled, None) => styled(BAD, "disabled"),
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

/// One line, which does not repeat what the service's own status says.
fn service(out: &mut dyn Write, service: &State, now: f64) -> io::Result<()> {
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

/// A time span for a person. A negative one is shown as none: the clock was set back.
fn span(seconds: f64) -> String {
    let seconds = Duration::try_from_secs_f64(seconds).unwrap_or_default().as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}
