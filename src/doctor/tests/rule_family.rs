use super::*;

#[test]
fn why_there_is_no_rule() {
    let settings = Settings::default();
    let mut host = host(&settings);
    host.ask("arm", Some(Ran::Not)).distribution = Distribution::Debian;
    let words = ["e_machine 0x28", "apt-get install qemu-user-static && binfmtd register arm"];
    host.holds("rule.present", FAIL, &words);
    host.usable("arm", &sound());
    assert_eq!(line(&host.says("rule.present")), "binfmtd register arm");
    assert_eq!(host.says("rule.present").evidence.to_string(), "");
    host.stack_before = vec!["autofs".to_owned()];
    host.holds("rule.present", FAIL, &["the automount had not been triggered since boot"]);
    host.first_namespace = false;
    host.holds("rule.present", FAIL, &["an instance of its own"]);
    host.from_above = true;
    assert_eq!(host.says("rule.present").evidence.to_string(), "");
    host.targets[0].proof = Some(proof(Ran::Well));
    host.holds("rule.present", PASS, &["no rule is visible", "a parent namespace has one"]);
    host.trouble = Some(InstanceError::NotMounted);
    host.holds("rule.present", SKIP, &["no instance"]);
}

#[test]
fn a_rule_of_ours_that_was_removed_is_told_of_its_target() {
    let settings = Settings::default();
    let mut host = host(&settings);
    host.record(&rule(&settings, "arm", &sound(), "POF"), Some("arm"));
    host.ask("arm", Some(Ran::Not));
    host.holds("rule.present", FAIL, &["somebody removed binfmtd's, qemu-arm"]);
    host.holds("service.record", SKIP, &["qemu-arm", "the checks of its target"]);
}

/// An arm64 host whose CPU has no 32-bit mode, and one of 64 KiB pages whose kernel was built without.
#[test]
fn arm_v7_on_an_arm64_host_without_it() {
    let settings = Settings::default();
    let mut host = host(&settings);
    let natives = vec!["aarch64".to_owned()];
    host.native = Native::new(&settings.table, &natives);
    (host.seen.host, host.seen.natives) = ("aarch64".to_owned(), natives);
    host.ask("arm", Some(Ran::Not)).ask("aarch64", None);
    host.holds("rule.present", FAIL, &["aarch64", "does not run these", "binfmtd register arm"]);
    // One target is foreign here, and its rule takes nothing of the host's.
    assert_eq!(host.all("rule.present").len(), 1);
    host.plant("qemu-arm", "arm", &sound(), "POF");
    host.targets[0].proof = Some(proof(Ran::Well));
    host.is_quiet_about("rule.native");
    // Where the CPU has that mode, the very rule takes its programs away.
    let both = ["aarch64", "arm"].map(str::to_owned).to_vec();
    host.native = Native::new(&settings.table, &both);
    host.holds("rule.native", FAIL, &["qemu-arm could take the host's own arm programs"]);
}

impl Example<'_> {
    #[track_caller]
    fn is_quiet_about(&self, id: &str) {
        self.holds(id, PASS, &[]);
    }
}

#[test]
fn a_disabled_rule_is_switched_on() {
    let settings = Settings::default();
    let mut host = host(&settings);
    host.plant("qemu-arm", "arm", &sound(), "F").ask("arm", Some(Ran::Not));
    host.seen.instance.entries[0].enabled = false;
    host.holds("rule.enabled", FAIL, &["there and disabled", "binfmtd register arm"]);
    host.plant("other", "arm", &sound(), "F");
    // Switched on, rule.shadowed would want one of them removed.
    host.holds("rule.enabled", PASS, &["another rule serves"]);
}

/// What the check says of two targets.
fn both(id: &str, host: &Example<'_>) -> (Finding, Finding) {
    let mut found = host.all(id);
    assert_eq!(found.len(), 2, "{found:#?}");
    (found.remove(0), found.remove(0))
}

#[test]
fn two_targets_with_one_cause_are_told_of_in_one() {
    let settings = Settings::default();
    let mut host = host(&settings);
    host.ask("arm", Some(Ran::Not)).ask("mips", Some(Ran::Not));
    let is_like = |id: &str, host: &Example<'_>| {
        let (one, other) = both(id, host);
        assert_eq!(one.status, other.status);
        assert_ne!(one.fix, other.fix, "{id}");
        one.is_like(&other)
    };
    assert!(is_like("rule.present", &host));
    // One has an interpreter, the other takes a package first.
    host.usable("arm", &sound());
    assert!(!is_like("rule.present", &host));
    host.usable("mips", &sound());
    assert!(is_like("rule.present", &host));
    // One was there; each was there.
    host.record(&rule(&settings, "arm", &sound(), "POF"), Some("arm"));
    assert!(!is_like("rule.present", &host));
    host.record(&rule(&settings, "mips", &sound(), "POF"), Some("mips"));
    assert!(is_like("rule.present", &host));
    host.plant("qemu-arm", "arm", Path::new("/nowhere/qemu-arm"), "F");
    host.plant("qemu-mips", "mips", Path::new("/nowhere/qemu-mips"), "POF");
    assert!(is_like("interpreter.exists", &host));
    host.seen.instance.entries[0].flags.known.fix_binary = false;
    let (one, other) = both("interpreter.exists", &host);
    assert_eq!((one.status, other.status), (WARN, FAIL));
    assert!(!one.is_like(&other));
    host.seen.instance.entries.iter_mut().for_each(|entry| entry.enabled = false);
    assert!(is_like("rule.enabled", &host));
}

