//! The loop.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ffi::OsString;
use std::io;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::job::{Answer, Described, Description, Job, Kind, Reconciled, Relevant, Task, Trouble};
use super::pace::Pace;
use super::state::{Cause, Condition, Heal, RuleState, State};
use super::{DaemonError, io_error, journal, metrics};
use crate::apply;
use crate::observation::{FileId, InstanceFacts, Record};
use crate::plan::{self, Action};
use crate::system::helper::Helper;
use crate::system::instance::Instance;
use crate::system::poller::{Poller, Ready};
use crate::system::record::{self, Store};
use crate::system::service::Manager;
use crate::system::signal::{Interrupt, Wish};
use crate::system::watch::{self, Seen, Watcher};
use crate::system::{file, host};

const SIGNALS: u64 = 0;
const WATCHER: u64 = 1;
const MOUNTS: u64 = 2;
const HELPER: u64 = 3;

/// How long it has to be quiet before the instance is looked at: a flush tells of each rule.
const SETTLE: Duration = Duration::from_millis(1);
/// However much goes on, the look comes this long after the first change.
const LONGEST_SETTLE: Duration = Duration::from_millis(20);
/// The same for files: a package brings one after the other.
const FILES_SETTLE: Duration = Duration::from_millis(250);
const LONGEST_FILES_SETTLE: Duration = Duration::from_secs(5);
/// systemd-binfmt removes everything and then registers its own: who takes one of its names in
/// between makes it fail.
const CLAIMED_SETTLE: Duration = Duration::from_millis(250);
/// After rules were put back, they are proved, once it is quiet.
const PROVE_AFTER: Duration = Duration::from_secs(2);
/// While somebody else of us works, it is looked again this soon.
const LOCKED: Duration = Duration::from_millis(20);
const LONGEST_LOCKED: Duration = Duration::from_secs(1);
/// A register by hand takes less; then somebody is told.
const TELL_LOCKED: Duration = Duration::from_secs(10);
/// The longest between full checks for what others did to their own rules.
const LONGEST_BETWEEN_CHECKS: Duration = Duration::from_secs(60);
/// What could not be told to the manager is told again this soon.
const TELL_AGAIN: Duration = Duration::from_secs(1);
/// Versions and digests can wait: at boot there is more to do.
const DESCRIBE_AFTER: Duration = Duration::from_secs(2);
/// The first pause after a job that could not be done; each further one is twice as long.
const FIRST_RETRY: Duration = Duration::from_secs(15);
const LONGEST_RETRY: Duration = Duration::from_secs(15 * 60);
/// Longer than all time limits of a job together.
const LONGEST_JOB: Duration = Duration::from_secs(30 * 60);

pub(super) struct Keeper<'a> {
    runtime: &'a Path,
    manager: Manager,
    instance: Instance,
    helper: Helper,
    poller: Poller,
    watcher: Watcher,
    signals: Interrupt,
    /// Held open: the kernel tells of changes by it.
    _mounts: std::fs::File,
    state: State,
    /// What was last told to the manager.
    told: String,
    /// What could not be written, when it was last tried.
    complaint: Option<String>,
    /// Something is to be written down.
    changed: bool,
    /// READY is to be told, once that is done.
    announce: bool,
    record: Record,
    record_file: Option<FileId>,
    pace: Pace,
    described: Described,
    /// Names of ours that systemd-binfmt registers, too.
    claimed: BTreeSet<String>,
    metrics_file: PathBuf,
    /// What the rules of others were at the last reconciliation.
    others: Option<u64>,
    /// Which of these matter.
    relevant: Relevant,
    /// Full checks for what others did.
    checks: Pace,
    /// Since when somebody else has the lock, and how long to wait for it next.
    locked: Option<(Instant, Duration)>,
    /// What was missing after the last reconciliation, and cannot be put back as it was.
    missing: Option<Vec<OsString>>,
    /// What the kernel did not take back as it was; tried again once a file has changed.
    refused: Vec<Action>,
    /// `st_dev` of what is on the mount point, when it was last asked.
    mounted: Option<u64>,
    /// When the first change was told that nobody has looked at yet.
    heard: Option<Instant>,
    /// The same of what a reconciliation is to put right.
    asked: Option<Instant>,
    due: Due,
    job: Option<Running>,
    /// Rules were put back while a job ran: what it saw is not what is.
    disturbed: bool,
    /// Somebody waits for the end of a reload.
    reloading: bool,
    retry: Duration,
    backstop: Option<Duration>,
    watchdog: Option<Duration>,
}

/// A job that a worker does.
#[derive(Debug, Clone, Copy)]
struct Running {
    task: Task,
    begun: Instant,
    /// When the first change was told that it is to put right.
    asked: Instant,
}

