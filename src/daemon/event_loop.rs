//! The loop: waits, turns what is ready into events for the state machine, and carries out its effects.

use std::collections::VecDeque;
use std::os::fd::AsFd as _;
use std::path::Path;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use super::instance::HeldInstance;
use super::machine::{Effect, Event, Machine, Now, Setup};
use super::protocol::{Job, JobRequest};
use super::state::State;
use super::{journal, metrics};
use crate::failure::Failure;
use crate::system::binfmt_misc::instance::Instance;
use crate::system::files::watch::{self, WatchEvent, Watcher};
use crate::system::host::machine;
use crate::system::host::manager;
use crate::system::process::helper::Helper;
use crate::system::process::poller::{Poller, Ready};
use crate::system::process::signal::{Interrupt, ServiceSignal};

const SIGNALS: u64 = 0;
const WATCHER: u64 = 1;
const MOUNTS: u64 = 2;
const HELPER: u64 = 3;

pub(super) struct EventLoop<'a> {
    machine: Machine,
    held: HeldInstance<'a>,
    runtime: &'a Path,
    helper: Helper,
    poller: Poller,
    watcher: Watcher,
    signals: Interrupt,
    /// `mountinfo`: poll(2) reports changes of mounts while it is open.
    _mounts: std::fs::File,
    /// Why the files could not be written last time: the same failure is logged once.
    complaint: Option<String>,
}

impl<'a> EventLoop<'a> {
    pub(super) fn new(
        instance: Instance,
        helper: Helper,
        runtime: &'a Path,
        only_here: bool,
    ) -> Result<Self, Failure> {
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
        let now = now();
        let setup = Setup {
            state: first_state(&instance, only_here, now),
            runtime: runtime.to_owned(),
            mounted: watch::mounted_device(instance.place()).ok(),
            watchdog: manager::watchdog(),
        };
        Ok(Self {
            machine: Machine::new(setup, now),
            held: HeldInstance::new(instance, runtime),
            runtime,
            helper,
            poller,
            watcher,
            signals,
            _mounts: mounts,
            complaint: None,
        })
    }

    /// Runs until the service is stopped or cannot go on.
    pub(super) fn run(&mut self) -> Result<(), Failure> {
        loop {
            loop {
                match self.feed(Event::Due)? {
                    Fed::Acted => {}
                    Fed::Idle => break,
                    Fed::Ended => return Ok(()),
                }
            }
            for ready in self.poller.wait(self.machine.deadline()).map_err(Failure::io("epoll"))? {
                for event in self.events(ready)? {
                    if self.feed(event)? == Fed::Ended {
                        return Ok(());
                    }
                }
            }
        }
    }

    fn events(&mut self, ready: Ready) -> Result<Vec<Event>, Failure> {
        match ready {
            Ready::Descriptor(SIGNALS) => {
                let signal = self.signals.service_signal().map_err(Failure::io("signalfd"))?;
                Ok(vec![match signal {
                    ServiceSignal::Stop => Event::StopRequested,
                    ServiceSignal::Reload => Event::ReloadRequested,
                }])
            }
            Ready::Descriptor(WATCHER) => {
                let seen = self.watcher.read().map_err(Failure::io("inotify"))?;
                let events = seen.into_iter().map(|seen| match seen {
                    WatchEvent::Instance => Event::InstanceChanged,
                    WatchEvent::Files => Event::FilesChanged,
                    WatchEvent::Lost => Event::EventsLost,
                });
                Ok(events.collect())
            }
            Ready::Descriptor(MOUNTS) => Ok(vec![Event::MountsChanged {
                mounted: watch::mounted_device(self.held.instance.place()).ok(),
                folders_moved: self.watcher.is_mistaken(),
            }]),
            Ready::Descriptor(_) => {
                let answer = self.helper.answer().map_err(Failure::io("the helper has ended"))?;
                let ended = |answer: Vec<u8>| match serde_json::from_slice(&answer) {
                    Ok(result) => Event::JobEnded(result),
                    // If a worker died, the answer is empty.
                    Err(_) => Event::WorkerDied,
                };
                Ok(answer.map(ended).into_iter().collect())
            }
            // `run` feeds `Event::Due` when nothing else is ready.
            Ready::Deadline => Ok(Vec::new()),
        }
    }

