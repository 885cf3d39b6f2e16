//! What may happen: one thing at a time, or several at once.

use std::fs;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::scene::{Disk, Scene};
use crate::support::Private;
use crate::support::stage::{children, eventually, listing};

/// How often everything is left alone until it rests, and is then looked at as a whole.
const REST_EVERY: usize = 40;
/// How often each target's program is started.
const RUN_EVERY: usize = 20;
/// Longer than any of our processes takes to end.
const LIMIT: Duration = Duration::from_secs(20);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Flush,
    Remove,
    Disable,
    DisableAll,
    Shadow,
    Impostor,
    Plant,
    Others,
    Install,
    Break,
    Aside,
    Mend,
    Reload,
    Configure,
    Typo,
    Terminate,
    Kill,
    KillAll,
    Unmount,
}

/// How likely each is.
pub(crate) struct Weights {
    /// One in so many operations begins a burst.
    burst: usize,
    kinds: &'static [(Kind, usize)],
}

impl Weights {
    pub(crate) const EVEN: Self = Self {
        burst: 8,
        kinds: &[
            (Kind::Flush, 20),
            (Kind::Remove, 20),
            (Kind::Disable, 20),
            (Kind::DisableAll, 10),
            (Kind::Shadow, 4),
            (Kind::Impostor, 3),
            (Kind::Plant, 8),
            (Kind::Others, 8),
            (Kind::Install, 2),
            (Kind::Break, 4),
            (Kind::Aside, 2),
            (Kind::Mend, 6),
            (Kind::Reload, 5),
            (Kind::Configure, 4),
            (Kind::Typo, 2),
            (Kind::Terminate, 1),
            (Kind::Kill, 1),
            (Kind::KillAll, 1),
            (Kind::Unmount, 5),
        ],
    };
    pub(crate) const BURSTS: Self = Self { burst: 2, kinds: Self::EVEN.kinds };
    pub(crate) const KILLS: Self = Self {
        burst: 4,
        kinds: &[
            (Kind::Flush, 12),
            (Kind::Remove, 12),
            (Kind::Disable, 12),
            (Kind::Plant, 4),
            (Kind::Others, 4),
            (Kind::Shadow, 4),
            (Kind::Install, 4),
            (Kind::Break, 2),
            (Kind::Mend, 3),
            (Kind::Configure, 2),
            (Kind::Terminate, 4),
            (Kind::Kill, 4),
            (Kind::KillAll, 6),
            (Kind::Unmount, 5),
        ],
    };
    pub(crate) const FILES: Self = Self {
        burst: 4,
        kinds: &[
            (Kind::Flush, 12),
            (Kind::Remove, 20),
            (Kind::Disable, 10),
            (Kind::Shadow, 2),
            (Kind::Install, 6),
            (Kind::Break, 10),
            (Kind::Aside, 6),
            (Kind::Mend, 12),
            (Kind::Reload, 4),
            (Kind::Configure, 2),
        ],
    };

    fn pick(&self, scene: &mut Scene) -> Kind {
        let all = self.kinds.iter().map(|(_, weight)| weight).sum();
        let mut number = scene.random.below(all);
        for (kind, weight) in self.kinds {
            match number.checked_sub(*weight) {
                Some(left) => number = left,
                None => return *kind,
            }
        }
        unreachable!("less than all")
    }
}

/// So many operations; a figure or two.
pub(crate) fn run(scene: &mut Scene, weights: &Weights, operations: usize) -> String {
    scene.configure();
    scene.start();
    scene.settle();
    let (mut slowest, mut bursts, mut rests) = (Duration::ZERO, 0, 0);
    let (mut next_rest, mut next_run) = (REST_EVERY, RUN_EVERY);
    while scene.count() < operations {
        let length = if scene.random.once_in(weights.burst) {
            bursts += 1;
            2 + scene.random.below(5)
        } else {
            1
        };
        for place in 0..length {
            if place > 0 {
                pause(scene);
            }
            let kind = weights.pick(scene);
            let what = perform(scene, kind);
            scene.note(&what);
        }
        if scene.daemon.is_none() {
            scene.start();
        }
        scene.mount();
        if scene.count() >= next_run {
            next_run = scene.count() + RUN_EVERY;
            scene.see_all();
        }
        let begin = Instant::now();
        scene.settle();
        slowest = slowest.max(begin.elapsed());
        if scene.count() >= next_rest {
            next_rest = scene.count() + REST_EVERY;
            rests += 1;
            scene.rest();
        }
    }
    scene.see_all();
    scene.rest();
    let before = Scene::listed();
    scene.daemon().stop();
    assert_eq!(Scene::listed(), before, "its end changed something");
    scene.bury();
    scene.stage.nothing_left("the service");
    format!(
        "BINFMTD_SEED={}: {operations} operations, {bursts} bursts, {} rests, the slowest settled in {:.2} s",
        scene.seed(),
        rests + 1,
        slowest.as_secs_f64()
    )
}

/// Between two things of a burst: mostly none, sometimes into the middle of what the service does.
fn pause(scene: &mut Scene) {
    let milliseconds = [0, 0, 0, 1, 3, 30, 120, 260, 320, 450][scene.random.below(10)];
    std::thread::sleep(Duration::from_millis(milliseconds));
}