/// What was seen when there was nothing to put back.
struct Looked {
    facts: InstanceFacts,
    /// When the first change was told.
    heard: Instant,
    /// Names of ours that are better left alone for the moment.
    waiting: BTreeSet<String>,
}

/// Moments.
#[derive(Debug, Default)]
struct Due {
    look: Option<Instant>,
    reconcile: Option<Instant>,
    /// The same as `reconcile`, put off by every further change.
    prove: Option<Instant>,
    describe: Option<Instant>,
    watchdog: Option<Instant>,
    backstop: Option<Instant>,
    /// What the manager did not hear.
    tell: Option<Instant>,
}

impl<'a> Keeper<'a> {
    pub(super) fn new(
        instance: Instance,
        helper: Helper,
        runtime: &'a Path,
        only_here: bool,
    ) -> Result<Self, DaemonError> {
        let manager = Manager;
        let poller = Poller::new().map_err(io_error("epoll"))?;
        let mut watcher = Watcher::new().map_err(io_error("inotify"))?;
        watcher.follow_instance(instance.root()).map_err(io_error("watch binfmt_misc"))?;
        let signals = Interrupt::catch().map_err(io_error("signalfd"))?;
        let mounts = watch::mounts().map_err(io_error("open mountinfo"))?;
        for (descriptor, token) in
            [(signals.as_fd(), SIGNALS), (watcher.as_fd(), WATCHER), (helper.descriptor(), HELPER)]
        {
            poller.add(descriptor, token).map_err(io_error("epoll"))?;
        }
        poller.add_exceptional(mounts.as_fd(), MOUNTS).map_err(io_error("epoll"))?;
        let pid = std::process::id();
        let state = State {
            schema: State::SCHEMA,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid,
            pid_started: host::started(pid).unwrap_or_default(),
            started: since_1970(),
            ready: false,
            status: "first check".to_owned(),
            instance: instance.device(),
            only_here,
            rules: Vec::new(),
            heals: BTreeMap::new(),
            last_heal: None,
            conflicts: 0,
            paused_until: None,
            trouble: None,
        };
        let mounted = watch::mounted_device(instance.place()).ok();
        let now = Instant::now();
        let watchdog = manager.watchdog();
        let due = Due {
            reconcile: Some(now),
            watchdog: watchdog.map(|every| now + every),
            ..Due::default()
        };
        Ok(Self {
            runtime,
            manager,
            instance,
            helper,
            poller,
            watcher,
            signals,
            _mounts: mounts,
            state,
            told: String::new(),
            complaint: None,
            changed: true,
            announce: false,
            record: Record::default(),
            record_file: None,
            // Until the configuration is known, nothing is put back.
            pace: Pace::new(0, Duration::ZERO),
            described: Described::new(),
            claimed: BTreeSet::new(),
            metrics_file: runtime.join(metrics::FILE),
            others: None,
            relevant: Relevant::default(),
            checks: Pace::new(0, LONGEST_BETWEEN_CHECKS),
            locked: None,
            missing: None,
            refused: Vec::new(),
            mounted,
            heard: None,
            asked: None,
            due,
            job: None,
            disturbed: false,
            reloading: false,
            retry: FIRST_RETRY,
            backstop: None,
            watchdog,
        })
    }

    /// Until somebody asks us to end.
    pub(super) fn run(&mut self) -> Result<(), DaemonError> {
        if self.state.only_here {
            journal::only_here();
        }
        loop {
            self.publish();
            let ready = self.poller.wait(self.next()).map_err(io_error("epoll"))?;
            let now = Instant::now();
            for ready in ready {
                match ready {
                    Ready::Descriptor(SIGNALS) => {
                        match self.signals.wish().map_err(io_error("signalfd"))? {
                            Wish::End => {
                                // Who does not hear it sees it.
                                let _ = self.manager.stopping();
                                // Whoever reads it would take it for the state of things.
                                let _ = std::fs::remove_file(&self.metrics_file);
                                return Ok(());
                            }
                            Wish::Reload => {
                                // Its end is told with READY, which is not true before.
                                if self.state.ready {
                                    self.reloading = self.manager.reloading();
                                }
                                self.refused.clear();
                                self.due.reconcile = Some(now);
                            }
                        }
                    }
                    Ready::Descriptor(WATCHER) => self.hear(now)?,
                    Ready::Descriptor(MOUNTS) => self.mounts_changed(now),
                    Ready::Descriptor(_) => self.take_answer(now)?,
                    Ready::Deadline => {}
                }
            }
            self.act(now)?;
        }
    }

