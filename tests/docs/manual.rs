//! The man page of the configuration, `packaging/man/binfmtd.toml.5`, which is made of its reference. It is a file of the
//! repository, and not in the binary like the commands' pages: those come from what the binary has to know anyway.

use std::fs;
use std::iter::Peekable;
use std::process::Command;

use clap_mangen::roff::{Inline, Roff, bold, roman};

use crate::markdown::{read, root};
use crate::support::need;

const SOURCE: &str = "docs/reference/configuration.md";
const PAGE: &str = "packaging/man/binfmtd.toml.5";
/// No date and no version: each release would change the page.
const ABOVE: &str =
    ".\\\" Made of docs/reference/configuration.md: BINFMTD_BLESS=1 cargo test --test docs
.TH BINFMTD.TOML 5 \"\" binfmtd binfmtd
";

/// Text with `code` and [links](…), of which the words are left.
fn inlines(text: &str) -> Vec<Inline> {
    let mut found = Vec::new();
    for (at, part) in text.split('`').enumerate() {
        if at % 2 == 1 {
            found.push(bold(part));
            continue;
        }
        let (mut words, mut rest) = (String::new(), part);
        while let Some((before, link)) = rest.split_once('[') {
            let (label, target) =
                link.split_once("](").unwrap_or_else(|| panic!("{text}: a bracket, and no link"));
            let (_, after) = target.split_once(')').unwrap();
            words.extend([before, label]);
            rest = after;
        }
        words.push_str(rest);
        found.push(roman(words));
    }
    found
}

fn cells(line: &str) -> Vec<&str> {
    line.trim_matches('|').split('|').map(str::trim).collect()
}

/// The lines of a table after its head: each is a key and what there is to say of it, the last under the head's word.
fn table<'a>(roff: &mut Roff, head: &str, lines: &mut Peekable<impl Iterator<Item = &'a str>>) {
    let head = cells(head);
    while let Some(row) = lines.next_if(|line| line.starts_with('|')) {
        let row = cells(row);
        assert_eq!(row.len(), head.len(), "{row:?}");
        if row[0].starts_with("---") {
            continue;
        }
        roff.control("TP", []).text(inlines(row[0])).text(inlines(row[1]));
        for (head, cell) in head.iter().zip(&row).skip(2) {
            let (first, rest) = head.split_at(1);
            roff.control("br", [])
                .text(inlines(&format!("{}{rest}: {cell}", first.to_uppercase())));
        }
    }
    roff.control("PP", []);
}

/// A paragraph, or a point of a list: what goes on in the lines below it belongs to it.
fn joined<'a>(first: &'a str, lines: &mut Peekable<impl Iterator<Item = &'a str>>) -> String {
    let mut text = first.to_owned();
    while let Some(line) =
        lines.next_if(|line| !line.is_empty() && !line.starts_with(['#', '|', '`', '-']))
    {
        text.push(' ');
        text.push_str(line.trim_start());
    }
    text
}

