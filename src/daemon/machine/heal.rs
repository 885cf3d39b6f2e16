//! Deals with the result of a look at the instance: rules are restored, or checked, or left alone for now.

use std::time::Instant;

use super::event::{Effect, LookResult, Now};
use super::jobs::FILES_SETTLE;
use super::model::{Baseline, Machine, Retry};
use crate::apply::RuleError;
use crate::daemon::journal::{Changes, JournalEntry};
use crate::daemon::state::{ChangeCause, Condition};
use crate::failure::Failure;
use crate::plan;

impl Machine {
    pub(super) fn instance_changed(&mut self, now: Now) {
        // The first check will see the change anyway.
        if self.baseline.is_some() {
            self.looks.changed(now.at);
        }
    }

    pub(super) fn look(&mut self, now: Now) {
        let leave_alone = self.looks.start(&self.claimed, now.at);
        self.emit(Effect::Look { leave_alone });
    }

    pub(super) fn lock_busy(&mut self, now: Now) {
        if self.looks.lock_busy(self.jobs.is_reconciling(), now.at) {
            self.log(JournalEntry::Trouble(format!(
                "{}: another binfmtd process has held this lock for some time, so no rule can be restored \
                 (fuser {0} names the process)",
                self.lock_file.display()
            )));
        }
        self.finish_check(now);
    }

    /// It may succeed later, after a lack of descriptors or memory, for example.
    pub(super) fn look_failed(&mut self, failure: Failure, now: Now) {
        self.looks.lock_taken();
        self.fail(failure, Retry::Check, now);
        self.finish_check(now);
    }

    pub(super) fn looked(&mut self, result: LookResult, now: Now) {
        self.looks.lock_taken();
        let is_ours = std::mem::take(&mut self.expects_new_record);
        if result.record_changed && !is_ours {
            // `binfmtd register` or `unregister` ran; the configuration decides.
            self.jobs.reconcile_by(now.at + FILES_SETTLE);
        }
        let restorable = result.restorable.iter().filter(|it| !self.refused.contains(it));
        let actions: Vec<_> = restorable.cloned().collect();
        if actions.is_empty() {
            self.emit(Effect::Unlock);
            if !self.jobs.is_settling() {
                self.compare(result, now);
            }
        } else if let Some(until) = self.pace.wait(now.at) {
            self.emit(Effect::Unlock);
            self.looks.pause(until);
            self.report_pause(until, now);
        } else {
            // The look ends with the result.
            return self.emit(Effect::Restore(actions));
        }
        self.finish_check(now);
    }

    /// Nothing has to be restored; starts a check if the instance has changed.
    fn compare(&mut self, result: LookResult, now: Now) {
        let first_change = self.looks.first_change(now.at);
        self.end_pause();
        if self.looks.wait_for_claimed(&result.missing, now.at) {
            return;
        }
        self.looks.settled();
        // `binfmtd unregister` takes a rule out of the record.
        let is_in_step = self
            .state
            .rules
            .iter()
            .filter(|rule| rule.ours && rule.condition == Condition::Working)
            .all(|rule| rule.by.as_ref().is_some_and(|by| result.owned.contains(by)));
        let Some(baseline) = &mut self.baseline else { return };
        let is_same = baseline.others == result.others
            && baseline.missing.as_ref().is_none_or(|missing| *missing == result.missing);
        *baseline = Baseline { others: result.others, missing: Some(result.missing) };
        if is_same && is_in_step {
            return;
        }
        // A check may replace rules of others, so it too is delayed when they keep coming back.
        let until = self.pace.wait(now.at);
        if let Some(until) = until {
            self.looks.pause_for_check();
            self.report_pause(until, now);
        }
        self.jobs.others_changed(first_change, until, now.at);
    }

    pub(super) fn restored(
        &mut self,
        results: Vec<(plan::Action, Result<(), RuleError>)>,
        now: Now,
    ) {
        let mut done = Vec::new();
        for (action, result) in results {
            match result {
                Ok(()) => done.push(action),
                Err(error) => {
                    self.log(JournalEntry::Trouble(error.to_string()));
                    self.refused.push(action);
                    // A failed write causes no event, and the rule is missing now.
                    self.looks.by(now.at);
                }
            }
        }
        if !done.is_empty() {
            self.count_restored(&done, now);
        }
        self.finish_check(now);
    }

    fn count_restored(&mut self, done: &[plan::Action], now: Now) {
        let first_change = self.looks.first_change(now.at);
        self.looks.settled();
        self.end_pause();
        self.pace.done(now.at);
        // These rules were probed before, and only an exec shows that they still work.
        self.jobs.restored(now.at);
        let changes: Changes = done.iter().map(cause_of).collect();
        self.count(&changes, first_change, now);
        let rule = match done {
            [action] => action.rule().map(|rule| rule.name().to_string()),
            _ => None,
        };
        let took = now.at.saturating_duration_since(first_change);
        self.log(JournalEntry::Restored { changes, rule, took });
    }

    /// The instance may be mounted read-only, for example; a check finds out.
    pub(super) fn restore_failed(&mut self, failure: Failure, now: Now) {
        self.looks.settled();
        self.fail(failure, Retry::Check, now);
        self.finish_check(now);
    }

    fn report_pause(&mut self, until: Instant, now: Now) {
        let next_in = until.saturating_duration_since(now.at);
        let is_news = self.state.paused_until.is_none();
        if let Some(times) = self.pace.is_pausing().filter(|_| is_news) {
            self.log(JournalEntry::Conflict { times, next_in });
            self.state.conflicts += 1;
        }
        self.state.paused_until = Some(now.since_1970 + next_in.as_secs_f64());
        self.publication.changed();
    }

    fn end_pause(&mut self) {
        self.looks.end_pause();
        if self.state.paused_until.take().is_some() {
            self.publication.changed();
        }
    }
}

fn cause_of(action: &plan::Action) -> ChangeCause {
    match action {
        plan::Action::EnableInstance => ChangeCause::InstanceDisabled,
        plan::Action::Enable(_) => ChangeCause::Disabled,
        plan::Action::Add(_) | plan::Action::Replace { .. } | plan::Action::Remove { .. } => {
            ChangeCause::Removed
        }
    }
}
