//! What people suffer from, and the checks that name it: none left out, on either side.

use std::collections::BTreeSet;

use binfmtd::testing::doctor;

use crate::markdown::{read, rows, sections};

/// As many as the collection of public threads has lines.
const PAINS: usize = 41;

/// The ids between backticks in a cell, which holds nothing else.
fn ids(cell: &str) -> Vec<&str> {
    let ids = cell.split(", ").filter(|id| !id.is_empty());
    ids.map(|id| {
        id.strip_prefix('`').and_then(|id| id.strip_suffix('`')).unwrap_or_else(|| panic!("{cell}"))
    })
    .collect()
}

#[test]
fn every_pain_has_its_checks_or_a_reason() {
    let text = read("docs/reference/symptoms.md");
    let sections = sections(&text);
    let (_, threads) = sections.iter().find(|(title, _)| *title == "From public threads").unwrap();
    let rows = rows(threads);
    let numbers: Vec<String> = rows.iter().map(|row| row[0].to_owned()).collect();
    assert_eq!(numbers, (1..=PAINS).map(|number| number.to_string()).collect::<Vec<_>>());
    let mut detected = 0;
    for row in &rows {
        let [number, symptom, checks, what] = row.as_slice() else { panic!("{row:?}") };
        assert!(!symptom.is_empty(), "{number}");
        assert!(!what.is_empty(), "{number}: neither what it is nor why it cannot be detected");
        detected += usize::from(!ids(checks).is_empty());
    }
    assert!(detected > 30, "only {detected} have a check");
}

#[test]
fn every_check_is_there_for_a_symptom() {
    let text = read("docs/reference/symptoms.md");
    let known: BTreeSet<&str> = doctor::checks().map(|check| check.id.as_str()).collect();
    // The cell before the last one, in both tables.
    let tables = rows(&text);
    let named: BTreeSet<&str> = tables.iter().flat_map(|row| ids(row[row.len() - 2])).collect();
    let unknown: Vec<_> = named.difference(&known).collect();
    assert!(unknown.is_empty(), "no such checks: {unknown:?}");
    let unreached: Vec<_> = known.difference(&named).collect();
    assert!(unreached.is_empty(), "docs/reference/symptoms.md does not name {unreached:?}");
}
