//! Configuration that changes while the service runs.

use std::fs;
use std::path::Path;

use nix::mount::{MsFlags, mount};
use nix::sys::signal::Signal;
use nix::time::{ClockId, clock_gettime};
use serde_json::Value;

use crate::support::Private;
use crate::support::daemon::{Daemon, Launch};
use crate::support::stage::{Entries, Stage};
use crate::{configure, set_up, text, unchanged};

const ONE: &str = r#"targets = ["aarch64"]"#;
const TWO: &str = r#"targets = ["aarch64", "riscv64"]"#;

pub(crate) fn changed(stage: &Stage) -> Option<String> {
    set_up(stage, &["aarch64", "riscv64"], "")?;
    configure(stage, ONE);
    let mut daemon = Daemon::ready(stage);
    let one = Stage::entries();
    assert_eq!(one.keys().collect::<Vec<_>>(), ["qemu-aarch64"]);
    assert!(!stage.starts("riscv64"));

    // Written in place.
    let notices = daemon.notices().len();
    configure(stage, TWO);
    daemon.wait_notice(notices, "STATUS=2 targets working");
    daemon.wait_log(0, &["INFO", "add qemu-riscv64 →"]);
    assert!(stage.starts("riscv64"));
    assert_eq!(daemon.heals("wanted"), 2);
    let two = Stage::entries();
    assert_eq!(two["qemu-aarch64"], one["qemu-aarch64"]);

    // By rename, as editors do.
    let new = stage.path("binfmtd.toml.new");
    fs::write(&new, text(stage, ONE)).unwrap();
    fs::rename(&new, stage.path("binfmtd.toml")).unwrap();
    daemon.wait_notice(notices, "STATUS=1 target working");
    daemon.wait_log(0, &["INFO", "remove qemu-riscv64: it is ours, and no longer asked for"]);
    assert!(!stage.starts("riscv64"));
    assert!(stage.starts("aarch64"));
    unchanged(&one);

    // Other flags of a rule: replaced.
    configure(stage, &format!("{ONE}\npreserve-argv0 = \"no\""));
    daemon.wait_log(0, &["INFO", "replace qemu-aarch64", "the configuration has changed"]);
    daemon.until("the other flags", |_| {
        Stage::entry("qemu-aarch64").contains("flags: OF\n").then_some(())
    });
    assert!(stage.starts("aarch64"));
    assert!(daemon.logged(0, &["ERROR"]).is_empty(), "{daemon}");
    daemon.stop();
    stage.nothing_left("the service");
    Some("3 changes".to_owned())
}

pub(crate) fn invalid(stage: &Stage) -> Option<String> {
    set_up(stage, &["aarch64"], "")?;
    let mut daemon = Daemon::ready(stage);
    let before = Stage::entries();
    let file = stage.path("binfmtd.toml").display().to_string();
    let place = format!("{file}:2");
    let (mark, notices) = (daemon.mark(), daemon.notices().len());
    stage.configure("# Mine.\ntragets = [\"aarch64\"]\n");
    // Told by the change itself…
    let line = daemon.wait_log(mark, &["ERROR", &place]);
    assert!(line.contains("tragets"), "{line}");
    let status = daemon.until("the status", |daemon| {
        let status = daemon.state()["status"].as_str()?.to_owned();
        status.contains("the last check failed").then_some(status)
    });
    assert!(status.starts_with("1 target working; ") && status.contains(&place), "{status}");
    daemon.wait_notice(notices, &format!("STATUS={status}"));
    assert!(daemon.state()["trouble"].as_str().unwrap().contains(&place));

    // … and the answer to a reload; the old one holds, and is said once.
    let notices = daemon.notices().len();
    daemon.signal(Signal::SIGHUP);
    let ready = daemon.wait_notice(notices, "READY=1");
    assert_eq!(ready.value("STATUS"), Some(status.as_str()), "{ready:?}");
    assert_eq!(daemon.logged(mark, &[&place]).len(), 1, "{daemon}");
    unchanged(&before);
    Private::tell("qemu-aarch64", "-1").unwrap();
    daemon.until("the rule to be back", |daemon| (daemon.heals("removed") == 1).then_some(()));
    assert!(stage.starts("aarch64"));
    unchanged(&before);

    let notices = daemon.notices().len();
    configure(stage, ONE);
    daemon.wait_notice(notices, "STATUS=1 target working");
    assert_eq!(daemon.state()["trouble"], Value::Null);
    unchanged(&before);
    daemon.stop();

    // At the start nothing old is there to hold.
    stage.configure("# Mine.\ntragets = [\"aarch64\"]\n");
    let mut daemon = Launch::new(stage).start();
    assert_eq!(daemon.wait_exit().code(), Some(2), "{daemon}");
    assert!(daemon.log().iter().any(|line| line.contains(&place)), "{daemon}");
    assert!(daemon.notices().iter().all(|notice| !notice.has("READY=1")), "{daemon}");
    unchanged(&before);
    stage.nothing_left("the service");
    Some("refused while it runs, and at its start".to_owned())
}

