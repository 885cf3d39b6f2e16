//! Family `rule`: is there a rule, is it the right one, does it win?

use super::interpreter::is_sound;
use super::scope::{self, TargetCase};
use crate::doctor::check::Check;
use crate::doctor::finding::{Draft, Finding};
use crate::doctor::fixes::{Others, Switch, registered};
use crate::doctor::host::facts::{HostFacts, TargetFacts};
use crate::doctor::host::fixes as host_fixes;
use crate::doctor::id::CheckId;
use crate::fix::Fix;
use crate::observation::Owner;
use crate::phrase::Phrase;
use crate::plan::{self, others};
use crate::rule::Entry;

pub(super) fn own(entry: &Entry) -> Phrase {
    Phrase::own(entry.display_name(), "its rule")
}

pub(super) fn named(entries: &[&Entry]) -> String {
    entries.iter().map(|entry| entry.display_name()).collect::<Vec<_>>().join(", ")
}

pub(super) fn flags(entry: &Entry) -> Phrase {
    Phrase::own(format!("flags {}", entry.flags), "")
}

pub(in crate::doctor) static PRESENT: Check = Check {
    id: CheckId::RulePresent,
    title: "a rule takes the target's programs",
    proves: "The magic and mask of at least one rule match this target's programs.",
    cure: "Register one: binfmtd register TARGET. To keep it registered, run the service: systemctl enable --now binfmtd.service.",
    run: |facts, id| scope::foreign(facts, id, present),
};

fn present(case: TargetCase<'_>) -> Finding {
    let TargetCase { facts, asked, draft } = case;
    let takers = facts.takers(asked);
    if !takers.is_empty() {
        return draft.pass(format!("taken by {}", named(&takers)));
    }
    if asked.works() {
        return draft.pass("no rule is visible, but its programs run: a parent namespace has one");
    }
    let lost = lost(facts, asked);
    let finding = if lost.is_empty() {
        let programs = format!("programs with e_machine {:#x}", asked.machine);
        draft.fail(Phrase::from("no rule takes ") + Phrase::own(programs, "its programs"))
    } else {
        let lost = Phrase::own(format!(", {}", lost.join(", ")), "");
        draft.fail(Phrase::from("no rule takes its programs: somebody removed binfmtd's") + lost)
    };
    let why = why_absent(facts, asked);
    let fix = host_fixes::registered(facts, asked, Others::Keep);
    why.into_iter().fold(finding, Finding::with).fix(fix)
}

/// The target's rules that binfmtd registered and that are gone from the kernel.
pub(in crate::doctor) fn lost<'a>(
    facts: &'a HostFacts<'_>,
    asked: &TargetFacts<'_>,
) -> Vec<&'a str> {
    let own: Vec<String> =
        asked.target.rules().into_iter().map(|(name, _)| name.to_string()).collect();
    let names = facts.lost().into_iter();
    names.filter(|lost| own.iter().any(|name| name == lost)).collect()
}

/// What may explain that there is no rule.
fn why_absent(facts: &HostFacts<'_>, asked: &TargetFacts<'_>) -> Vec<String> {
    let mut why = Vec::new();
    let host = facts.seen.host.as_str();
    let is_relative = facts
        .settings
        .table
        .find(host)
        .is_ok_and(|own| own.family == asked.target.family && own.name != asked.target.name);
    if is_relative {
        why.push(format!(
            "this machine is of the same family ({host}), but its CPU or kernel does not run these programs"
        ));
    }
    if !facts.first_namespace && !facts.from_above {
        why.push(
            "this user namespace has an instance of its own, so the host's rules have no effect here"
                .to_owned(),
        );
    }
    // Until the automount is triggered, what a container registers is in a mount of its own.
    if facts.first_namespace && facts.stack_before != facts.stack {
        why.push(
            "the automount had not been triggered since boot; rules that a container registered before are gone with its mount"
                .to_owned(),
        );
    }
    why
}

pub(in crate::doctor) static ENABLED: Check = Check {
    id: CheckId::RuleEnabled,
    title: "the rule is enabled",
    proves: "Nobody disabled the rule by writing 0 to its file.",
    cure: "Enable it: echo 1 > /proc/sys/fs/binfmt_misc/NAME, or binfmtd register TARGET.",
    run: |facts, id| scope::foreign(facts, id, enabled),
};

fn enabled(case: TargetCase<'_>) -> Finding {
    let TargetCase { facts, asked, draft } = case;
    let takers = facts.takers(asked);
    let off: Vec<&Entry> = takers.iter().copied().filter(|entry| !entry.enabled).collect();
    match (takers.is_empty(), off.is_empty()) {
        (true, _) => draft.skip("there is no rule"),
        (_, true) => draft.pass("enabled"),
        _ if off.len() == takers.len() => {
            let off = Phrase::own(named(&off), "its rule");
            draft
                .fail(off + " is there and disabled")
                .fix(registered(&asked.target.name, Others::Keep))
        }
        // Enabling it would make two rules for the same programs.
        _ => draft.pass(format!("{} is disabled; another rule serves", named(&off))),
    }
}