#[test]
fn rules_of_other_owners_are_another_conflict() {
    let settings = Settings::default();
    let mut host = host(&settings);
    for target in ["arm", "mips"] {
        host.ask(target, Some(Ran::Well));
        host.plant(&format!("qemu-{target}"), target, &sound(), "F");
        host.plant(&format!("mine-{target}"), target, &sound(), "F");
    }
    let is_like = |host: &Example<'_>| {
        let (one, other) = both("rule.shadowed", host);
        one.is_like(&other)
    };
    assert!(is_like(&host));
    let own = |target: &str| systemd_binfmt(&format!("/usr/lib/binfmt.d/qemu-{target}.conf"));
    host.owners.insert("qemu-arm".to_owned(), own("arm"));
    assert!(!is_like(&host));
    host.owners.insert("qemu-mips".to_owned(), own("mips"));
    assert!(is_like(&host));
}

#[test]
fn without_f() {
    let settings = Settings::default();
    let mut host = host(&settings);
    host.plant("qemu-arm", "arm", &sound(), "OP").ask("arm", Some(Ran::Well));
    host.holds("rule.fix-binary", FAIL, &["no flag F", "binfmtd register arm"]);
    // One cause, told once.
    host.seen.instance.entries[0].interpreter = "/nowhere/qemu-arm".into();
    host.holds("rule.fix-binary", SKIP, &["its own checks report why"]);
    host.plant("rosetta", "arm", &sound(), "C");
    host.holds("rule.fix-binary", WARN, &["rosetta", "--takeover"]);
}

#[test]
fn a_rule_that_takes_more_than_its_targets_programs() {
    let settings = Settings::default();
    let mut host = host(&settings);
    host.plant("qemu-mips", "mips", &sound(), "F").ask("mips", Some(Ran::Well));
    host.holds("rule.matcher", PASS, &["nothing else"]);
    // Without e_flags o32 and n32 are the same.
    let content = format!(
        "enabled\ninterpreter {}\nflags: F\noffset 0\nmagic 7f454c46010201\nmask ffffffffffffff\n",
        sound().display()
    );
    let wide = Entry::parse(OsStr::new("qemu-mips"), content.as_bytes()).unwrap();
    host.seen.instance.entries = vec![wide];
    let words = ["mipsn32", "binfmtd register mips --takeover"];
    host.holds("rule.matcher", WARN, &words);
    let name = "enabled\ninterpreter /x\nflags: F\nextension .mips\n";
    let name = Entry::parse(OsStr::new("names"), name.as_bytes()).unwrap();
    host.seen.instance.entries = vec![name];
    host.holds("rule.matcher", SKIP, &["no enabled rule"]);
}

/// The target's own magic, but for a byte: another mask and value.
fn narrow(name: &str, target: &str, interpreter: &Path, at: usize, byte: (u8, u8)) -> Entry {
    let table = Table::embedded();
    let (_, magic) = table.find(target).unwrap().rules().swap_remove(0);
    let (mut bytes, mut mask) = (magic.magic().to_vec(), magic.mask().to_vec());
    (bytes[at], mask[at]) = byte;
    let narrow = crate::rule::Magic::new(0, bytes, Some(mask)).unwrap();
    let content = format!(
        "enabled\ninterpreter {}\nflags: POF\noffset 0\nmagic {}\nmask {}\n",
        interpreter.display(),
        narrow.magic_hex(),
        narrow.mask_hex()
    );
    Entry::parse(OsStr::new(name), content.as_bytes()).unwrap()
}

