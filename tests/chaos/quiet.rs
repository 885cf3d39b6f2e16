//! What must never happen by and by: wakeups for nothing, and growth.

use std::fs;
use std::time::Duration;

use crate::cases;
use crate::scene::Scene;
use crate::support::daemon::{Daemon, status_of};

/// How long it is listened.
const REST: Duration = Duration::from_secs(10);
/// More than the time after which all that was put back is proved.
const PROOF: Duration = Duration::from_secs(3);
/// What an allocator may keep for next time, in KiB: some pages.
const SOME_PAGES: u64 = 128;

/// Starts it, and waits until it knows each interpreter's version, which is the last that it does.
fn at_rest(scene: &mut Scene) -> [u32; 2] {
    scene.configure();
    scene.start();
    rest(scene)
}

fn rest(scene: &mut Scene) -> [u32; 2] {
    scene.daemon().until("versions", |daemon| {
        let state = daemon.find_state()?;
        let rules = state["rules"].as_array()?;
        let all = !rules.is_empty() && rules.iter().all(|rule| rule["version"].is_string());
        all.then_some(())
    });
    scene.rest();
    let daemon = scene.daemon();
    [daemon.pid(), daemon.helper()]
}

/// How often a process waited for something.
fn waits(pid: u32) -> u64 {
    status_of(pid, "voluntary_ctxt_switches").parse().expect("a number")
}

/// Resident memory in KiB.
fn resident(pid: u32) -> u64 {
    let text = status_of(pid, "VmRSS");
    text.trim_end_matches("kB").trim().parse().expect("a number")
}

fn descriptors(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).expect("descriptors of a process of ours").count()
}

pub(crate) fn no_wakeup(scene: &mut Scene) -> String {
    let processes = at_rest(scene);
    listen(scene, processes);
    scene.daemon().stop();
    format!("none in {REST:?}")
}

/// Nor for what it cannot put right: rules that are gone, with an interpreter that is gone as well, one that may
/// not be executed, and one that is broken.
pub(crate) fn no_wakeup_in_vain(scene: &mut Scene) -> String {
    let processes = at_rest(scene);
    scene.put_aside(0);
    scene.forbid(1);
    scene.break_it(2);
    scene.settle();
    scene.rest();
    for place in 0..3 {
        let rule = scene.targets[place].rule.clone();
        Scene::tell(&rule, "-1");
        scene.rule_removed(place);
    }
    scene.settle();
    scene.rest();
    scene.daemon().listen_for(PROOF);
    scene.rest();
    listen(scene, processes);
    scene.daemon().stop();
    format!("none in {REST:?}")
}

fn listen(scene: &mut Scene, processes: [u32; 2]) {
    let before = processes.map(waits);
    scene.daemon().listen_for(REST);
    assert_eq!(processes.map(waits), before, "wakeups in {REST:?} at rest");
    assert!(before.iter().all(|waits| *waits > 0), "nothing was counted");
}

pub(crate) fn no_growth(scene: &mut Scene) -> String {
    let heals = (cases() / 2).max(50);
    let processes = at_rest(scene);
    let heal = |scene: &mut Scene, times: usize| {
        for number in 0..times {
            let place = number % scene.targets.len();
            let rule = scene.targets[place].rule.clone();
            Scene::tell(&rule, if number % 3 == 0 { "0" } else { "-1" });
            scene.settle();
        }
        scene.rest();
        // It proves what it put back, and looks at the interpreters.
        scene.daemon().listen_for(PROOF);
        scene.rest();
    };
    // Whatever is allocated once.
    heal(scene, 50);
    let measured = || (processes.map(descriptors), processes.map(resident));
    let (descriptors, memory) = measured();
    let made = |daemon: &Daemon| daemon.heals("removed") + daemon.heals("disabled");
    let all = made(scene.daemon()) + heals as u64;
    heal(scene, heals);
    // The kernel has it before the state file does.
    scene.daemon().until("all heals to be told of", |daemon| (made(daemon) == all).then_some(()));
    let (descriptors_now, memory_now) = measured();
    assert_eq!(descriptors_now, descriptors, "descriptors of loop and helper");
    for (then, now) in memory.into_iter().zip(memory_now) {
        assert!(now <= then + SOME_PAGES, "resident memory: {memory:?}, then {memory_now:?} KiB");
    }
    scene.daemon().stop();
    format!(
        "{heals} heals, {descriptors:?} descriptors as before, {memory:?} KiB and then {memory_now:?}"
    )
}
