//! From boot to shutdown.

use std::fmt::Write as _;

use crate::machine::{ANOTHER, ENGINE, Held, LAST, LONG, Machine, TARGETS};
use crate::support::stage::eventually;
use binfmtd::testing::daemon::{ChangeCause, Message};

const DROP_IN: &str = "/run/systemd/system/binfmtd.service.d/10-notify.conf";

/// What journalctl explains messages by.
const CATALOGUE: &str = include_str!("../../systemd/binfmtd.catalog");

/// What `make install` installs and systemd is to take.
const UNITS: [&str; 4] = [
    "binfmtd.service",
    "binfmtd-cleanup.service",
    "binfmtd-doctor.service",
    "binfmtd-doctor.timer",
];

pub(crate) fn whole(machine: &mut Machine) -> String {
    machine.well(&["systemctl", "is-system-running"]);
    started(machine);
    assert_eq!(machine.property("Type"), "notify-reload");
    machine.well(&["systemctl", "is-active", ENGINE]);
    let (timer, enabled) = machine.run(&["systemctl", "is-enabled", "binfmtd-doctor.timer"]);
    assert!(!enabled && timer.trim() == "disabled", "{timer}");

    for unit in UNITS {
        let path = format!("/usr/lib/systemd/system/{unit}");
        let said = machine.well(&["systemd-analyze", "verify", "--man=no", &path]);
        assert_eq!(said, "", "{unit}");
    }
    let mut figures = String::new();
    // The doctor's has to start 32-bit programs, and to see the service's process.
    for (unit, limit) in [(UNITS[0], 1.5), (UNITS[1], 1.0), (UNITS[2], 2.0)] {
        let exposure = exposure(machine, unit);
        assert!(exposure <= limit, "{unit}: {exposure}");
        let _ = write!(figures, "{unit} {exposure}, ");
    }

    confined(machine);
    let journal = machine.journal();
    assert!(!journal.contains("no private instance"), "rules were not tried first: {journal}");
    // Everybody may look, whatever umask the unit has.
    for (file, mode) in [
        ("", "755"),
        ("/rules.json", "644"),
        ("/state.json", "644"),
        ("/metrics.prom", "644"),
        ("/lock", "600"),
    ] {
        let path = format!("/run/binfmtd{file}");
        assert_eq!(machine.well(&["stat", "--format=%a", &path]), mode, "{path}");
    }
    explained(machine);
    machine.well(&["systemctl", "start", "binfmtd-doctor.service"]);

    // Without the service, and the mount namespace in which it opened the interpreters.
    let rules = machine.rules();
    assert_eq!(rules.len(), TARGETS.len(), "{rules:?}");
    machine.well(&["systemctl", "stop", "binfmtd.service"]);
    assert_eq!(machine.rules(), rules);
    machine.runs_all();
    let (said, stopped) = machine.run(&["systemctl", "stop", "binfmtd-cleanup.service"]);
    assert!(!stopped, "{said}");

    // The rules that it finds are its own: nothing is registered again.
    machine.well(&["systemctl", "start", "binfmtd.service"]);
    assert_eq!(machine.rules(), rules);

    let held = Held::of(machine);
    assert_eq!(held.rules(), rules);
    shut_down(machine, &held, &rules);
    figures + "no rule left"
}

/// A shutdown removes the rules when no container can need them any more, and not last of all:
/// systemd 250 and later does it then, when the filesystems should have been unmounted long since.
#[track_caller]
fn shut_down(machine: &mut Machine, held: &Held, rules: &[String]) {
    machine.shut_down();
    assert_eq!(held.seen_by(ENGINE), rules, "when the engine was stopped");
    assert_eq!(held.seen_by(LAST), [""; 0], "when all was stopped");
    assert_eq!(held.rules(), [""; 0]);
}

/// The service is up, says so, and does what it says.
#[track_caller]
fn started(machine: &Machine) {
    assert_eq!(machine.property("ActiveState"), "active", "{}", machine.journal());
    let status = machine.well(&["systemctl", "status", "binfmtd.service"]);
    let working = format!("{} targets working", TARGETS.len());
    assert!(status.contains("Status: ") && status.contains(&working), "{status}");
    machine.runs_all();
    assert!(!machine.can_run(ANOTHER));
}

