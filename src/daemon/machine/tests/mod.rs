//! The service with a clock that the test moves, in a world that the test describes: a story of what it
//! does, with the milliseconds at which it does so.

mod heals;
mod invariants;
mod jobs;
mod manager;
mod results;
mod wars;

use std::collections::{BTreeSet, VecDeque};
use std::path::Path;
use std::time::{Duration, Instant};

use super::*;
use crate::apply::RuleError;
use crate::daemon::protocol::{Job, Reconciled, RuleChange};
use crate::daemon::relevant::Relevant;
use crate::daemon::state::{ChangeCause, Condition, RuleState, State};
use crate::observation::FileId;
use crate::plan;
use crate::rule::{Rule, parse_register};

pub(in crate::daemon) fn file(number: u64) -> FileId {
    FileId { device: 1, inode: number, size: 2, modified: 3 }
}

/// A rule that works; its interpreter needs no description.
pub(in crate::daemon) fn working(target: &str) -> RuleState {
    RuleState {
        target: Some(target.to_owned()),
        rule: format!("qemu-{target}"),
        condition: Condition::Working,
        why: None,
        by: Some(format!("qemu-{target}")),
        ours: true,
        interpreter: None,
        file: None,
        version: None,
        sha256: None,
        probe_seconds: None,
    }
}

pub(in crate::daemon) fn degraded(target: &str, why: &str) -> RuleState {
    RuleState { condition: Condition::Degraded, why: Some(why.to_owned()), ..working(target) }
}

fn rule(name: &str) -> Rule {
    parse_register(format!(":{name}:M::{name}::/usr/bin/{name}:").as_bytes()).unwrap()
}

fn add(name: &str) -> plan::Action {
    plan::Action::Add(rule(name))
}

fn enable(name: &str) -> plan::Action {
    plan::Action::Enable(rule(name))
}

fn changed(cause: ChangeCause, rule: &str) -> RuleChange {
    let rule = Some(rule.to_owned());
    RuleChange { cause, what: "a change".to_owned(), rule, target: None, interpreter: None }
}

fn failure(message: &str) -> Failure {
    Failure::unavailable(message)
}

/// The word for an action of the kernel's, or of a plan.
fn named(action: &plan::Action) -> String {
    match action {
        plan::Action::EnableInstance => "the instance".to_owned(),
        plan::Action::Add(rule) | plan::Action::Enable(rule) => rule.name().to_string(),
        other => panic!("not restored at once: {other}"),
    }
}

/// What the next look finds, and how everything else answers.
struct World {
    lock_is_busy: bool,
    look: LookResult,
    look_fails: bool,
    /// Names that the kernel refuses.
    refuses: Vec<&'static str>,
    restore_fails: bool,
    follow: Result<bool, Failure>,
    mounted: Result<u64, String>,
    /// The service manager's socket is full.
    manager_is_deaf: bool,
}

struct Service {
    machine: Machine,
    start: Instant,
    /// Since the start.
    now: Duration,
    world: World,
    told: Vec<String>,
    /// Whether the kernel has events of our own writes.
    wrote: bool,
}

const INSTANCE: u64 = 7;
const OTHERS: u64 = 1;
/// Longer than anything but retries, pauses and the backstop.
const LONG: u64 = 10_000;

fn reconciled() -> Reconciled {
    Reconciled {
        instance: INSTANCE,
        relevant: Relevant::default(),
        others: OTHERS,
        undone: false,
        captured: None,
        rules: vec![working("arm")],
        changes: Vec::new(),
        claimed: BTreeSet::default(),
        follow: Vec::new(),
        pause_after: 3,
        longest_pause: Duration::from_secs(60),
        backstop: None,
        metrics_file: None,
    }
}

impl Service {
    /// Before the first check.
    fn new() -> Self {
        Self::set_up(false, None)
    }

