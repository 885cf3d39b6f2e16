//! A machine that is made a runner: its runners' services start when foreign programs run, and not before.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::machine::{ANOTHER, LONG, Machine, TARGETS, well};
use crate::package;
use crate::support::stage::{BINFMTD, eventually};

/// As svc.sh of GitHub's runner names them, of an organization and of a repository; what else a drop-in could stand for ends
/// in a dash, and the first has none.
const GITHUB: [&str; 2] =
    ["actions.runner.acme.host1.service", "actions.runner.acme-app.host-2.service"];
const GITLAB: &str = "gitlab-runner.service";

/// How to drain one, among other things.
const GUIDE: &str = include_str!("../../docs/guide/runners.md");

/// Those of the service that somebody can have started.
const UNITS: [&str; 3] = ["binfmtd.service", "binfmtd-doctor.timer", "binfmtd-cleanup.service"];

const INSTALL: &str = "/srv/runner/install";
const HOOK: &str = "/usr/local/libexec/binfmtd/preflight.sh";

/// A package of this program and an archive, and what makes a machine a runner; and this machine's make with its own loader
/// and libraries, for the machine has none.
pub(crate) fn prepared(folder: &Path, suite: &str) -> Result<(), String> {
    package::debs(folder, suite)?;
    archive(folder)?;
    fs::create_dir(folder.join("srv/runner")).unwrap();
    let packaged = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/runner");
    for name in ["install", "preflight.sh", "runner.conf", "binfmtd-runner-generator"] {
        well(Command::new("cp").arg(packaged.join(name)).arg(folder.join("srv/runner")));
    }
    Ok(())
}

fn archive(folder: &Path) -> Result<(), String> {
    const MAKE: &str = "make=$(command -v make) && mkdir -p $1/opt/make $1/usr/bin
        cp --dereference $make $(ldd $make | grep -o '/[^ ]*') $1/opt/make
        mv $1/opt/make/ld-* $1/opt/make/loader
        printf '#!/bin/sh\nexec /opt/make/loader --library-path /opt/make /opt/make/make \"$@\"\n' >$1/usr/bin/make
        chmod 755 $1/usr/bin/make";
    well(Command::new("sh").args(["-ec", MAKE, "sh"]).arg(folder));
    let scratch = tempfile::tempdir().unwrap();
    let stripped = scratch.path().join("binfmtd");
    well(Command::new("strip").arg("-o").arg(&stripped).arg(BINFMTD));
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/dist");
    let output = Command::new(&script)
        .args([&stripped, scratch.path()])
        .output()
        .map_err(|error| format!("{}: {error}", script.display()))?;
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    match output.status.code() {
        Some(0) => {}
        // A tool is missing.
        Some(3) => return Err(said),
        _ => panic!("{}: {}: {said}", script.display(), output.status),
    }
    let made = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    fs::copy(made, folder.join("srv/1.tar.gz")).unwrap();
    Ok(())
}

/// What a runner's own installer does, with a stand-in for the runner: it says what it was started with.
fn register(machine: &Machine, unit: &str, user: &str) {
    let service = format!(
        "[Service]\nUser={user}\nExecStart=/bin/sh -c 'env >/run/{unit}; exec sleep infinity'\n\
         RuntimeDirectory={unit}.d\nRestart=always\nRestartSec=1s\n[Install]\nWantedBy=multi-user.target"
    );
    machine.sh(&format!("touch /run/{unit}; chmod 666 /run/{unit}"));
    machine.write(&format!("/etc/systemd/system/{unit}"), &service);
    machine.well(&["systemctl", "daemon-reload"]);
    machine.well(&["systemctl", "--quiet", "enable", unit]);
}

#[track_caller]
fn property(machine: &Machine, unit: &str, name: &str) -> String {
    machine.well(&["systemctl", "show", "--value", "--property", name, unit])
}

