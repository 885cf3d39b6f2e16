//! What the service's processes may do.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;

use crate::set_up;
use crate::support::daemon::{Daemon, descendants, find_status_of, status_of};
use crate::support::stage::Stage;

/// `CAP_SYS_CHROOT` and `CAP_SETFCAP`, of `linux/capability.h`.
const FOR_PROBES: u64 = 1 << 18 | 1 << 31;

/// The sets that `/proc/PID/status` names; `None` when the process has ended.
fn sets_while_there(pid: u32) -> Option<[u64; 5]> {
    let names = ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"];
    let sets = names.iter().map(|name| u64::from_str_radix(&find_status_of(pid, name)?, 16).ok());
    sets.collect::<Option<Vec<_>>>()?.try_into().ok()
}

fn sets(pid: u32) -> [u64; 5] {
    sets_while_there(pid).expect("a process, and sets in hex digits")
}

/// Whether somebody of the same uid, without any capability, may look into it.
fn can_be_looked_into(pid: u32) -> bool {
    let status = Command::new("setpriv")
        .args(["--bounding-set", "-all", "--inh-caps", "-all", "--ambient-caps", "-all"])
        .args(["cat", &format!("/proc/{pid}/environ")])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    status.expect("setpriv (util-linux) starts").success()
}

pub(crate) fn sets_of_all(stage: &Stage) -> Option<String> {
    set_up(stage, &["aarch64"], "")?;
    let mut daemon = Daemon::ready(stage);
    let (main, helper) = (daemon.pid(), daemon.helper());
    assert_eq!(sets(main), [0; 5], "inheritable, permitted, effective, bounding, ambient");
    assert_eq!(sets(helper), [0, FOR_PROBES, FOR_PROBES, FOR_PROBES, 0]);
    for pid in [main, helper] {
        assert_eq!(status_of(pid, "NoNewPrivs"), "1");
        assert_eq!(status_of(pid, "Threads"), "1");
        assert_eq!(status_of(pid, "Uid"), "0\t0\t0\t0");
    }
    // Nobody can attach to it, though he has the same uid.
    let mut open = Command::new("setpriv")
        .args(["--bounding-set", "-all", "--inh-caps", "-all", "--ambient-caps", "-all"])
        .args(["sh", "-c", "echo && exec cat"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("setpriv (util-linux) starts");
    let mut byte = [0];
    std::io::Read::read_exact(&mut open.stdout.take().unwrap(), &mut byte).unwrap();
    let control = can_be_looked_into(open.id());
    drop(open.stdin.take());
    open.wait().unwrap();
    assert!(control, "nothing can be looked into, whatever it is");
    assert!(!can_be_looked_into(main), "the loop can be looked into");

    // Still so after work was done; and what does the work has no more than the helper.
    // A worker may be gone before its file is read to its end: then the next one.
    let mut of_worker = None;
    for _ in 0..20 {
        daemon.signal(Signal::SIGHUP);
        let worker = daemon.wait_worker();
        of_worker = sets_while_there(worker);
        daemon.wait_notice(1, "READY=1");
        if of_worker.is_some() {
            break;
        }
    }
    let [_, permitted, _, bounding, _] = of_worker.expect("a worker that is there for a moment");
    assert_eq!((permitted, bounding), (FOR_PROBES, FOR_PROBES));
    assert_eq!(sets(main), [0; 5]);
    daemon.stop();
    stage.nothing_left("the service");
    Some("loop: none, helper: 2 capabilities".to_owned())
}

pub(crate) fn root(stage: &Stage) -> Option<String> {
    set_up(stage, &["aarch64", "s390x"], "")?;
    let mut daemon = Daemon::ready(stage);
    let helper = daemon.helper();
    let bin = stage.path("bin");
    // A probe is over in a moment, so it takes some checks to see one in its root.
    let seen = daemon.until("a probe in a root of its own", |daemon| {
        if daemon.workers().is_empty() {
            daemon.signal(Signal::SIGHUP);
        }
        descendants(helper).into_iter().find_map(|pid| {
            let process = Path::new("/proc").join(pid.to_string());
            let exe = fs::read_link(process.join("exe")).ok()?;
            let root = fs::read_link(process.join("root")).ok()?;
            if !exe.starts_with(&bin) || root == Path::new("/") {
                return None;
            }
            let mut names: Vec<_> = fs::read_dir(process.join("root"))
                .ok()?
                .flatten()
                .map(|entry| entry.file_name().to_string_lossy().into_owned())
                .collect();
            names.sort();
            Some(names)
        })
    });
    // Nothing but probes, which are static: no loader, no library, no /proc.
    for name in &seen {
        let (number, target) = name.split_once('-').expect("the number of a probe, and its target");
        assert!(
            number.parse::<u32>().is_ok() && ["aarch64", "s390x"].contains(&target),
            "{seen:?}"
        );
    }
    daemon.stop();
    stage.nothing_left("the service");
    Some(format!("in it: {}", seen.join(" ")))
}
