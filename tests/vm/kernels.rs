//! `docs/reference/kernels.md` against what was measured.

use std::fs;
use std::path::Path;

use crate::machine::Report;

/// The rows of the table that are measured, by how they begin, and what was.
fn measured(report: &Report) -> Vec<(&'static str, String)> {
    let yes = |is: bool| if is { "yes" } else { "no" }.to_owned();
    let rules = |step: &str| report.step(step).words().contains(&"one");
    let events = |step: &str| {
        let lines = report.step(step).out.lines();
        let events: Vec<_> = lines
            .map(|line| {
                let (kinds, name) = line.split_once(' ').unwrap_or((line, ""));
                let kinds = kinds.split('|').filter(|kind| *kind != "IN_ISDIR");
                let kind = kinds.map(|kind| kind.trim_start_matches("IN_")).collect::<String>();
                if name.is_empty() { kind } else { format!("{kind} `{name}`") }
            })
            .collect();
        if events.is_empty() { "none".to_owned() } else { events.join(", ") }
    };
    let flags: String = "POCFTLD"
        .chars()
        .filter(|flag| {
            let taken = report.is_well(&format!("kernel-flag-{flag}"));
            let entry = &report.step(&format!("kernel-entry-{flag}")).out;
            let flags = entry.lines().find_map(|line| line.strip_prefix("flags: "));
            let is_shown = flags.is_some_and(|flags| flags.contains(*flag));
            assert_eq!(taken, is_shown, "{flag}: {entry}");
            taken
        })
        .collect();
    let asked = &report.step("first-modprobe").out;
    vec![
        ("the directory exists", yes(report.is_well("unloaded-folder"))),
        ("a program can be started by", yes(report.is_well("descriptor"))),
        ("for an unknown program", yes(asked.contains("binfmt-464c"))),
        ("an instance for each", yes(report.has_private_instances())),
        ("flags", format!("`{flags}`")),
        ("`P` reaches", yes(report.tells_of_p())),
        ("rules outlive", yes(report.rules_outlive_mounts())),
        ("rules stay while a process", yes(rules("held-rules"))),
        ("rules stay while binfmt_misc", yes(rules("two-after"))),
        (
            "the next instance",
            yes(report.step("last-device").out == report.step("last-device-again").out),
        ),
        ("a rule is added", events("events-register")),
        ("a rule is disabled", events("events-disable")),
        ("a rule is removed", events("events-remove")),
        ("all rules are removed", events("events-flush")),
        ("the last unmount", events("last-events")),
        ("a lazy unmount", events("held-events")),
        ("an unmount that is not", events("two-events")),
    ]
}

pub(crate) fn reference(report: &Report) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference/kernels.md");
    let text = fs::read_to_string(&path).expect("docs/reference/kernels.md");
    let table: Vec<Vec<&str>> = text
        .lines()
        .filter(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    // Each table has a heading with the suites, in one order.
    let column = table[0].iter().position(|cell| cell.contains(report.kernel.suite));
    let column = column.expect("a column for each suite");
    let measured = measured(report);
    let mut problems = Vec::new();
    for (row, found) in &measured {
        match table.iter().find(|line| line[0].starts_with(row)) {
            Some(line) if line[column] == found => {}
            Some(line) => problems.push(format!("{row}: {found}, not {}", line[column])),
            None => problems.push(format!("no row begins with {row:?}; it is: {found}")),
        }
    }
    let release = &report.kernel.release;
    assert!(problems.is_empty(), "{}, Linux {release}:\n{}", path.display(), problems.join("\n"));
    format!("{} rows", measured.len())
}
