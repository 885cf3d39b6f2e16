//! The worker's jobs: everything that reads the configuration or runs a program.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::protocol::{Description, Job, JobRequest, JobResult, Reconciled, RuleChange};
use super::relevant::Relevant;
use super::state::{ChangeCause, Condition, RuleState};
use super::watchlist::{follow_configuration, follow_interpreters, follow_links};
use crate::apply::{self, Given, Outcome};
use crate::config::{self, Settings};
use crate::failure::Failure;
use crate::observation::Observation;
use crate::observe::{self, ObserveOptions};
use crate::plan::{self, Action, Decision, Item, Request};
use crate::probe;
use crate::reconcile::{Mode, Planning, Reconciler, Reconciliation};
use crate::rule::{Entry, Header, winner};
use crate::shown::quote;
use crate::system::binfmt_misc::instance::{Instance, MOUNT_POINT};
use crate::system::binfmt_misc::native;
use crate::system::host::manager;
use crate::system::process::batch::Limits;
use crate::system::process::helper;
use crate::verify::{self, Depth, Proof};

pub(super) struct Worker<'a> {
    pub(super) config: Option<&'a Path>,
    pub(super) runtime: &'a Path,
    /// The instance that the service holds open: its rules stay in force even after it is unmounted.
    pub(super) held: &'a Instance,
}

impl Worker<'_> {
    /// Does one job: a [`JobRequest`] in, a [`JobResult`] out.
    pub(super) fn work(&self, request: &[u8]) -> Vec<u8> {
        let result = serde_json::from_slice(request)
            .map_err(|error| Failure::unavailable(format!("invalid job: {error}")))
            .and_then(|JobRequest { job, instance }| match job {
                Job::Reconcile => {
                    self.reconcile(instance).map(|it| JobResult::Reconciled(Box::new(it)))
                }
                Job::Describe => self.describe(instance).map(JobResult::Described),
            })
            .unwrap_or_else(JobResult::Failed);
        serde_json::to_vec(&result).unwrap_or_default()
    }

    fn reconcile(&self, held: u64) -> Result<Reconciled, Failure> {
        // Noted first, so that a change during the rest of this job is noticed.
        let configuration = follow_configuration(self.config);
        let settings = self.settings()?;
        let interpreters = follow_interpreters(&settings);
        let links = follow_links(settings.sources.files.iter());
        self.on_instance(held, |instance| {
            let request = Request::default();
            let reconciler = Reconciler {
                instance,
                runtime: self.runtime,
                settings: &settings,
                request: &request,
                planning: Planning::Requested,
                mode: Mode::Service,
                private: false,
                limits: Limits::default(),
            };
            let Reconciliation { seen, outcomes } = reconciler.run(&mut |_, _, _| {})?;
            let rules: Vec<_> = outcomes.iter().filter_map(|it| rule_state(it, &seen)).collect();
            let names: BTreeSet<&str> = rules.iter().map(|rule| rule.rule.as_str()).collect();
            // Without systemd, nothing registers the rules of binfmt.d.
            let claimed =
                if manager::is_systemd() { observe::names_of_binfmt_d() } else { BTreeSet::new() };
            let relevant = Relevant::of(&settings, &request, &seen)?;
            Ok(Reconciled {
                instance: instance.device(),
                others: relevant
                    .digest_of_others(&left(&seen.instance.entries, &outcomes), &seen.record),
                relevant,
                undone: outcomes.iter().any(Outcome::is_undone),
                captured: captured(&settings, &seen),
                changes: outcomes.iter().filter_map(|it| change(it, &seen)).collect(),
                claimed: claimed.into_iter().filter(|name| names.contains(name.as_str())).collect(),
                rules,
                follow: [configuration, links, interpreters].concat(),
                pause_after: settings.daemon.pause_after,
                longest_pause: settings.daemon.longest_pause,
                backstop: settings.daemon.backstop,
                metrics_file: settings.daemon.metrics_file.clone(),
            })
        })
    }

    fn describe(&self, held: u64) -> Result<BTreeMap<String, Description>, Failure> {
        let settings = self.settings()?;
        // Nobody waits for this job, and it reads megabytes for each interpreter.
        helper::step_back();
        self.on_instance(held, |instance| {
            let request = Request::default();
            let limits = Limits::default();
            let options = ObserveOptions { runtime: self.runtime, run_others: false, limits };
            let seen = observe::observe(instance, &settings, &request, options)?;
            let plan = plan::plan(&settings, &request, &seen)?;
            let given = Given { settings: &settings, seen: &seen, private: false };
            let stands = |item: &&Item| {
                matches!(item.decision, Decision::Kept { .. } | Decision::Served { .. })
            };
            let subjects = plan
                .items
                .iter()
                .filter(stands)
                .filter_map(|item| Some((item.rule.clone()?, apply::subject(given, item)?)));
            let proofs = verify::prove(subjects, Depth::Full, limits, &mut |_, _| {})?;
            Ok(proofs.into_iter().map(|(rule, proof)| (rule, Description::of(proof))).collect())
        })
    }

    fn settings(&self) -> Result<Settings, Failure> {
        config::load(Path::new("/"), self.config)
    }

    /// Works on the mounted instance, or, if none is mounted, on the one that the service holds open.
    fn on_instance<T>(
        &self,
        held: u64,
        work: impl FnOnce(&Instance) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        match Instance::find() {
            Ok(instance) => work(&instance),
            Err(error) if self.held.device() == held => {
                tracing::info!("{error}; the service keeps its instance and its rules");
                work(self.held)
            }
            Err(error) => Err(Failure::unavailable(error)),
        }
    }
}