pub(in crate::doctor) static FIX_BINARY: Check = Check {
    id: CheckId::RuleFixBinary,
    title: "the rule has the flag F",
    proves: "The kernel opened the interpreter when the rule was registered, so the rule also works in containers and other roots.",
    cure: "Register it with F: binfmtd register TARGET replaces a QEMU rule that lacks it.",
    run: |facts, id| scope::rule(facts, id, fix_binary),
};

fn fix_binary(case: TargetCase<'_>, entry: &Entry) -> Finding {
    let TargetCase { facts, asked, draft } = case;
    if entry.flags.known.fix_binary {
        return draft.pass(format!("flags {}", entry.flags));
    }
    if !is_sound(facts, asked) {
        return draft.skip("its interpreter could not be pinned; its own checks report why");
    }
    let target = &asked.target.name;
    if others::owner(entry).is_some() {
        let first = "register it with F where it comes from, or put binfmtd's rule before it: binfmtd register";
        return draft
            .warn(own(entry) + " has no flag F, so it serves no container")
            .with(flags(entry))
            .fix(Fix::advice(Phrase::from(first) + Phrase::target(target) + " --takeover"));
    }
    draft
        .fail(
            own(entry)
                + " has no flag F: its interpreter is looked up in each container, where it is not",
        )
        .with(flags(entry))
        .fix(registered(target, Others::Keep))
}

pub(in crate::doctor) static CREDENTIALS: Check = Check {
    id: CheckId::RuleCredentials,
    title: "the flag C is set only if it was asked for",
    proves: "Set-user-ID programs (sudo, su) get their owner's rights under emulation only if somebody wanted that: with C, the interpreter runs with those rights in the caller's environment. Without C, sudo reports that its effective uid is not 0.",
    cure: "Set credentials = true in the configuration, or leave it out; then run binfmtd register.",
    run: |facts, id| scope::rule(facts, id, credentials),
};

fn credentials(case: TargetCase<'_>, entry: &Entry) -> Finding {
    let TargetCase { facts, asked, draft } = case;
    let wanted = plan::flags(facts.settings, &asked.target.name).credentials;
    let ours = facts.is_ours(entry);
    match (entry.flags.known.credentials, wanted) {
            (false, false) => draft.pass(
                "without C, set-user-ID programs (sudo, su) keep their caller's rights, which is the safe choice",
            ),
            (false, true) => draft.skip(format!("C is asked for and missing: {} reports the consequences", CheckId::ExecCredentials)),
            (true, true) => {
                draft.pass("C, as the configuration asks: set-user-ID programs get their owner's rights")
            }
            (true, false) if ours => draft
                .warn(own(entry) + " has the flag C, and the configuration no longer asks for it")
                .with(flags(entry))
                .fix(registered(&asked.target.name, Others::Keep)),
            (true, false) => draft
                .pass("C, as its owner wanted: set-user-ID programs get their owner's rights, and so does the interpreter, under its caller's environment")
                .with(format!("flags {}", entry.flags)),
        }
}

pub(in crate::doctor) static NATIVE: Check = Check {
    id: CheckId::RuleNative,
    title: "no rule takes the host's own programs",
    proves: "No enabled rule could match a program that the kernel runs without a rule.",
    cure: "Remove the rule at once, in a shell that is already running: echo -1 > /proc/sys/fs/binfmt_misc/NAME.",
    run: |facts, id| native(&facts.host, || Draft::host(id)),
};

fn native(facts: &HostFacts<'_>, draft: impl Fn() -> Draft) -> Vec<Finding> {
    let Some(seen) = facts.instance() else {
        return vec![draft().skip("there is no instance to look at")];
    };
    let captures: Vec<Finding> = seen
        .instance
        .entries
        .iter()
        .filter(|entry| entry.enabled)
        .filter_map(|entry| {
            let what = facts.native.captured_by(&entry.matcher)?;
            let name = entry.display_name();
            let finding = draft()
                .fail(format!("rule {name} could take the host's own {what}"))
                .with(format!("interpreter {}", entry.interpreter.display()));
            // It belongs to somebody else, so it is only disabled.
            if let Some(whose) = others::owner(entry) {
                let whose = whose.as_str();
                return Some(finding.with(format!("of {whose}")).fix(Switch::Off.at_once(entry)));
            }
            let finding = match facts.owner(entry) {
                Owner::Unknown => finding,
                Owner::Binfmtd => finding.with("of binfmtd"),
                owner @ (Owner::SystemdBinfmt { .. }
                | Owner::UpdateBinfmts { .. }
                | Owner::Runtime(_)) => finding.with(format!("{owner} brings it back")),
            };
            Some(finding.fix(Switch::Remove.at_once(entry)))
        })
        .collect();
    if captures.is_empty() {
        vec![draft().pass("no rule takes the host's own programs")]
    } else {
        captures
    }
}
