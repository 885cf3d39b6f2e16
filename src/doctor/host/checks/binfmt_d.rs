//! Family `service`: the files that systemd-binfmt reads.

use std::path::Path;

use crate::doctor::check::Check;
use crate::doctor::finding::{Draft, Finding};
use crate::doctor::fixes::text_of;
use crate::doctor::host::facts::{HostFacts, PlannedRule};
use crate::doctor::id::CheckId;
use crate::fix::{Command, Fix};
use crate::observation::InterpreterFault;
use crate::rule::Rule;

const OWN_FOLDER: &str = "/etc/binfmt.d";

pub(in crate::doctor) static BINFMT_D: Check = Check {
    id: CheckId::ServiceBinfmtD,
    title: "the files in binfmt.d are sound",
    proves: "The lines for QEMU's targets that systemd-binfmt reads are well-formed, name existing interpreters, have the flag F, and match no native program. Only checked if systemd runs.",
    cure: "Correct the line, or mask its file with one of the same name in /etc/binfmt.d: ln -s /dev/null /etc/binfmt.d/NAME.conf.",
    run: |facts, id| binfmt_d(&facts.host, || Draft::host(id)),
};

fn binfmt_d(facts: &HostFacts<'_>, draft: impl Fn() -> Draft) -> Vec<Finding> {
    if !facts.systemd {
        return vec![draft().skip("systemd does not run here, and nobody else reads binfmt.d")];
    }
    let planned = &facts.planned;
    if planned.is_empty() {
        return vec![draft().skip("binfmt.d has no rules")];
    }
    let findings: Vec<Finding> =
        planned.iter().filter_map(|line| line_of(facts, line, draft())).collect();
    match findings.len() {
        0 => vec![draft().pass(format!("the {} rules in binfmt.d are sound", planned.len()))],
        _ => findings,
    }
}

/// What is wrong with a line, unless the rule is in the kernel, where other checks judge it.
fn line_of(facts: &HostFacts<'_>, line: &PlannedRule, draft: Draft) -> Option<Finding> {
    let at = format!("{}:{}", line.file.display(), line.line);
    let rule = match &line.rule {
        Ok(rule) => rule,
        Err(error) => {
            let finding = draft.warn(format!("{at}: this line cannot be registered: {error}"));
            return Some(finding.fix(without(line)));
        }
    };
    if facts.seen.instance.entries.iter().any(|entry| rule.is(entry)) {
        return None;
    }
    if let Some(what) = facts.native.captured_by(rule.matcher()) {
        let says = format!("{at}: once registered, it takes the host's own {what}");
        return Some(draft.warn(says).fix(without(line)));
    }
    // Lines for anything but QEMU's targets are left to their owners.
    if !is_of_the_table(facts, rule) {
        return None;
    }
    let name = rule.name();
    if line.fault == Some(InterpreterFault::Missing) {
        let interpreter = rule.interpreter();
        let finding = draft
            .warn(format!("{at}: {interpreter}, the interpreter of {name}, does not exist"))
            .with("with F, systemd-binfmt says \"no such file or directory\" and fails");
        return Some(finding.fix(without(line)));
    }
    let says = format!("{at}: {name} has no flag F, so it would serve no container");
    (!rule.flags().fix_binary).then(|| draft.warn(says).fix(with_f(line)))
}

fn is_of_the_table(facts: &HostFacts<'_>, rule: &Rule) -> bool {
    let Some(magic) = rule.matcher().magic() else { return false };
    let mut targets = facts.settings.table.targets().iter();
    rule.name().as_str().starts_with("qemu-")
        && targets
            .any(|target| target.identity.magics().iter().any(|theirs| theirs.overlaps(magic)))
}

/// Comments the line out.
fn without(line: &PlannedRule) -> Fix {
    edited(line, "comment the line out", "s/^/#/")
}

/// The flags are the last thing on the line.
fn with_f(line: &PlannedRule) -> Fix {
    edited(line, "give the rule the flag F", "s/[[:space:]]*$/F/")
}

/// A vendor's file stays as it is: one of the same name in `/etc` counts in its place (`binfmt.d(5)`).
fn edited(line: &PlannedRule, text: &str, edit: &str) -> Fix {
    let sed = |file: &Path| {
        Command::root(&["sed", "-i"]).word(format!("{}{edit}", line.line)).word(text_of(file))
    };
    if line.file.starts_with("/etc") {
        return Fix::run(text, [sed(&line.file)]);
    }
    let own = Path::new(OWN_FOLDER).join(line.file.file_name().unwrap_or_default());
    let copy = Command::root(&["cp"]).word(text_of(&line.file)).word(text_of(&own));
    Fix::run(text, [Command::root(&["mkdir", "-p", OWN_FOLDER]), copy, sed(&own)])
}
