//! `binfmtd doctor --format junit` and `--format github`, and what only a terminal gets.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use crate::column;
use crate::python;
use crate::support::need;
use crate::world::{BINFMTD, Said, World, qemu};

const ESCAPE: char = '\x1b';

/// Two rules of others for aarch64, with names that steer a terminal and break into XML, a workflow
/// command and a table. The first one takes the programs and does not run them.
const OTHERS: &str = r#"
for name in 'other' '<a&"b>|%0A`'"$(printf '\033[31m')"; do
    printf ':%s:M::\\x7fELF\\x02\\x01\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x02\\x00\\xb7\\x00:\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xfc\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\xff\\xff\\xff\\xff:/usr/bin/true:' "$name" >$M/register
done
"#;

fn well() -> Option<World> {
    qemu()?;
    let world = World::mounted()?;
    world.binfmtd("register").ended(0);
    Some(world)
}

/// riscv64 is missing, aarch64 is taken by others.
fn broken() -> Option<World> {
    let world = well()?;
    world.binfmtd("unregister riscv64").ended(0);
    world.sh(OTHERS);
    Some(world)
}

/// Reads a report as a library does that knows XML.
fn junit(text: &str) -> Value {
    const READ: &str = r"
import json, sys
import xml.etree.ElementTree as tree
def case(node):
    assert node.tag == 'testcase' and len(node) <= 1, tree.tostring(node)
    kind = node[0].tag if len(node) else 'pass'
    about = node[0] if len(node) else node
    return {'class': node.get('classname'), 'name': node.get('name'), 'kind': kind,
            'message': about.get('message'), 'text': about.text}
def suite(node):
    properties = {p.get('name'): p.get('value') for p in node.iterfind('properties/property')}
    cases = [case(child) for child in node if child.tag != 'properties']
    return {**node.attrib, 'properties': properties, 'cases': cases}
root = tree.fromstring(sys.stdin.buffer.read())
assert root.tag == 'testsuites'
json.dump({**root.attrib, 'suites': [suite(node) for node in root]}, sys.stdout)
";
    python::run(READ, &[], text)
}

fn number(value: &Value) -> usize {
    value.as_str().unwrap().parse().unwrap()
}

