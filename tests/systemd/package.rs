//! Packages, from their installation to their removal: the rules are there as long as somebody looks after them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::load::Load;
use crate::machine::{ANOTHER, Machine, TARGETS, well};
use crate::support::stage::BINFMTD;

/// Makes a package of this program in a folder, if what it takes is here.
fn package(kind: &str, release: &str, folder: &Path) -> Result<PathBuf, String> {
    let stripped = folder.join("binfmtd");
    well(Command::new("strip").arg("-o").arg(&stripped).arg(BINFMTD));
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging").join(kind);
    let output = Command::new(&script)
        .args([&stripped, folder])
        .arg(release)
        .output()
        .map_err(|error| format!("{}: {error}", script.display()))?;
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    match output.status.code() {
        Some(0) => Ok(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim())),
        Some(3) => Err(said),
        _ => panic!("{}: {}: {said}", script.display(), output.status),
    }
}

/// `/srv/1.deb` and a newer one, `/srv/2.deb`, which differs in nothing but its version.
pub(crate) fn debs(folder: &Path, _: &str) -> Result<(), String> {
    let scratch = tempfile::tempdir().unwrap();
    let made = package("deb", "1", scratch.path())?;
    let tree = scratch.path().join("tree");
    well(Command::new("dpkg-deb").arg("--raw-extract").args([&made, &tree]));
    well(
        Command::new("sed").args(["-i", "/^Version: /s/-1$/-2/"]).arg(tree.join("DEBIAN/control")),
    );
    let mut build = Command::new("dpkg-deb");
    build.args(["--root-owner-group", "-Zgzip", "--build"]).arg(tree);
    well(build.arg(folder.join("srv/2.deb")));
    fs::copy(made, folder.join("srv/1.deb")).unwrap();
    Ok(())
}

/// The same for rpm; and this machine's rpm with its own loader and libraries, for the machine has none.
pub(crate) fn rpms(folder: &Path, _: &str) -> Result<(), String> {
    let scratch = tempfile::tempdir().unwrap();
    for release in ["1", "2"] {
        let made = package("rpm", release, scratch.path())?;
        fs::copy(made, folder.join(format!("srv/{release}.rpm"))).unwrap();
    }
    let copy = "rpm=$(command -v rpm) && mkdir -p $1/opt/rpm $1/usr/lib
        cp --dereference $rpm $(ldd $rpm | grep -o '/[^ ]*') $1/opt/rpm
        mv $1/opt/rpm/ld-* $1/opt/rpm/loader
        cp --archive /usr/lib/rpm $1/usr/lib/rpm";
    well(Command::new("sh").args(["-ec", copy, "sh"]).arg(folder));
    Ok(())
}

/// What has to be left when a package has gone: every file there is, less what belongs to the package managers
/// themselves and to the journal.
#[track_caller]
fn files(machine: &Machine) -> BTreeSet<String> {
    let all = machine.sh(
        "find / -xdev '(' -path /proc -o -path /sys -o -path /tmp -o -path /var/tmp ')' -prune -o -print
         find /run -xdev -maxdepth 1",
    );
    let theirs = [
        "/var/lib/dpkg/",
        "/var/lib/rpm",
        "/var/log/",
        "/run/systemd/",
        "/run/agetty.reload",
        "/run/load", // our own
    ];
    let kept = all.lines().filter(|line| !theirs.iter().any(|their| line.starts_with(their)));
    kept.map(str::to_owned).collect()
}

/// Holds that an installed package works, without any configuration.
#[track_caller]
fn works(machine: &Machine) {
    assert_eq!(machine.property("ActiveState"), "active", "{}", machine.journal());
    assert_eq!(machine.well(&["systemctl", "is-enabled", "binfmtd.service"]), "enabled");
    let (timer, enabled) = machine.run(&["systemctl", "is-enabled", "binfmtd-doctor.timer"]);
    assert!(!enabled && timer.trim() == "disabled", "{timer}");
    machine.runs_all();
    machine.runs(ANOTHER);
    machine.well(&["binfmtd", "doctor", TARGETS[0]]);
    // Foreign programs run, by src/daemon/journal.rs.
    let catalog =
        machine.well(&["journalctl", "--list-catalog", "ecc0c07e3ba044a3a406da498bad025b"]);
    assert!(catalog.contains("Foreign programs run"), "{catalog}");
    let folders = machine.well(&["systemd-tmpfiles", "--cat-config"]);
    assert!(folders.lines().any(|line| line == "d /run/binfmtd 0755 root root -"), "{folders}");
}

/// Another package of the same program, under load: nobody notices but the daemon.
#[track_caller]
fn upgraded(machine: &Machine, upgrade: impl FnOnce()) -> usize {
    let (rules, daemon) = (machine.rules(), machine.daemon());
    let load = Load::begin(machine, TARGETS[0]);
    upgrade();
    let answer = load.end(machine);
    assert_eq!(answer.failures, 0, "of {}: {}", answer.starts, machine.journal());
    assert_eq!(machine.rules(), rules);
    assert_ne!(machine.daemon(), daemon, "the daemon is still the old one");
    works(machine);
    answer.starts
}

