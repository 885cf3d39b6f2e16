use super::*;
use crate::config::Targets;
use crate::observation::{InstanceFacts, Owned};
use crate::rule::parse_register;

fn entry(register: &str) -> Entry {
    let rule = parse_register(register.as_bytes()).unwrap();
    let text = format!("enabled\ninterpreter {}\nflags: \n", rule.interpreter());
    let matcher = match rule.matcher() {
        Matcher::Extension(extension) => format!("extension .{}\n", extension.as_str()),
        Matcher::Magic(_) => {
            let magic = register.split(':').nth(4).unwrap();
            let hex = magic.bytes().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
            format!("offset 0\nmagic {hex}\n")
        }
    };
    Entry::parse(rule.name().as_str().as_ref(), (text + &matcher).as_bytes()).unwrap()
}

fn relevant() -> Relevant {
    Relevant {
        names: ["qemu-arm".to_owned()].into(),
        matchers: [":nobody:M::ABCD::/:", ":nobody:E::jar::/:"]
            .map(|rule| parse_register(rule.as_bytes()).unwrap().matcher().clone())
            .into(),
    }
}

fn digest(entries: &[&str], ours: &[&str]) -> u64 {
    let owned = |register: &&str| {
        let rule = parse_register(register.as_bytes()).unwrap();
        let owned = Owned { register: (*register).to_owned(), target: None, interpreter: None };
        (rule.name().to_string(), owned)
    };
    let record =
        OwnershipRecord { rules: ours.iter().map(owned).collect(), ..OwnershipRecord::default() };
    let entries: Vec<Entry> = entries.iter().map(|register| entry(register)).collect();
    relevant().digest_of_others(&entries, &record)
}

#[test]
fn a_rule_matters_by_its_name_or_by_what_it_takes() {
    let nothing = digest(&[], &[]);
    for matters in [
        ":qemu-arm:M::zzzz::/bin/true:",
        ":theirs:M::ABCD::/bin/true:",
        // It takes everything that the wanted one takes.
        ":theirs:M::AB::/bin/true:",
        ":theirs:E::jar::/bin/true:",
    ] {
        assert_ne!(digest(&[matters], &[]), nothing, "{matters}");
    }
    for other in [":theirs:M::AX::/bin/true:", ":theirs:E::exe::/bin/true:"] {
        assert_eq!(digest(&[other], &[]), nothing, "{other}");
    }
}

#[test]
fn its_content_counts_and_ours_do_not() {
    let theirs = ":theirs:M::ABCD::/bin/true:";
    let changed = ":theirs:M::ABCD::/bin/false:";
    assert_ne!(digest(&[theirs], &[]), digest(&[changed], &[]));
    assert_eq!(digest(&[theirs], &[theirs]), digest(&[], &[]), "it is ours");
    assert_ne!(digest(&[changed], &[theirs]), digest(&[], &[]), "only its name is ours");
}

#[test]
fn wanted_targets_rules_of_the_configuration_and_the_host_matter() {
    let settings =
        Settings { targets: Targets::List(vec!["aarch64".to_owned()]), ..Settings::default() };
    let seen = Observation {
        host: "x86_64".to_owned(),
        natives: vec!["x86_64".to_owned()],
        instance: InstanceFacts {
            device: 7,
            enabled: true,
            writable: true,
            entries: Vec::new(),
            unreadable: Vec::new(),
        },
        interpreters: std::collections::BTreeMap::new(),
        others: std::collections::BTreeMap::new(),
        captured: std::collections::BTreeMap::new(),
        serving: std::collections::BTreeMap::new(),
        record: OwnershipRecord::default(),
    };
    let relevant = Relevant::of(&settings, &Request::default(), &seen).unwrap();
    assert_eq!(relevant.names, ["qemu-aarch64".to_owned()].into());
    let native = Native::new(&settings.table, &seen.natives).magics().count();
    assert!(native > 0);
    assert_eq!(relevant.matchers.len(), 1 + native);
}
