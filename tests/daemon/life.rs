//! How the service ends, by whatever, and begins again.

use std::path::Path;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::daemon::{Daemon, LIMIT, Launch, children_of};
use crate::support::stage::{Stage, children, eventually, listing};
use crate::{install, qemu, set_up, unchanged};

/// Asserts that processes end that nobody told to. They come to us, and are there until they are
/// waited for.
#[track_caller]
fn end(pids: &[u32]) {
    eventually(&format!("the end of {pids:?}"), LIMIT, || {
        let _ = children();
        !pids.iter().any(|pid| Path::new("/proc").join(pid.to_string()).exists())
    });
}

fn send(pid: u32, signal: Signal) {
    kill(Pid::from_raw(pid.cast_signed()), signal).expect("a process of ours");
}

pub(crate) fn killed(stage: &Stage) -> Option<String> {
    set_up(stage, &["aarch64", "riscv64"], "")?;
    let mut daemon = Daemon::ready(stage);
    let before = Stage::entries();
    let record = stage.record();
    // In the middle of a job.
    daemon.signal(Signal::SIGHUP);
    let worker = daemon.wait_worker();
    let helper = daemon.helper();
    daemon.kill();
    end(&[helper, worker]);
    unchanged(&before);
    assert!(stage.starts("aarch64"));
    assert_eq!(listing(&stage.path("scratch")), Vec::<String>::new());
    // What it wrote is not taken for the state of a service that runs.
    assert!(stage.path("run/state.json").exists());

    let mut next = Daemon::ready(stage);
    assert_ne!(next.pid(), daemon.pid());
    assert_eq!(next.state()["pid"], next.pid());
    assert_eq!(next.state()["heals"], serde_json::json!({}), "{next}");
    assert_eq!(next.state()["last-heal"], serde_json::Value::Null);
    unchanged(&before);
    assert_eq!(stage.record(), record);
    for rule in ["qemu-aarch64", "qemu-riscv64"] {
        assert_eq!(next.rule(rule)["ours"], true, "{next}");
    }
    // What happened in between is put right.
    next.kill();
    crate::support::Private::flush().unwrap();
    let mut third = Daemon::ready(stage);
    unchanged(&before);
    assert_eq!(third.heals("removed"), 2, "{third}");
    third.stop();
    stage.nothing_left("the service");
    Some("killed twice".to_owned())
}

pub(crate) fn helper(stage: &Stage) -> Option<String> {
    set_up(stage, &["aarch64"], "")?;
    let mut daemon = Daemon::ready(stage);
    let before = Stage::entries();
    send(daemon.helper(), Signal::SIGKILL);
    let status = daemon.wait_exit();
    assert_eq!(status.code(), Some(3), "{daemon}");
    assert!(daemon.log().iter().any(|line| line.contains("the helper has ended")), "{daemon}");
    assert_eq!(daemon.find_state(), None);
    unchanged(&before);
    assert!(stage.starts("aarch64"));

    // With a worker in the middle of something.
    let mut daemon = Daemon::ready(stage);
    daemon.signal(Signal::SIGHUP);
    let worker = daemon.wait_worker();
    send(daemon.helper(), Signal::SIGKILL);
    assert_eq!(daemon.wait_exit().code(), Some(3), "{daemon}");
    end(&[worker]);
    unchanged(&before);

    // A worker alone is no more than a check that failed.
    let mut daemon = Daemon::ready(stage);
    let mark = daemon.mark();
    // It may have answered before it is killed.
    for _ in 0..100 {
        daemon.signal(Signal::SIGHUP);
        let worker = daemon.wait_worker();
        send(worker, Signal::SIGKILL);
        daemon.listen_for(Duration::from_millis(200));
        if !daemon.logged(mark, &["the worker ended early"]).is_empty() {
            break;
        }
    }
    daemon.wait_log(mark, &["ERROR", "the worker ended early"]);
    let trouble =
        daemon.until("the trouble", |daemon| daemon.state()["trouble"].as_str().map(str::to_owned));
    assert!(trouble.contains("the worker ended early"), "{trouble}");
    let notices = daemon.notices().len();
    daemon.signal(Signal::SIGHUP);
    daemon.wait_notice(notices, "READY=1");
    assert_eq!(daemon.state()["trouble"], serde_json::Value::Null);
    unchanged(&before);
    daemon.stop();
    // A killed worker could not put away what it had; it is what no program can do.
    assert_eq!(children(), Vec::<String>::new());
    Some("helper and worker".to_owned())
}

pub(crate) fn ended(stage: &Stage) -> Option<String> {
    const TARGETS: &[&str] = &["aarch64", "riscv64", "s390x"];
    set_up(stage, TARGETS, "")?;
    let (old, new) = (qemu("7.2")?, qemu("10.0")?);
    let whole = |what: &str| {
        for name in Stage::entries().keys() {
            let is_ours = TARGETS.iter().any(|target| *name == format!("qemu-{target}"));
            assert!(is_ours, "{what}: {name} was left");
        }
        stage.nothing_left(what);
    };
    // In the middle of the first registration…
    let mut rounds = 0;
    for delay in [0, 5, 10, 20, 40, 80, 120, 160, 240] {
        stage.reset();
        let mut daemon = Launch::new(stage).start();
        daemon.listen_for(Duration::from_millis(delay));
        daemon.until("its state", |daemon| daemon.find_state());
        daemon.stop();
        whole(&format!("ended after {delay} ms"));
        rounds += 1;
    }
    // … and of replacements, which go on without a gap.
    stage.reset();
    let mut daemon = Daemon::ready(stage);
    for (round, delay) in [0, 30, 60, 90].into_iter().enumerate() {
        let release = if round % 2 == 0 { &new } else { &old };
        for target in TARGETS {
            install(stage, release, target);
        }
        daemon.wait_worker();
        daemon.listen_for(Duration::from_millis(delay));
        daemon.stop();
        whole(&format!("a replacement ended after {delay} ms"));
        for target in TARGETS {
            assert!(stage.starts(target), "{target} after {delay} ms");
        }
        daemon = Daemon::ready(stage);
        assert_eq!(Stage::entries().len(), TARGETS.len());
        rounds += 1;
    }
    daemon.stop();
    whole("the service");
    Some(format!("{rounds} times"))
}

pub(crate) fn second(stage: &Stage) -> Option<String> {
    set_up(stage, &["aarch64"], "")?;
    let mut daemon = Daemon::ready(stage);
    let before = Stage::entries();
    let written = daemon.state();
    let mut other = Launch::new(stage).start();
    assert_eq!(other.wait_exit().code(), Some(3), "{other}");
    let sentence = format!("another binfmtd daemon is already running (process {})", daemon.pid());
    assert!(other.log().iter().any(|line| line.contains(&sentence)), "{other}");
    assert!(other.notices().is_empty(), "{other}");
    // The first one has not noticed.
    assert_eq!(daemon.state(), written);
    unchanged(&before);
    assert!(Path::new("/proc").join(daemon.pid().to_string()).exists());
    assert_eq!(children_of(daemon.pid()).len(), 1);
    daemon.stop();
    // Its place is free now.
    let mut next = Daemon::ready(stage);
    next.stop();
    stage.nothing_left("the service");
    Some(sentence.split(" (").next().unwrap_or_default().to_owned())
}
