use super::*;

#[test]
fn how_the_service_is() {
    let settings = Settings::default();
    let mut host = host(&settings);
    host.holds("service.running", SKIP, &["service does not run here"]);
    host.units.ours = Boot::Starts;
    host.holds("service.running", WARN, &["does not run", "systemctl start binfmtd.service"]);
    host.service = Some(state());
    host.holds("service.running", PASS, &["ready", "1 target working"]);
    host.service = Some(State { ready: false, ..state() });
    host.holds("service.running", WARN, &["nothing that it keeps works yet"]);
    host.service = Some(State { trouble: Some("EIO".to_owned()), ..state() });
    host.holds("service.running", WARN, &["last full check", "EIO", "journalctl"]);
    // From a container or a user namespace another instance is seen.
    host.service = Some(State { instance: DEVICE + 1, ready: false, ..state() });
    for id in ["service.running", "service.degraded", "service.conflicts"] {
        host.holds(id, SKIP, &["another instance"]);
    }
    host.service = None;
    host.systemd = false;
    host.holds("service.running", SKIP, &[]);
}

#[test]
fn what_the_service_complains_of_is_told_once() {
    let settings = Settings::default();
    let mut host = host(&settings);
    host.service = Some(state());
    host.holds("service.degraded", PASS, &["1 target working"]);
    host.service = Some(State { rules: vec![degraded("arm"), degraded("s390x")], ..state() });
    let words = ["arm, s390x", "arm: its interpreter hangs", "systemctl reload"];
    host.holds("service.degraded", WARN, &words);
    host.ask("arm", Some(Ran::Badly));
    host.holds("service.degraded", WARN, &["trouble with s390x"]);
    host.ask("s390x", Some(Ran::Badly));
    host.holds("service.degraded", SKIP, &["arm, s390x", "checks of these targets"]);
}

#[test]
fn somebody_who_undoes_its_work() {
    let settings = Settings::default();
    let mut host = host(&settings);
    host.holds("service.conflicts", SKIP, &["service does not run here"]);
    host.service = Some(State { conflicts: 2, ..state() });
    host.holds("service.conflicts", PASS, &["it had to pause 2 times"]);
    host.service = Some(State { conflicts: 3, paused_until: Some(1.0), ..state() });
    host.holds("service.conflicts", WARN, &["keeps reverting", "3 times", "journalctl"]);
    host.units.binfmt_support = Boot::Starts;
    host.holds("service.conflicts", WARN, &["mask --now binfmt-support.service"]);
    host.units.systemd_binfmt = Boot::Starts;
    host.plan("/etc/binfmt.d/x.conf", Ok(rule(&settings, "arm", &sound(), "F")), None);
    host.holds("service.conflicts", WARN, &["mask --now systemd-binfmt.service"]);
    // Two more managers, and nobody in another's way.
    host.service = Some(state());
    let words = ["nobody reverts", "systemd-binfmt.service, binfmt-support.service"];
    host.holds("service.conflicts", PASS, &words);
}

#[test]
fn rules_of_ours_that_are_gone_or_changed() {
    let settings = Settings::default();
    let mut host = host(&settings);
    host.holds("service.record", SKIP, &["registered no rule"]);
    host.ours("arm", &sound(), "POF");
    host.holds("service.record", PASS, &[]);
    host.seen.instance.entries[0].interpreter = "/opt/theirs".into();
    host.holds("service.record", WARN, &["removed or changed", "qemu-arm", "binfmtd register"]);
    host.ask("arm", Some(Ran::Well));
    host.holds("service.record", SKIP, &["the checks of its target"]);
    host.trouble = Some(InstanceError::NotMounted);
    host.holds("service.record", SKIP, &["no instance"]);
}

