use super::*;
use crate::config::{CustomRule, Origin};
use crate::doctor::diagnose;
use crate::doctor::repair::{Repair, is_failing};
use crate::plan::Request;

fn repair(host: &Example<'_>) -> Repair {
    Repair::new(&host.0, &diagnose(&host.0))
}

#[test]
fn a_host_that_is_well_is_left() {
    let settings = Settings::default();
    let mut host = host(&settings);
    host.ours("arm", &sound(), "POF").ask("arm", Some(Ran::Well)).ask("x86_64", None);
    host.units.ours = Boot::Starts;
    let nothing = Repair { mount: false, targets: Vec::new() };
    assert_eq!(repair(&host), nothing);
    assert!(nothing.has_instance(&host) && !is_failing(&diagnose(&host.0)));
}

#[test]
fn targets_that_something_is_said_of() {
    let settings = Settings::default();
    let mut host = host(&settings);
    host.ask("arm", Some(Ran::Not)).ask("mips", Some(Ran::Well)).ask("arm", Some(Ran::Not));
    // A warning.
    host.plant("qemu-mips", "mips", &sound(), "F").plant("other", "mips", &sound(), "F");
    assert_eq!(repair(&host).targets, ["arm", "mips"]);
    assert!(is_failing(&diagnose(&host.0)));
    // A verdict that no check accounts for: there is no probe for it.
    host.targets.clear();
    host.ask("s390x", None);
    let without = Repair::new(&host.0, &[]);
    assert_eq!(without.targets, ["s390x"]);
    // What is native needs nothing.
    host.targets.clear();
    host.ask("i386", None);
    assert!(repair(&host).targets.is_empty());
}

#[test]
fn only_the_hosts_own_instance_is_mounted() {
    let settings = Settings::default();
    for (trouble, mounts) in [
        (InstanceError::NotMounted, true),
        (InstanceError::NoFolder, true),
        (InstanceError::BrokenAutomount("why".to_owned()), true),
        (InstanceError::Foreign(1), false),
        (InstanceError::Io("why".to_owned()), false),
    ] {
        let mut host = host(&settings);
        host.trouble = Some(trouble);
        // Nobody asks for it.
        assert!(!repair(&host).mount && !repair(&host).has_instance(&host));
        host.ask("arm", Some(Ran::Not));
        assert_eq!(repair(&host).mount, mounts, "{:?}", host.trouble);
        assert_eq!(repair(&host).has_instance(&host), mounts);
        host.first_namespace = false;
        assert!(!repair(&host).mount);
    }
}

#[test]
fn a_mount_that_is_missed_by_no_target() {
    let settings = Settings::default();
    let mut host = host(&settings);
    host.trouble = Some(InstanceError::NotMounted);
    let finding = |id, status| vec![Draft::host(id).finding(status, "no")];
    let mounts = |findings: &[Finding]| Repair::new(&host.0, findings).mount;
    assert!(mounts(&finding(CheckId::KernelMounted, FAIL)));
    assert!(!mounts(&finding(CheckId::KernelMounted, WARN)));
    assert!(!mounts(&finding(CheckId::KernelEnabled, FAIL)));
}

#[test]
fn what_is_observed_is_what_is_asked_about_and_what_is_wrong() {
    let auto = Settings::default();
    let listed = Settings { targets: Targets::List(vec!["arm".to_owned()]), ..Settings::default() };
    let all = Request { only: None, takeover: false };
    let named = Request { only: Some(vec!["mips".to_owned()]), takeover: false };
    let repair = Repair { mount: false, targets: vec!["s390x".to_owned(), "arm".to_owned()] };
    let only = |settings: &Settings, request: &Request| repair.observed(settings, request).only;
    assert_eq!(only(&auto, &all), None);
    assert_eq!(only(&listed, &all).unwrap(), ["arm", "s390x"]);
    assert_eq!(only(&auto, &named).unwrap(), ["mips", "s390x", "arm"]);
}

#[test]
fn the_plan_is_of_what_is_wrong_and_of_configured_rules() {
    let jar = Rule::new(
        "jar".parse().unwrap(),
        Matcher::Extension("jar".parse().unwrap()),
        InterpreterPath::new(sound()).unwrap(),
        Flags::default(),
    );
    let origin = Origin { file: Path::new("/etc/binfmtd/binfmtd.toml").into(), line: 1 };
    let rules = vec![CustomRule { rule: jar.unwrap(), origin }];
    let targets = Targets::List(vec!["arm".to_owned()]);
    let settings = Settings { targets, rules, ..Settings::default() };
    let mut host = host(&settings);
    host.usable("arm", &sound()).usable("mips", &sound());
    host.seen.others.insert(sound(), Ok(program()));
    // What an interrupted replacement left, and a rule that nobody asks for any more.
    host.ours("s390x", &sound(), "F");
    let swap =
        rule(&settings, "hppa", &sound(), "F").renamed("qemu-hppa.binfmtd-swap".parse().unwrap());
    let swap = swap.unwrap();
    host.seen.instance.entries.push(entry("qemu-hppa.binfmtd-swap", &swap));
    let original = swap.renamed("qemu-hppa".parse().unwrap()).unwrap();
    host.record(&original, Some("hppa"));
    let repair = Repair { mount: false, targets: vec!["arm".to_owned()] };
    let rules = |only: Option<Vec<String>>| -> Vec<String> {
        let request = Request { only, takeover: false };
        let plan = repair.plan(&settings, &request, &host.seen).unwrap();
        plan.items.into_iter().filter_map(|item| item.rule).collect()
    };
    assert_eq!(rules(Some(vec!["mips".to_owned()])), ["qemu-arm"]);
    assert_eq!(rules(None), ["qemu-arm", "qemu-hppa.binfmtd-swap", "jar"]);
}
