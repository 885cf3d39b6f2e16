//! Deals with the result of a worker's job.

use std::time::Instant;

use super::event::{Effect, Now};
use super::jobs::{PROVE_AFTER, Running};
use super::model::{Baseline, Machine, Readiness, Retry};
use super::verdicts;
use crate::daemon::journal::{Changes, JournalEntry};
use crate::daemon::protocol::{Job, JobResult, Reconciled, RuleChange};
use crate::daemon::state::{ChangeCause, RuleState};
use crate::failure::Failure;

impl Machine {
    pub(super) fn job_ended(&mut self, result: JobResult, now: Now) {
        let Some(running) = self.jobs.end() else { return };
        match result {
            JobResult::Reconciled(reconciled) => {
                self.expects_new_record = true;
                self.jobs.settle(running, reconciled);
                if self.baseline.is_some() {
                    // Rules that it found missing may be back by now, and others may be missing.
                    self.look(now);
                } else {
                    self.finish_check(now);
                }
            }
            JobResult::Described(descriptions) => {
                let rules = &mut self.state.rules;
                for entry in verdicts::describe(rules, descriptions, &mut self.described) {
                    self.log(entry);
                }
                self.publication.changed();
                self.looks.by(now.at);
            }
            JobResult::Failed(failure) => {
                let retry = match running.job {
                    Job::Reconcile => Retry::Check,
                    Job::Describe => Retry::Never,
                };
                self.fail(failure, retry, now);
                self.looks.by(now.at);
            }
        }
    }

    /// The look after a check is over: adopts the result of the check, if one is waiting.
    pub(super) fn finish_check(&mut self, now: Now) {
        let Some((running, reconciled)) = self.jobs.take_settled() else { return };
        self.adopt_settings(&reconciled, now);
        self.adopt_changes(&reconciled.changes, running.first_change, now);
        self.adopt_rules(*reconciled, running, now);
        // For changes while the worker held the lock.
        self.looks.by(now.at);
    }

    fn adopt_settings(&mut self, found: &Reconciled, now: Now) {
        self.publication.changed();
        self.state.trouble = None;
        self.pace.free = found.pause_after;
        self.pace.longest = found.longest_pause;
        self.jobs.succeeded(found.pause_after, found.backstop, now.at);
        let metrics_file = found.metrics_file.as_ref().unwrap_or(&self.usual_metrics_file).clone();
        if metrics_file != self.metrics_file {
            // Otherwise its readers would not notice that it is out of date.
            let old = std::mem::replace(&mut self.metrics_file, metrics_file);
            self.emit(Effect::RemoveMetrics(old));
        }
        self.claimed.clone_from(&found.claimed);
        self.baseline = Some(Baseline { others: found.others, missing: None });
        self.emit(Effect::Compare(found.relevant.clone()));
        if found.instance != self.state.instance {
            self.emit(Effect::HoldMounted);
        }
        self.emit(Effect::Follow(found.follow.clone()));
    }

    fn adopt_changes(&mut self, changes: &[RuleChange], first_change: Instant, now: Now) {
        // What the worker could register, the kernel no longer refuses.
        let registered = |name: &str| changes.iter().any(|it| it.rule.as_deref() == Some(name));
        self.refused
            .retain(|action| !action.rule().is_some_and(|rule| registered(rule.name().as_str())));
        if changes.is_empty() {
            return;
        }
        for change in changes {
            self.log(JournalEntry::Changed(change.clone()));
        }
        let counts: Changes = changes.iter().map(|change| change.cause).collect();
        self.count(&counts, first_change, now);
        self.pace.done(now.at);
        if changes
            .iter()
            .any(|it| matches!(it.cause, ChangeCause::Disabled | ChangeCause::InstanceDisabled))
        {
            // While a rule is disabled, it cannot be compared with the disk or with rules of others.
            self.jobs.reconcile_by(now.at);
        }
    }

    fn adopt_rules(&mut self, found: Reconciled, running: Running, now: Now) {
        if found.undone {
            self.jobs.undone(now.at);
        } else if running.disturbed {
            // Its probes may have run while rules were missing.
            self.jobs.reconcile_by(now.at + PROVE_AFTER);
        } else if let Some(captured) = found.captured {
            // Then the results of all probes are caused by that rule.
            self.fail(Failure::unavailable(captured), Retry::Never, now);
        } else {
            self.adopt_verdicts(found.rules, now);
        }
    }

    fn adopt_verdicts(&mut self, rules: Vec<RuleState>, now: Now) {
        for entry in verdicts::adopt(&mut self.state.rules, rules, &self.described) {
            self.log(entry);
        }
        if self.described.is_incomplete(&self.state.rules) {
            self.jobs.describe_later(now.at);
        }
        // One target that does not work must not delay units that are ordered after the service; but if none works,
        // the service is not ready.
        let (degraded, all) = (self.state.degraded().len(), self.state.names().len());
        let is_well = degraded == 0 || degraded < all;
        if self.readiness == Readiness::Starting && is_well {
            self.became_ready();
            self.log(JournalEntry::Ready { status: self.state.status_line() });
        }
    }

    /// Another instance is held: what the old one refused says nothing about it.
    pub(super) fn instance_held(&mut self, device: u64) {
        self.state.instance = device;
        self.refused.clear();
        self.publication.changed();
    }
}
