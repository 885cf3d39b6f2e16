//! The parts of the reference that the program writes.

use std::fmt::Write as _;
use std::fs;
use std::process::{Command, Stdio};

use binfmtd::cli::Arguments;
use clap::CommandFactory as _;
use serde_json::Value;

use crate::markdown::{read, root};

const BEGIN: &str = "<!-- generated: BINFMTD_BLESS=1 cargo test --test docs -->\n";
const END: &str = "<!-- end -->";

/// Holds the generated part of a file against what it should be, or writes it.
pub(crate) fn hold(file: &str, wanted: &str) {
    let text = read(file);
    let (before, rest) = text.split_once(BEGIN).unwrap_or_else(|| panic!("{file}: no {BEGIN}"));
    let (found, after) = rest.split_once(END).unwrap_or_else(|| panic!("{file}: no {END}"));
    let wanted = format!("\n{}\n\n", wanted.trim());
    if found == wanted {
        return;
    }
    if std::env::var_os("BINFMTD_BLESS").is_some() {
        fs::write(root().join(file), format!("{before}{BEGIN}{wanted}{END}{after}")).unwrap();
        return;
    }
    let differs = found.lines().zip(wanted.lines()).find(|(found, wanted)| found != wanted);
    panic!(
        "{file} is out of step with the program (BINFMTD_BLESS=1 cargo test --test docs): {differs:?}"
    );
}

/// What binfmtd prints, whatever this machine's configuration and terminal are like.
fn said(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_binfmtd"))
        .args(arguments)
        .env_remove("COLUMNS")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn json(arguments: &[&str]) -> Value {
    serde_json::from_str(&said(&[arguments, &["--format", "json"]].concat())).unwrap()
}

fn texts<'a>(value: &'a Value, key: &str) -> Vec<&'a str> {
    value[key].as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("{key} in {value}"))
}

#[test]
fn the_command_line_is_what_help_says() {
    let mut wanted = String::new();
    help(&mut wanted, &Arguments::command(), &mut Vec::new());
    hold("docs/reference/command-line.md", &wanted);
}

/// Puts a command's help, and that of those below it, in the order of the program.
fn help(wanted: &mut String, command: &clap::Command, path: &mut Vec<String>) {
    let words: Vec<&str> = path.iter().map(String::as_str).collect();
    let text = said(&[&words[..], &["--help"]].concat());
    // clap pads some lines; an editor would not.
    let text: Vec<&str> = text.lines().map(str::trim_end).collect();
    let title = std::iter::once("binfmtd").chain(words.iter().copied()).collect::<Vec<_>>();
    write!(wanted, "## {}\n\n```text\n{}\n```\n\n", title.join(" "), text.join("\n").trim())
        .unwrap();
    for below in command.get_subcommands().filter(|below| below.get_name() != "help") {
        path.push(below.get_name().to_owned());
        help(wanted, below, path);
        path.pop();
    }
}

#[test]
fn the_checks_are_those_of_the_doctor() {
    let mut wanted = String::new();
    let mut family = "";
    let document = json(&["doctor", "--list-checks"]);
    for check in document["checks"].as_array().unwrap() {
        let id = text(check, "id");
        if text(check, "family") != family {
            family = text(check, "family");
            assert!(id.starts_with(&format!("{family}.")), "{id}: FAMILY.NAME");
            write!(wanted, "## {family}\n\n").unwrap();
        }
        let words = ["title", "proves", "cure"].map(|key| text(check, key));
        // No markup of ours: it is printed as it is, too.
        assert!(words.iter().all(|word| !word.contains(['`', '<', '*', '\n'])), "{id}: {words:?}");
        let [title, proves, cure] = words;
        write!(wanted, "### {id}\n\n**{title}.** {proves}\n\nFix: {cure}\n\n").unwrap();
        // The same words, one check at a time.
        let alone = json(&["doctor", "--explain", id]);
        assert_eq!(&alone["check"], check, "{id}");
        let said = said(&["doctor", "--explain", id]);
        assert!([id, title, proves, cure].iter().all(|word| said.contains(word)), "{said}");
    }
    hold("docs/reference/checks.md", &wanted);
}

#[test]
fn the_targets_are_those_of_the_table() {
    let mut wanted = "| target | platforms | other names | rules |\n|---|---|---|---|\n".to_owned();
    let quoted = |names: Vec<&str>| {
        names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
    };
    let empty = tempfile::NamedTempFile::new().unwrap();
    // Without this machine's configuration.
    let config = empty.path().to_str().unwrap();
    for target in json(&["targets", "--config", config])["targets"].as_array().unwrap() {
        let rules = target["rules"].as_array().unwrap().iter().map(|rule| text(rule, "name"));
        writeln!(
            wanted,
            "| `{}` | {} | {} | {} |",
            text(target, "name"),
            quoted(texts(target, "platforms")),
            quoted(texts(target, "aliases")),
            quoted(rules.collect())
        )
        .unwrap();
    }
    hold("docs/reference/targets.md", &wanted);
}
