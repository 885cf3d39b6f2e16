//! Family `service`: who keeps the rules registered, and who restores them.

use super::scope;
use crate::doctor::check::Check;
use crate::doctor::facts::Facts;
use crate::doctor::finding::{Draft, Finding};
use crate::doctor::fixes::systemctl;
use crate::doctor::host::facts::HostFacts;
use crate::doctor::id::CheckId;

use crate::daemon::{Condition, State};
use crate::fix::{Command, Fix};
use crate::observation::{Observation, Owner};
use crate::plan::others;
use crate::rule::Entry;
use crate::system::host::surroundings::Boot;

const UNIT: &str = "binfmtd.service";

fn read_journal() -> Fix {
    let journal = Command::root(&["journalctl", "-u", UNIT, "-x"]);
    Fix::run("read the service's journal", [journal])
}

/// The state of the service that keeps this instance, or why there is none.
fn service<'a>(facts: &'a HostFacts<'_>) -> Result<&'a State, &'static str> {
    let Some(state) = &facts.service else { return Err("binfmtd's service does not run here") };
    match facts.instance() {
        Some(seen) if seen.instance.device != state.instance => {
            Err("the service keeps another instance than this one")
        }
        Some(_) | None => Ok(state),
    }
}

/// What the service that keeps this instance wrote down.
fn kept(
    facts: &Facts<'_>,
    id: CheckId,
    judge: fn(&HostFacts<'_>, &State, Draft) -> Finding,
) -> Vec<Finding> {
    let draft = Draft::host(id);
    vec![match service(&facts.host) {
        Ok(state) => judge(&facts.host, state, draft),
        Err(why) => draft.skip(why),
    }]
}

pub(in crate::doctor) static RUNNING: Check = Check {
    id: CheckId::ServiceRunning,
    title: "the service runs and is ready",
    proves: "If binfmtd's service is enabled, it runs, has verified the rules that it registered, and completed its last full check.",
    cure: "Start it: systemctl start binfmtd.service. Read its journal: journalctl -u binfmtd.service -x.",
    run: |facts, id| scope::host(facts, id, running),
};

fn running(facts: &HostFacts<'_>, draft: Draft) -> Finding {
    let is_to_run = facts.systemd && facts.units.ours == Boot::Starts;
    match service(facts) {
        Err(_) if is_to_run && facts.service.is_none() => draft
            .warn("binfmtd.service is enabled but does not run: nobody restores a rule that is removed")
            .fix(Fix::run("start the service", [systemctl(&["start", UNIT])])),
        Err(why) => draft.skip(why),
        Ok(state) => {
            let draft = draft.seen(format!("pid {}, {}", state.pid, state.status));
            match &state.trouble {
                Some(trouble) => draft
                    .warn(format!("the service could not complete its last full check: {trouble}"))
                    .fix(read_journal()),
                None if !state.ready => draft
                    .warn("the service runs, but nothing that it keeps works yet")
                    .fix(read_journal()),
                None => draft.pass("the service runs and is ready"),
            }
        }
    }
}

/// Whether a program of this target just failed to run, which is reported with its cause.
fn is_told(facts: &HostFacts<'_>, target: &str) -> bool {
    let mut targets = facts.foreign().filter(|asked| asked.target.name == target);
    targets.any(|asked| !asked.works())
}

pub(in crate::doctor) static DEGRADED: Check = Check {
    id: CheckId::ServiceDegraded,
    title: "the service reports no problem",
    proves: "Each rule that the service keeps worked when the service last verified it.",
    cure: "See what it reports for the target: binfmtd status. The service registers a target as soon as that works; systemctl reload binfmtd.service makes it try at once.",
    run: |facts, id| kept(facts, id, degraded),
};

fn degraded(facts: &HostFacts<'_>, state: &State, draft: Draft) -> Finding {
    let complaints: Vec<_> = state
        .rules
        .iter()
        .filter(|rule| rule.condition == Condition::Degraded)
        .map(|rule| (rule.target.as_deref().unwrap_or(&rule.rule), rule.why.as_deref()))
        .collect();
    let (told, untold): (Vec<_>, Vec<_>) =
        complaints.into_iter().partition(|(target, _)| is_told(facts, target));
    let names = |of: &[(&str, Option<&str>)]| {
        of.iter().map(|(target, _)| *target).collect::<Vec<_>>().join(", ")
    };
    match (untold.first(), told.is_empty()) {
        (None, true) => draft.pass(state.status.clone()),
        (None, false) => draft
            .skip(format!("the checks of these targets report what is wrong: {}", names(&told))),
        (Some((target, why)), _) => draft
            .warn(format!("the service has trouble with {}", names(&untold)))
            .with(format!("{target}: {}", why.unwrap_or("it does not say why")))
            .fix(Fix::run("let the service try again", [systemctl(&["reload", UNIT])])),
    }
}

pub(in crate::doctor) static CONFLICTS: Check = Check {
    id: CheckId::ServiceConflicts,
    title: "nobody reverts the service's changes",
    proves: "No other manager keeps removing or changing the rules that the service registers.",
    cure: "Leave the rules to one of them: systemctl mask systemd-binfmt.service, or systemctl disable --now binfmt-support.service, or remove the target from binfmtd's configuration.",
    run: |facts, id| kept(facts, id, conflicts),
};

fn conflicts(facts: &HostFacts<'_>, state: &State, draft: Draft) -> Finding {
    let units = &facts.units;
    let mut others = Vec::new();
    if units.systemd_binfmt == Boot::Starts && !facts.planned.is_empty() {
        others.push("systemd-binfmt.service");
    }
    if units.binfmt_support == Boot::Starts {
        others.push("binfmt-support.service");
    }
    let also = match others.as_slice() {
        [] => String::new(),
        others => format!("also registering at boot: {}", others.join(", ")),
    };
    // Several managers are fine as long as none of them reverts the changes of another.
    if state.paused_until.is_some() {
        draft
            .warn("somebody keeps reverting the service's changes, so it pauses, each time longer")
            .with(format!("{} times since it started", state.conflicts))
            .with(also)
            .fix(match others.first() {
                Some(unit) => Fix::run(
                    "leave the rules to one of the two",
                    [systemctl(&["mask", "--now", unit]), systemctl(&["restart", UNIT])],
                ),
                None => read_journal(),
            })
    } else if state.conflicts > 0 {
        let times = format!("it had to pause {} times since it started", state.conflicts);
        draft.pass("nobody reverts the service's changes now").with(times).with(also)
    } else {
        draft.pass("nobody reverts the service's changes").with(also)
    }
}

pub(in crate::doctor) static RECORD: Check = Check {
    id: CheckId::ServiceRecord,
    title: "binfmtd's rules are as it registered them",
    proves: "The kernel has every rule in the record of ownership, unchanged. Starting or stopping systemd-binfmt, or the reset of an installer, removes the rules of everybody.",
    cure: "Register again: binfmtd register. The service does this automatically: systemctl enable --now binfmtd.service.",
    run: |facts, id| scope::instance(facts, id, record),
};

fn record(facts: &HostFacts<'_>, seen: &Observation, draft: Draft) -> Finding {
    let rules = &seen.record.rules;
    if rules.is_empty() {
        return draft.skip("binfmtd has registered no rule in this instance");
    }
    let lost = facts.lost();
    if lost.is_empty() {
        return draft.pass(format!("{} rules of binfmtd, each as it was registered", rules.len()));
    }
    // The checks of a target report its own rules.
    let is_asked = |name: &&str| {
        let target = rules.get(*name).and_then(|owned| owned.target.as_deref());
        let mut targets = facts.targets.iter();
        targets.any(|asked| Some(asked.target.name.as_str()) == target)
    };
    let (asked, others): (Vec<&str>, Vec<&str>) = lost.into_iter().partition(is_asked);
    if others.is_empty() {
        draft.skip(format!(
            "{} is not as binfmtd registered it; the checks of its target report the consequences",
            asked.join(", ")
        ))
    } else {
        draft
            .warn(format!("somebody removed or changed rules of binfmtd: {}", others.join(", ")))
            .with("starting or stopping systemd-binfmt, and the reset of an installer, remove the rules of everybody")
            .fix(Fix::run("register them again", [Command::root(&["binfmtd", "register"])]))
    }
}

/// The rules of the targets that are asked about, each once.
fn in_use<'a>(facts: &'a HostFacts<'_>) -> Vec<&'a Entry> {
    let mut entries: Vec<&Entry> = Vec::new();
    for asked in facts.foreign() {
        if let Some(entry) = facts.rule(asked)
            && !entries.iter().any(|known| known.name == entry.name)
        {
            entries.push(entry);
        }
    }
    entries
}

pub(in crate::doctor) static BOOT: Check = Check {
    id: CheckId::ServiceBoot,
    title: "the rules come back after a reboot",
    proves: "Each rule in use is registered at boot by some service; the kernel itself keeps none. Only checked if systemd runs.",
    cure: "Enable the service: systemctl enable --now binfmtd.service.",
    run: |facts, id| scope::host(facts, id, boot),
};

fn boot(facts: &HostFacts<'_>, draft: Draft) -> Finding {
    if !facts.first_namespace || facts.container {
        return draft.skip("what happens at boot is decided on the host");
    }
    if !facts.systemd {
        return draft.skip("systemd does not run here, so it is unknown who registers at boot");
    }
    let entries = in_use(facts);
    if entries.is_empty() {
        return draft.skip("no rule is in use");
    }
    let units = &facts.units;
    if units.ours == Boot::Starts {
        return draft.pass("binfmtd.service registers at boot");
    }
    let comes_back = |entry: &&Entry| {
        match facts.owner(entry) {
            Owner::SystemdBinfmt { .. } => units.systemd_binfmt == Boot::Starts,
            // update-binfmts also has init scripts for other init systems.
            Owner::UpdateBinfmts { .. } if units.binfmt_support != Boot::Masked => true,
            Owner::Binfmtd | Owner::UpdateBinfmts { .. } | Owner::Runtime(_) | Owner::Unknown => {
                others::owner(entry).is_some()
            }
        }
    };
    let gone: Vec<String> =
        entries.into_iter().filter(|entry| !comes_back(entry)).map(Entry::display_name).collect();
    if gone.is_empty() {
        return draft.pass("each rule in use is registered at boot by its owner");
    }
    let (state, fix) = start_at_boot(units.ours);
    let gone = gone.join(", ");
    draft
        .warn(format!("nobody registers these at boot, and the kernel does not keep them: {gone}"))
        .with(format!("binfmtd.service {state}"))
        .fix(fix)
}

/// The state of the service's unit, and what makes it start at boot.
fn start_at_boot(ours: Boot) -> (&'static str, Fix) {
    let enable = systemctl(&["enable", "--now", UNIT]);
    let run = |commands: Vec<Command>| Fix::run("let the service register them", commands);
    match ours {
        Boot::Absent => (
            "is not installed",
            Fix::advice(
                "install binfmtd's units (make install), then run systemctl enable --now binfmtd.service",
            ),
        ),
        Boot::Masked => ("is masked", run(vec![systemctl(&["unmask", UNIT]), enable])),
        Boot::Off => ("is not enabled", run(vec![enable])),
        Boot::Starts => ("is enabled", run(vec![enable])),
    }
}
