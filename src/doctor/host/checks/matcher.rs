//! Family `rule`: which programs a rule takes.

use std::path::Path;

use super::rule::own;
use super::scope::{self, TargetCase};
use crate::doctor::check::Check;
use crate::doctor::finding::Finding;
use crate::doctor::fixes::{Others, registered};
use crate::doctor::host::facts::{HostFacts, TargetFacts};
use crate::doctor::host::fixes as host_fixes;
use crate::doctor::id::CheckId;
use crate::phrase::Phrase;
use crate::probe;
use crate::rule::{Entry, Header, Magic, Matcher};

const EI_ABIVERSION: usize = 8;

pub(in crate::doctor) static MATCHER: Check = Check {
    id: CheckId::RuleMatcher,
    title: "magic and mask are exact",
    proves: "The rule matches everything that a kernel of this target would run, and no program of another target.",
    cure: "Let binfmtd generate magic and mask: binfmtd register TARGET --takeover.",
    run: |facts, id| scope::rule(facts, id, matcher),
};

fn matcher(case: TargetCase<'_>, entry: &Entry) -> Finding {
    let TargetCase { facts, asked, draft } = case;
    // A rule of somebody else that works is replaced only on request.
    let others = if facts.is_ours(entry) { Others::Keep } else { Others::Replace };
    let register = |others| registered(&asked.target.name, others);
    let Matcher::Magic(magic) = &entry.matcher else {
        return draft.warn(own(entry) + " goes by file names, not by magic").fix(register(others));
    };
    let seen = format!("magic {} mask {}", magic.magic_hex(), magic.mask_hex());
    let magic_and_mask = Phrase::own(seen, "");
    if let Some(program) = left_out(facts, asked)
        && let Some(at) = magic.narrower_at(&program)
    {
        let field = asked.target.identity.field(at);
        let what = format!(" takes some of its programs only: it looks at {field} (byte {at})");
        return draft
            .fail(own(entry) + &what + kind_left_out(field, program.magic()[at]))
            .with(magic_and_mask)
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
        let grabbed = Phrase::own(grabbed.join(", "), "other targets");
        return draft
            .warn(own(entry) + " also takes programs of " + grabbed)
            .with(magic_and_mask)
            .fix(register(others));
    }
    // No kernel looks at these bytes, but some files fill them, and a rule that looks does not match those.
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
                .pass(format!("{} looks at ABI version or padding, as most tables do: foreign AppImages do not run", entry.display_name()))
                .with(format!("mask {}", magic.mask_hex()));
    }
    let programs = asked.target.identity.programs(asked.machine);
    if programs
        .iter()
        .any(|program| magic.narrower_at(program).is_some_and(|at| at != EI_ABIVERSION))
    {
        return draft
            .pass("together with another rule it matches this target's programs and nothing else");
    }
    draft.pass("it matches this target's programs and nothing else")
}

/// A kind of the target's programs that no rule takes, although a rule takes others. (`EI_ABIVERSION` is a case of its
/// own.)
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

/// Whether a rule with another interpreter takes a kind of the target's programs for which there is no probe.
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

/// What a rule misses by looking at a field.
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