    fn set_up(only_here: bool, watchdog: Option<Duration>) -> Self {
        let state = State {
            schema: State::SCHEMA,
            version: "1".to_owned(),
            pid: 1,
            pid_started: 1,
            started: 0.0,
            ready: false,
            status: String::new(),
            instance: INSTANCE,
            only_here,
            rules: Vec::new(),
            heals: std::collections::BTreeMap::new(),
            last_heal: None,
            conflicts: 0,
            paused_until: None,
            trouble: None,
        };
        let start = Instant::now();
        let runtime = Path::new("/run/binfmtd").to_owned();
        let setup = Setup { state, runtime, mounted: Some(INSTANCE), watchdog };
        let machine = Machine::new(setup, Now { at: start, since_1970: 1000.0 });
        let look = LookResult {
            owned: ["qemu-arm".to_owned()].into(),
            others: OTHERS,
            ..LookResult::default()
        };
        let world = World {
            lock_is_busy: false,
            look,
            look_fails: false,
            refuses: Vec::new(),
            restore_fails: false,
            follow: Ok(false),
            mounted: Ok(INSTANCE),
            manager_is_deaf: false,
        };
        Self { machine, start, now: Duration::ZERO, world, told: Vec::new(), wrote: false }
    }

    /// After the first check, and at rest; the story begins here.
    fn ready() -> Self {
        Self::ready_with(|_| {})
    }

    fn ready_with(change: impl FnOnce(&mut Reconciled)) -> Self {
        let mut service = Self::new();
        service.run(0);
        service.check_ends(change);
        service.run(LONG);
        service.told.clear();
        service
    }

    fn now(&self) -> Now {
        Now { at: self.start + self.now, since_1970: 1000.0 + self.now.as_secs_f64() }
    }

    /// An event, and everything that is due at that moment.
    fn event(&mut self, event: Event) {
        self.feed(event);
        self.settle();
    }

    fn check_ends(&mut self, change: impl FnOnce(&mut Reconciled)) {
        let mut result = reconciled();
        change(&mut result);
        self.event(Event::JobEnded(JobResult::Reconciled(Box::new(result))));
    }

    fn check_fails(&mut self, failure: Failure) {
        self.event(Event::JobEnded(JobResult::Failed(failure)));
    }

    /// Somebody removes a rule of ours.
    fn remove(&mut self, name: &str) {
        self.world.look.restorable.push(add(name));
        self.world.look.missing.push(name.into());
        self.event(Event::InstanceChanged);
    }

    /// Lets time go by.
    fn run(&mut self, milliseconds: u64) {
        let end = self.now + Duration::from_millis(milliseconds);
        self.settle();
        while let Some(deadline) = self.machine.deadline() {
            let deadline = deadline - self.start;
            assert!(deadline > self.now, "due at {deadline:?}, and not done at {:?}", self.now);
            if deadline > end {
                break;
            }
            self.now = deadline;
            self.settle();
        }
        self.now = end;
    }

    fn settle(&mut self) {
        for _ in 0..20 {
            let before = self.told.len();
            self.feed(Event::Due);
            if self.told.len() == before {
                if !std::mem::take(&mut self.wrote) {
                    return;
                }
                self.feed(Event::InstanceChanged);
            }
        }
        panic!("no rest at {:?}: {:#?}", self.now, self.told);
    }

