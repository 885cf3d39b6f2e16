//! Whatever happens in whatever order.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// Something that may happen, or how things are from now on.
#[derive(Debug, Clone)]
enum Stimulus {
    Remove,
    Instance,
    Files,
    Lost,
    Mounts(Option<u64>, bool),
    Reload,
    Others(u64),
    Unregister(bool),
    RecordChanged,
    LockBusy(bool),
    LookFails(bool),
    Refuses(bool),
    RestoreFails(bool),
    FollowFails(bool),
    Deaf(bool),
    /// The running job ends, if there is one.
    Ends(Ending),
    Stop,
}

#[derive(Debug, Clone)]
enum Ending {
    Well { rules: u8, changes: u8, undone: bool, captured: bool, claimed: bool, backstop: bool },
    Failed { usage: bool },
    Died,
}

fn ending() -> impl Strategy<Value = Ending> {
    let well =
        (
            0_u8..4,
            0_u8..3,
            prop::bool::weighted(0.1),
            prop::bool::weighted(0.1),
            any::<(bool, bool)>(),
        )
            .prop_map(|(rules, changes, undone, captured, (claimed, backstop))| {
                Ending::Well { rules, changes, undone, captured, claimed, backstop }
            });
    prop_oneof![
        8 => well,
        1 => any::<bool>().prop_map(|usage| Ending::Failed { usage }),
        1 => Just(Ending::Died),
    ]
}

fn stimulus() -> impl Strategy<Value = Stimulus> {
    prop_oneof![
        6 => Just(Stimulus::Remove),
        4 => Just(Stimulus::Instance),
        2 => Just(Stimulus::Files),
        1 => Just(Stimulus::Lost),
        1 => (prop::option::of(6_u64..9), any::<bool>()).prop_map(|(it, moved)| Stimulus::Mounts(it, moved)),
        2 => Just(Stimulus::Reload),
        3 => (1_u64..4).prop_map(Stimulus::Others),
        1 => any::<bool>().prop_map(Stimulus::Unregister),
        1 => Just(Stimulus::RecordChanged),
        2 => prop::bool::weighted(0.3).prop_map(Stimulus::LockBusy),
        1 => prop::bool::weighted(0.3).prop_map(Stimulus::LookFails),
        1 => prop::bool::weighted(0.3).prop_map(Stimulus::Refuses),
        1 => prop::bool::weighted(0.3).prop_map(Stimulus::RestoreFails),
        1 => prop::bool::weighted(0.3).prop_map(Stimulus::FollowFails),
        1 => prop::bool::weighted(0.3).prop_map(Stimulus::Deaf),
        8 => ending().prop_map(Stimulus::Ends),
        1 => prop::bool::weighted(0.1).prop_map(|is| if is { Stimulus::Stop } else { Stimulus::Instance }),
    ]
}

/// From moments to minutes.
fn pause() -> impl Strategy<Value = u64> {
    prop_oneof![0_u64..3, 0_u64..30, 0_u64..3000, 0_u64..100_000]
}

/// What has been seen of the service, and what must hold of it.
#[derive(Default)]
struct Observer {
    running: bool,
    is_check: bool,
    is_reloading: bool,
    was_ready: bool,
    has_ended: bool,
    holds_lock: bool,
    /// Whether a look gets the lock and keeps it.
    lock_is_given: bool,
}

impl Observer {
    fn observe(&mut self, told: &[(u64, String)]) {
        for (_, what) in told {
            assert!(!self.has_ended, "after the end: {what}");
            let words: Vec<&str> = what.split(' ').collect();
            match words[0] {
                "start" => {
                    assert!(!self.running, "two jobs at once");
                    assert!(!self.holds_lock, "the worker would wait for our lock");
                    self.running = true;
                    self.is_check = what == "start a check";
                }
                // An answer to the look follows, with the lock if that was free.
                "look" | "look," => self.holds_lock = self.lock_is_given,
                "restore" | "unlock" => {
                    assert!(self.holds_lock, "{what} without the lock");
                    self.holds_lock = false;
                }
                "Reloading" => {
                    self.is_reloading = true;
                }
                "READY" => {
                    assert!(!self.was_ready || self.is_reloading, "READY without a reload");
                    (self.was_ready, self.is_reloading) = (true, false);
                }
                "end" | "end:" => self.has_ended = true,
                _ => {}
            }
        }
    }
}

