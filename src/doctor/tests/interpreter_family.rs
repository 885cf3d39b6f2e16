use super::*;
use crate::verify::Pinned;

#[test]
fn one_that_was_renamed_is_named() {
    let settings = Settings::default();
    let mut host = host(&settings);
    let gone = Path::new("/nowhere/qemu-arm-static");
    host.plant("qemu-arm", "arm", gone, "P").ask("arm", Some(Ran::Badly));
    host.distribution = Distribution::Debian;
    let words = ["does not exist", "apt-get install qemu-user-static && binfmtd register arm"];
    host.holds("interpreter.exists", FAIL, &words);
    let now = Path::new("/nowhere/qemu-arm");
    host.targets[0].renamed = vec![now.to_owned()];
    let named = "QEMU for it is /nowhere/qemu-arm now";
    host.holds("interpreter.exists", FAIL, &[named]);
    host.usable("arm", now);
    host.holds("interpreter.exists", FAIL, &[named]);
    assert_eq!(line(&host.says("interpreter.exists")), "binfmtd register arm");
    host.targets[0].renamed.clear();
    host.holds("interpreter.exists", FAIL, &[named]);
    host.usable("arm", gone);
    assert_eq!(host.says("interpreter.exists").evidence.to_string(), "", "it is the very name");
    // With F the kernel goes on; what it opened was there, by the record.
    host.ours("arm", gone, "F");
    host.targets[0].proof = Some(proof(Ran::Well));
    host.holds("interpreter.exists", WARN, &["gone from the disk"]);
}

#[test]
fn how_one_comes_on_each_distribution() {
    let settings = Settings::default();
    let mut host = host(&settings);
    host.plant("qemu-arm", "arm", Path::new("/nowhere/qemu-arm"), "P").ask("arm", None);
    for (distribution, word) in [
        (Distribution::Ubuntu, "apt-get install qemu-user-static && "),
        (Distribution::Fedora, "dnf install qemu-user-static && "),
        (Distribution::Suse, "zypper install qemu-linux-user && "),
        (Distribution::Arch, "pacman -S qemu-user-static && "),
        (Distribution::Alpine, "apk add qemu-arm && "),
        (Distribution::Other, "(qemu-user-static); then run binfmtd register arm"),
    ] {
        host.distribution = distribution;
        host.holds("interpreter.exists", FAIL, &[word]);
    }
    host.seen.instance.entries[0].name = "rosetta".into();
    host.holds("interpreter.exists", FAIL, &["binfmtd register arm --takeover"]);
}

#[test]
fn what_cannot_serve_is_replaced_by_what_can() {
    let settings = Settings::default();
    let mut host = host(&settings);
    host.plant("qemu-arm", "arm", Path::new("/etc/passwd"), "P").ask("arm", Some(Ran::Badly));
    host.distribution = Distribution::Debian;
    host.holds("interpreter.usable", FAIL, &["not executable", "chmod a+x /etc/passwd"]);
    host.usable("arm", &sound());
    host.seen.instance.entries[0].name = "qemu-arm".into();
    let fix = line(&host.says("interpreter.usable"));
    assert_eq!(fix, "binfmtd register arm", "by its name it may be replaced when it fails");
    host.targets[0].proof = Some(proof(Ran::Well));
    let fix = line(&host.says("interpreter.usable"));
    assert_eq!(fix, "binfmtd register arm --takeover", "and not while it works");
    host.targets[0].proof = Some(proof(Ran::Badly));
    host.seen.instance.entries[0].name = "mine".into();
    let fix = line(&host.says("interpreter.usable"));
    assert_eq!(fix, "binfmtd register arm --takeover", "not QEMU's, so not simply replaced");
    // Whose name ours has to get, and who is another emulator's.
    host.seen.instance.entries[0].name = "qemu-arm".into();
    host.seen.instance.entries[0].interpreter = "/nowhere/FEXInterpreter".into();
    let fix = line(&host.says("interpreter.exists"));
    assert_eq!(fix, "sh -c 'echo -1 > /proc/sys/fs/binfmt_misc/qemu-arm' && binfmtd register arm");
}