    fn feed(&mut self, event: Event) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            for effect in self.machine.handle(event, self.now()) {
                let what = self.tell(&effect);
                self.told.push(format!("{} {what}", self.now.as_millis()));
                events.extend(self.answer(effect));
            }
        }
    }

    fn answer(&mut self, effect: Effect) -> Option<Event> {
        let world = &mut self.world;
        match effect {
            Effect::Look { .. } if world.lock_is_busy => Some(Event::LockBusy),
            Effect::Look { .. } if world.look_fails => {
                Some(Event::LookFailed(failure("cannot look")))
            }
            Effect::Look { leave_alone } => {
                let mut result = world.look.clone();
                result.restorable.retain(|action| !leave_alone.contains(&named(action)));
                world.look.record_changed = false;
                Some(Event::Looked(result))
            }
            Effect::Restore(_) if world.restore_fails => {
                Some(Event::RestoreFailed(failure("read-only")))
            }
            Effect::Restore(actions) => {
                let results = actions.into_iter().map(|action| {
                    let name = named(&action);
                    if world.refuses.contains(&name.as_str()) {
                        return (action, Err(RuleError::Probe(format!("{name} is refused"))));
                    }
                    world.look.restorable.retain(|other| *other != action);
                    world.look.missing.retain(|other| *other != *name);
                    self.wrote = true;
                    (action, Ok(()))
                });
                Some(Event::Restored(results.collect()))
            }
            Effect::HoldMounted => Some(match &world.mounted {
                Ok(device) => Event::InstanceHeld(*device),
                Err(error) => Event::NoInstance(error.clone()),
            }),
            Effect::Follow(_) => Some(match &world.follow {
                Ok(changed) => Event::Followed { changed: *changed },
                Err(failure) => Event::FollowFailed(failure.clone()),
            }),
            Effect::Notify(notification) if world.manager_is_deaf => {
                Some(Event::NotificationLost(notification))
            }
            _ => None,
        }
    }

    fn tell(&self, effect: &Effect) -> String {
        match effect {
            Effect::Look { leave_alone } if leave_alone.is_empty() => "look".to_owned(),
            Effect::Look { leave_alone } => format!("look, leave {leave_alone:?}"),
            Effect::Restore(actions) => {
                format!("restore {}", actions.iter().map(named).collect::<Vec<_>>().join(", "))
            }
            Effect::Unlock => "unlock".to_owned(),
            Effect::Start(Job::Reconcile) => "start a check".to_owned(),
            Effect::Start(Job::Describe) => "start a description".to_owned(),
            Effect::HoldMounted => "hold".to_owned(),
            Effect::Follow(folders) => format!("follow {}", folders.len()),
            Effect::Compare(_) => "compare".to_owned(),
            Effect::Publish => format!("publish {:?}", self.machine.state().status),
            Effect::RemoveMetrics(file) => format!("remove {}", file.display()),
            Effect::Notify(Notification::Ready { status }) => format!("READY {status:?}"),
            Effect::Notify(Notification::Status(status)) => format!("STATUS {status:?}"),
            Effect::Notify(other) => format!("{other:?}"),
            Effect::Log(entry) => match entry {
                JournalEntry::Ready { .. } => "log ready".to_owned(),
                JournalEntry::Restored { changes, rule, took } => {
                    let changes = changes.0.iter().map(|(cause, it)| format!("{it} {cause:?}"));
                    let changes = changes.collect::<Vec<_>>().join(", ");
                    format!("log restored {changes} {rule:?} after {} ms", took.as_millis())
                }
                JournalEntry::Changed(change) => format!("log changed {:?}", change.cause),
                JournalEntry::Degraded(rule) => format!("log degraded {}", rule.rule),
                JournalEntry::Recovered(rule) => format!("log recovered {}", rule.rule),
                JournalEntry::Conflict { times, next_in } => {
                    format!("log conflict {times}, {} ms", next_in.as_millis())
                }
                JournalEntry::Trouble(message) => format!("log trouble {message}"),
                JournalEntry::OnlyHere => "log only here".to_owned(),
            },
            Effect::End(Ok(())) => "end".to_owned(),
            Effect::End(Err(failure)) => format!("end: {failure}"),
        }
    }

    /// What happened since this was asked last, by the milliseconds since then that the caller counts
    /// from `since`; without what every look and every change brings along.
    #[track_caller]
    fn story(&mut self, since: u64, expected: &[&str]) {
        const ALWAYS: [&str; 4] = ["unlock", "publish", "compare", "follow"];
        let told: Vec<String> = self
            .all()
            .iter()
            .filter(|(_, what)| !ALWAYS.iter().any(|word| what.starts_with(word)))
            .map(|(at, what)| format!("{} {what}", at - since))
            .collect();
        assert_eq!(told, expected);
    }

    /// Everything that happened since this was asked last.
    fn all(&mut self) -> Vec<(u64, String)> {
        let told = self.told.drain(..).map(|line| {
            let (at, what) = line.split_once(' ').unwrap();
            (at.parse().unwrap(), what.to_owned())
        });
        told.collect()
    }

    /// The moments at which a thing happened.
    fn times(&mut self, wanted: &str) -> Vec<u64> {
        self.all().iter().filter(|(_, what)| what == wanted).map(|(at, _)| *at).collect()
    }

    #[track_caller]
    fn never(&mut self, unwanted: &str) {
        let times = self.times(unwanted);
        assert!(times.is_empty(), "{unwanted} at {times:?}");
    }

    fn state(&self) -> &State {
        self.machine.state()
    }
}