    /// The next moment at which something is due.
    fn next(&self) -> Option<Instant> {
        let jobs = if let Some(job) = self.job {
            Some(job.begun + LONGEST_JOB)
        } else {
            let Due { reconcile, prove, describe, backstop, .. } = self.due;
            earliest([reconcile, prove, describe, backstop])
        };
        earliest([self.due.look, self.due.watchdog, self.due.tell, jobs])
    }

    /// Does what is due.
    fn act(&mut self, now: Instant) -> Result<(), DaemonError> {
        let is_due = |moment: Option<Instant>| moment.is_some_and(|moment| moment <= now);
        if is_due(self.due.watchdog) {
            // The next comes before the limit.
            let _ = self.manager.alive();
            self.due.watchdog = self.watchdog.map(|every| now + every);
        }
        if is_due(self.due.tell) {
            self.due.tell = None;
            self.changed = true;
        }
        if is_due(self.due.look) {
            self.look(now)?;
        }
        if let Some(job) = self.job {
            if now >= job.begun + LONGEST_JOB {
                return Err(DaemonError::Unavailable(format!(
                    "a full check has not ended for {} minutes",
                    LONGEST_JOB.as_secs() / 60
                )));
            }
        } else if [self.due.reconcile, self.due.prove, self.due.backstop].into_iter().any(is_due) {
            (self.due.reconcile, self.due.prove, self.due.backstop) = (None, None, None);
            self.begin(Task::Reconcile, now)?;
        } else if is_due(self.due.describe) {
            self.due.describe = None;
            self.begin(Task::Describe, now)?;
        }
        Ok(())
    }

    fn begin(&mut self, task: Task, now: Instant) -> Result<(), DaemonError> {
        let job = Job { task, instance: self.instance.device() };
        let bytes = serde_json::to_vec(&job).map_err(|error| io_error("job")(error.into()))?;
        self.helper.ask(&bytes).map_err(io_error("ask the helper"))?;
        self.job = Some(Running { task, begun: now, asked: self.asked.take().unwrap_or(now) });
        self.disturbed = false;
        Ok(())
    }

    fn hear(&mut self, now: Instant) -> Result<(), DaemonError> {
        for seen in self.watcher.read().map_err(io_error("inotify"))? {
            match seen {
                Seen::Instance => self.look_soon(now),
                Seen::Files => self.files_changed(now),
                Seen::Lost => {
                    self.look_soon(now);
                    self.files_changed(now);
                }
            }
        }
        Ok(())
    }

    fn look_soon(&mut self, now: Instant) {
        let first = *self.heard.get_or_insert(now);
        // A pause goes on, whatever happens meanwhile.
        if self.state.paused_until.is_none() {
            self.due.look = Some((now + SETTLE).min(first + LONGEST_SETTLE));
        }
    }

    fn files_changed(&mut self, now: Instant) {
        self.refused.clear();
        let first = *self.asked.get_or_insert(now);
        self.due.reconcile = Some((now + FILES_SETTLE).min(first + LONGEST_FILES_SETTLE));
    }

    /// Something was mounted or unmounted somewhere.
    fn mounts_changed(&mut self, now: Instant) {
        let mounted = watch::mounted_device(self.instance.place()).ok();
        let before = std::mem::replace(&mut self.mounted, mounted);
        // The worker opens it: an automount may keep whoever triggers it waiting.
        let another = mounted != before && mounted != Some(self.instance.device());
        // Who mounts something over a folder of interpreters is told of by nothing else.
        if another || self.watcher.is_mistaken() {
            self.files_changed(now);
        }
    }

