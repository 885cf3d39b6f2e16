//! Family `rule`: is there a rule, is it the right one, does it win?

use super::{Check, Draft, Examination, Finding, Patient};
use crate::plan::is_qemu;
use crate::rule::{Entry, Matcher};
use crate::verify::Proof;

const PRESENT: &str = "rule.present";
const ENABLED: &str = "rule.enabled";
const FIX_BINARY: &str = "rule.fix-binary";
const MATCHER: &str = "rule.matcher";
const SHADOWED: &str = "rule.shadowed";
const NATIVE: &str = "rule.native";

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: PRESENT,
        title: "a rule takes the target's programs",
        proves: "Some rule's magic and mask match this target's files.",
        run: present,
    },
    Check {
        id: ENABLED,
        title: "the rule is enabled",
        proves: "The rule was not switched off by a 0 in its own file.",
        run: enabled,
    },
    Check {
        id: FIX_BINARY,
        title: "the rule has the flag F",
        proves: "The kernel opened the interpreter at registration, so it also serves containers and other roots.",
        run: fix_binary,
    },
    Check {
        id: MATCHER,
        title: "magic and mask are exact",
        proves: "The rule takes all that this target's own kernel would, and nothing of another target.",
        run: matcher,
    },
    Check {
        id: SHADOWED,
        title: "one rule only, or the right one first",
        proves: "No newer rule takes the target's programs before another that would.",
        run: shadowed,
    },
    Check {
        id: NATIVE,
        title: "no rule takes the host's own programs",
        proves: "No enabled rule could match a program that the kernel runs by itself.",
        run: native,
    },
];

fn each(
    examination: &Examination<'_>,
    id: &'static str,
    judge: fn(&Examination<'_>, &Patient<'_>, Draft) -> Finding,
) -> Vec<Finding> {
    let patients = examination.foreign();
    patients
        .map(|patient| {
            let draft = Draft::of(id, patient);
            if examination.instance().is_none() {
                return draft.skip("there is no instance to look at");
            }
            judge(examination, patient, draft)
        })
        .collect()
}

fn register(patient: &Patient<'_>) -> String {
    format!("binfmtd register {}", patient.target.name)
}

fn named(entries: &[&Entry]) -> String {
    entries.iter().map(|entry| entry.display_name()).collect::<Vec<_>>().join(", ")
}

fn present(examination: &Examination<'_>) -> Vec<Finding> {
    each(examination, PRESENT, |examination, patient, draft| {
        let takers = examination.takers(patient.target, patient.machine);
        if !takers.is_empty() {
            return draft.pass(format!("taken by {}", named(&takers)));
        }
        if patient.proof.as_ref().is_some_and(Proof::works) {
            return draft
                .pass("no rule is to be seen, and its programs run: a parent namespace has one");
        }
        draft
            .fail(format!("no rule takes programs with e_machine {:#x}", patient.machine))
            .fix(register(patient))
    })
}

fn enabled(examination: &Examination<'_>) -> Vec<Finding> {
    each(examination, ENABLED, |examination, patient, draft| {
        let takers = examination.takers(patient.target, patient.machine);
        let off: Vec<&Entry> = takers.iter().copied().filter(|entry| !entry.enabled).collect();
        match (takers.is_empty(), off.is_empty()) {
            (true, _) => draft.skip("there is no rule"),
            (_, true) => draft.pass("enabled"),
            _ if off.len() == takers.len() => {
                draft.fail(format!("{} is there and disabled", named(&off))).fix(register(patient))
            }
            _ => draft.warn(format!("{} is disabled; another rule serves", named(&off))),
        }
    })
}

fn fix_binary(examination: &Examination<'_>) -> Vec<Finding> {
    each(examination, FIX_BINARY, |examination, patient, draft| {
        match examination.winner(patient.target, patient.machine) {
            None => draft.skip("there is no enabled rule"),
            Some(entry) if entry.flags.known.fix_binary => draft.pass(format!("flags {}", entry.flags)),
            Some(entry) => draft
                .fail(format!(
                    "{} has no flag F: its interpreter is looked up in each container, where it is not",
                    entry.display_name()
                ))
                .with(format!("flags {}", entry.flags))
                .fix(register(patient)),
        }
    })
}