struct Run {
    service: Service,
    observer: Observer,
}

impl Run {
    fn new() -> Self {
        let mut run = Self { service: Service::new(), observer: Observer::default() };
        run.go(0);
        run
    }

    fn observe(&mut self) {
        let told = self.service.all();
        let world = &self.service.world;
        self.observer.lock_is_given = !world.lock_is_busy && !world.look_fails;
        // One that is lost is told again.
        if self.service.world.manager_is_deaf {
            let heard = told.iter().filter(|(_, it)| !it.starts_with("READY"));
            self.observer.observe(&heard.cloned().collect::<Vec<_>>());
        } else {
            self.observer.observe(&told);
        }
        let service = &self.service;
        if let Some(deadline) = service.machine.deadline() {
            assert!(deadline > service.now().at, "it is due, and was not done");
            assert!(!self.observer.has_ended, "a deadline after the end");
        }
        let state = service.state();
        assert!(state.rules.len() <= 4);
        if state.paused_until.is_some() && !self.observer.has_ended {
            assert!(service.machine.deadline().is_some(), "a pause without an end");
        }
        if self.observer.running && !self.observer.has_ended {
            assert!(service.machine.deadline().is_some(), "a job without a limit");
        }
    }

    fn go(&mut self, milliseconds: u64) {
        self.service.run(milliseconds);
        self.observe();
    }

    fn event(&mut self, event: Event) {
        self.service.event(event);
        self.observe();
    }

    fn ends(&mut self, ending: &Ending) {
        if !self.observer.running || self.observer.has_ended {
            return;
        }
        self.observer.running = false;
        let is_check = self.observer.is_check;
        let event = match ending {
            Ending::Failed { usage: true } => {
                Event::JobEnded(JobResult::Failed(Failure::usage("line 3")))
            }
            Ending::Failed { usage: false } => {
                Event::JobEnded(JobResult::Failed(failure("memory")))
            }
            Ending::Died => Event::WorkerDied,
            Ending::Well { .. } if !is_check => {
                Event::JobEnded(JobResult::Described(std::collections::BTreeMap::new()))
            }
            Ending::Well { rules, changes, undone, captured, claimed, backstop } => {
                let names = ["arm", "mips", "ppc", "sparc"];
                let name = |it: u8| names[usize::from(it)];
                let mut result = reconciled();
                result.rules = (0..*rules)
                    .map(|it| if it == 1 { degraded(name(it), "why") } else { working(name(it)) })
                    .collect();
                let causes = [ChangeCause::Disabled, ChangeCause::Wanted, ChangeCause::Interpreter];
                let changes = 0..usize::from(*changes);
                result.changes = changes.map(|it| changed(causes[it], "qemu-arm")).collect();
                (result.undone, result.others) = (*undone, self.service.world.look.others);
                result.captured = captured.then(|| "captured".to_owned());
                result.claimed = claimed.then(|| "qemu-arm".to_owned()).into_iter().collect();
                result.backstop = backstop.then(|| Duration::from_secs(3600));
                Event::JobEnded(JobResult::Reconciled(Box::new(result)))
            }
        };
        self.event(event);
    }

    fn apply(&mut self, stimulus: &Stimulus) {
        let world = &mut self.service.world;
        match stimulus {
            Stimulus::Remove => {
                if world.look.restorable.is_empty() {
                    self.service.remove("qemu-arm");
                }
                self.event(Event::InstanceChanged);
            }
            Stimulus::Instance => self.event(Event::InstanceChanged),
            Stimulus::Files => self.event(Event::FilesChanged),
            Stimulus::Lost => self.event(Event::EventsLost),
            Stimulus::Mounts(mounted, folders_moved) => {
                let (mounted, folders_moved) = (*mounted, *folders_moved);
                self.event(Event::MountsChanged { mounted, folders_moved });
            }
            Stimulus::Reload => self.event(Event::ReloadRequested),
            Stimulus::Others(others) => {
                world.look.others = *others;
                self.event(Event::InstanceChanged);
            }
            Stimulus::Unregister(is) => {
                world.look.owned = (!is).then(|| "qemu-arm".to_owned()).into_iter().collect();
                self.event(Event::InstanceChanged);
            }
            Stimulus::RecordChanged => {
                world.look.record_changed = true;
                self.event(Event::InstanceChanged);
            }
            Stimulus::LockBusy(is) => world.lock_is_busy = *is,
            Stimulus::LookFails(is) => world.look_fails = *is,
            Stimulus::Refuses(is) => {
                world.refuses = is.then_some("qemu-arm").into_iter().collect();
            }
            Stimulus::RestoreFails(is) => world.restore_fails = *is,
            Stimulus::FollowFails(is) => {
                world.follow = if *is { Err(failure("watches")) } else { Ok(false) };
            }
            Stimulus::Deaf(is) => world.manager_is_deaf = *is,
            Stimulus::Ends(ending) => self.ends(ending),
            Stimulus::Stop => self.event(Event::StopRequested),
        }
    }

