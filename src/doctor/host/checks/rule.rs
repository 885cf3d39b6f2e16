//! Family `rule`: is there a rule, is it the right one, does it win?

use crate::doctor::host::fixes as host_fixes;
use std::path::Path;

use super::interpreter::is_sound;
use crate::doctor::check::Check;
use crate::doctor::finding::{Draft, Finding};
use crate::doctor::fixes::{Others, Switch, registered};
use crate::doctor::host::facts::{HostFacts, TargetFacts};
use crate::doctor::id::CheckId;
use crate::fix::{Command, Fix};
use crate::observation::Owner;
use crate::phrase::Phrase;
use crate::plan::{self, is_qemu, others};
use crate::probe;
use crate::rule::{Entry, Header, Magic, Matcher};

const EI_ABIVERSION: usize = 8;

fn each(
    facts: &HostFacts<'_>,
    id: CheckId,
    judge: fn(&HostFacts<'_>, &TargetFacts<'_>, Draft) -> Finding,
) -> Vec<Finding> {
    let targets = facts.foreign();
    targets
        .map(|asked| {
            let draft = asked.draft(id);
            if facts.instance().is_none() {
                return draft.skip("there is no instance to look at");
            }
            judge(facts, asked, draft)
        })
        .collect()
}

/// A rule's own name.
fn own(entry: &Entry) -> Phrase {
    Phrase::own(entry.display_name(), "its rule")
}

fn named(entries: &[&Entry]) -> String {
    entries.iter().map(|entry| entry.display_name()).collect::<Vec<_>>().join(", ")
}

fn flags(entry: &Entry) -> Phrase {
    Phrase::own(format!("flags {}", entry.flags), "")
}

pub(in crate::doctor) static PRESENT: Check = Check {
    id: CheckId::RulePresent,
    title: "a rule takes the target's programs",
    proves: "Some rule's magic and mask match this target's files.",
    cure: "Register one: binfmtd register TARGET. The service keeps it: systemctl enable --now binfmtd.service.",
    run: |facts| present(&facts.host),
};

fn present(facts: &HostFacts<'_>) -> Vec<Finding> {
    each(facts, CheckId::RulePresent, |facts, asked, draft| {
        let takers = facts.takers(asked);
        if !takers.is_empty() {
            return draft.pass(format!("taken by {}", named(&takers)));
        }
        if asked.works() {
            return draft
                .pass("no rule is to be seen, and its programs run: a parent namespace has one");
        }
        let lost = lost(facts, asked);
        let finding = if lost.is_empty() {
            let programs = format!("programs with e_machine {:#x}", asked.machine);
            draft.fail(Phrase::from("no rule takes ") + Phrase::own(programs, "its programs"))
        } else {
            let lost = Phrase::own(format!(", {}", lost.join(", ")), "");
            draft.fail(Phrase::from("no rule takes its programs: somebody removed ours") + lost)
        };
        let why = why_absent(facts, asked);
        let fix = host_fixes::registered(facts, asked, Others::Keep);
        why.into_iter().fold(finding, Finding::with).fix(fix)
    })
}

/// Names of a asked's rules that are ours by the record and gone from the kernel.
pub(in crate::doctor) fn lost<'a>(
    facts: &'a HostFacts<'_>,
    asked: &TargetFacts<'_>,
) -> Vec<&'a str> {
    let own: Vec<String> =
        asked.target.rules().into_iter().map(|(name, _)| name.to_string()).collect();
    let names = facts.lost().into_iter();
    names.filter(|lost| own.iter().any(|name| name == lost)).collect()
}

/// What may be behind it that there is no rule.
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
            "a machine of this family ({host}), whose CPU or kernel does not run these programs by itself"
        ));
    }
    if !facts.first_namespace && !facts.from_above {
        why.push(
            "this user namespace has an instance of its own, so rules of the host do not serve here"
                .to_owned(),
        );
    }
    // Nobody had triggered the automount: what was registered until now was in a container's mount.
    if facts.first_namespace && facts.stack_before != facts.stack {
        why.push(
            "nobody had looked at binfmt_misc since boot; rules that a container registers before that vanish with its mount"
                .to_owned(),
        );
    }
    why
}

pub(in crate::doctor) static ENABLED: Check = Check {
    id: CheckId::RuleEnabled,
    title: "the rule is enabled",
    proves: "The rule was not switched off by a 0 in its own file.",
    cure: "Switch it on: echo 1 > /proc/sys/fs/binfmt_misc/NAME, or binfmtd register TARGET.",
    run: |facts| enabled(&facts.host),
};