pub(crate) fn runner(machine: &mut Machine) -> String {
    let targets = TARGETS.join(",");
    // One that was registered before, and runs.
    register(machine, GITHUB[0], "nobody");
    machine.well(&["systemctl", "start", GITHUB[0]]);
    let install = [INSTALL, "--target", &targets, "/srv/1.deb"];
    let said = machine.well(&install);
    assert!(said.contains(&format!("{} working", TARGETS.len())), "{said}");
    assert!(machine.well(&install).contains("nothing to do"));
    machine.runs_all();
    assert_eq!(machine.rules().len(), TARGETS.len(), "{:?}", machine.rules());

    register(machine, GITHUB[1], "nobody");
    register(machine, GITLAB, "root");
    for unit in [GITHUB[0], GITHUB[1], GITLAB] {
        for (name, wanted) in [
            ("After", "binfmtd.service"),
            ("Wants", "binfmtd.service"),
            ("DropInPaths", "50-binfmtd.conf"),
            ("Environment", HOOK),
            ("ExecStartPre", HOOK),
        ] {
            let value = property(machine, unit, name);
            assert!(value.contains(wanted), "{unit}: {name}={value}");
        }
    }
    // Others are left alone.
    assert_eq!(property(machine, "systemd-journald.service", "DropInPaths"), "");

    starts_after_the_rules(machine);
    asks_before_jobs(machine, &targets);
    takes_no_jobs_until_it_passes(machine, &install);

    // What a runner is no longer asked for, it does not register.
    machine.well(&[INSTALL, "--target", ANOTHER, "/srv/1.deb"]);
    assert_eq!(machine.rules(), [format!("qemu-{ANOTHER}")]);
    is_no_runner_any_more(machine);
    an_archive_goes(machine);
    format!("{} services", GITHUB.len() + 1)
}

/// Nothing is registered: who starts a runner has the rules first.
#[track_caller]
fn starts_after_the_rules(machine: &Machine) {
    machine.well(&["systemctl", "stop", "binfmtd.service", GITHUB[0]]);
    machine.well(&["binfmtd", "unregister", "--all"]);
    assert!(!machine.can_run(TARGETS[0]));
    for unit in [GITHUB[0], GITHUB[1], GITLAB] {
        machine.well(&["systemctl", "start", unit]);
        machine.runs_all();
    }
    for unit in GITHUB {
        eventually("a runner's first words", LONG, || {
            machine
                .run(&["cat", &format!("/run/{unit}")])
                .0
                .contains(&format!("ACTIONS_RUNNER_HOOK_JOB_STARTED={HOOK}\n"))
        });
    }
}

/// As the runner's user.
#[track_caller]
fn asks_before_jobs(machine: &Machine, targets: &str) {
    let job = |require: &str| {
        machine.run(&[
            "setpriv",
            "--reuid=nobody",
            "--regid=nogroup",
            "--clear-groups",
            "env",
            "GITHUB_ACTIONS=true",
            "GITHUB_REPOSITORY=acme/app",
            "GITHUB_JOB=image",
            "RUNNER_NAME=host1",
            &format!("BINFMTD_PREFLIGHT_REQUIRE={require}"),
            "bash",
            "-e",
            HOOK,
        ])
    };
    let (said, passed) = job(targets);
    assert!(passed && said.contains("2 working") && !said.contains("::"), "{said}");
    // Where the runner's user may make no user namespace, as on Ubuntu, what can be seen without one decides.
    machine.write(
        "/run/systemd/system/confined.service",
        &format!("[Service]\nType=oneshot\nUser=nobody\nRestrictNamespaces=yes\nExecStart={HOOK}"),
    );
    machine.well(&["systemctl", "daemon-reload"]);
    machine.well(&["systemctl", "start", "confined.service"]);
    // What a unit says may reach the journal after the unit has ended.
    machine.well(&["journalctl", "--sync"]);
    let said = machine.well(&["journalctl", "--quiet", "--unit=confined.service"]);
    assert!(said.contains("2 working"), "{said}");
    let (said, passed) = job(ANOTHER);
    assert!(!passed && said.contains("::error title=binfmtd preflight::host1 does not"), "{said}");
}

