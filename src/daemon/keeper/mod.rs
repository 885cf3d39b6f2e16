//! The loop.

mod check;
mod heal;
mod publish;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::job::{Described, Relevant, Task};
use super::pace::Pace;
use super::state::State;
use super::{journal, metrics};
use crate::failure::Failure;
use crate::observation::{FileId, Record};
use crate::plan::Action;
use crate::system::binfmt_misc::instance::Instance;
use crate::system::files::watch::{self, WatchEvent, Watcher};
use crate::system::host::machine;
use crate::system::host::manager::Manager;
use crate::system::process::helper::Helper;
use crate::system::process::poller::{Poller, Ready};
use crate::system::process::signal::{Interrupt, SignalRequest};

const SIGNALS: u64 = 0;
const WATCHER: u64 = 1;
const MOUNTS: u64 = 2;
const HELPER: u64 = 3;

/// The longest between full checks for what others did to their own rules.
const LONGEST_BETWEEN_CHECKS: Duration = Duration::from_secs(60);
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
    /// The same of files.
    files_heard: Option<Instant>,
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
    ) -> Result<Self, Failure> {
        let manager = Manager;
        let poller = Poller::new().map_err(Failure::io("epoll"))?;
        let mut watcher = Watcher::new().map_err(Failure::io("inotify"))?;
        watcher.follow_instance(instance.root()).map_err(Failure::io("watch binfmt_misc"))?;
        let signals = Interrupt::catch().map_err(Failure::io("signalfd"))?;
        let mounts = watch::mounts().map_err(Failure::io("open mountinfo"))?;
        for (descriptor, token) in
            [(signals.as_fd(), SIGNALS), (watcher.as_fd(), WATCHER), (helper.descriptor(), HELPER)]
        {
            poller.add(descriptor, token).map_err(Failure::io("epoll"))?;
        }
        poller.add_exceptional(mounts.as_fd(), MOUNTS).map_err(Failure::io("epoll"))?;
        let pid = std::process::id();
        let state = State {
            schema: State::SCHEMA,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid,
            pid_started: machine::started(pid).unwrap_or_default(),
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
            files_heard: None,
            due,
            job: None,
            disturbed: false,
            reloading: false,
            retry: check::FIRST_RETRY,
            backstop: None,
            watchdog,
        })
    }

    /// Until somebody asks us to end.
    pub(super) fn run(&mut self) -> Result<(), Failure> {
        if self.state.only_here {
            journal::only_here();
        }
        loop {
            self.publish();
            let ready = self.poller.wait(self.next()).map_err(Failure::io("epoll"))?;
            let now = Instant::now();
            for ready in ready {
                match ready {
                    Ready::Descriptor(SIGNALS) => {
                        match self.signals.request().map_err(Failure::io("signalfd"))? {
                            SignalRequest::End => {
                                // Who does not hear it sees it.
                                let _ = self.manager.stopping();
                                // Whoever reads it would take it for the state of things.
                                let _ = std::fs::remove_file(&self.metrics_file);
                                return Ok(());
                            }
                            SignalRequest::Reload => {
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
    fn act(&mut self, now: Instant) -> Result<(), Failure> {
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
                return Err(Failure::unavailable(format!(
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

    fn hear(&mut self, now: Instant) -> Result<(), Failure> {
        for seen in self.watcher.read().map_err(Failure::io("inotify"))? {
            match seen {
                WatchEvent::Instance => self.look_soon(now),
                WatchEvent::Files => self.files_changed(now),
                WatchEvent::Lost => {
                    self.look_soon(now);
                    self.files_changed(now);
                }
            }
        }
        Ok(())
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
}

fn earliest<const N: usize>(moments: [Option<Instant>; N]) -> Option<Instant> {
    moments.into_iter().flatten().min()
}

fn since_1970() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}
