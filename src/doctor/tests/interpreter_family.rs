use super::*;

#[test]
fn one_that_was_renamed_is_named() {
    let settings = Settings::default();
    let folder = tempfile::tempdir().unwrap();
    let mut host = host(&settings);
    host.plant("qemu-arm", "arm", &folder.path().join("qemu-arm-static"), "P");
    host.ask("arm", Some(Ran::Badly));
    host.around.distribution = Distribution::Debian;
    let words = ["does not exist", "apt-get install qemu-user-static && binfmtd register arm"];
    host.holds("interpreter.exists", FAIL, &words);
    let now = folder.path().join("qemu-arm");
    std::fs::copy(sound(), &now).unwrap();
    let named = format!("QEMU for it is {} now", now.display());
    host.holds("interpreter.exists", FAIL, &[&named]);
    host.usable("arm", &now);
    host.holds("interpreter.exists", FAIL, &[&named]);
    assert_eq!(line(&host.says("interpreter.exists")), "binfmtd register arm");
    // With F the kernel goes on; what it opened was there, by the record.
    host.ours("arm", &folder.path().join("qemu-arm-static"), "F");
    host.patients[0].proof = Some(proof(Ran::Well));
    host.holds("interpreter.exists", WARN, &["gone from the disk", &named]);
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
        host.around.distribution = distribution;
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
    host.around.distribution = Distribution::Debian;
    host.holds("interpreter.usable", FAIL, &["not executable", "chmod a+x /etc/passwd"]);
    host.usable("arm", &sound());
    host.seen.instance.entries[0].name = "qemu-arm".into();
    let fix = line(&host.says("interpreter.usable"));
    assert_eq!(fix, "binfmtd register arm", "by its name it may be replaced when it fails");
    host.patients[0].proof = Some(proof(Ran::Well));
    let fix = line(&host.says("interpreter.usable"));
    assert_eq!(fix, "binfmtd register arm --takeover", "and not while it works");
    host.patients[0].proof = Some(proof(Ran::Badly));
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
    let label = |host: &mut Examination<'_>, label: &str| {
        host.around.labels.insert(sound(), format!("system_u:object_r:{label}"));
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
    host.holds("interpreter.label", PASS, &["only notes it"]);
    host.around.labels.clear();
    host.holds("interpreter.label", SKIP, &["no label"]);
}

#[test]
fn what_others_may_write_is_mended_by_a_command() {
    use std::os::unix::fs::PermissionsExt as _;
    let settings = Settings::default();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("qemu-arm");
    std::fs::copy(sound(), &path).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o777)).unwrap();
    let mut host = host(&settings);
    host.plant("qemu-arm", "arm", &path, "F").ask("arm", Some(Ran::Well));
    let fix = format!("chmod go-w {}", path.display());
    host.holds("interpreter.trusted", WARN, &["runs for everybody", &fix]);
    host.plant("qemu-arm", "arm", &path, "CF");
    host.holds("interpreter.trusted", FAIL, &["with credentials", &fix]);
}

#[test]
fn a_file_is_looked_at_as_it_is() {
    // What these tests take for an interpreter is one.
    let file: InterpreterFile = Inspector::default().inspect(&sound()).unwrap();
    assert!(file.elf.is_some() && file.mode & 0o111 != 0);
}
