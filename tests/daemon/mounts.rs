//! The instance unmounted and mounted again, where nobody but the service holds it.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use nix::mount::{MntFlags, MsFlags, umount2};
use nix::sys::signal::Signal;

use crate::set_up;
use crate::support::INSTANCE;
use crate::support::daemon::{Daemon, Launch};
use crate::support::stage::Stage;

/// Runs something where the service is.
fn there(daemon: &Daemon, words: &[&str]) -> Output {
    Command::new("nsenter")
        .args([
            "--target",
            &daemon.pid().to_string(),
            "--user",
            "--mount",
            "--preserve-credentials",
        ])
        .args(words)
        .stdin(Stdio::null())
        .output()
        .expect("nsenter (util-linux) starts")
}

#[track_caller]
fn well(daemon: &Daemon, words: &[&str]) -> String {
    let output = there(daemon, words);
    assert!(output.status.success(), "{words:?}: {output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn rules(daemon: &Daemon) -> String {
    well(daemon, &["sh", "-c", &format!("cd {INSTANCE} && grep -r . . | sort")])
}

pub(crate) fn unmounted(stage: &Stage) -> Option<String> {
    set_up(stage, &["aarch64", "riscv64"], "")?;
    // It would show through, and so would the host's.
    umount2(INSTANCE, MntFlags::MNT_DETACH).unwrap();
    nix::mount::mount(Some("tmpfs"), INSTANCE, Some("tmpfs"), MsFlags::empty(), None::<&str>)
        .unwrap();
    let mount = format!("mount -t binfmt_misc binfmt_misc {INSTANCE} && exec \"$@\"");
    let mut daemon = Launch::new(stage)
        .wrapped(&["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", &mount, "sh"])
        .ready();
    let instance = daemon.state()["instance"].clone();
    let before = rules(&daemon);
    assert!(before.contains("qemu-aarch64") && before.contains("qemu-riscv64"), "{before}");
    let programs = ["aarch64", "riscv64"].map(|target| stage.foreign(target, None));
    let starts = |daemon: &Daemon, program: &Path| {
        there(daemon, &[program.to_str().unwrap()]).status.success()
    };
    assert!(!stage.starts("aarch64"), "the rules are in our instance");

    // With the last mount the kernel would drop every rule; the service holds them.
    well(&daemon, &["umount", "--lazy", INSTANCE]);
    assert!(!there(&daemon, &["ls", &format!("{INSTANCE}/status")]).status.success());
    for program in &programs {
        assert!(starts(&daemon, program), "{}: {daemon}", program.display());
    }
    // It can check them all the same.
    let notices = daemon.notices().len();
    daemon.signal(Signal::SIGHUP);
    daemon.wait_notice(notices, "READY=1");
    daemon.wait_log(
        0,
        &["INFO", "is not binfmt_misc", "the service keeps its instance and its rules"],
    );
    for rule in ["qemu-aarch64", "qemu-riscv64"] {
        assert_eq!(daemon.rule(rule)["condition"], "working", "{daemon}");
    }
    assert_eq!(daemon.state()["trouble"], serde_json::Value::Null);

    // Mounted again, it is the same, and looked after as before.
    well(&daemon, &["mount", "-t", "binfmt_misc", "binfmt_misc", INSTANCE]);
    assert_eq!(rules(&daemon), before);
    for program in &programs {
        assert!(starts(&daemon, program), "{}: {daemon}", program.display());
    }
    well(&daemon, &["sh", "-c", &format!("echo -1 >{INSTANCE}/status")]);
    daemon.until("the rules to be back", |daemon| (daemon.heals("removed") == 2).then_some(()));
    assert_eq!(rules(&daemon), before);
    for program in &programs {
        assert!(starts(&daemon, program), "{}: {daemon}", program.display());
    }
    assert_eq!(daemon.state()["instance"], instance);
    assert!(daemon.logged(0, &["ERROR"]).is_empty(), "{daemon}");

    // Unmounted and left so, they go on until the end.
    well(&daemon, &["umount", "--lazy", INSTANCE]);
    daemon.listen_for(std::time::Duration::from_millis(700));
    assert!(starts(&daemon, &programs[0]), "{daemon}");
    assert_eq!(daemon.heals("removed"), 2);
    daemon.stop();
    stage.nothing_left("the service");
    Some("2 targets".to_owned())
}