#[test]
fn labels_that_containers_may_not_execute() {
    let settings = Settings::default();
    let mut host = host(&settings);
    host.plant("qemu-arm", "arm", &sound(), "F").ask("arm", Some(Ran::Well));
    let label = |host: &mut Example<'_>, label: &str| {
        host.files.get_mut(&sound()).unwrap().label = Some(format!("system_u:object_r:{label}"));
    };
    label(&mut host, "user_home_t:s0");
    host.holds("interpreter.label", SKIP, &["SELinux is off"]);
    host.limits.selinux = Some(Selinux::Enforcing);
    host.holds("interpreter.label", WARN, &["user_home_t", "chcon -t bin_t", "register arm"]);
    // podman#25318: the interpreter is of another container's image.
    label(&mut host, "container_file_t:s0:c1022,c1023");
    host.holds("interpreter.label", WARN, &["labelled for one container (s0:c1022,c1023)"]);
    for good in ["bin_t:s0", "qemu_exec_t:s0", "container_file_t:s0", "container_ro_file_t:s0"] {
        label(&mut host, good);
        host.holds("interpreter.label", PASS, &["may execute", good]);
    }
    label(&mut host, "mine_t:s0");
    host.holds("interpreter.label", PASS, &["nothing is known against mine_t"]);
    label(&mut host, "tmp_t:s0");
    host.limits.selinux = Some(Selinux::Permissive);
    host.holds("interpreter.label", PASS, &["only logs it"]);
    host.files.get_mut(&sound()).unwrap().label = None;
    host.holds("interpreter.label", SKIP, &["no readable label"]);
}

#[test]
fn what_others_may_write_is_mended_by_a_command() {
    let settings = Settings::default();
    let mut host = host(&settings);
    host.plant("qemu-arm", "arm", &sound(), "F").ask("arm", Some(Ran::Well));
    host.holds("interpreter.trusted", PASS, &["only root"]);
    let fault =
        |path: &str, problem| TrustFault { path: path.into(), owner: 1000, mode: 0o777, problem };
    let distrust = vec![
        fault("/usr", TrustProblem::Owner),
        fault("/usr/a b", TrustProblem::LinkOwner),
        fault("/usr/bin/emulator", TrustProblem::Writable),
    ];
    host.files.insert(sound(), found(Ok(InterpreterFile { distrust, ..program() })));
    let fix = "chown root: /usr && chown -h root: '/usr/a b' && chmod go-w /usr/bin/emulator";
    host.holds(
        "interpreter.trusted",
        WARN,
        &["runs for everybody", "belongs to somebody other than root", fix],
    );
    host.plant("qemu-arm", "arm", &sound(), "CF");
    host.holds("interpreter.trusted", FAIL, &["with credentials", fix]);
    host.plant("qemu-arm", "arm", Path::new("/x"), "F");
    host.holds("interpreter.trusted", SKIP, &["no file"]);
}

#[test]
fn a_file_that_cannot_be_read_or_started() {
    let settings = Settings::default();
    let mut host = host(&settings);
    host.plant("qemu-arm", "arm", &sound(), "F").ask("arm", Some(Ran::Badly));
    let unreadable = Err(InterpreterFault::Unreadable(SystemError(13)));
    host.files.insert(sound(), found(unreadable));
    host.holds(
        "interpreter.exists",
        WARN,
        &["cannot be read: Permission denied", "ls -lL /usr/bin/emulator"],
    );
    host.holds("interpreter.usable", SKIP, &["no file"]);
    host.holds("interpreter.label", SKIP, &["SELinux is off"]);
    // What is pinned runs, and is another file than the one that is there now.
    host.targets[0].proof = Some(Proof { pinned: Some(pinned(false)), ..proof(Ran::Well) });
    host.holds("interpreter.exists", WARN, &["ls -lL"]);
    host.files.insert(sound(), found(Err(InterpreterFault::NotRegular)));
    host.distribution = Distribution::Debian;
    host.holds("interpreter.exists", WARN, &["binfmtd register arm --takeover"]);
    host.targets[0].proof = Some(Proof { pinned: Some(pinned(true)), ..proof(Ran::Well) });
    host.holds("interpreter.exists", SKIP, &["another root"]);
    // A mount that forbids programs.
    host.targets[0].proof = Some(proof(Ran::Badly));
    let noexec = InterpreterFile { noexec: true, ..program() };
    let there = RuleFile { mount_point: Some("/usr".into()), ..found(Ok(noexec)) };
    host.files.insert(sound(), there.clone());
    host.holds("interpreter.usable", FAIL, &["noexec", "mount -o remount,exec /usr"]);
    host.files.insert(sound(), RuleFile { mount_point: None, ..there });
    host.holds("interpreter.usable", FAIL, &["mount its filesystem without noexec"]);
    // Needs a loader, which matters with F alone.
    let mut dynamic = program();
    dynamic.elf.as_mut().unwrap().loader = Some("/lib/ld.so".to_owned());
    host.files.insert(sound(), found(Ok(dynamic)));
    host.holds("interpreter.usable", FAIL, &["/lib/ld.so", "apt-get install qemu-user-static"]);
    host.seen.instance.entries[0].flags.known.fix_binary = false;
    host.holds("interpreter.usable", PASS, &["static"]);
}

fn pinned(is_elsewhere: bool) -> Pinned {
    Pinned {
        id: ID,
        path: sound(),
        sha256: None,
        is_on_disk: true,
        is_elsewhere,
        fixed_address: None,
    }
}