/// Does it; what was done, in words.
fn perform(scene: &mut Scene, kind: Kind) -> String {
    let place = scene.random.below(scene.targets.len());
    let name = scene.targets[place].name;
    let rule = scene.targets[place].rule.clone();
    if needs_instance(kind) {
        scene.mount();
    }
    match kind {
        Kind::Flush => {
            scene.flush();
            "flush".to_owned()
        }
        Kind::Remove => {
            Scene::tell(&rule, "-1");
            scene.rule_removed(place);
            format!("remove {rule}")
        }
        Kind::Disable => {
            Scene::tell(&rule, "0");
            format!("disable {rule}")
        }
        Kind::DisableAll => {
            Scene::tell("status", "0");
            "disable all".to_owned()
        }
        Kind::Shadow => shadow(scene, place),
        Kind::Impostor => impostor(scene, place),
        Kind::Plant => format!("plant {}", scene.plant()),
        Kind::Others => change_others(scene),
        Kind::Install => install(scene, place),
        Kind::Break => format!("break {name}: {}", scene.break_it(place)),
        Kind::Aside => {
            scene.put_aside(place);
            format!("remove the interpreter of {name}")
        }
        Kind::Mend => {
            let faulty = |place: &usize| scene.targets[*place].good().is_none();
            let all: Vec<usize> = (0..scene.targets.len()).filter(faulty).collect();
            let place = if all.is_empty() { place } else { all[scene.random.below(all.len())] };
            if scene.random.once_in(2) && scene.put_back(place) {
                format!("put the interpreter of {} back", scene.targets[place].name)
            } else {
                install(scene, place)
            }
        }
        Kind::Reload => {
            if scene.is_up() {
                scene.daemon().signal(Signal::SIGHUP);
            }
            "SIGHUP".to_owned()
        }
        Kind::Configure => configure(scene, place),
        Kind::Typo => {
            // A service that starts with it ends at once.
            if scene.is_up() {
                scene.stage.configure("tragets = []\n");
                pause(scene);
                scene.configure();
            }
            "a faulty configuration, and a good one again".to_owned()
        }
        Kind::Terminate => {
            if scene.is_up() {
                scene.daemon().stop();
                scene.bury();
            }
            "SIGTERM".to_owned()
        }
        Kind::Kill => {
            if let Some(daemon) = &mut scene.daemon {
                daemon.kill();
                scene.bury();
            }
            "SIGKILL".to_owned()
        }
        Kind::KillAll => {
            scene.bury();
            eventually("the end of orphans", LIMIT, || children().is_empty());
            // What a killed worker had in its hands.
            let scratch = scene.stage.path("scratch");
            for name in listing(&scratch) {
                fs::remove_dir_all(scratch.join(name)).expect("a folder of a killed worker");
            }
            "SIGKILL to all of its processes".to_owned()
        }
        Kind::Unmount => {
            // One that has just been started may not hold it yet, and would not have it mounted.
            if scene.daemon.is_some() && !scene.is_up() {
                return "no unmount: the service is not up".to_owned();
            }
            scene.unmount();
            if scene.random.once_in(2) {
                pause(scene);
                scene.mount();
                return "lazy unmount, and mount".to_owned();
            }
            "lazy unmount".to_owned()
        }
    }
}

fn needs_instance(kind: Kind) -> bool {
    use Kind::{Disable, DisableAll, Flush, Impostor, Others, Plant, Remove, Shadow};
    matches!(kind, Flush | Remove | Disable | DisableAll | Shadow | Impostor | Plant | Others)
}

fn shadow(scene: &mut Scene, place: usize) -> String {
    let name = format!("qemu-shadow-{}", scene.count());
    let magic = scene.targets[place].magic.clone();
    let string = scene.broken_rule(&name, &magic);
    assert!(Scene::register(&string), "{name} was free");
    scene.shadows.insert(name.clone(), place);
    scene.targets[place].to_be_seen = true;
    format!("a broken rule {name} before {}", scene.targets[place].rule)
}

fn impostor(scene: &mut Scene, place: usize) -> String {
    let rule = scene.targets[place].rule.clone();
    let magic = scene.targets[place].magic.clone();
    let string = scene.broken_rule(&rule, &magic);
    Scene::tell(&rule, "-1");
    scene.rule_removed(place);
    // Else the service was faster.
    if Scene::register(&string) {
        let content = fs::read(Private::path(&rule)).unwrap_or_default();
        let target = &mut scene.targets[place];
        target.impostor = Some(content).filter(|it| Some(it) != scene.content.get(&rule));
        target.to_be_seen = true;
    }
    format!("a broken rule of somebody else by the name {rule}")
}

/// Their owners remove them and switch them.
fn change_others(scene: &mut Scene) -> String {
    if scene.others.is_empty() {
        return format!("plant {}", scene.plant());
    }
    let place = scene.random.below(scene.others.len());
    let name = scene.others[place].0.clone();
    let words = ["-1", "-1", "0", "1"];
    let word = words[scene.random.below(words.len())];
    Scene::tell(&name, word);
    if word == "-1" {
        scene.others.remove(place);
    } else {
        scene.others[place].1 = fs::read(Private::path(&name)).expect("a rule of somebody else");
    }
    format!("{word} to {name}")
}

fn install(scene: &mut Scene, place: usize) -> String {
    let new = scene.random.once_in(2);
    let inode = scene.install(place, new);
    let release = if new { "10.0" } else { "7.2" };
    format!("install {} of {release} (inode {inode})", scene.targets[place].name)
}

/// A target more, or less.
fn configure(scene: &mut Scene, place: usize) -> String {
    let wanted = scene.targets.iter().filter(|target| target.wanted).count();
    let target = &mut scene.targets[place];
    let name = target.name;
    if target.wanted && wanted == 1 {
        return format!("leave {name}, the last one");
    }
    target.wanted = !target.wanted;
    target.is_restless = true;
    target.may_be_gone = true;
    target.to_be_seen |= target.disk != Disk::Missing;
    let word = if target.wanted { "with" } else { "without" };
    scene.configure();
    format!("configure {word} {name}")
}
