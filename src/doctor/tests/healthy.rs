use super::*;

#[test]
fn an_empty_host_with_nothing_asked() {
    let settings = Settings::default();
    host(&settings).is_quiet();
    let mut bare = host(&settings);
    bare.trouble = Some(InstanceError::NotMounted);
    bare.stack = Vec::new();
    bare.stack_before = Vec::new();
    bare.is_quiet();
}

#[test]
fn an_automount_that_nobody_had_triggered() {
    let settings = Settings::default();
    let mut host = host(&settings);
    host.stack_before = vec!["autofs".to_owned()];
    host.stack = vec!["autofs".to_owned(), "binfmt_misc".to_owned()];
    host.is_quiet();
    host.holds("kernel.mounted", PASS, &["before anybody looked: autofs"]);
}

#[test]
fn rules_of_systemd_binfmt_with_its_files() {
    let settings = Settings::default();
    let mut host = host(&settings);
    let path = "/usr/lib/binfmt.d/qemu-aarch64.conf";
    host.plant("qemu-aarch64", "aarch64", &sound(), "OPF").ask("aarch64", Some(Ran::Well));
    host.owners.insert("qemu-aarch64".to_owned(), systemd_binfmt(path));
    host.plan(path, Ok(rule(&settings, "aarch64", &sound(), "OPF")), None);
    host.units.systemd_binfmt = Boot::Starts;
    host.is_quiet();
}

#[test]
fn rules_of_update_binfmts() {
    let settings = Settings::default();
    let mut host = host(&settings);
    host.plant("qemu-aarch64", "aarch64", &sound(), "OPF").ask("aarch64", Some(Ran::Well));
    let file = update_binfmts("/var/lib/binfmts/qemu-aarch64");
    host.owners.insert("qemu-aarch64".to_owned(), file);
    // Debian's package brings files for both; each leaves the other's names alone.
    host.plan(
        "/usr/lib/binfmt.d/qemu-aarch64.conf",
        Ok(rule(&settings, "aarch64", &sound(), "OPF")),
        None,
    );
    host.units =
        Units { ours: Boot::Absent, systemd_binfmt: Boot::Starts, binfmt_support: Boot::Starts };
    host.is_quiet();
}

#[test]
fn rules_of_a_container_under_a_private_path() {
    let settings = Settings::default();
    let mut host = host(&settings);
    // Its path leads nowhere here: it was the container's. Without systemd nobody knows of boots.
    host.systemd = false;
    let path = Path::new("/nowhere/buildkit-qemu-aarch64");
    host.plant("qemu-aarch64", "aarch64", path, "CF").ask("aarch64", Some(Ran::Well));
    host.holds("interpreter.exists", PASS, &["the kernel runs the file that it opened"]);
    host.holds("rule.credentials", PASS, &["as its owner wanted"]);
    host.holds("service.boot", SKIP, &["systemd does not run here"]);
    host.is_quiet();
}

#[test]
fn a_container_that_sees_nothing_and_is_served_by_the_host() {
    let settings = Settings::default();
    let mut host = host(&settings);
    (host.container, host.trouble) = (true, Some(InstanceError::NotMounted));
    host.ask("aarch64", Some(Ran::Well));
    host.is_quiet();
    host.holds("kernel.mounted", PASS, &["foreign programs run", "rules of the host"]);
    // On the host itself, somebody's mount elsewhere holds them.
    host.container = false;
    host.holds("kernel.mounted", WARN, &["that somebody else holds", "mount -t binfmt_misc"]);
}

#[test]
fn other_emulators_and_run_times() {
    let settings = Settings::default();
    let mut host = host(&settings);
    host.plant("FEX-aarch64", "aarch64", &sound(), "POCF").ask("aarch64", Some(Ran::Well));
    let wine = "enabled\ninterpreter /usr/bin/wine\nflags: \noffset 0\nmagic 4d5a\n";
    for name in ["WSLInterop", "wine"] {
        let entry = Entry::parse(OsStr::new(name), wine.as_bytes()).unwrap();
        host.seen.instance.entries.push(entry);
    }
    host.is_quiet();
}

#[test]
fn our_own_with_the_service() {
    let settings = Settings::default();
    let mut host = host(&settings);
    host.ours("aarch64", &sound(), "POF").ask("aarch64", Some(Ran::Well));
    host.service = Some(state());
    host.units.ours = Boot::Starts;
    host.is_quiet();
    host.holds("service.running", PASS, &["is ready"]);
    host.holds("service.record", PASS, &["1 rules of binfmtd"]);
    host.holds("service.boot", PASS, &["binfmtd.service registers at boot"]);
}