#[test]
fn a_rule_that_takes_some_of_its_programs_only() {
    let settings = Settings::default();
    for (byte, words) in [
        ((16, (2, 0xff)), "e_type (byte 16)"),
        ((7, (0, 0xff)), "EI_OSABI (byte 7), so programs that are marked for Linux"),
    ] {
        let (at, byte) = byte;
        let mut host = host(&settings);
        host.seen.instance.entries.push(narrow("qemu-arm", "arm", &sound(), at, byte));
        host.ask("arm", Some(Ran::Well));
        host.holds("rule.matcher", FAIL, &[words, "binfmtd register arm --takeover"]);
        host.holds("rule.shadowed", PASS, &["one rule only"]);
        assert_eq!(verdict(&host.0, &host.targets[0]), Verdict::Broken);
        // What it leaves out another takes.
        let rest = narrow("rest", "arm", &sound(), at, (3, byte.1));
        host.seen.instance.entries.push(rest);
        host.holds("rule.matcher", PASS, &["together with another rule"]);
        assert_eq!(verdict(&host.0, &host.targets[0]), Verdict::Working);
    }
    // Some of EABI's programs.
    let mut host = host(&settings);
    let mut magic = settings.table.find("arm").unwrap().rules().swap_remove(0).1.magic().to_vec();
    magic.resize(40, 0);
    magic[39] = 5;
    let mut mask = settings.table.find("arm").unwrap().rules().swap_remove(0).1.mask().to_vec();
    mask.resize(40, 0);
    let content = |mask: &[u8]| {
        let magic = crate::rule::Magic::new(0, magic.clone(), Some(mask.to_vec())).unwrap();
        let (magic, mask) = (magic.magic_hex(), magic.mask_hex());
        let lines = format!("flags: POF\noffset 0\nmagic {magic}\nmask {mask}\n");
        let text = format!("enabled\ninterpreter {}\n{lines}", sound().display());
        Entry::parse(OsStr::new("qemu-arm"), text.as_bytes()).unwrap()
    };
    host.seen.instance.entries.push(content(&mask));
    host.ask("arm", Some(Ran::Well));
    host.holds("rule.matcher", PASS, &["nothing else"]);
    mask[39] = 0xff;
    host.seen.instance.entries[0] = content(&mask);
    // Its own programs have no winner then: the header of the target has no such flags.
    host.holds("rule.matcher", SKIP, &["no enabled rule"]);
}

#[test]
fn a_rule_that_takes_some_programs_before_another() {
    let settings = Settings::default();
    let mut host = host(&settings);
    host.plant("qemu-arm", "arm", &sound(), "POF").ask("arm", Some(Ran::Well));
    let theirs = Path::new("/opt/other");
    for (at, byte, field) in [(16, (3, 0xff), "e_type"), (7, (3, 0xff), "EI_OSABI")] {
        let mut entries = host.seen.instance.entries.clone();
        host.seen.instance.entries.insert(0, narrow("pie", "arm", theirs, at, byte));
        let words = ["pie comes before qemu-arm", field, "/opt/other", "register arm --takeover"];
        host.holds("rule.shadowed", FAIL, &words);
        host.holds("rule.matcher", PASS, &["nothing else"]);
        // Of the one kind there is a probe.
        let proved = if at == 16 { Verdict::Working } else { Verdict::Unproved };
        assert_eq!(verdict(&host.0, &host.targets[0]), proved);
        // Of the same interpreter it does no harm; nor behind the other, or switched off.
        host.seen.instance.entries[0].interpreter = sound();
        host.holds("rule.shadowed", PASS, &["one rule only"]);
        host.seen.instance.entries[0].interpreter = theirs.to_owned();
        host.seen.instance.entries[0].enabled = false;
        host.holds("rule.shadowed", PASS, &["one rule only"]);
        host.seen.instance.entries[0].enabled = true;
        host.seen.instance.entries.swap(0, 1);
        host.holds("rule.shadowed", PASS, &["one rule only"]);
        std::mem::swap(&mut host.seen.instance.entries, &mut entries);
    }
    // Foreign AppImages are nobody's but theirs.
    let appimages = "enabled\ninterpreter /opt/appimaged\nflags: F\noffset 8\nmagic 414902\n";
    let appimages = Entry::parse(OsStr::new("appimage"), appimages.as_bytes()).unwrap();
    host.seen.instance.entries.insert(0, appimages);
    host.holds("rule.shadowed", PASS, &["one rule only"]);
}