#[test]
fn junit_is_what_json_says() {
    let (Some(()), Some(world)) = (python::module("xml.etree.ElementTree"), broken()) else {
        return;
    };
    let said = world.binfmtd("--format junit doctor").ended(1);
    assert_eq!(said.err, "");
    let report = junit(&said.out);
    let document = world.binfmtd("--format json doctor").ended(1).document();
    let suites = report["suites"].as_array().unwrap();
    let mut names = vec!["host"];
    names.extend(column(&document["targets"], "target"));
    assert_eq!(column(&report["suites"], "name"), names);
    let mut totals = [0; 4];
    for suite in suites {
        let cases = suite["cases"].as_array().unwrap();
        let of = |kind: &str| cases.iter().filter(|case| case["kind"] == kind).count();
        let counts = [cases.len(), of("failure"), of("error"), of("skipped")];
        for ((total, count), attribute) in
            totals.iter_mut().zip(counts).zip(["tests", "failures", "errors", "skipped"])
        {
            assert_eq!(number(&suite[attribute]), count, "{attribute}: {suite:#}");
            *total += count;
        }
        let ids: BTreeSet<&str> = column(&suite["cases"], "name").into_iter().collect();
        assert_eq!(ids.len(), cases.len(), "names that are not unique: {suite:#}");
        // Each check, in order, with what came of it.
        let target = Some(&suite["name"]).filter(|name| *name != "host");
        let checks = document["checks"].as_array().unwrap().iter();
        let checks = checks.filter(|check| check["target"] == *target.unwrap_or(&Value::Null));
        for (case, check) in cases.iter().zip(checks) {
            let kind = match check["status"].as_str().unwrap() {
                "fail" => "failure",
                "skip" => "skipped",
                "warn" => "system-out",
                other => other,
            };
            assert_eq!(case["kind"], kind, "{case:#} {check:#}");
            assert!(case["name"].as_str().unwrap().starts_with(check["id"].as_str().unwrap()));
            let class = format!("binfmtd.{}", suite["name"].as_str().unwrap());
            assert_eq!(case["class"], class.as_str());
        }
    }
    let total = ["tests", "failures", "errors", "skipped"].map(|name| number(&report[name]));
    assert_eq!(total, totals);
    assert!(totals[1] > 0, "{report:#}");
    let arm = suites.iter().find(|suite| suite["name"] == "aarch64").unwrap();
    assert_eq!(arm["properties"]["verdict"], "broken");
    assert_eq!(arm["properties"]["rule"], r#"<a&"b>|%0A`\u{1b}[31m"#, "{arm:#}");
    assert!(!said.out.contains(ESCAPE), "{said:#?}");
}

#[test]
fn junit_fails_where_the_exit_code_does() {
    let (Some(()), Some(world)) = (python::module("xml.etree.ElementTree"), broken()) else {
        return;
    };
    let report = junit(&world.binfmtd("--format junit doctor --require s390x").ended(0).out);
    assert_eq!((&report["failures"], &report["errors"]), (&"0".into(), &"0".into()), "{report:#}");
    let suites = report["suites"].as_array().unwrap();
    let missing = suites.iter().find(|suite| suite["name"] == "riscv64").unwrap();
    let messages = column(&missing["cases"], "message");
    assert!(messages.iter().any(|message| message.starts_with("not required, and fails: ")));
    // And where it did not come to a check.
    let report = junit(&world.binfmtd("--format junit doctor arn").ended(2).out);
    assert_eq!((&report["tests"], &report["errors"]), (&"1".into(), &"1".into()), "{report:#}");
    let report = junit(&world.binfmtd("doctor --format=junit --nonsense").ended(2).out);
    assert_eq!(report["errors"], "1", "{report:#}");
}

/// One annotation: its kind, its title, its message; decoded as GitHub's runner does.
fn annotations(said: &Said) -> Vec<(String, String, String)> {
    let decoded = |text: &str| text.replace("%0A", "\n").replace("%0D", "\r");
    let line = |line: &str| {
        let (command, message) =
            line.strip_prefix("::").and_then(|rest| rest.split_once("::")).expect(line);
        let (kind, property) = command.split_once(' ').expect(line);
        let title = property.strip_prefix("title=").expect(line);
        assert!(!title.contains([':', ',']), "{line}");
        let title = decoded(title).replace("%3A", ":").replace("%2C", ",").replace("%25", "%");
        (kind.to_owned(), title, decoded(message).replace("%25", "%"))
    };
    said.out.lines().map(line).collect()
}

#[test]
fn github_gets_an_annotation_for_each_that_is_not_well() {
    let Some(world) = broken() else { return };
    let said = world.binfmtd("--format github doctor").ended(1);
    assert_eq!(said.err, "");
    assert!(!said.out.contains(ESCAPE), "{said:#?}");
    let told = annotations(&said);
    let told: Vec<(&str, &str, &str)> = told
        .iter()
        .map(|(kind, title, text)| (kind.as_str(), title.as_str(), text.as_str()))
        .collect();
    let find = |title: &str| *told.iter().find(|told| told.1 == title).expect(title);
    let (kind, _, text) = find("binfmtd: aarch64 broken");
    assert_eq!(kind, "error");
    assert!(text.contains("\n  fix: "), "{text}");
    assert!(text.contains(r#"<a&"b>|%0A`\u{1b}[31m"#), "{text}");
    assert_eq!(find("binfmtd: riscv64 missing").0, "error");
    assert!(!told.iter().any(|told| told.1.contains("s390x")), "{told:#?}");
    let last = told.last().unwrap();
    assert_eq!((last.0, last.1), ("notice", "binfmtd doctor"));
    assert!(last.2.starts_with("failed: 1 working, 1 broken, 1 missing"), "{told:#?}");
    let some = world.binfmtd("--format github doctor --require s390x").ended(0);
    let some = annotations(&some);
    assert!(some.iter().all(|told| told.0 != "error"), "{some:#?}");
    assert!(some.iter().any(|told| told.1 == "binfmtd: riscv64 missing, not required"));
    let early = annotations(&world.binfmtd("--format github doctor arn").ended(2));
    assert_eq!((early.len(), early[0].0.as_str()), (1, "error"), "{early:#?}");
}

fn github(world: &World, summary: &str, line: &str) -> Said {
    let mut words = vec!["env".into(), format!("GITHUB_STEP_SUMMARY={summary}").into()];
    words.extend(world.words(&format!("--format github doctor {line}")));
    world.run(words)
}

#[test]
fn github_gets_a_table_at_the_end_of_the_summary() {
    let Some(world) = broken() else { return };
    let file = world.folder().join("summary.md");
    fs::write(&file, "from an earlier step\n").unwrap();
    github(&world, file.to_str().unwrap(), "--require s390x").ended(0);
    github(&world, file.to_str().unwrap(), "s390x").ended(0);
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.starts_with("from an earlier step\n### binfmtd doctor\n"), "{text}");
    assert_eq!(text.matches("### binfmtd doctor").count(), 2, "{text}");
    let row = |start: &str| text.lines().find(|line| line.contains(start)).expect(start);
    assert!(row("| riscv64 | linux/riscv64 |").contains("| missing | no |"), "{text}");
    assert!(row("| s390x | linux/s390x |").contains("| working | yes | qemu-s390x version"));
    // Every row has the columns of its heading, whatever a rule is called.
    let mut columns = 0;
    for line in text.lines() {
        match line.matches('|').count() {
            0 => columns = 0,
            count if columns == 0 => columns = count,
            count => assert_eq!(count, columns, "{line}"),
        }
    }
    // A file that cannot be written is no fault of what was looked at.
    let said = github(&world, "/proc/nowhere/summary.md", "s390x").ended(0);
    let warning = annotations(&said).into_iter().find(|told| told.0 == "warning").unwrap();
    assert!(warning.2.contains("/proc/nowhere/summary.md"), "{said:#?}");
    let said = github(&world, "", "s390x").ended(0);
    assert_eq!(annotations(&said).len(), 1, "{said:#?}");
}

#[test]
fn other_commands_have_no_such_format() {
    let world = World::host();
    for format in ["junit", "github"] {
        for line in ["status", "targets", "which /bin/sh", "config show", "export --as debian"] {
            let said = world.binfmtd(&format!("--format {format} {line}")).ended(2);
            assert_eq!(said.out, "", "{line}");
            let sentence = format!("--format {format} is for doctor only");
            assert!(said.err.contains(&sentence), "{line}: {said:#?}");
        }
        let said = world.binfmtd(&format!("--format {format} targets --nonsense")).ended(2);
        assert!(said.out.is_empty() && said.err.contains("--nonsense"), "{said:#?}");
        for line in ["doctor --list-checks", "doctor --explain exec.host"] {
            let said = world.binfmtd(&format!("--format {format} {line}")).ended(2);
            assert!(said.out.contains("text or json"), "{line}: {said:#?}");
        }
    }
    let said = world.binfmtd("targets --format xml").ended(2);
    assert!(said.err.contains("text, json, junit, github"), "{said:#?}");
}

#[test]
fn rules_are_listed_in_the_kernels_order_with_their_owners() {
    let Some(world) = broken() else { return };
    world.sh("echo 0 >$M/other");
    let document = world.binfmtd("--format json doctor arm64").ended(1).document();
    let target = &document["targets"][0];
    let rules = target["rules"].as_array().unwrap();
    let fields = |field: &str| column(&target["rules"], field);
    assert_eq!(fields("name")[1..], ["other", "qemu-aarch64"], "{rules:#?}");
    assert_eq!(fields("state"), ["winner", "disabled", "shadowed"]);
    assert_eq!(fields("owner"), ["unknown", "unknown", "binfmtd"]);
    assert_eq!(target["rules"], target["machines"][0]["rules"]);
    assert_eq!(fields("name")[0], target["rule"].as_str().unwrap());
    let said = world.binfmtd("doctor arm64").ended(1);
    let lines: Vec<Vec<&str>> =
        said.out.lines().map(|line| line.split_whitespace().collect()).collect();
    let at = lines.iter().position(|words| words.get(1) == Some(&"rule.shadowed")).unwrap();
    assert_eq!(lines[at + 1][1..], ["winner", "unknown"], "{said:#?}");
    assert_eq!(lines[at + 2], ["other", "disabled", "unknown"], "{said:#?}");
    assert_eq!(lines[at + 3], ["qemu-aarch64", "shadowed", "binfmtd"], "{said:#?}");
    assert!(!said.out.contains(ESCAPE), "a rule's name steers the terminal: {said:#?}");
    // Switched off as a whole: nobody wins.
    world.sh("echo 0 >$M/status");
    let document = world.binfmtd("--format json doctor arm64").ended(1).document();
    let rules = &document["targets"][0]["rules"];
    assert_eq!(column(rules, "state"), ["disabled"; 3], "{document:#}");
}

#[test]
fn text_is_grouped_and_aligned() {
    let Some(world) = broken() else { return };
    let said = world.binfmtd("doctor -v").ended(1);
    let groups: Vec<Vec<&str>> =
        said.out.split("\n\n").map(|group| group.lines().collect()).collect();
    let heads: Vec<&str> = groups.iter().map(|group| group[0].split(' ').next().unwrap()).collect();
    assert_eq!(heads, ["host", "aarch64", "riscv64", "s390x", "Linux"], "{said:#?}");
    let is_finding = |line: &&&str| {
        let status = line.strip_prefix("  ").unwrap_or_default().split(' ').next();
        ["pass", "warn", "fail", "skip", "error"].contains(&status.unwrap())
    };
    // Ids begin in one column, and so do the sentences behind them.
    let columns: BTreeSet<usize> = groups
        .iter()
        .flat_map(|group| group.iter().filter(is_finding))
        .map(|line| {
            let id = &line[8..];
            let rest = id.trim_start_matches(|c: char| c != ' ');
            8 + id.len() - rest.trim_start().len()
        })
        .collect();
    assert_eq!(columns.len(), 1, "{columns:?} {said:#?}");
    let wrong = world.binfmtd("doctor").ended(1);
    assert!(!wrong.out.contains("  pass ") && !wrong.out.contains("  skip "), "{wrong:#?}");
}

#[test]
fn colour_is_for_terminals() {
    let Some(world) = broken() else { return };
    let version = world.run(["script", "--version"]);
    let found = if version.code == 0 { Ok(()) } else { Err(version.err) };
    if need("script (util-linux)", found).is_none() {
        return;
    }
    let config = world.config();
    let on_terminal = |setting: &str| {
        let line = format!(
            "env -u CI TERM=xterm {setting} {BINFMTD} --config {} doctor s390x riscv64 2>/dev/null",
            config.display()
        );
        world.run(["script", "-qec", &line, "/dev/null"]).ended(1).out
    };
    let coloured = on_terminal("A=1");
    assert!(coloured.contains("\x1b[32m") && coloured.contains("\x1b[31m"), "{coloured:?}");
    assert!(!on_terminal("NO_COLOR=1").contains(ESCAPE));
    assert!(!world.binfmtd("doctor s390x riscv64").ended(1).out.contains(ESCAPE));
}

#[test]
fn lines_are_as_wide_as_the_terminal() {
    let Some(world) = well() else { return };
    let version = world.run(["script", "--version"]);
    let found = if version.code == 0 { Ok(()) } else { Err(version.err) };
    if need("script (util-linux)", found).is_none() {
        return;
    }
    world.binfmtd("unregister --all").ended(0);
    let lines = |columns: usize| -> Vec<String> {
        let line = format!(
            "stty rows 24 cols {columns}; NO_COLOR=1 {BINFMTD} --config {} doctor 2>/dev/null",
            world.config().display()
        );
        let shown = world.run(["script", "-qec", &line, "/dev/null"]).ended(1).out;
        shown.lines().map(str::to_owned).collect()
    };
    let names = "3 missing: aarch64 riscv64 s390x";
    assert_eq!(lines(names.len())[0], names);
    let narrow = lines(names.len() - 1);
    assert_eq!(narrow[..2], ["3 missing: aarch64 riscv64", "           s390x"]);
    // A command is to be copied; without a terminal nothing is broken.
    for width in [20, 80] {
        assert!(lines(width).contains(&"        fix:  binfmtd register".to_owned()));
    }
    assert_eq!(world.binfmtd("doctor").ended(1).out.lines().next(), Some(names));
}

#[test]
fn progress_goes_up_to_the_number_of_runs_and_is_gone() {
    let Some(world) = well() else { return };
    let version = world.run(["script", "--version"]);
    let found = if version.code == 0 { Ok(()) } else { Err(version.err) };
    if need("script (util-linux)", found).is_none() {
        return;
    }
    let progress = |options: &str| -> Vec<(usize, usize)> {
        let line = format!(
            "env -u CI TERM=xterm {BINFMTD} --config {} doctor {options} >/dev/null",
            world.config().display()
        );
        let shown = world.run(["script", "-qec", &line, "/dev/null"]).ended(0).out;
        assert!(shown.ends_with("\r\x1b[K"), "the line is left: {shown:?}");
        let lines = shown.split("\r\x1b[K").filter(|line| !line.is_empty());
        let numbers = |line: &str| {
            let (done, total) = line.strip_prefix("running probes: ")?.split_once(" of ")?;
            Some((done.parse().ok()?, total.parse().ok()?))
        };
        lines.map(|line| numbers(line).unwrap_or_else(|| panic!("{line:?}"))).collect()
    };
    let (once, often) = (progress("s390x"), progress("s390x --repeat 300"));
    for shown in [&once, &often] {
        assert!(shown.iter().all(|(done, total)| done < total), "{shown:?}");
        assert!(shown.is_sorted(), "{shown:?}");
    }
    let (Some((_, few)), Some((_, many))) = (once.first(), often.first()) else {
        panic!("nothing is shown: {once:?} {often:?}")
    };
    // One program or several, each of them so often.
    let more = many - few;
    assert!(more > 0 && more % 299 == 0, "{once:?} {often:?}");
    assert!(often.len() > 1 && often.len() < 200, "{often:?}");
    // Neither for whoever reads a file.
    assert_eq!(world.binfmtd("doctor s390x").ended(0).err, "");
}
