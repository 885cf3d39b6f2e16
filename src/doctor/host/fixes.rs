//! Fixes that register a target's rule, depending on what is installed and registered.

use super::facts::{HostFacts, TargetFacts};
use crate::doctor::fixes::{Others, Switch, install_qemu, register};
use crate::fix::Fix;
use crate::phrase::Phrase;
use crate::plan::{is_qemu, is_replaceable};
use crate::rule::Entry;

/// Installs a working interpreter if needed, and registers the target's rule with it.
pub(in crate::doctor) fn another(
    facts: &HostFacts<'_>,
    asked: &TargetFacts<'_>,
    entry: &Entry,
) -> Fix {
    let owns = |entry: &Entry| facts.seen.record.owns(entry);
    let is_own = |other: &&Entry| {
        let mut rules = asked.target.rules().into_iter();
        rules.any(|(name, _)| other.name == name.as_str())
    };
    let may_go = |own: &Entry| {
        let by_its_name = own.name == entry.name && is_replaceable(own, &own.display_name());
        is_qemu(own) || by_its_name || owns(own)
    };
    // A rule has the name that ours needs, and binfmtd must not replace it: a person has to remove it.
    let mut entries = facts.seen.instance.entries.iter().filter(is_own);
    if let Some(in_the_way) = entries.find(|own| !may_go(own)) {
        return after(facts, asked, Some(in_the_way), Others::Keep);
    }
    // A working rule of another owner is replaced only with --takeover.
    let works = asked.works();
    let unasked = owns(entry) || (is_qemu(entry) || is_own(&entry)) && !works;
    registered(facts, asked, if unasked { Others::Keep } else { Others::Replace })
}

/// Registers a target's rule, after installing an interpreter if there is none.
pub(in crate::doctor) fn registered(
    facts: &HostFacts<'_>,
    asked: &TargetFacts<'_>,
    others: Others,
) -> Fix {
    after(facts, asked, None, others)
}

fn after(
    facts: &HostFacts<'_>,
    asked: &TargetFacts<'_>,
    in_the_way: Option<&Entry>,
    others: Others,
) -> Fix {
    let name = &asked.target.name;
    let register = register(name, others);
    let removed = in_the_way.map(|entry| {
        Phrase::from("remove the rule ") + Phrase::own(entry.display_name(), "that has its name")
    });
    let remove = in_the_way.map(|entry| Switch::Remove.command(entry));
    let then = |first: Phrase| first + ", then register the target's own";
    if facts.usable(asked.target).is_some() {
        let text = removed.map_or_else(|| "register the target's rule".into(), then);
        return Fix::run(text, remove.into_iter().chain([register]));
    }
    let install = "install QEMU's static emulators";
    let first = removed.map_or_else(|| install.into(), |removed| removed + ", " + install);
    if let Some(command) = install_qemu(facts.distribution, name) {
        return Fix::run(then(first), remove.into_iter().chain([command, register]));
    }
    let takeover = match others {
        Others::Keep => "",
        Others::Replace => " --takeover",
    };
    let text = first + " (qemu-user-static); then run binfmtd register";
    Fix::advice(text + Phrase::target(name) + takeover)
}