fn enabled(facts: &HostFacts<'_>) -> Vec<Finding> {
    each(facts, CheckId::RuleEnabled, |facts, asked, draft| {
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
            // Switched on, it would be one rule too many.
            _ => draft.pass(format!("{} is disabled; another rule serves", named(&off))),
        }
    })
}

pub(in crate::doctor) static FIX_BINARY: Check = Check {
    id: CheckId::RuleFixBinary,
    title: "the rule has the flag F",
    proves: "The kernel opened the interpreter at registration, so it also serves containers and other roots.",
    cure: "Register it with F: binfmtd register TARGET replaces a rule of QEMU's without it.",
    run: |facts| fix_binary(&facts.host),
};

fn fix_binary(facts: &HostFacts<'_>) -> Vec<Finding> {
    each(facts, CheckId::RuleFixBinary, |facts, asked, draft| {
        match facts.rule(asked) {
            None => draft.skip("there is no enabled rule"),
            Some(entry) if entry.flags.known.fix_binary => draft.pass(format!("flags {}", entry.flags)),
            Some(_) if !is_sound(facts, asked) => {
                draft.skip("its interpreter could not be pinned: what is wrong with that is told there")
            }
            Some(entry) if others::owner(entry).is_some() => draft
                .warn(own(entry) + " has no flag F, so it serves no container")
                .with(flags(entry))
                .fix(Fix::advice(
                    Phrase::from("register it with F where it comes from, or put binfmtd's rule before it: binfmtd register")
                        + Phrase::target(&asked.target.name)
                        + " --takeover",
                )),
            Some(entry) => draft
                .fail(own(entry) + " has no flag F: its interpreter is looked up in each container, where it is not")
                .with(flags(entry))
                .fix(registered(&asked.target.name, Others::Keep)),
        }
    })
}

pub(in crate::doctor) static MATCHER: Check = Check {
    id: CheckId::RuleMatcher,
    title: "magic and mask are exact",
    proves: "The rule takes all that this target's own kernel would, and nothing of another target.",
    cure: "Let binfmtd derive magic and mask: binfmtd register TARGET --takeover.",
    run: |facts| matcher(&facts.host),
};

fn matcher(facts: &HostFacts<'_>) -> Vec<Finding> {
    each(facts, CheckId::RuleMatcher, |facts, asked, draft| {
        let Some(entry) = facts.rule(asked) else {
            return draft.skip("there is no enabled rule");
        };
        let name = entry.display_name();
        // It works, so nobody replaces it unasked.
        let others =
            if *facts.owner(entry) == Owner::Binfmtd { Others::Keep } else { Others::Replace };
        let register = |others| registered(&asked.target.name, others);
        let Matcher::Magic(magic) = &entry.matcher else {
            return draft
                .warn(own(entry) + " goes by file names, not by magic")
                .fix(register(others));
        };
        if let Some(program) = left_out(facts, asked)
            && let Some(at) = magic.narrower_at(&program)
        {
            let field = asked.target.identity.field(at);
            return draft
                .fail(
                    own(entry)
                        + &format!(
                            " takes some of its programs only: it looks at {field} (byte {at})"
                        )
                        + kind_left_out(field, program.magic()[at]),
                )
                .with(Phrase::own(
                    format!("magic {} mask {}", magic.magic_hex(), magic.mask_hex()),
                    "",
                ))
                .fix(host_fixes::registered(facts, asked, others));
        }
        let grabbed: Vec<&str> = facts
            .settings
            .table
            .targets()
            .iter()
            .filter(|other| other.name != asked.target.name)
            .filter(|other| other.identity.magics().iter().any(|theirs| theirs.overlaps(magic)))
            .map(|other| other.name.as_str())
            .collect();
        if !grabbed.is_empty() {
            return draft
                .warn(
                    own(entry)
                        + " also takes programs of "
                        + Phrase::own(grabbed.join(", "), "other targets"),
                )
                .with(Phrase::own(
                    format!("magic {} mask {}", magic.magic_hex(), magic.mask_hex()),
                    "",
                ))
                .fix(register(others));
        }
        // These bytes no kernel looks at; files that fill them are refused by a rule that does.
        let strict = |at: usize| {
            at.checked_sub(magic.offset())
                .and_then(|index| magic.mask().get(index))
                .is_some_and(|mask| *mask != 0)
        };
        if strict(8) && asked.target.identity.abi_version != 0 {
            return draft
                .warn(
                    own(entry)
                        + " looks at EI_ABIVERSION, which today's programs for this target fill: they do not run",
                )
                .with(Phrase::own(format!("mask {}", magic.mask_hex()), ""))
                .fix(register(Others::Replace));
        }
        if (8..16).any(strict) {
            return draft
                .pass(format!("{name} looks at ABI version or padding, as most tables do: foreign AppImages do not run"))
                .with(format!("mask {}", magic.mask_hex()));
        }
        let programs = asked.target.identity.programs(asked.machine);
        if programs
            .iter()
            .any(|program| magic.narrower_at(program).is_some_and(|at| at != EI_ABIVERSION))
        {
            return draft.pass(
                "together with another rule it takes this target's programs, and nothing else",
            );
        }
        draft.pass("it takes this target's programs and nothing else")
    })
}

