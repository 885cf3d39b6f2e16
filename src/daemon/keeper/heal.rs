//! Looks at the instance, and puts back at once what can be put back as it was.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use super::check::{FILES_SETTLE, PROVE_AFTER};
use super::{Keeper, since_1970};
use crate::apply::{self, RuleError};
use crate::daemon::job::Task;
use crate::daemon::journal;
use crate::daemon::state::{Cause, Condition, RuleState};
use crate::failure::Failure;
use crate::observation::InstanceFacts;
use crate::plan::{self, Action};
use crate::system::binfmt_misc::record::{self, Store};
use crate::system::files::identity;

/// How long it has to be quiet before the instance is looked at: a flush tells of each rule.
const SETTLE: Duration = Duration::from_millis(1);
/// However much goes on, the look comes this long after the first change.
const LONGEST_SETTLE: Duration = Duration::from_millis(20);
/// systemd-binfmt removes everything and then registers its own: who takes one of its names in
/// between makes it fail.
const CLAIMED_SETTLE: Duration = Duration::from_millis(250);
/// While somebody else of us works, it is looked again this soon.
const LOCKED: Duration = Duration::from_millis(20);
const LONGEST_LOCKED: Duration = Duration::from_secs(1);
/// A register by hand takes less; then somebody is told.
const TELL_LOCKED: Duration = Duration::from_secs(10);

/// What was seen when there was nothing to put back.
pub(super) struct Looked {
    facts: InstanceFacts,
    /// When the first change was told.
    heard: Instant,
    /// Names of ours that are better left alone for the moment.
    waiting: BTreeSet<String>,
}

