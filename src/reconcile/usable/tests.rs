use std::collections::BTreeMap;
use std::path::PathBuf;

use super::*;
use crate::config::{CustomRule, Origin};
use crate::observation::{Candidates, InstanceFacts, InterpreterFault, Owned, OwnershipRecord};
use crate::rule::parse_register;

fn nothing() -> Observation {
    Observation {
        host: "x86_64".to_owned(),
        natives: vec!["x86_64".to_owned()],
        instance: InstanceFacts {
            device: 1,
            enabled: true,
            writable: true,
            entries: Vec::new(),
            unreadable: Vec::new(),
        },
        interpreters: BTreeMap::new(),
        others: BTreeMap::new(),
        captured: BTreeMap::new(),
        serving: BTreeMap::new(),
        record: OwnershipRecord::default(),
    }
}

#[test]
fn without_any_interpreter_auto_fails() {
    let settings = Settings { targets: Targets::Auto, ..Settings::default() };
    let all = Request::default();
    let mut seen = nothing();
    let failure = check(&settings, &all, &seen).unwrap_err();
    assert!(failure.message.contains("no usable QEMU interpreter in /"), "{failure}");
    assert!(failure.message.contains("; install qemu-user-static"), "{failure}");

    let (path, fault) = (PathBuf::from("/usr/bin/qemu-arm"), InterpreterFault::NotElf);
    let faulty = Candidates { usable: None, faulty: vec![(path, fault)] };
    seen.interpreters.insert("arm".to_owned(), faulty);
    let failure = check(&settings, &all, &seen).unwrap_err();
    assert!(failure.message.contains("/usr/bin/qemu-arm"), "{failure}");
}

#[test]
fn whatever_is_asked_for_or_ours_is_something_to_do() {
    let auto = Settings { targets: Targets::Auto, ..Settings::default() };
    let all = Request::default();
    let named = Request { only: Some(vec!["arm".to_owned()]), takeover: false };
    assert_eq!(check(&auto, &named, &nothing()), Ok(()));

    let list = Settings { targets: Targets::List(Vec::new()), ..Settings::default() };
    assert_eq!(check(&list, &all, &nothing()), Ok(()));

    let rule = parse_register(b":mine:E::mine::/usr/bin/tool:").unwrap();
    let origin = Origin { file: std::path::Path::new("a.toml").into(), line: 1 };
    let rules = vec![CustomRule { rule, origin }];
    let custom = Settings { targets: Targets::Auto, rules, ..Settings::default() };
    assert_eq!(check(&custom, &all, &nothing()), Ok(()));

    let mut seen = nothing();
    let owned = Owned { register: String::new(), target: None, interpreter: None };
    seen.record.rules.insert("qemu-arm".to_owned(), owned);
    assert_eq!(check(&auto, &all, &seen), Ok(()));
}