fn matcher(examination: &Examination<'_>) -> Vec<Finding> {
    each(examination, MATCHER, |examination, patient, draft| {
        let Some(entry) = examination.winner(patient.target, patient.machine) else {
            return draft.skip("there is no enabled rule");
        };
        let name = entry.display_name();
        let Matcher::Magic(magic) = &entry.matcher else {
            return draft.warn(format!("{name} goes by file names, not by magic"));
        };
        let grabbed: Vec<&str> = examination
            .settings
            .table
            .targets()
            .iter()
            .filter(|other| other.name != patient.target.name)
            .filter(|other| other.identity.magics().iter().any(|theirs| theirs.overlaps(magic)))
            .map(|other| other.name.as_str())
            .collect();
        if !grabbed.is_empty() {
            return draft
                .warn(format!("{name} also takes programs of {}", grabbed.join(", ")))
                .with(format!("magic {} mask {}", magic.magic_hex(), magic.mask_hex()))
                .fix(register(patient));
        }
        // These bytes no kernel looks at; files that fill them are refused by a rule that does.
        let strict = |at: usize| {
            at.checked_sub(magic.offset())
                .and_then(|index| magic.mask().get(index))
                .is_some_and(|mask| *mask != 0)
        };
        if strict(8) && patient.target.identity.abi_version != 0 {
            return draft
                .warn(format!(
                    "{name} looks at EI_ABIVERSION, which today's programs for this target fill: they do not run"
                ))
                .with(format!("mask {}", magic.mask_hex()))
                .fix(format!("{} --takeover", register(patient)));
        }
        if (8..16).any(strict) {
            return draft
                .pass(format!("{name} looks at ABI version or padding, as most tables do: foreign AppImages do not run"))
                .with(format!("mask {}", magic.mask_hex()));
        }
        draft.pass("it takes this target's programs and nothing else")
    })
}

fn shadowed(examination: &Examination<'_>) -> Vec<Finding> {
    each(examination, SHADOWED, |examination, patient, draft| {
        let takers = examination.takers(patient.target, patient.machine);
        let on: Vec<&Entry> = takers.into_iter().filter(|entry| entry.enabled).collect();
        let Some((winner, behind)) = on.split_first() else {
            return draft.skip("there is no enabled rule");
        };
        if behind.is_empty() {
            return draft.pass("one rule only");
        }
        let record = examination.instance().map(|seen| &seen.record);
        let ours = behind.iter().any(|entry| record.is_some_and(|record| record.owns(entry)));
        let evidence = format!(
            "the kernel picks {}, then would come {}",
            winner.display_name(),
            named(behind)
        );
        let works = patient.proof.as_ref().is_some_and(Proof::works);
        let draft = if ours && !works {
            draft
                .fail(format!("{} comes before our rule, and does not work", winner.display_name()))
        } else {
            draft.warn(format!(
                "{} rules take these programs; {} wins",
                on.len(),
                winner.display_name()
            ))
        };
        let fix = if is_qemu(winner) {
            format!("{} --takeover", register(patient))
        } else {
            format!(
                "remove one of them: echo -1 > /proc/sys/fs/binfmt_misc/{}",
                behind[0].display_name()
            )
        };
        draft.with(evidence).fix(fix)
    })
}

fn native(examination: &Examination<'_>) -> Vec<Finding> {
    let Some(seen) = examination.instance() else {
        return vec![Draft::host(NATIVE).skip("there is no instance to look at")];
    };
    let captures: Vec<Finding> = seen
        .instance
        .entries
        .iter()
        .filter(|entry| entry.enabled)
        .filter_map(|entry| {
            let what = examination.native.captured_by(&entry.matcher)?;
            let name = entry.display_name();
            Some(
                Draft::host(NATIVE)
                    .fail(format!("rule {name} could take the host's own {what}"))
                    .with(format!("interpreter {}", entry.interpreter.display()))
                    .fix(format!("echo -1 > /proc/sys/fs/binfmt_misc/{name}")),
            )
        })
        .collect();
    if captures.is_empty() {
        vec![Draft::host(NATIVE).pass("no rule takes the host's own programs")]
    } else {
        captures
    }
}