/// The journal has what the service said, and explains it, with the message's own fields filled in.
#[track_caller]
fn explained(machine: &Machine) {
    // make install leaves that to whoever calls it; packages do it by themselves.
    machine.well(&["journalctl", "--update-catalog"]);
    let working = format!("{} targets working", TARGETS.len());
    let said = machine.well(&["journalctl", "-u", "binfmtd.service", "-b"]);
    assert!(said.contains(&working) && !said.contains("Subject: "), "{said}");
    // The margin is another where there is no UTF-8.
    let said = machine.sh("LC_ALL=C.UTF-8 journalctl -u binfmtd.service -x");
    for (message, what) in [(Message::Ready, working.as_str()), (Message::Changed, "[POF]")] {
        let entry = CATALOGUE.split("\n-- ").find_map(|entry| entry.strip_prefix(message.id()));
        let entry =
            entry.expect("an entry").trim().replace("@CAUSE@", ChangeCause::Wanted.as_str());
        let mut wanted = format!("{what}\n");
        for line in entry.lines() {
            let _ = writeln!(wanted, "░░ {line}");
        }
        assert!(said.contains(&wanted), "no {wanted} in {said}");
    }
}

/// Nobody of the service has more rights than its unit says, and the main process none at all.
#[track_caller]
fn confined(machine: &Machine) {
    let daemon = machine.daemon();
    let of = |process: &str| machine.well(&["cat", &format!("/proc/{process}/status")]);
    let field = |status: &str, name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(":\t"));
        line.unwrap_or_else(|| panic!("no {name}")).to_owned()
    };
    let main = of(&daemon);
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert_eq!(field(&main, set), "0000000000000000", "{set}");
    }
    for process in machine
        .sh("systemctl show -P ControlGroup binfmtd | xargs -I@ cat /sys/fs/cgroup@/cgroup.procs")
        .lines()
    {
        let status = of(process);
        assert_eq!(
            (field(&status, "NoNewPrivs"), field(&status, "Seccomp")),
            ("1".into(), "2".into())
        );
        let held = u64::from_str_radix(&field(&status, "CapPrm"), 16).unwrap();
        let allowed = 1 << 18 | 1 << 31; // CAP_SYS_CHROOT, CAP_SETFCAP
        assert_eq!(held & !allowed, 0, "{process}: {status}");
    }
}

/// What `systemd-analyze security` makes of a unit: 0 to 10.
#[track_caller]
fn exposure(machine: &Machine, unit: &str) -> f64 {
    let said = machine.well(&["systemd-analyze", "security", "--no-pager", unit]);
    let line = said.lines().rev().find_map(|line| line.split_once(&format!("level for {unit}: ")));
    let (_, rest) = line.unwrap_or_else(|| panic!("no figure: {said}"));
    rest.split_whitespace().next().unwrap().parse().unwrap()
}

pub(crate) fn reload(machine: &mut Machine) -> String {
    started(machine);
    let daemon = machine.daemon();
    machine.configure(&[TARGETS[0], ANOTHER]);
    machine.well(&["systemctl", "reload", "binfmtd.service"]);
    // systemctl waited.
    machine.runs(ANOTHER);
    machine.runs(TARGETS[0]);
    assert!(!machine.can_run(TARGETS[1]), "{} is no longer wanted", TARGETS[1]);

    machine.write("/etc/binfmtd/binfmtd.toml", "no-such-key = 1");
    let (said, _) = machine.run(&["systemctl", "reload", "binfmtd.service"]);
    machine.is_up(&format!("going on with the old configuration: {said}"));
    machine.runs(ANOTHER);
    assert_eq!(machine.daemon(), daemon, "it is still the same process");

    // What is for older ones does no harm to this systemd.
    machine.write(DROP_IN, include_str!("../../systemd/binfmtd.service.d/10-notify.conf"));
    machine.configure(&TARGETS);
    machine.well(&["systemctl", "daemon-reload"]);
    machine.well(&["systemctl", "restart", "binfmtd.service"]);
    reloaded_by_drop_in(machine);
    "at once".to_owned()
}

/// Reloads as systemd before 253 does, which does not wait.
#[track_caller]
fn reloaded_by_drop_in(machine: &Machine) {
    assert_eq!(machine.property("Type"), "notify");
    let daemon = machine.daemon();
    machine.configure(&[TARGETS[0], ANOTHER]);
    machine.well(&["systemctl", "reload", "binfmtd.service"]);
    eventually("the new configuration", LONG, || machine.can_run(ANOTHER));
    machine.runs(ANOTHER);
    machine.is_up("the service, reloaded");
    assert_eq!(machine.daemon(), daemon);
}

pub(crate) fn old(machine: &mut Machine) -> String {
    started(machine);
    reloaded_by_drop_in(machine);
    let exposure = exposure(machine, UNITS[0]);
    assert!(exposure <= 1.5, "{exposure}");
    machine.well(&["systemctl", "start", "binfmtd-doctor.service"]);
    let (held, rules) = (Held::of(machine), machine.rules());
    // The other units are in the right order without it, too.
    machine.well(&["systemctl", "stop", "binfmtd.service"]);
    shut_down(machine, &held, &rules);
    format!("{} {exposure}", UNITS[0])
}