#[test]
fn nobody_registers_at_boot() {
    let settings = Settings::default();
    let mut host = host(&settings);
    host.holds("service.boot", SKIP, &["no rule is in use"]);
    host.ours("arm", &sound(), "POF").ask("arm", Some(Ran::Well));
    for (ours, fix) in [
        (Boot::Absent, "install binfmtd's units"),
        (Boot::Off, "systemctl enable --now binfmtd.service"),
        (Boot::Masked, "systemctl unmask binfmtd.service && systemctl enable"),
    ] {
        host.units.ours = ours;
        host.holds("service.boot", WARN, &["the kernel does not keep them: qemu-arm", fix]);
    }
    // Those of others come back with their managers, unless these are switched off.
    host.seen.record.rules.clear();
    let by = |host: &mut Example<'_>, owner: Owner| {
        host.owners.insert("qemu-arm".to_owned(), owner);
    };
    host.units.systemd_binfmt = Boot::Masked;
    by(&mut host, systemd_binfmt("/usr/lib/binfmt.d/qemu-arm.conf"));
    host.holds("service.boot", WARN, &["qemu-arm"]);
    host.units.systemd_binfmt = Boot::Starts;
    host.holds("service.boot", PASS, &["by its owner"]);
    by(&mut host, update_binfmts("/var/lib/binfmts/qemu-arm"));
    host.holds("service.boot", PASS, &["by its owner"]);
    host.units.binfmt_support = Boot::Masked;
    host.holds("service.boot", WARN, &["qemu-arm"]);
    host.systemd = false;
    host.holds("service.boot", SKIP, &["systemd does not run"]);
    host.container = true;
    host.holds("service.boot", SKIP, &["on the host"]);
}

#[test]
fn lines_of_binfmt_d_that_will_not_do() {
    let settings = Settings::default();
    let vendor = "/usr/lib/binfmt.d/qemu.conf";
    let arm = |flags: &str| rule(&settings, "arm", &sound(), flags);
    let with = |file: &str, rule: Result<Rule, &str>, fault: Option<InterpreterFault>| {
        let mut host = host(&settings);
        host.plan(file, rule, fault);
        host
    };
    let empty = host(&settings);
    empty.holds("service.binfmt-d", SKIP, &["no rules"]);
    with(vendor, Ok(arm("F")), None).holds("service.binfmt-d", PASS, &["the 1 rules"]);

    let bad = with(vendor, Err("the mask is all zeros"), None);
    let words = [
        "/usr/lib/binfmt.d/qemu.conf:3",
        "all zeros",
        "cp /usr/lib/binfmt.d/qemu.conf /etc/binfmt.d/qemu.conf && sed -i",
    ];
    bad.holds("service.binfmt-d", WARN, &words);
    let bad = with("/etc/binfmt.d/qemu.conf", Err("no"), None);
    bad.holds("service.binfmt-d", WARN, &["sed -i '3s/^/#/' /etc/binfmt.d/qemu.conf"]);

    let gone = with(vendor, Ok(arm("F")), Some(InterpreterFault::Missing));
    gone.holds("service.binfmt-d", WARN, &["does not exist", "no such file or directory"]);
    let mut loose = with(vendor, Ok(arm("OP")), None);
    loose.holds("service.binfmt-d", WARN, &["no flag F", "3s/[[:space:]]*$/F/"]);
    // It is in the kernel, and told of there.
    loose.plant("qemu-arm", "arm", &sound(), "OP");
    loose.holds("service.binfmt-d", PASS, &[]);

    let native = with(vendor, Ok(rule(&settings, "i386", &sound(), "F")), None);
    native.holds("service.binfmt-d", WARN, &["the host's own i386 programs"]);
    // Others' rules are others' affair.
    let renamed = arm("").renamed("mine".parse().unwrap()).unwrap();
    let theirs = with(vendor, Ok(renamed), Some(InterpreterFault::Missing));
    theirs.holds("service.binfmt-d", PASS, &[]);
    let mut without = with(vendor, Err("no"), None);
    without.systemd = false;
    without.holds("service.binfmt-d", SKIP, &["systemd does not run"]);
}
