use super::*;
use crate::daemon::machine::tests::{degraded, file, working};

fn description(of: u64, failure: Option<&str>) -> Description {
    Description {
        file: Some(file(of)),
        version: Some(format!("version {of}")),
        sha256: Some(format!("digest {of}")),
        failure: failure.map(str::to_owned),
    }
}

fn kinds(news: &[JournalEntry]) -> Vec<String> {
    let words = news.iter().map(|entry| match entry {
        JournalEntry::Degraded(rule) => format!("{} degraded", rule.rule),
        JournalEntry::Recovered(rule) => format!("{} recovered", rule.rule),
        other => panic!("{other:?}"),
    });
    words.collect()
}

#[test]
fn only_changes_are_news() {
    let described = DescribedFiles::default();
    let mut known = Vec::new();
    for (checked, expected) in [
        (working("arm"), &[][..]),
        (degraded("arm", "signal 11"), &["qemu-arm degraded"]),
        (degraded("arm", "signal 11"), &[]),
        (degraded("arm", "signal 6"), &["qemu-arm degraded"]),
        (working("arm"), &["qemu-arm recovered"]),
        (working("arm"), &[]),
        (degraded("mips", "missing"), &["qemu-mips degraded"]),
    ] {
        let news = adopt(&mut known, vec![checked.clone()], &described);
        assert_eq!(kinds(&news), expected);
        assert_eq!(known, [checked]);
    }
}

#[test]
fn versions_are_kept_as_long_as_the_file_is_the_same() {
    let mut described = DescribedFiles::default();
    let rule = |of| RuleState { file: Some(file(of)), ..working("arm") };
    let mut known = vec![rule(1)];
    assert!(described.is_incomplete(&known));
    assert!(!described.is_incomplete(&[working("arm")]), "there is no file to describe");
    let one = BTreeMap::from([("qemu-arm".to_owned(), description(1, None))]);
    assert_eq!(describe(&mut known, one, &mut described), []);
    assert!(!described.is_incomplete(&known));
    assert_eq!(known[0].version.as_deref(), Some("version 1"));
    assert_eq!(known[0].sha256.as_deref(), Some("digest 1"));
    adopt(&mut known, vec![rule(1)], &described);
    assert_eq!(known[0].version.as_deref(), Some("version 1"), "it was not lost");
    assert_eq!(known[0].sha256.as_deref(), Some("digest 1"));
    adopt(&mut known, vec![rule(2)], &described);
    assert_eq!(known[0].version, None);
    assert!(described.is_incomplete(&known));
    let two = BTreeMap::from([("qemu-arm".to_owned(), description(2, None))]);
    describe(&mut known, two, &mut described);
    assert_eq!(described.0.keys().collect::<Vec<_>>(), [&file(2)], "the old one is forgotten");
}

#[test]
fn a_thorough_probe_may_degrade_a_rule_that_works() {
    let mut described = DescribedFiles::default();
    let mut known = vec![working("arm"), degraded("mips", "signal 11")];
    let found = ["qemu-arm", "qemu-mips", "gone"]
        .map(|name| (name.to_owned(), description(1, Some("no threads"))));
    let news = describe(&mut known, found.into(), &mut described);
    assert_eq!(kinds(&news), ["qemu-arm degraded"]);
    assert_eq!(known[0].condition, Condition::Degraded);
    assert_eq!(known[0].why.as_deref(), Some("no threads"));
    assert_eq!(known[1].why.as_deref(), Some("signal 11"));
}
