use std::collections::BTreeMap;

use super::*;
use crate::apply::RuleError;
use crate::observation::{InstanceFacts, Observation, OwnershipRecord};
use crate::plan::{Item, Reason};
use crate::rule::{Rule, parse_register};

fn seen(host: &str) -> Observation {
    Observation {
        host: host.to_owned(),
        natives: Vec::new(),
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

fn rule(name: &str) -> Rule {
    parse_register(format!(":{name}:E::{name}::/bin/{name}:").as_bytes()).unwrap()
}

fn line(name: &str, decision: Decision) -> Outcome {
    let rule = Some(name.to_owned());
    Outcome::of(Item { target: None, machine: None, rule, decision })
}

fn changed(outcome: Outcome) -> Outcome {
    Outcome { changed: true, ..outcome }
}

fn undone(outcome: Outcome) -> Outcome {
    Outcome { error: Some(RuleError::Undone), ..outcome }
}

fn added(name: &str) -> Outcome {
    line(name, Decision::Change(Action::Add(rule(name))))
}

fn kept(name: &str) -> Outcome {
    line(name, Decision::Kept { name: name.into(), gone: None })
}

fn removed(name: &str) -> Outcome {
    line(name, Decision::Change(Action::Remove { name: name.into(), why: Reason::Unwanted }))
}

/// Settles with these rounds; the last one goes on for ever.
fn settled(rounds: &[Vec<Outcome>]) -> (usize, Reconciliation) {
    let mut number = 0;
    let done = settle(|| {
        let outcomes = rounds[number.min(rounds.len() - 1)].clone();
        number += 1;
        Ok(Reconciliation { seen: seen(&number.to_string()), outcomes })
    });
    (number, done.unwrap())
}

#[test]
fn one_round_is_enough_where_nobody_interferes() {
    let failed = Outcome { error: Some(RuleError::Unproved), ..added("b") };
    let outcomes = vec![changed(added("a")), failed];
    let (rounds, done) = settled(std::slice::from_ref(&outcomes));
    assert_eq!((rounds, done.outcomes), (1, outcomes));
}

#[test]
fn what_was_undone_is_done_again() {
    let first = vec![changed(removed("old")), changed(added("a")), undone(added("b"))];
    let second = vec![kept("a"), changed(added("b"))];
    let (rounds, done) = settled(&[first, second]);
    assert_eq!(rounds, 2);
    assert_eq!(done.seen.host, "2");
    // As if it had been one round.
    let wanted = vec![changed(removed("old")), changed(added("a")), changed(added("b"))];
    assert_eq!(done.outcomes, wanted);
}

#[test]
fn what_the_last_round_says_of_a_rule_counts() {
    let first = vec![changed(added("a")), changed(added("b")), undone(kept("c"))];
    let failed = Outcome { error: Some(RuleError::Unproved), ..kept("a") };
    let (_, done) = settled(&[first, vec![failed, changed(added("b")), kept("c")]]);
    let first = &done.outcomes[0];
    assert!(first.changed && first.error == Some(RuleError::Unproved));
    assert_eq!(done.outcomes[1..], [changed(added("b")), kept("c")]);
}

#[test]
fn a_rival_that_goes_on_is_not_outrun() {
    let (rounds, done) = settled(&[vec![undone(kept("a"))]]);
    assert_eq!(rounds, ROUNDS);
    assert!(done.outcomes[0].is_undone());
}

#[test]
fn a_failure_ends_it() {
    let mut rounds = 0;
    let done = settle(|| {
        rounds += 1;
        match rounds {
            1 => Ok(Reconciliation { seen: seen("1"), outcomes: vec![undone(kept("a"))] }),
            _ => Err(Failure::unavailable("no lock")),
        }
    });
    assert_eq!((done.err().map(|it| it.message), rounds), (Some("no lock".to_owned()), 2));
}