/// It says why, and takes them again by itself.
#[track_caller]
fn takes_no_jobs_until_it_passes(machine: &Machine, install: &[&str]) {
    machine.sh(&format!("mv /usr/bin/qemu-{0}-static /usr/bin/kept; printf '#!/bin/false\\n' >/usr/bin/qemu-{0}-static; chmod 755 /usr/bin/qemu-{0}-static", TARGETS[1]));
    machine.well(&["systemctl", "stop", "binfmtd.service"]);
    machine.well(&["binfmtd", "unregister", "--all"]);
    let (said, passed) = machine.run(install);
    assert!(!passed && said.contains(TARGETS[1]), "{said}");
    let (said, started) = machine.run(&["systemctl", "restart", GITHUB[1]]);
    assert!(!started, "{said}");
    machine.well(&["journalctl", "--sync"]);
    let journal = machine.well(&["journalctl", "--quiet", "--no-pager", "--unit", GITHUB[1]]);
    assert!(journal.contains("binfmtd preflight: error: "), "{journal}");
    // Nor does one that goes bad while it does.
    for block in GUIDE.split("```ini\n# ").skip(1) {
        let (path, content) = block.split_once('\n').expect("a path");
        if path.starts_with("/etc/systemd/system/") {
            machine.write(path, content.split("```").next().expect("a block"));
        }
    }
    machine.well(&["systemctl", "daemon-reload"]);
    let timer = property(machine, "binfmtd-doctor.timer", "TimersCalendar");
    assert!(timer.contains("*:00/5:00"), "{timer}");
    assert_eq!(property(machine, GITLAB, "ActiveState"), "active");
    let (said, passed) = machine.run(&["systemctl", "start", "binfmtd-doctor.service"]);
    assert!(!passed, "{said}");
    eventually("GitLab's runner is drained", LONG, || {
        property(machine, GITLAB, "ActiveState") != "active"
    });
    machine.sh(&format!("mv /usr/bin/kept /usr/bin/qemu-{}-static", TARGETS[1]));
    for unit in [GITHUB[1], GITLAB] {
        eventually("the runner is back", LONG, || {
            property(machine, unit, "ActiveState") == "active"
        });
    }
}

/// Without the installer's files, and then without the package, the runners' services start as they did before.
#[track_caller]
fn is_no_runner_any_more(machine: &Machine) {
    let said = machine.well(&[INSTALL, "--remove"]);
    assert!(said.contains("restart the runners that run"), "{said}");
    // The package is as it is without configuration: each target that has an emulator.
    machine.is_up("the service without a runner's configuration");
    machine.runs_all();
    machine.runs(ANOTHER);
    let said = machine.well(&[INSTALL, "--remove"]);
    assert!(said.contains("nothing to do") && !said.contains("restart"), "{said}");
    machine.well(&["dpkg", "--purge", "binfmtd"]);
    assert!(!machine.can_run(TARGETS[0]));
    start_without_a_hook(machine);
}

/// No package manager takes it away: the installer does, from a machine on which it runs.
#[track_caller]
fn an_archive_goes(machine: &Machine) {
    let install =
        |words: &str| machine.sh(&format!("PATH=/usr/local/bin:$PATH; {INSTALL} {words} 2>&1"));
    let said = install(&format!("--target {} /srv/1.tar.gz", TARGETS.join(",")));
    assert!(said.contains(&format!("{} working", TARGETS.len())), "{said}");
    machine.runs_all();
    machine.well(&["systemctl", "enable", "--now", "--quiet", "binfmtd-doctor.timer"]);
    let said = install("--remove");
    for unit in UNITS {
        assert_eq!(property(machine, unit, "LoadState"), "not-found", "{unit}: {said}");
        assert_eq!(property(machine, unit, "ActiveState"), "inactive", "{unit}: {said}");
    }
    assert_eq!(machine.rules(), [""; 0], "{said}");
    let left = machine
        .sh("find /usr/local /etc/systemd/system /etc/binfmtd -name '*binfmtd*' 2>/dev/null || :");
    // What the test wrote itself.
    let left: Vec<&str> = left.lines().filter(|path| !path.contains("binfmtd-doctor.")).collect();
    assert_eq!(left, [""; 0], "{said}");
    start_without_a_hook(machine);
}

#[track_caller]
fn start_without_a_hook(machine: &Machine) {
    for unit in [GITHUB[0], GITHUB[1], GITLAB] {
        for name in ["DropInPaths", "Environment", "ExecStartPre"] {
            assert_eq!(property(machine, unit, name), "", "{unit}: {name}");
        }
        machine.well(&["systemctl", "restart", unit]);
        assert_eq!(property(machine, unit, "ActiveState"), "active", "{unit}");
    }
}