#[test]
fn two_rules_and_their_owners() {
    let settings = Settings::default();
    let mut host = host(&settings);
    let qemu = Path::new("/usr/bin/qemu-arm-static");
    host.ours("arm", qemu, "POF").ask("arm", Some(Ran::Well));
    host.holds("rule.shadowed", PASS, &["one rule only"]);
    let winner = |host: &Example<'_>| {
        let asked = &host.targets[0];
        host.rule(asked).unwrap().display_name()
    };

    // Another emulator's works, and comes first: ours is not needed.
    host.plant("rosetta", "arm", &sound(), "C");
    assert_eq!(winner(&host), "rosetta");
    let words = ["rosetta (of Rosetta); behind it is qemu-arm (of binfmtd)"];
    host.holds("rule.shadowed", WARN, &words);
    let fix = "sh -c 'echo -1 > /proc/sys/fs/binfmt_misc/qemu-arm'";
    assert_eq!(line(&host.says("rule.shadowed")), fix);
    host.service = Some(state());
    host.holds("rule.shadowed", WARN, &["leave arm out of the targets", "systemctl reload"]);
    host.service = None;
    // It does not work: ours before it, and never a word of removing theirs.
    host.targets[0].proof = Some(proof(Ran::Badly));
    host.holds(
        "rule.shadowed",
        FAIL,
        &["before binfmtd's rule", "binfmtd register arm --takeover"],
    );

    // Ours before theirs: somebody wanted that, or theirs did not work.
    let ours = host.seen.instance.entries.remove(1);
    host.seen.instance.entries.insert(0, ours);
    host.targets[0].proof = Some(proof(Ran::Well));
    host.holds("rule.shadowed", PASS, &["binfmtd's comes first", "rosetta (of Rosetta)"]);
    host.seen.instance.entries.swap(0, 1);

    // Two of QEMU's.
    host.seen.instance.entries.remove(0);
    host.plant("qemu-arm-new", "arm", Path::new("/opt/qemu-arm"), "F");
    host.targets[0].proof = Some(proof(Ran::Well));
    let words = ["qemu-arm-new (of unknown)", "binfmtd register arm --takeover"];
    host.holds("rule.shadowed", WARN, &words);
}

#[test]
fn whose_rule_goes_is_by_whose_it_is() {
    let settings = Settings::default();
    let qemu = Path::new("/usr/bin/qemu-arm-static");
    for (owner, fix) in [
        (None, "echo -1 > /proc/sys/fs/binfmt_misc/qemu-arm"),
        (Some(update_binfmts("/var/lib/binfmts/qemu-arm")), "update-binfmts --disable qemu-arm"),
    ] {
        let mut host = host(&settings);
        host.plant("FEX-arm", "arm", &sound(), "POCF").plant("qemu-arm", "arm", qemu, "POF");
        host.ask("arm", Some(Ran::Well));
        if let Some(owner) = owner {
            host.owners.insert("qemu-arm".to_owned(), owner);
        }
        host.holds("rule.shadowed", WARN, &["qemu-arm wins", "FEX-arm (of FEX)", fix]);
    }
    let mut host = host(&settings);
    host.plant("FEX-arm", "arm", &sound(), "F").plant("box64", "arm", &sound(), "F");
    host.ask("arm", Some(Ran::Well));
    host.holds("rule.shadowed", WARN, &["box64 wins", "none of them is binfmtd's or QEMU's"]);
}

#[test]
fn the_flag_c_and_who_asked_for_it() {
    let mut settings = Settings::default();
    {
        let mut host = host(&settings);
        host.ask("arm", Some(Ran::Well));
        host.holds("rule.credentials", SKIP, &["no enabled rule"]);
        host.plant("qemu-arm", "arm", &sound(), "POF");
        host.holds("rule.credentials", PASS, &["without C", "the safe choice"]);
        host.plant("qemu-arm", "arm", &sound(), "POCF");
        host.holds("rule.credentials", PASS, &["as its owner wanted"]);
        host.seen.instance.entries.clear();
        host.ours("arm", &sound(), "POCF");
        host.holds("rule.credentials", WARN, &["no longer asks", "binfmtd register arm"]);
    }
    settings.credentials = true;
    let mut host = host(&settings);
    host.ours("arm", &sound(), "POCF").ask("arm", Some(Ran::Well));
    host.holds("rule.credentials", PASS, &["as the configuration asks"]);
    host.ours("arm", &sound(), "POF");
    host.holds("rule.credentials", SKIP, &["asked for and missing"]);
}

#[test]
fn natives_are_freed_and_other_emulators_only_switched_off() {
    let settings = Settings::default();
    let mut host = host(&settings);
    host.plant("qemu-i386", "i386", &sound(), "F");
    let words = ["i386 programs", "echo -1 > /proc/sys/fs/binfmt_misc/qemu-i386"];
    host.holds("rule.native", FAIL, &words);
    let file = systemd_binfmt("/etc/binfmt.d/x.conf");
    host.owners.insert("qemu-i386".to_owned(), file);
    host.holds("rule.native", FAIL, &["/etc/binfmt.d/x.conf", "brings it back", "echo -1"]);
    host.seen.instance.entries.clear();
    host.plant("FEX-x86", "i386", &sound(), "F");
    host.holds("rule.native", FAIL, &["of FEX", "echo 0 > /proc/sys/fs/binfmt_misc/FEX-x86"]);
    host.seen.instance.entries.clear();
    host.ours("i386", &sound(), "F");
    host.holds("rule.native", FAIL, &["of binfmtd"]);
    host.seen.instance.entries[0].enabled = false;
    host.holds("rule.native", PASS, &[]);
}