    /// Hands an event to the state machine, and then the events that its effects cause.
    fn feed(&mut self, event: Event) -> Result<Fed, Failure> {
        let mut fed = Fed::Idle;
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            for effect in self.machine.handle(event, now()) {
                if let Effect::End(result) = effect {
                    return result.map(|()| Fed::Ended);
                }
                fed = Fed::Acted;
                events.extend(self.carry_out(effect)?);
            }
        }
        Ok(fed)
    }

    fn carry_out(&mut self, effect: Effect) -> Result<Option<Event>, Failure> {
        match effect {
            Effect::Look { leave_alone } => return Ok(Some(self.held.look(&leave_alone))),
            Effect::Restore(actions) => return Ok(Some(self.held.restore(actions))),
            Effect::Unlock => self.held.unlock(),
            Effect::Start(job) => self.start(job)?,
            Effect::HoldMounted => return self.hold_mounted().map(Some),
            Effect::Follow(folders) => {
                let followed = self.watcher.follow(folders);
                return Ok(Some(followed.map_or_else(
                    |error| {
                        Event::FollowFailed(Failure::unavailable(format!("watch files: {error}")))
                    },
                    |changed| Event::Followed { changed },
                )));
            }
            Effect::Compare(relevant) => self.held.relevant = relevant,
            Effect::Publish => self.publish(),
            // If this fails, the file stays behind, as after a crash.
            Effect::RemoveMetrics(file) => drop(std::fs::remove_file(file)),
            Effect::Notify(notification) if manager::notify(&notification) => {}
            Effect::Notify(lost) => return Ok(Some(Event::NotificationLost(lost))),
            Effect::Log(entry) => journal::write(&entry),
            // `feed` returns before this.
            Effect::End(_) => {}
        }
        Ok(None)
    }

    fn start(&mut self, job: Job) -> Result<(), Failure> {
        let request = JobRequest { job, instance: self.held.instance.device() };
        let bytes =
            serde_json::to_vec(&request).map_err(|error| Failure::io("job")(error.into()))?;
        self.helper.ask(&bytes).map_err(Failure::io("ask the helper"))
    }

    fn hold_mounted(&mut self) -> Result<Event, Failure> {
        let instance = match Instance::find() {
            Ok(instance) => instance,
            Err(error) => return Ok(Event::NoInstance(error.to_string())),
        };
        self.watcher.follow_instance(instance.root()).map_err(Failure::io("watch binfmt_misc"))?;
        let device = instance.device();
        self.held.hold(instance);
        Ok(Event::InstanceHeld(device))
    }

    fn publish(&mut self) {
        let (state, file) = (self.machine.state(), self.machine.metrics_file());
        let saved = state.save(self.runtime).map_err(|error| format!("state.json: {error}"));
        let measured = metrics::save(state, file).map_err(|error| {
            let file = file.display();
            format!("{file}: {error} (the unit may need ReadWritePaths= for its folder)")
        });
        let complaint = saved.and(measured).err();
        if let Some(complaint) = complaint.as_ref().filter(|it| self.complaint.as_ref() != Some(it))
        {
            tracing::warn!("write {complaint}");
        }
        self.complaint = complaint;
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fed {
    /// No effect.
    Idle,
    Acted,
    Ended,
}

fn now() -> Now {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
    Now { at: Instant::now(), since_1970: since_1970.map_or(0.0, |since| since.as_secs_f64()) }
}

fn first_state(instance: &Instance, only_here: bool, now: Now) -> State {
    let pid = std::process::id();
    State {
        schema: State::SCHEMA,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid,
        pid_started: machine::started(pid).unwrap_or_default(),
        started: now.since_1970,
        instance: instance.device(),
        only_here,
        ..State::default()
    }
}