/// The rule that captures the host's own programs, and so the probes too. The kernel is asked with such a program.
fn captured(settings: &Settings, seen: &Observation) -> Option<String> {
    let host = settings.table.find(&seen.host).ok()?;
    let program = probe::truncated(host, probe::ElfType::Executable);
    let header = Header::new(&program);
    if native::ask(&[program]).ok()?.first() != Some(&native::RunBy::Rule) {
        return None;
    }
    let entry = winner(&seen.instance.entries, &header, Path::new("/"))?;
    let name = entry.display_name();
    Some(format!(
        "rule {name}, which binfmtd did not register, takes this host's own programs (remove it: \
         echo -1 > {})",
        quote(&Path::new(MOUNT_POINT).join(&entry.name))
    ))
}

/// The entries without those that were replaced or removed: if somebody registers one of these again as it was, that is
/// a change, and calls for another check.
fn left(entries: &[Entry], outcomes: &[Outcome]) -> Vec<Entry> {
    let is_gone = |entry: &Entry| {
        let mut changed = outcomes.iter().filter(|outcome| outcome.changed);
        changed.any(|outcome| match &outcome.item.decision {
            Decision::Change(Action::Replace { old, .. }) => old.contains(&entry.name),
            Decision::Change(Action::Remove { name, .. }) => *name == entry.name,
            _ => false,
        })
    };
    entries.iter().filter(|entry| !is_gone(entry)).cloned().collect()
}

fn rule_state(outcome: &Outcome, seen: &Observation) -> Option<RuleState> {
    let item = &outcome.item;
    let by = item.decision.server();
    let interpreter = match &item.decision {
        // Neither the instance as a whole nor a rule to remove is a wanted rule.
        Decision::Change(action) => Some(action.rule()?.interpreter().to_string()),
        Decision::Kept { name, .. } | Decision::Served { by: name } => {
            let entry = seen.instance.entries.iter().find(|entry| entry.name == *name);
            entry.map(|entry| entry.interpreter.display().to_string())
        }
        Decision::Native | Decision::Refused(_) => None,
    };
    let proof = outcome.proof.as_ref();
    Some(RuleState {
        target: item.target.clone(),
        rule: item.rule.clone().unwrap_or_default(),
        condition: if outcome.is_well() { Condition::Working } else { Condition::Degraded },
        why: outcome.trouble().or_else(|| item.decision.remark()),
        by: by.map(|name| name.to_string_lossy().into_owned()),
        ours: matches!(item.decision, Decision::Kept { .. } | Decision::Change(_)),
        interpreter,
        file: proof.and_then(|proof| proof.pinned.as_ref()).map(|pinned| pinned.id),
        version: None,
        sha256: None,
        probe_seconds: proof.map(|proof| proof.time.as_secs_f64()),
    })
}

fn change(outcome: &Outcome, seen: &Observation) -> Option<RuleChange> {
    let Decision::Change(action) = &outcome.item.decision else { return None };
    if !outcome.changed {
        return None;
    }
    let is_ours = |name: &std::ffi::OsString| {
        seen.instance.entries.iter().any(|entry| entry.name == *name && seen.record.owns(entry))
    };
    let cause = match action {
        Action::EnableInstance => ChangeCause::InstanceDisabled,
        Action::Enable(_) => ChangeCause::Disabled,
        Action::Add(rule) if seen.record.rules.contains_key(rule.name().as_str()) => {
            ChangeCause::Removed
        }
        Action::Replace { old, .. } if old.iter().all(is_ours) => ChangeCause::Interpreter,
        Action::Replace { .. } => ChangeCause::Shadowed,
        Action::Add(_) | Action::Remove { .. } => ChangeCause::Wanted,
    };
    Some(RuleChange {
        cause,
        what: action.to_string(),
        rule: outcome.item.rule.clone(),
        target: outcome.item.target.clone(),
        interpreter: action.rule().map(|rule| rule.interpreter().to_string()),
    })
}

impl Description {
    fn of(proof: Proof) -> Self {
        Self {
            failure: proof.failure().map(str::to_owned),
            file: proof.pinned.as_ref().map(|pinned| pinned.id),
            sha256: proof.pinned.and_then(|pinned| pinned.sha256),
            version: proof.version,
        }
    }
}

#[cfg(test)]
mod tests;
