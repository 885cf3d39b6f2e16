//! Has the helper check everything, and takes its answers.

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

use super::{Keeper, Running, earliest};
use crate::daemon::job::{Answer, Description, Job, Reconciled, Task};
use crate::daemon::state::{Cause, Condition};
use crate::daemon::{journal, metrics};
use crate::failure::{Failure, FailureKind};
use crate::observation::FileId;
use crate::plan::Action;
use crate::system::binfmt_misc::instance::Instance;

/// How long no file may change before all is checked: a package brings one after the other.
pub(super) const FILES_SETTLE: Duration = Duration::from_millis(250);
const LONGEST_FILES_SETTLE: Duration = Duration::from_secs(5);
/// After rules were put back, they are proved, once it is quiet.
pub(super) const PROVE_AFTER: Duration = Duration::from_secs(2);
/// Versions and digests can wait: at boot there is more to do.
const DESCRIBE_AFTER: Duration = Duration::from_secs(2);
/// The first pause after a job that could not be done; each further one is twice as long.
pub(super) const FIRST_RETRY: Duration = Duration::from_secs(15);
const LONGEST_RETRY: Duration = Duration::from_secs(15 * 60);

impl Keeper<'_> {
    pub(super) fn files_changed(&mut self, now: Instant) {
        self.refused.clear();
        self.asked.get_or_insert(now);
        let first = *self.files_heard.get_or_insert(now);
        self.due.reconcile = Some((now + FILES_SETTLE).min(first + LONGEST_FILES_SETTLE));
    }

    pub(super) fn reconcile_by(&mut self, moment: Instant) {
        self.due.reconcile = earliest([self.due.reconcile, Some(moment)]);
    }

    pub(super) fn begin(&mut self, task: Task, now: Instant) -> Result<(), Failure> {
        let job = Job { task, instance: self.instance.device() };
        let bytes = serde_json::to_vec(&job).map_err(|error| Failure::io("job")(error.into()))?;
        self.helper.ask(&bytes).map_err(Failure::io("ask the helper"))?;
        let mut asked = now;
        if task == Task::Reconcile {
            asked = self.asked.take().unwrap_or(now);
            self.files_heard = None;
            // It sees whatever others did up to now.
            if self.checks.is_awaited() {
                self.checks.done(now);
            }
        }
        self.job = Some(Running { task, begun: now, asked });
        self.disturbed = false;
        Ok(())
    }

    pub(super) fn take_answer(&mut self, now: Instant) -> Result<(), Failure> {
        let gone = |error| Failure::io("the helper has ended")(error);
        let Some(answer) = self.helper.answer().map_err(gone)? else { return Ok(()) };
        let job = self.job.take();
        let asked = job.map_or(now, |job| job.asked);
        let answer = serde_json::from_slice(&answer).unwrap_or_else(|_| {
            let why = "the worker ended early: it was killed, or crashed";
            Answer::Failed(Failure::unavailable(why))
        });
        let failed = matches!(answer, Answer::Failed(_));
        match answer {
            Answer::Reconciled(reconciled) => {
                // It may have written it, and that is no news.
                self.record_file = None;
                // What it saw may have been gone for the moment, or have gone since.
                self.put_back(now)?;
                self.reconciled(*reconciled, asked, now)?;
            }
            Answer::Described(descriptions) => self.take_descriptions(descriptions),
            Answer::Failed(trouble) => self.failed(job.map(|job| job.task), trouble, now)?,
        }
        // Whatever was told while the lock was held.
        self.due.look = earliest([self.due.look, Some(now)]);
        if self.reloading && (failed || self.due.reconcile.is_none()) {
            self.reloading = false;
            self.changed = true;
            self.announce = true;
        }
        Ok(())
    }

    pub(super) fn failed(
        &mut self,
        task: Option<Task>,
        trouble: Failure,
        now: Instant,
    ) -> Result<(), Failure> {
        // Nothing was ever right: whoever started us is told.
        if self.others.is_none() {
            return Err(trouble);
        }
        if self.state.trouble.as_ref() != Some(&trouble.message) {
            journal::trouble(&trouble.message);
        }
        // A faulty configuration does not mend itself, and its change is told.
        if task == Some(Task::Reconcile) && trouble.kind != FailureKind::Usage {
            self.reconcile_by(now + self.retry);
            self.retry = (self.retry * 2).min(LONGEST_RETRY);
        }
        self.state.trouble = Some(trouble.message);
        self.arm_backstop(now);
        self.changed = true;
        Ok(())
    }

    fn reconciled(
        &mut self,
        answer: Reconciled,
        asked: Instant,
        now: Instant,
    ) -> Result<(), Failure> {
        self.changed = true;
        self.retry = FIRST_RETRY;
        self.state.trouble = None;
        self.pace.free = answer.pause_after;
        self.checks.free = answer.pause_after;
        self.pace.longest = answer.longest_pause;
        self.backstop = answer.backstop;
        let file = answer.metrics_file.unwrap_or_else(|| self.runtime.join(metrics::FILE));
        let before = std::mem::replace(&mut self.metrics_file, file);
        if before != self.metrics_file {
            // Nobody would write it any more, and whoever reads it would not know.
            let _ = std::fs::remove_file(before);
        }
        self.claimed = answer.claimed;
        self.others = Some(answer.others);
        self.relevant = answer.relevant;
        self.missing = None;
        // What it could register, the kernel takes.
        let registered =
            |name: &str| answer.changes.iter().any(|it| it.rule.as_deref() == Some(name));
        self.refused.retain(|action| match action {
            Action::Add(rule) | Action::Enable(rule) => !registered(rule.name().as_str()),
            _ => true,
        });
        self.arm_backstop(now);
        if answer.instance != self.instance.device() {
            self.hold_another()?;
        }
        match self.watcher.follow(answer.follow) {
            Ok(false) => {}
            Ok(true) => self.files_changed(now),
            Err(error) => {
                let trouble = Failure::unavailable(format!("watch files: {error}"));
                self.failed(Some(Task::Reconcile), trouble, now)?;
            }
        }
        let mut counts: BTreeMap<Cause, u64> = BTreeMap::new();
        for change in &answer.changes {
            journal::changed(change);
            *counts.entry(change.cause).or_default() += 1;
        }
        if !counts.is_empty() {
            self.count(&counts, asked.elapsed().as_secs_f64());
            self.pace.done(now);
        }
        if counts.contains_key(&Cause::Disabled) || counts.contains_key(&Cause::InstanceDisabled) {
            // What was switched off could not be compared with what is on disk, nor with rules of others.
            self.reconcile_by(now);
        }
        if answer.undone {
            let moment = self.checks.wait(now).unwrap_or(now + FILES_SETTLE);
            self.reconcile_by(moment);
            return Ok(());
        }
        if self.disturbed {
            // It saw rules that were gone for the moment; how they are, the next one tells.
            self.reconcile_by(now + PROVE_AFTER);
            return Ok(());
        }
        if let Some(captured) = answer.captured {
            // Whatever the probes say of each rule, it is this.
            return self.failed(None, Failure::unavailable(captured), now);
        }
        let before = std::mem::replace(&mut self.state.rules, answer.rules);
        for rule in &mut self.state.rules {
            let known = before.iter().find(|known| known.rule == rule.rule);
            let was = known.map(|known| known.condition);
            let said = known.and_then(|known| known.why.as_ref());
            match rule.condition {
                Condition::Degraded
                    if was != Some(Condition::Degraded) || said != rule.why.as_ref() =>
                {
                    journal::degraded(rule);
                }
                Condition::Working if was == Some(Condition::Degraded) => journal::recovered(rule),
                _ => {}
            }
            if let Some((version, sha256)) = rule.file.and_then(|file| self.described.get(&file)) {
                rule.version.clone_from(version);
                rule.sha256.clone_from(sha256);
            }
        }
        let is_unknown = |file: FileId| !self.described.contains_key(&file);
        if self.state.rules.iter().any(|rule| rule.file.is_some_and(is_unknown)) {
            self.due.describe = Some(now + DESCRIBE_AFTER);
        }
        let degraded = self.state.degraded();
        // What is in force has passed its probe. One target that does not work is no reason to leave the
        // others without care, or whoever starts after us waiting; but if all do not, nothing is ready.
        let nothing_works = degraded.len() == self.state.names().len();
        if !self.state.ready && (degraded.is_empty() || !nothing_works) {
            self.state.ready = true;
            self.announce = true;
            journal::ready(&self.status());
        }
        Ok(())
    }

    fn arm_backstop(&mut self, now: Instant) {
        self.due.backstop = self.backstop.map(|after| now + after);
    }

    /// The worker found another instance mounted than the one that is held.
    fn hold_another(&mut self) -> Result<(), Failure> {
        match Instance::find() {
            Ok(instance) => {
                self.watcher
                    .follow_instance(instance.root())
                    .map_err(Failure::io("watch binfmt_misc"))?;
                self.state.instance = instance.device();
                self.instance = instance;
                self.refused.clear();
                self.record_file = None;
            }
            Err(error) => journal::trouble(&error),
        }
        Ok(())
    }

    fn take_descriptions(&mut self, descriptions: BTreeMap<String, Description>) {
        for (name, description) in descriptions {
            let Description { file, version, sha256, failure } = description;
            let Some(rule) = self.state.rules.iter_mut().find(|rule| rule.rule == name) else {
                continue;
            };
            if let Some(file) = file {
                self.described.insert(file, (version.clone(), sha256.clone()));
            }
            (rule.version, rule.sha256) = (version, sha256);
            if let Some(why) = failure.filter(|_| rule.condition == Condition::Working) {
                rule.condition = Condition::Degraded;
                rule.why = Some(why);
                journal::degraded(rule);
            }
        }
        let used: HashSet<FileId> = self.state.rules.iter().filter_map(|rule| rule.file).collect();
        self.described.retain(|file, _| used.contains(file));
        self.changed = true;
    }
}