    /// Looks at the instance, puts back what can be put back at once, and has the rest done.
    fn look(&mut self, now: Instant) -> Result<(), DaemonError> {
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
            self.checks.done(moment);
            self.reconcile_by(moment);
        }
        Ok(())
    }

    /// Puts back what can be put back at once; else what was seen.
    fn put_back(&mut self, now: Instant) -> Result<Option<Looked>, DaemonError> {
        let (store, facts) = match self.open(now) {
            Ok(Some(opened)) => opened,
            Ok(None) => {
                self.wait_for_lock(now);
                return Ok(None);
            }
            // No descriptor or no memory left, say: it may be otherwise later.
            Err(error) => {
                self.failed(Some(Task::Reconcile), Trouble::unavailable(error), now)?;
                return Ok(None);
            }
        };
        self.locked = None;
        let heard = self.heard.unwrap_or(now);
        let waiting =
            if now < heard + CLAIMED_SETTLE { self.claimed.clone() } else { BTreeSet::new() };
        let on_disk = |path: &Path| file::id_of(path).ok();
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
                self.failed(Some(Task::Reconcile), Trouble::unavailable(error), now)?;
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

    fn reconcile_by(&mut self, moment: Instant) {
        self.due.reconcile = earliest([self.due.reconcile, Some(moment)]);
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
        if file.is_none() && !self.record.rules.is_empty() {
            // Somebody removed it, and with it the knowledge of what is ours.
            store.save(&self.record)?;
            self.record_file = record::id(self.runtime);
            return Ok(());
        }
        if file.is_none() || file != self.record_file {
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
        results: Vec<Result<(), String>>,
        heard: Instant,
    ) {
        let failed = results.iter().any(Result::is_err);
        for (action, result) in std::mem::take(&mut actions).into_iter().zip(results) {
            match result {
                Ok(()) => actions.push(action),
                Err(error) => {
                    journal::trouble(&error);
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

    fn count(&mut self, counts: &BTreeMap<Cause, u64>, seconds: f64) {
        for (cause, count) in counts {
            *self.state.heals.entry(*cause).or_default() += count;
        }
        if let Some(cause) = counts.keys().next() {
            let changes = counts.values().sum();
            self.state.last_heal = Some(Heal { at: since_1970(), seconds, cause: *cause, changes });
        }
        self.changed = true;
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

    fn take_answer(&mut self, now: Instant) -> Result<(), DaemonError> {
        let gone = |error| io_error("the helper has ended")(error);
        let Some(answer) = self.helper.answer().map_err(gone)? else { return Ok(()) };
        let job = self.job.take();
        let asked = job.map_or(now, |job| job.asked);
        let answer = serde_json::from_slice(&answer).unwrap_or_else(|_| {
            let why = "the worker ended early: it was killed, or crashed";
            Answer::Failed(Trouble::unavailable(why))
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

    fn failed(
        &mut self,
        task: Option<Task>,
        trouble: Trouble,
        now: Instant,
    ) -> Result<(), DaemonError> {
        // Nothing was ever right: whoever started us is told.
        if self.others.is_none() {
            return Err(trouble.into());
        }
        if self.state.trouble.as_ref() != Some(&trouble.message) {
            journal::trouble(&trouble.message);
        }
        // A faulty configuration does not mend itself, and its change is told.
        if task == Some(Task::Reconcile) && trouble.kind != Kind::Configuration {
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
    ) -> Result<(), DaemonError> {
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
        self.arm_backstop(now);
        if answer.instance != self.instance.device() {
            self.hold_another()?;
        }
        match self.watcher.follow(answer.follow) {
            Ok(false) => {}
            Ok(true) => self.files_changed(now),
            Err(error) => {
                let trouble = Trouble::unavailable(format!("watch files: {error}"));
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
            self.checks.done(moment);
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
            return self.failed(None, Trouble::unavailable(captured), now);
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
    fn hold_another(&mut self) -> Result<(), DaemonError> {
        match Instance::find() {
            Ok(instance) => {
                self.watcher
                    .follow_instance(instance.root())
                    .map_err(io_error("watch binfmt_misc"))?;
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

    /// The line for `systemctl status`.
    fn status(&self) -> String {
        let mut status = self.state.summary();
        if self.state.rules.is_empty() {
            "nothing to register: no target is asked for, or none has an interpreter (install qemu-user-static)"
                .clone_into(&mut status);
        }
        if let Some(trouble) = &self.state.trouble {
            let first = trouble.lines().next().unwrap_or_default();
            status = format!("{status}; the last check was not possible: {first}");
        }
        if self.state.paused_until.is_some() {
            status.push_str("; pausing: somebody keeps undoing our work");
        }
        status
    }

    /// Writes down and tells what changed.
    fn publish(&mut self) {
        if !std::mem::take(&mut self.changed) {
            return;
        }
        if self.others.is_some() {
            self.state.status = self.status();
        }
        let saved = self.state.save(self.runtime).map_err(|error| format!("state.json: {error}"));
        let measured = metrics::save(&self.state, &self.metrics_file).map_err(|error| {
            let file = self.metrics_file.display();
            format!("{file}: {error} (the unit may need ReadWritePaths= for its folder)")
        });
        let complaint = saved.and(measured).err();
        if let Some(complaint) = complaint.as_ref().filter(|it| self.complaint.as_ref() != Some(it))
        {
            tracing::warn!("write {complaint}");
        }
        self.complaint = complaint;
        // Last: whoever is told may look at what was written.
        let status = &self.state.status;
        let is_told = if self.announce {
            self.manager.ready(status)
        } else {
            *status == self.told || self.manager.status(status)
        };
        if is_told {
            self.announce = false;
            self.told.clone_from(&self.state.status);
        }
        self.due.tell = (!is_told).then(|| Instant::now() + TELL_AGAIN);
    }
}

fn earliest<const N: usize>(moments: [Option<Instant>; N]) -> Option<Instant> {
    moments.into_iter().flatten().min()
}

fn since_1970() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}