impl Keeper<'_> {
    pub(super) fn look_soon(&mut self, now: Instant) {
        let first = *self.heard.get_or_insert(now);
        // A pause goes on, whatever happens meanwhile.
        if self.state.paused_until.is_none() {
            self.due.look = Some((now + SETTLE).min(first + LONGEST_SETTLE));
        }
    }

    /// Looks at the instance, puts back what can be put back at once, and has the rest done.
    pub(super) fn look(&mut self, now: Instant) -> Result<(), Failure> {
        self.due.look = None;
        let Some(Looked { facts, heard, waiting }) = self.put_back(now)? else { return Ok(()) };
        self.heard = None;
        self.end_pause();
        let missing = plan::missing(&facts, &self.record);
        if missing.iter().any(|name| name.to_str().is_some_and(|name| waiting.contains(name))) {
            self.heard = Some(heard);
            self.due.look = Some(heard + CLAIMED_SETTLE);
            return Ok(());
        }
        let others = self.relevant.digest_of_others(&facts.entries, &self.record);
        let is_in_step = self.is_in_step();
        let is_settled = self.missing.as_ref().is_none_or(|known| *known == missing);
        self.missing = Some(missing);
        if self.others.is_some_and(|known| known != others) || !is_settled || !is_in_step {
            self.others = self.others.map(|_| others);
            self.asked.get_or_insert(heard);
            // What others did is for a whole plan; but nobody is hurried into a war, nor into one check
            // after the other.
            let war = self.pace.wait(now);
            if let Some(until) = war {
                self.pause(now, until);
                self.due.look = None;
            }
            let moment = war.max(self.checks.wait(now)).unwrap_or(now);
            self.reconcile_by(moment);
        }
        Ok(())
    }

    /// Puts back what can be put back at once; else what was seen.
    pub(super) fn put_back(&mut self, now: Instant) -> Result<Option<Looked>, Failure> {
        let (store, facts) = match self.open(now) {
            Ok(Some(opened)) => opened,
            Ok(None) => {
                self.wait_for_lock(now);
                return Ok(None);
            }
            // No descriptor or no memory left, say: it may be otherwise later.
            Err(error) => {
                self.failed(Some(Task::Reconcile), Failure::unavailable(error), now)?;
                return Ok(None);
            }
        };
        self.locked = None;
        let heard = self.heard.unwrap_or(now);
        let waiting =
            if now < heard + CLAIMED_SETTLE { self.claimed.clone() } else { BTreeSet::new() };
        let on_disk = |path: &Path| identity::id_of(path).ok();
        let mut actions = if self.others.is_some() {
            plan::restore(&facts, &self.record, &on_disk, &waiting)
        } else {
            // Before the first reconciliation nobody knows what is wanted.
            Vec::new()
        };
        actions.retain(|action| !self.refused.contains(action));
        if actions.is_empty() {
            return Ok(Some(Looked { facts, heard, waiting }));
        }
        if let Some(until) = self.pace.wait(now) {
            self.pause(now, until);
            return Ok(None);
        }
        let restored = apply::restore(&actions, &self.instance, &store);
        drop(store);
        match restored {
            // Its own events bring the next look, which finds all well, or does not.
            Ok(results) => self.restored(actions, results, heard),
            // Mounted read-only, say: a full check tells more.
            Err(error) => {
                self.heard = None;
                self.failed(Some(Task::Reconcile), Failure::unavailable(error), now)?;
            }
        }
        Ok(None)
    }

    /// Whether what is ours is still in the record: whoever runs `binfmtd unregister` takes it out.
    fn is_in_step(&self) -> bool {
        let working = |rule: &&RuleState| rule.ours && rule.condition == Condition::Working;
        let mut rules = self.state.rules.iter().filter(working);
        rules.all(|rule| rule.by.as_ref().is_some_and(|by| self.record.rules.contains_key(by)))
    }

    /// The lock, and what is there; `None` while somebody has it.
    fn open(&mut self, now: Instant) -> io::Result<Option<(Store, InstanceFacts)>> {
        if !self.runtime.exists() {
            record::make_folder(self.runtime)?;
        }
        let Some(store) = Store::try_open(self.runtime)? else { return Ok(None) };
        let facts = self.instance.look()?;
        self.reload_record(&store, now)?;
        Ok(Some((store, facts)))
    }

    /// Nobody tells when the lock is free again.
    fn wait_for_lock(&mut self, now: Instant) {
        let (since, pause) = self.locked.unwrap_or((now, LOCKED));
        self.due.look = Some(now + pause);
        let next = (pause * 2).min(LONGEST_LOCKED);
        self.locked = Some((since, next));
        let is_ours = self.job.is_some_and(|job| job.task == Task::Reconcile);
        let long = since + TELL_LOCKED;
        // Once: the last look came before that moment.
        if !is_ours && now >= long && now < long + pause {
            let lock = self.runtime.join(record::LOCK);
            journal::trouble(&format!(
                "{}: another binfmtd has held this lock for some time, so nothing can be put right \
                 (fuser {0} names it)",
                lock.display()
            ));
        }
    }

    fn reload_record(&mut self, store: &Store, now: Instant) -> io::Result<()> {
        let file = record::id(self.runtime);
        let is_new = file != self.record_file;
        let is_lost = file.is_none() || is_new && record::is_damaged(self.runtime);
        if is_lost && !self.record.rules.is_empty() {
            // Somebody removed or damaged it, and with it the knowledge of what is ours.
            store.save(&self.record)?;
            self.record_file = record::id(self.runtime);
            return Ok(());
        }
        if file.is_none() || is_new {
            if self.record_file.is_some() && self.others.is_some() {
                // Somebody registered or unregistered by hand; the configuration decides.
                self.reconcile_by(now + FILES_SETTLE);
            }
            self.record = record::load(self.runtime, self.instance.device())?;
            self.record_file = file;
        }
        Ok(())
    }

    fn restored(
        &mut self,
        mut actions: Vec<Action>,
        results: Vec<Result<(), RuleError>>,
        heard: Instant,
    ) {
        let failed = results.iter().any(Result::is_err);
        for (action, result) in std::mem::take(&mut actions).into_iter().zip(results) {
            match result {
                Ok(()) => actions.push(action),
                Err(error) => {
                    journal::trouble(&error.to_string());
                    self.refused.push(action);
                }
            }
        }
        if failed {
            // Of what was not written nobody tells, and it is missing now.
            self.due.look = Some(Instant::now());
        }
        if actions.is_empty() {
            return;
        }
        let seconds = heard.elapsed().as_secs_f64();
        self.heard = None;
        self.end_pause();
        self.pace.done(Instant::now());
        self.disturbed = true;
        let mut counts: BTreeMap<Cause, u64> = BTreeMap::new();
        for action in &actions {
            let cause = match action {
                Action::EnableInstance => Cause::InstanceDisabled,
                Action::Enable(_) => Cause::Disabled,
                _ => Cause::Removed,
            };
            *counts.entry(cause).or_default() += 1;
        }
        let what: Vec<_> = counts
            .iter()
            .map(|(cause, count)| match (cause, count) {
                (Cause::InstanceDisabled, _) => {
                    "binfmt_misc was disabled and is enabled".to_owned()
                }
                (Cause::Disabled, 1) => "1 rule was disabled and is enabled".to_owned(),
                (Cause::Disabled, count) => format!("{count} rules were disabled and are enabled"),
                (_, 1) => "1 rule was removed and is back".to_owned(),
                (_, count) => format!("{count} rules were removed and are back"),
            })
            .collect();
        let rule = match actions.as_slice() {
            [Action::Add(rule) | Action::Enable(rule)] => Some(rule.name().as_str()),
            _ => None,
        };
        journal::restored(&what.join(", "), rule, seconds);
        self.count(&counts, seconds);
        // What was put back is what was proved; that it works, only an exec shows.
        self.due.prove = Some(Instant::now() + PROVE_AFTER);
    }

    fn pause(&mut self, now: Instant, until: Instant) {
        let left = until.saturating_duration_since(now).as_secs_f64();
        self.due.look = Some(until);
        if let Some(times) = self.pace.is_pausing().filter(|_| self.state.paused_until.is_none()) {
            journal::conflict(times, left);
            self.state.conflicts += 1;
        }
        self.state.paused_until = Some(since_1970() + left);
        self.changed = true;
    }

    fn end_pause(&mut self) {
        self.changed |= self.state.paused_until.take().is_some();
    }
}