/// Holds that nothing of a removed package is in force, or known to systemd.
#[track_caller]
fn gone(machine: &Machine) {
    assert_eq!(machine.rules(), [""; 0]);
    // Names that somebody mentioned are no units.
    let units = machine.sh(
        "systemctl list-units --all --no-legend --plain 'binfmtd*' | sed '/ not-found inactive dead /d'
         systemctl list-unit-files --no-legend 'binfmtd*' || :",
    );
    assert_eq!(units, "");
    assert!(!machine.run(&["test", "-e", "/usr/bin/binfmtd"]).1);
}

/// What a package does not know of, and has to leave alone.
const OWN: &str = "/etc/binfmtd/binfmtd.d/50-mine.toml";

/// Holds that a machine is as it was, but for the administrator's own file.
#[track_caller]
fn left(machine: &Machine, before: &BTreeSet<String>) {
    machine.well(&["test", "-e", OWN]);
    machine.well(&["rm", "-r", "/etc/binfmtd"]);
    let after = files(machine);
    let left: Vec<_> = after.difference(before).collect();
    let lost: Vec<_> = before.difference(&after).collect();
    assert!(left.is_empty() && lost.is_empty(), "left behind: {left:?}, lost: {lost:?}");
}

pub(crate) fn deb(machine: &mut Machine) -> String {
    let before = files(machine);
    machine.well(&["dpkg", "--install", "/srv/1.deb"]);
    works(machine);
    assert_eq!(machine.well(&["dpkg", "--verify", "binfmtd"]), "");
    machine.write(OWN, "verify = \"after\"");
    machine.well(&["systemctl", "enable", "--now", "--quiet", "binfmtd-doctor.timer"]);
    machine.well(&["systemctl", "disable", "--now", "--quiet", "binfmtd-doctor.timer"]);

    let starts = upgraded(machine, || {
        machine.well(&["dpkg", "--install", "/srv/2.deb"]);
    });
    let version = machine.well(&["dpkg-query", "-W", "-f", "${Version}", "binfmtd"]);
    assert_eq!(version, format!("{}-2", env!("CARGO_PKG_VERSION").replace('-', "~")));

    // Who switched it off finds it off after the next upgrade, and so do the programs; who switched the timer on
    // has it go on.
    machine.well(&["systemctl", "disable", "--now", "--quiet", "binfmtd.service"]);
    machine.well(&["systemctl", "enable", "--now", "--quiet", "binfmtd-doctor.timer"]);
    machine.well(&["dpkg", "--install", "/srv/2.deb"]);
    assert_eq!(machine.property("ActiveState"), "inactive");
    machine.well(&["systemctl", "is-active", "binfmtd-doctor.timer"]);
    machine.runs_all();
    machine.well(&["systemctl", "enable", "--now", "--quiet", "binfmtd.service"]);

    machine.well(&["dpkg", "--remove", "binfmtd"]);
    gone(machine);
    machine.well(&["dpkg", "--purge", "binfmtd"]);
    left(machine, &before);
    format!("none of {starts} starts failed during the upgrade")
}

#[track_caller]
fn run_rpm(machine: &Machine, words: &[&str]) -> String {
    let rpm = ["/opt/rpm/loader", "--library-path", "/opt/rpm", "/opt/rpm/rpm"];
    let said = machine.well(&[&rpm[..], &["--dbpath", "/var/lib/rpm"], words].concat());
    // Debian's would rather have one use alien.
    let lines = said.lines().filter(|line| !line.starts_with("rpm: "));
    lines.collect::<Vec<_>>().join("\n")
}

pub(crate) fn rpm(machine: &mut Machine) -> String {
    // Of every distribution with rpm.
    machine.well(&["mkdir", "-p", "/usr/share/licenses"]);
    let before = files(machine);
    // Nobody told rpm what dpkg has installed: a shell.
    run_rpm(machine, &["--install", "--nodeps", "/srv/1.rpm"]);
    // Enabled, and not started: so are the habits of these distributions.
    assert_eq!(machine.property("ActiveState"), "inactive");
    machine.well(&["systemctl", "start", "binfmtd.service"]);
    works(machine);
    assert_eq!(run_rpm(machine, &["--verify", "--nodeps", "binfmtd"]), "");
    machine.write(OWN, "verify = \"after\"");

    let starts = upgraded(machine, || {
        run_rpm(machine, &["--upgrade", "--nodeps", "/srv/2.rpm"]);
    });
    let installed = run_rpm(machine, &["--query", "binfmtd"]);
    let wanted = format!("binfmtd-{}-2.", env!("CARGO_PKG_VERSION").replace('-', "~"));
    assert!(installed.starts_with(&wanted), "{installed}");

    machine.well(&["systemctl", "enable", "--now", "--quiet", "binfmtd-doctor.timer"]);
    run_rpm(machine, &["--erase", "binfmtd"]);
    gone(machine);
    left(machine, &before);
    format!("none of {starts} starts failed during the upgrade")
}