/// A kind of a asked's programs of which some are taken by no rule, while others are. (`EI_ABIVERSION` is
/// told apart.)
pub(in crate::doctor) fn left_out(facts: &HostFacts<'_>, asked: &TargetFacts<'_>) -> Option<Magic> {
    facts.rule(asked)?;
    let entries = facts.seen.instance.entries.iter().filter(|entry| entry.enabled);
    let rules: Vec<&Magic> = entries.filter_map(|entry| entry.matcher.magic()).collect();
    let mut programs = asked.target.identity.programs(asked.machine).into_iter();
    programs.find(|program| {
        let is_left = |program: &Magic| {
            let all = vec![program.clone()];
            let left = rules
                .iter()
                .fold(all, |left, rule| left.iter().flat_map(|part| part.without(rule)).collect());
            !left.is_empty()
        };
        program.magic()[EI_ABIVERSION] == 0 && is_left(program)
    })
}

/// Whether a rule for another interpreter takes some of a asked's programs that no probe is like.
pub(in crate::doctor) fn is_partly_unproved(
    facts: &HostFacts<'_>,
    asked: &TargetFacts<'_>,
) -> bool {
    let Some(winner) = facts.rule(asked) else { return false };
    let shared = probe::build_shared(asked.target, asked.machine);
    let shared = shared.map(|program| Header::new(&program));
    let is_proved = |entry: &Entry| {
        shared.as_ref().is_some_and(|header| entry.matcher.matches(header, Path::new("/")))
    };
    let before = facts.partly_before(asked);
    before.into_iter().any(|entry| entry.interpreter != winner.interpreter && !is_proved(entry))
}

/// What a rule leaves out that looks at a field.
fn kind_left_out(field: &str, value: u8) -> String {
    match (field, value) {
        ("e_type", _) => {
            ", so either ET_EXEC or ET_DYN, which most programs are today, does not run".to_owned()
        }
        ("EI_OSABI", 3) => {
            ", so programs that are marked for Linux (ELFOSABI_LINUX, 3) do not run".to_owned()
        }
        ("EI_OSABI", _) => format!(", so programs with the value {value} there do not run"),
        _ => String::new(),
    }
}

/// Rules that take some of a target's programs before the one that is to take all, and hand them to another
/// interpreter.
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
    proves: "No newer rule takes the target's programs before another that would.",
    cure: "Take away the rule of QEMU's that is not wanted, or put ours before the others: binfmtd register TARGET --takeover. Rules of other emulators (FEX, box64, Rosetta) are never ours to remove.",
    run: |facts| shadowed(&facts.host),
};

fn shadowed(facts: &HostFacts<'_>) -> Vec<Finding> {
    each(facts, CheckId::RuleShadowed, |facts, asked, draft| {
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
        let evidence = rest.fold(
            Phrase::from("the kernel picks ") + first + ", then would come ",
            |seen, (at, entry)| seen + if at == 0 { "" } else { ", " } + shown(entry),
        );
        // We come first only where nothing that works was before us, or where somebody asked for that.
        if works && *facts.owner(winner) == Owner::Binfmtd {
            return draft
                .pass("several rules take these programs, and ours comes first")
                .with(evidence);
        }
        let ours = behind.iter().any(|entry| *facts.owner(entry) == Owner::Binfmtd);
        let draft = if ours && !works {
            draft.fail(
                Phrase::own(winner.display_name(), "another")
                    + " comes before our rule, and does not work",
            )
        } else {
            let first = Phrase::own(winner.display_name(), "the newest");
            draft.warn(
                Phrase::from(format!("{} rules take these programs; ", on.len())) + first + " wins",
            )
        };
        draft.with(evidence).fix(one_of_them(facts, asked, winner, behind, works))
    })
}

