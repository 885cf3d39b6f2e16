use super::*;
use crate::plan::{Item, Reason};
use crate::rule::parse_register;

#[test]
fn what_a_check_replaced_or_removed_is_news_when_it_comes_back() {
    let entry = |name: &str| {
        let text = b"enabled\ninterpreter /bin/true\nflags: \noffset 0\nmagic 4142\n";
        Entry::parse(name.as_ref(), text).unwrap()
    };
    let entries = ["replaced", "removed", "kept", "failed"].map(entry);
    let outcome = |decision, changed| {
        let item = Item { target: None, machine: None, rule: None, decision };
        Outcome { changed, ..Outcome::of(item) }
    };
    let remove =
        |name: &str| Decision::Change(Action::Remove { name: name.into(), why: Reason::Unwanted });
    let rule = parse_register(b":kept:M::AB::/bin/true:").unwrap();
    let old = vec!["replaced".into()];
    let replace = Action::Replace { rule: rule.clone(), old, why: Reason::Disabled };
    let outcomes = [
        outcome(Decision::Change(replace), true),
        outcome(remove("removed"), true),
        outcome(Decision::Change(Action::Add(rule)), true),
        outcome(remove("failed"), false),
    ];
    let names = |entries: &[Entry]| entries.iter().map(Entry::display_name).collect::<Vec<_>>();
    assert_eq!(names(&left(&entries, &outcomes)), ["kept", "failed"]);
    assert_eq!(left(&entries, &[]), entries);
}