    /// Nothing is wrong any more, and every job ends well.
    fn calm(&mut self) {
        let world = &mut self.service.world;
        (world.lock_is_busy, world.look_fails, world.restore_fails) = (false, false, false);
        (world.manager_is_deaf, world.follow) = (false, Ok(false));
        world.refuses.clear();
        world.look.owned = ["qemu-arm", "qemu-ppc", "qemu-sparc"].map(str::to_owned).into();
        let well = Ending::Well {
            rules: 3,
            changes: 0,
            undone: false,
            captured: false,
            claimed: false,
            backstop: false,
        };
        self.ends(&well);
        self.event(Event::FilesChanged);
        self.event(Event::InstanceChanged);
        for _ in 0..40 {
            self.go(120_000);
            self.ends(&well);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn the_service_keeps_its_promises(steps in vec((pause(), stimulus()), 1..60)) {
        let mut run = Run::new();
        for (pause, stimulus) in &steps {
            run.go(*pause);
            run.apply(stimulus);
        }
        if run.observer.has_ended {
            return Ok(());
        }
        // Left in peace, it comes to rest with everything in force.
        run.calm();
        let service = &run.service;
        prop_assert!(!run.observer.has_ended, "it gave up");
        prop_assert!(service.world.look.restorable.is_empty(), "a rule is still missing");
        prop_assert_eq!(service.machine.deadline(), None);
        let state = service.state();
        prop_assert_eq!(state.paused_until, None);
        prop_assert_eq!(&state.trouble, &None);
        prop_assert!(state.ready && !run.observer.is_reloading);
        prop_assert_eq!(&state.status, "2 targets working, 1 degraded: mips");
    }

    /// A removed rule is looked at within the settle limit, unless there is a reason that the state tells.
    #[test]
    fn a_removed_rule_is_back_in_time(steps in vec((pause(), stimulus()), 1..40)) {
        let mut run = Run::new();
        for (pause, stimulus) in &steps {
            run.go(*pause);
            run.apply(stimulus);
            let world = &run.service.world;
            let is_possible = !world.lock_is_busy && !world.look_fails && !world.restore_fails;
            let is_known = run.service.machine.baseline.is_some();
            let is_free = is_possible && is_known && !run.observer.has_ended;
            if is_free && matches!(stimulus, Stimulus::Remove) {
                let before = run.service.now;
                while !run.service.world.look.restorable.is_empty() {
                    let is_excused = run.service.state().paused_until.is_some()
                        || !run.service.machine.claimed.is_empty()
                        || !run.service.machine.refused.is_empty();
                    if is_excused {
                        break;
                    }
                    prop_assert!(run.service.now < before + Duration::from_millis(25), "too late");
                    run.go(1);
                }
            }
        }
    }

    /// A check that failed of something that passes is tried again, and not too soon.
    #[test]
    fn retries_are_neither_too_soon_nor_too_late(failures in 1_usize..20, usage in any::<bool>()) {
        let mut service = Service::ready();
        service.event(Event::ReloadRequested);
        let mut expected = 15_000;
        for _ in 0..failures {
            service.check_fails(if usage { Failure::usage("x") } else { failure("x") });
            service.all();
            let failed = u64::try_from(service.now.as_millis()).unwrap();
            service.run(1_000_000);
            let starts = service.times("start a check");
            if usage {
                prop_assert!(starts.is_empty());
                break;
            }
            prop_assert_eq!(starts, vec![failed + expected]);
            expected = (expected * 2).min(900_000);
        }
    }
}