/// What leaves one rule that works, and takes nothing away that is another emulator's.
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
    // Of QEMU's and another emulator's rule, QEMU's can be had again.
    let spare: Vec<&Entry> = std::iter::once(winner)
        .chain(behind.iter().copied())
        .filter(|entry| is_qemu(entry))
        .collect();
    if spare.is_empty() {
        return Fix::advice(
            "none of them is binfmtd's or QEMU's: find out which of them is wanted",
        );
    }
    // The service would put it back.
    let is_kept =
        |entry: &&&Entry| *facts.owner(entry) == Owner::Binfmtd && facts.service.is_some();
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
    Fix::run("remove the rule of QEMU's, which can be had again", commands)
}

pub(in crate::doctor) static CREDENTIALS: Check = Check {
    id: CheckId::RuleCredentials,
    title: "the flag C is there because it was asked for",
    proves: "Set-user-ID programs (sudo, su) get their owner's rights under emulation only where somebody wanted that: their interpreter then runs with those rights under its caller's environment. Without C sudo says that its effective uid is not 0.",
    cure: "Decide: credentials = true in the configuration, or without it, then binfmtd register.",
    run: |facts| credentials(&facts.host),
};

fn credentials(facts: &HostFacts<'_>) -> Vec<Finding> {
    each(facts, CheckId::RuleCredentials, |facts, asked, draft| {
        let Some(entry) = facts.rule(asked) else {
            return draft.skip("there is no enabled rule");
        };
        let wanted = plan::flags(facts.settings, &asked.target.name).credentials;
        let ours = *facts.owner(entry) == Owner::Binfmtd;
        match (entry.flags.known.credentials, wanted) {
            (false, false) => draft.pass(
                "no C: set-user-ID programs (sudo, su) keep their caller's rights, which is the safe way",
            ),
            (false, true) => draft.skip("C is asked for and missing: what that comes to is told by running a program"),
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
    })
}

/// By a shell that runs already: where a rule takes native programs, none starts.
fn at_once(switch: Switch, entry: &Entry) -> Fix {
    let text = match switch {
        Switch::Off => "switch the rule off, in a shell of root's that runs already",
        Switch::Remove => "remove the rule, in a shell of root's that runs already",
    };
    Fix::builtins(text, switch.line(entry))
}

pub(in crate::doctor) static NATIVE: Check = Check {
    id: CheckId::RuleNative,
    title: "no rule takes the host's own programs",
    proves: "No enabled rule could match a program that the kernel runs by itself.",
    cure: "Remove the rule at once, with a shell that runs already: echo -1 > /proc/sys/fs/binfmt_misc/NAME.",
    run: |facts| native(&facts.host),
};

fn native(facts: &HostFacts<'_>) -> Vec<Finding> {
    let Some(seen) = facts.instance() else {
        return vec![Draft::host(CheckId::RuleNative).skip("there is no instance to look at")];
    };
    let captures: Vec<Finding> = seen
        .instance
        .entries
        .iter()
        .filter(|entry| entry.enabled)
        .filter_map(|entry| {
            let what = facts.native.captured_by(&entry.matcher)?;
            let name = entry.display_name();
            let finding = Draft::host(CheckId::RuleNative)
                .fail(format!("rule {name} could take the host's own {what}"))
                .with(format!("interpreter {}", entry.interpreter.display()));
            // Not ours to remove; switched off, it is there for whoever wants it back.
            if let Some(whose) = others::owner(entry) {
                let whose = whose.as_str();
                return Some(finding.with(format!("of {whose}")).fix(at_once(Switch::Off, entry)));
            }
            let finding = match facts.owner(entry) {
                Owner::Unknown => finding,
                Owner::Binfmtd => finding.with("of binfmtd"),
                owner @ (Owner::SystemdBinfmt { .. }
                | Owner::UpdateBinfmts { .. }
                | Owner::Runtime(_)) => finding.with(format!("{owner} brings it back")),
            };
            Some(finding.fix(at_once(Switch::Remove, entry)))
        })
        .collect();
    if captures.is_empty() {
        vec![Draft::host(CheckId::RuleNative).pass("no rule takes the host's own programs")]
    } else {
        captures
    }
}
