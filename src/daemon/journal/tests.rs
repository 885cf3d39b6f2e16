use super::*;

#[test]
fn changes_are_counted_by_cause_and_told_in_the_singular_and_the_plural() {
    use ChangeCause::{Disabled, InstanceDisabled, Removed};
    for (causes, sentence) in [
        (vec![Removed], "1 rule was removed and is back"),
        (vec![Removed; 3], "3 rules were removed and are back"),
        (vec![Disabled], "1 rule was disabled and is enabled again"),
        (vec![Disabled; 2], "2 rules were disabled and are enabled again"),
        (vec![InstanceDisabled], "binfmt_misc was disabled and is enabled again"),
        (
            vec![Disabled, Removed, Removed],
            "2 rules were removed and are back, 1 rule was disabled and is enabled again",
        ),
    ] {
        let changes: Changes = causes.iter().copied().collect();
        assert_eq!(changes.0.values().sum::<u64>(), causes.len() as u64);
        assert_eq!(changes.restored(), sentence);
    }
}

#[test]
fn identifiers_are_128_bits_and_differ() {
    let ids: std::collections::BTreeSet<_> = Message::ALL.iter().map(|it| it.id()).collect();
    assert_eq!(ids.len(), Message::ALL.len());
    assert!(ids.iter().all(|id| id.len() == 32 && id.bytes().all(|it| it.is_ascii_hexdigit())));
}
