use super::*;

#[test]
fn every_temporary_name_leads_back_to_the_rule() {
    let names: Vec<String> = swap_names("qemu-arm").collect();
    assert_eq!(names.len(), 9);
    assert_eq!(names[0], "qemu-arm.binfmtd-swap");
    assert_eq!(names[8], "qemu-arm.9.binfmtd-swap");
    for name in &names {
        assert_eq!(unfinished_name(name), Some("qemu-arm"), "{name}");
    }
    assert_eq!(unfinished_name("a.1.binfmtd-swap"), Some("a.1"));
    assert_eq!(unfinished_name("python3.11.binfmtd-swap"), Some("python3.11"));
    assert_eq!(unfinished_name("qemu-arm"), None);
}

#[test]
fn a_forgotten_rule_is_gone_by_either_name() {
    let owned = Owned { register: String::new(), target: None, interpreter: None };
    let mut record = OwnershipRecord::default();
    for name in ["a", "b"] {
        record.rules.insert(name.to_owned(), owned.clone());
        record.coming.insert(name.to_owned(), owned.clone());
    }
    record.forget("a");
    record.forget("b.binfmtd-swap");
    assert_eq!(record.rules.keys().collect::<Vec<_>>(), ["b"]);
    assert!(record.coming.is_empty());
}
