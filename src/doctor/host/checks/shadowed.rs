//! Family `rule`: several rules for the same programs.

use super::rule::{named, own};
use super::scope::{self, TargetCase};
use crate::doctor::check::Check;
use crate::doctor::finding::Finding;
use crate::doctor::fixes::{Others, Switch, registered};
use crate::doctor::host::facts::{HostFacts, TargetFacts};
use crate::doctor::host::fixes as host_fixes;
use crate::doctor::id::CheckId;
use crate::fix::{Command, Fix};
use crate::observation::Owner;
use crate::phrase::Phrase;
use crate::plan::{is_qemu, others};
use crate::rule::Entry;

/// Rules with another interpreter that take some of a target's programs before the rule that takes all of them.
fn partly_shadowed(
    facts: &HostFacts<'_>,
    asked: &TargetFacts<'_>,
    winner: &Entry,
) -> Option<(Phrase, Phrase)> {
    let before = facts.partly_before(asked);
    let others: Vec<&Entry> =
        before.into_iter().filter(|entry| entry.interpreter != winner.interpreter).collect();
    let first = others.first()?;
    let programs = asked.target.identity.programs(asked.machine);
    let magic = first.matcher.magic()?;
    let at = programs.iter().find_map(|program| magic.narrower_at(program));
    let field = at.map_or("the header", |at| asked.target.identity.field(at));
    let says = Phrase::own(named(&others), "another rule")
        + " comes before "
        + own(winner)
        + &format!(" and takes some of its programs ({field}), for another interpreter");
    let evidence = others.iter().filter_map(|entry| {
        let magic = entry.matcher.magic()?;
        let mask = magic.mask_hex();
        let (whose, file) = (facts.whose(entry), entry.interpreter.display());
        Some(format!(
            "{} (of {whose}): interpreter {file}, magic {} mask {mask}",
            entry.display_name(),
            magic.magic_hex()
        ))
    });
    let evidence = evidence.collect::<Vec<_>>().join("; ");
    Some((says, Phrase::own(evidence, "")))
}

pub(in crate::doctor) static SHADOWED: Check = Check {
    id: CheckId::RuleShadowed,
    title: "one rule only, or the right one first",
    proves: "No newer rule takes the target's programs away from another one.",
    cure: "Remove the QEMU rule that is not wanted, or put binfmtd's rule first: binfmtd register TARGET --takeover. binfmtd never removes rules of other emulators (FEX, box64, Rosetta).",
    run: |facts, id| scope::foreign(facts, id, shadowed),
};

fn shadowed(case: TargetCase<'_>) -> Finding {
    let TargetCase { facts, asked, draft } = case;
    let takers = facts.takers(asked);
    let on: Vec<&Entry> = takers.into_iter().filter(|entry| entry.enabled).collect();
    let Some((winner, behind)) = on.split_first() else {
        return draft.skip("there is no enabled rule");
    };
    if let Some((says, evidence)) = partly_shadowed(facts, asked, winner) {
        let takeover = host_fixes::registered(facts, asked, Others::Replace);
        return draft.fail(says).with(evidence).fix(takeover);
    }
    if behind.is_empty() {
        return draft.pass("one rule only");
    }
    let works = asked.works();
    let shown = |entry: &Entry| {
        let whose = facts.whose(entry);
        let this = format!("{} (of {whose})", entry.display_name());
        Phrase::own(this, format!("one of {}", whose.kind()))
    };
    let (first, rest) = (shown(winner), behind.iter().enumerate());
    let evidence = rest
        .fold(Phrase::from("the kernel uses ") + first + "; behind it is ", |seen, (at, entry)| {
            seen + if at == 0 { "" } else { ", " } + shown(entry)
        });
    // binfmtd puts its rule first only if no working rule was there before, or with --takeover.
    if works && facts.is_ours(winner) {
        return draft
            .pass("several rules take these programs, and binfmtd's comes first")
            .with(evidence);
    }
    let ours = behind.iter().any(|entry| facts.is_ours(entry));
    let draft = if ours && !works {
        draft.fail(
            Phrase::own(winner.display_name(), "another")
                + " comes before binfmtd's rule and does not work",
        )
    } else {
        let first = Phrase::own(winner.display_name(), "the newest");
        draft.warn(
            Phrase::from(format!("{} rules take these programs; ", on.len())) + first + " wins",
        )
    };
    draft.with(evidence).fix(one_of_them(facts, asked, winner, behind, works))
}

/// What leaves one working rule, and keeps those of other emulators.
fn one_of_them(
    facts: &HostFacts<'_>,
    asked: &TargetFacts<'_>,
    winner: &Entry,
    behind: &[&Entry],
    works: bool,
) -> Fix {
    let target = &asked.target.name;
    if !works || is_qemu(winner) && !behind.iter().any(|entry| others::owner(entry).is_some()) {
        return registered(target, Others::Replace);
    }
    // QEMU's rule is easily registered again; that of another emulator may not be.
    let spare: Vec<&Entry> = std::iter::once(winner)
        .chain(behind.iter().copied())
        .filter(|entry| is_qemu(entry))
        .collect();
    if spare.is_empty() {
        return Fix::advice(
            "none of them is binfmtd's or QEMU's: find out which of them is wanted",
        );
    }
    // The service would register it again.
    let is_kept = |entry: &&&Entry| facts.is_ours(entry) && facts.service.is_some();
    if spare.iter().any(|entry| is_kept(&entry)) {
        return Fix::advice(format!(
            "leave {target} out of the targets in binfmtd's configuration, then run systemctl reload binfmtd.service"
        ));
    }
    let commands = spare.iter().map(|entry| match facts.owner(entry) {
        Owner::UpdateBinfmts { .. } => {
            Command::root(&["update-binfmts", "--disable"]).own(entry.name.to_string_lossy())
        }
        Owner::Binfmtd | Owner::SystemdBinfmt { .. } | Owner::Runtime(_) | Owner::Unknown => {
            Switch::Remove.command(entry)
        }
    });
    Fix::run("remove the QEMU rule, which can be registered again", commands)
}
