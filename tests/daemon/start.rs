//! When the service says that it is ready, and what it does until then.

use std::time::Duration;

use nix::sys::signal::Signal;

use crate::support::Private;
use crate::support::daemon::{Daemon, Launch};
use crate::support::stage::{Entries, Stage};
use crate::{configure, install, qemu, set_up};

pub(crate) fn nothing(stage: &Stage) -> Option<String> {
    let qemu = qemu("7.2")?;
    configure(stage, "");
    let mut daemon = Daemon::ready(stage);
    assert_eq!(daemon.state()["rules"], serde_json::json!([]), "{daemon}");
    let ready = daemon.notices().iter().find(|it| it.has("READY=1")).unwrap().clone();
    let status = ready.value("STATUS").unwrap().to_owned();
    assert!(status.contains("nothing to register"), "{status}");
    assert_eq!(Stage::entries(), Entries::new());

    // The first one, then one more.
    for (count, target) in ["aarch64", "s390x"].into_iter().enumerate() {
        let mark = daemon.mark();
        install(stage, &qemu, target);
        let name = format!("qemu-{target}");
        daemon.until("its rule", |_| Private::path(&name).exists().then_some(()));
        daemon.wait_log(mark, &["INFO", &format!("add {name} →")]);
        assert!(stage.starts(target));
        daemon.until("its state", |daemon| {
            daemon.find_rule(&name).filter(|rule| rule["condition"] == "working")
        });
        assert_eq!(daemon.heals("wanted"), 1 + count as u64);
    }
    assert_eq!(daemon.state()["status"], "2 targets working");
    daemon.stop();
    stage.nothing_left("the service");
    Some("waited for an interpreter".to_owned())
}

pub(crate) fn named(stage: &Stage) -> Option<String> {
    set_up(stage, &[], "")?;
    let qemu = qemu("7.2")?;
    configure(stage, r#"targets = ["aarch64", "riscv64"]"#);
    let mut daemon = Launch::new(stage).start();
    daemon.wait_notice(0, "STATUS=0 targets working, 2 degraded: aarch64, riscv64");
    daemon.wait_log(0, &["ERROR", "riscv64 does not work: no interpreter for riscv64"]);
    assert_eq!(daemon.state()["ready"], false);
    // Nor does a reload make it so.
    daemon.signal(Signal::SIGHUP);
    daemon.listen_for(Duration::from_millis(700));
    assert!(daemon.notices().iter().all(|notice| !notice.has("READY=1")), "{daemon}");
    // One is enough: it is cared for, and nobody has to wait for the other.
    install(stage, &qemu, "aarch64");
    let ready = daemon.wait_notice(0, "READY=1");
    let status = Some("1 target working, 1 degraded: riscv64");
    assert_eq!(ready.value("STATUS"), status, "{ready:?}");
    assert!(stage.starts("aarch64"));
    assert_eq!(daemon.state()["ready"], true);
    let notices = daemon.notices().len();
    install(stage, &qemu, "riscv64");
    daemon.wait_notice(notices, "STATUS=2 targets working");
    assert!(stage.starts("riscv64"));
    daemon.stop();
    stage.nothing_left("the service");
    Some("ready with the first".to_owned())
}

/// QEMU 10.0 cannot run little-endian microblaze.
pub(crate) fn auto(stage: &Stage) -> Option<String> {
    let qemu = qemu("10.0")?;
    for target in ["aarch64", "microblazeel"] {
        install(stage, &qemu, target);
    }
    configure(stage, "");
    let mut daemon = Launch::new(stage).start();
    let ready = daemon.wait_notice(0, "READY=1");
    assert_eq!(
        ready.value("STATUS"),
        Some("1 target working, 1 degraded: microblazeel"),
        "{daemon}"
    );
    daemon.wait_log(0, &["ERROR", "microblazeel does not work: ", "signal 11"]);
    assert!(stage.starts("aarch64"));
    let names: Vec<_> = Stage::entries().into_keys().collect();
    assert_eq!(names, ["qemu-aarch64"], "one that does not work was registered");
    daemon.stop();
    stage.nothing_left("the service");
    Some("1 degraded".to_owned())
}