/// With `/etc` of our own, in which there is nothing yet.
pub(crate) fn folders(stage: &Stage) -> Option<String> {
    for folder in ["/etc", "/run", "/usr/lib/binfmtd", "/usr/local/lib/binfmtd"] {
        if Path::new(folder).is_dir() {
            let options = Some("mode=755");
            mount(Some("tmpfs"), folder, Some("tmpfs"), MsFlags::empty(), options).unwrap();
        }
    }
    set_up(stage, &["aarch64", "riscv64"], "")?;
    // Of less weight than what lies in /etc, so that the machine's own emulators are left out.
    fs::create_dir("/run/binfmtd").unwrap();
    fs::write("/run/binfmtd/binfmtd.toml", text(stage, "targets = []")).unwrap();
    let mut daemon = Launch::new(stage).with_usual_configuration().ready();
    assert_eq!(Stage::entries(), Entries::new());
    let drop_ins = Path::new("/etc/binfmtd/binfmtd.d");
    fs::create_dir_all(drop_ins).unwrap();
    // A file that is not whole yet, and one that is none.
    fs::write(drop_ins.join(".10-mine.toml.swp"), "targets").unwrap();
    fs::write(drop_ins.join("README"), "targets").unwrap();
    let new = drop_ins.join(".new");
    fs::write(&new, text(stage, ONE)).unwrap();
    fs::rename(&new, drop_ins.join("10-mine.toml")).unwrap();
    daemon.until("the drop-in's rule", |daemon| daemon.find_rule("qemu-aarch64"));
    assert_eq!(daemon.state()["rules"].as_array().unwrap().len(), 1, "{daemon}");
    assert!(stage.starts("aarch64"));
    let notices = daemon.notices().len();
    fs::write(drop_ins.join("20-more.toml"), TWO).unwrap();
    daemon.wait_notice(notices, "STATUS=2 targets working");
    assert!(stage.starts("riscv64"));
    // The whole folder goes, and comes again.
    fs::remove_file(drop_ins.join("20-more.toml")).unwrap();
    daemon.wait_notice(notices, "STATUS=1 target working");
    fs::rename("/etc/binfmtd", "/etc/elsewhere").unwrap();
    daemon.until("the rule to go", |_| (Stage::entries() == Entries::new()).then_some(()));
    fs::write("/etc/elsewhere/binfmtd.toml", text(stage, TWO)).unwrap();
    fs::remove_dir_all("/etc/elsewhere/binfmtd.d").unwrap();
    let notices = daemon.notices().len();
    fs::rename("/etc/elsewhere", "/etc/binfmtd").unwrap();
    daemon.wait_notice(notices, "STATUS=2 targets working");
    assert!(daemon.logged(0, &["ERROR"]).is_empty(), "{daemon}");
    daemon.stop();
    stage.nothing_left("the service");
    Some("come, gone, and come again".to_owned())
}

fn microseconds() -> i64 {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).unwrap();
    now.tv_sec() * 1_000_000 + now.tv_nsec() / 1000
}

pub(crate) fn reload(stage: &Stage) -> Option<String> {
    set_up(stage, &["aarch64", "riscv64"], "")?;
    let mut daemon = Daemon::ready(stage);
    for round in 0..3 {
        configure(stage, if round % 2 == 0 { ONE } else { TWO });
        let notices = daemon.notices().len();
        let sent = microseconds();
        daemon.signal(Signal::SIGHUP);
        let ready = daemon.wait_notice(notices, "READY=1");
        let seen = microseconds();
        let status = if round % 2 == 0 { "1 target working" } else { "2 targets working" };
        assert_eq!(ready.value("STATUS"), Some(status), "not what was loaded: {daemon}");
        let told = &daemon.notices()[notices..];
        let reloading = &told[0];
        assert!(reloading.has("RELOADING=1"), "{told:?}");
        let at: i64 = reloading.value("MONOTONIC_USEC").unwrap().parse().unwrap();
        assert!((sent..=seen).contains(&at), "{sent} {at} {seen}");
        assert!(reloading.at <= ready.at);
        for line in ["RELOADING=1", "READY=1"] {
            assert_eq!(told.iter().filter(|notice| notice.has(line)).count(), 1, "{told:?}");
        }
    }
    // Whoever reloads all processes of this name means the service.
    let notices = daemon.notices().len();
    let helper = nix::unistd::Pid::from_raw(i32::try_from(daemon.helper()).unwrap());
    nix::sys::signal::kill(helper, Signal::SIGHUP).unwrap();
    daemon.signal(Signal::SIGHUP);
    daemon.wait_notice(notices, "READY=1");
    // Several at once are answered together, and the last word is READY.
    let notices = daemon.notices().len();
    for _ in 0..5 {
        daemon.signal(Signal::SIGHUP);
    }
    daemon.wait_notice(notices, "READY=1");
    daemon.listen_for(std::time::Duration::from_millis(700));
    let told = &daemon.notices()[notices..];
    let last = told.iter().rfind(|it| it.has("READY=1") || it.has("RELOADING=1")).unwrap();
    assert!(last.has("READY=1"), "{told:?}");
    let notices = daemon.notices().len();
    daemon.stop();
    let stopping = daemon.notices()[notices..].iter().any(|notice| notice.has("STOPPING=1"));
    assert!(stopping, "{daemon}");
    stage.nothing_left("the service");
    Some("3 reloads and 5 at once".to_owned())
}