fn page(source: &str) -> String {
    let mut roff = Roff::new();
    roff.control("SH", ["NAME"]).text([roman("binfmtd.toml - configuration of binfmtd")]);
    roff.control("SH", ["SYNOPSIS"]).text([bold("/etc/binfmtd/binfmtd.toml")]);
    roff.control("br", []).text([bold("/etc/binfmtd/binfmtd.d/*.toml")]);
    let mut lines = source.lines().peekable();
    while let Some(line) = lines.next() {
        if line.starts_with("# ") {
            roff.control("SH", ["DESCRIPTION"]);
        } else if let Some(heading) = line.strip_prefix("## ") {
            let heading = match heading.trim_matches('`') {
                key if key.len() < heading.len() => key.to_owned(),
                words => words.to_uppercase(),
            };
            roff.control("SH", [heading.as_str()]);
        } else if line.starts_with("```") {
            roff.control("PP", []).control("RS", ["4"]).control("nf", []);
            for line in lines.by_ref().take_while(|line| !line.starts_with("```")) {
                roff.text([roman(line)]);
            }
            roff.control("fi", []).control("RE", []).control("PP", []);
        } else if line.starts_with('|') {
            table(&mut roff, line, &mut lines);
        } else if let Some(point) = line.strip_prefix("- ") {
            roff.control("IP", ["\\(bu", "2"]).text(inlines(&joined(point, &mut lines)));
        } else if !line.is_empty() {
            assert!(!line.starts_with(['#', ' ', '>', '*']), "this page has no words for: {line}");
            roff.control("PP", []).text(inlines(&joined(line, &mut lines)));
        }
    }
    roff.control("SH", ["SEE ALSO"]);
    let others = ["binfmtd", "binfmtd-config", "binfmtd-config-check", "binfmtd-config-show"];
    for (at, name) in others.iter().enumerate() {
        let end = if at + 1 == others.len() { "(1)" } else { "(1)," };
        roff.text([bold(*name), roman(end)]);
    }
    let text = roff.to_roff();
    let mut tidy: Vec<&str> = Vec::new();
    for line in text.lines() {
        // A paragraph begins once, and none begins where a section does.
        if line == ".PP"
            && tidy.last().is_some_and(|last| *last == ".PP" || last.starts_with(".SH "))
        {
            continue;
        }
        if line.starts_with(".SH ") || line == ".TP" || line.starts_with(".IP ") {
            while tidy.last() == Some(&".PP") {
                tidy.pop();
            }
        }
        tidy.push(line);
    }
    format!("{ABOVE}{}\n", tidy.join("\n"))
}

#[test]
fn the_manual_of_the_configuration_is_its_reference() {
    let wanted = page(&read(SOURCE));
    if std::env::var_os("BINFMTD_BLESS").is_some() {
        fs::write(root().join(PAGE), &wanted).unwrap();
    }
    let found = read(PAGE);
    let differs = found.lines().zip(wanted.lines()).find(|(found, wanted)| found != wanted);
    assert!(
        found == wanted,
        "{PAGE} is out of step with {SOURCE} (BINFMTD_BLESS=1 cargo test --test docs): {differs:?}"
    );
}

#[test]
fn the_manual_has_every_word_of_the_reference() {
    let Some(shown) = shown("man", &["--encoding=UTF-8", "--warnings", "--local-file"]) else {
        return;
    };
    let words = |text: &str| -> Vec<String> {
        let kept = text.replace(|c: char| !c.is_alphanumeric(), " ").to_lowercase();
        kept.split_whitespace().map(str::to_owned).collect()
    };
    let said = words(&shown);
    let mut source = read(SOURCE);
    // Where a link leads is not said.
    while let Some(from) = source.find("](") {
        let to = from + source[from..].find(')').unwrap();
        source.replace_range(from..=to, " ");
    }
    let lost: Vec<String> =
        words(&source).into_iter().filter(|word| !said.contains(word)).collect();
    // The language of the examples.
    let lost: Vec<&String> = lost.iter().filter(|word| *word != "toml").collect();
    assert!(lost.is_empty(), "{lost:?}");
    let headings = |text: &str, is_heading: fn(&str) -> bool| {
        text.lines().filter(|line| is_heading(line)).count()
    };
    let sections = headings(&read(SOURCE), |line| line.starts_with("## "));
    let shown = headings(&shown, |line| !line.is_empty() && !line.starts_with(' '));
    // Name, synopsis, description and what else to see; the first line and the last.
    assert_eq!(shown, sections + 6);
}

#[test]
fn other_readers_take_the_manual() {
    if let Some(said) = shown("lexgrog", &["--man"]) {
        assert!(said.contains("binfmtd.toml - configuration of binfmtd"), "{said}");
    }
    // That there is no date is a warning.
    shown("mandoc", &["-T", "lint", "-W", "error"]);
}

/// What a program makes of the page; it has nothing to say against it.
fn shown(program: &str, words: &[&str]) -> Option<String> {
    let here =
        Command::new("sh").args(["-c", "command -v \"$1\"", "sh", program]).output().unwrap();
    let here = if here.status.success() { Ok(()) } else { Err("not found".to_owned()) };
    need(program, here)?;
    let output = Command::new(program)
        .args(words)
        .arg(root().join(PAGE))
        .env("LC_ALL", "C.UTF-8")
        // No word is broken at the end of a line.
        .env("MANWIDTH", "1000")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && said.is_empty(), "{program}: {said}\n{text}");
    Some(text)
}
