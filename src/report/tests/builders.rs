//! The documents of buildx: hostile names, outputs for GitHub Actions.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::buildx::builder::{Builder, Node, NodeStatus};
use crate::buildx::embedded::Embedded;
use crate::buildx::engine::{Engine, Location};
use crate::buildx::facts::PlatformFacts;
use crate::buildx::kernel::Kernel;
use crate::buildx::observe::{Orphan, OrphanKind};
use crate::buildx::test_build::{Built, Runner};

/// Everything that comes from elsewhere says this.
fn document_of(word: &str) -> BuilderDocument {
    let word = || word.to_owned();
    let engine = Engine {
        context: word(),
        endpoint: word(),
        id: word(),
        version: word(),
        client: word(),
        kernel: word(),
        rootless: true,
        location: Location::Elsewhere(word()),
        buildx: word(),
    };
    let node = |status| Node {
        name: word(),
        endpoint: word(),
        status,
        version: Some(word()),
        platforms: vec![word(), "linux/arm64".to_owned()],
        options: BTreeMap::from([(word(), word())]),
        flags: vec![word(), word()],
    };
    let builder = Builder {
        name: word(),
        driver: word(),
        current: Some(true),
        error: Some(word()),
        nodes: vec![
            node(NodeStatus::Running),
            node(NodeStatus::Broken(word())),
            node(NodeStatus::Other(word())),
        ],
    };
    let facts = |kernel, built| PlatformFacts {
        platform: word(),
        target: word(),
        kernel,
        embedded: Embedded::Yes { name: word(), version: Some(word()), sha256: Some(word()) },
        advertised: true,
        resting: false,
        built,
    };
    let (rule, version, why) = (|| Some(word()), || Some(word()), word);
    let time = Duration::from_millis(1500);
    let all = [
        facts(
            Kernel::Runs { rule: rule(), version: version() },
            Built::Yes { by: Runner::Embedded, version: version(), time },
        ),
        facts(
            Kernel::Fails { rule: rule(), why: why() },
            Built::No { why: why(), log: format!("{0}\n{0}", word()) },
        ),
        facts(Kernel::Unknown(why()), Built::NotTried(why())),
    ];
    let mut document = BuilderDocument::new(&engine, Some(&builder), &all).with_error(&word());
    document.steps.push(word());
    document.warnings.push(word());
    let left =
        |kind| OrphanDocument::from(&Orphan { kind, name: word(), node: word(), ours: false });
    let left = vec![left(OrphanKind::Container(word())), left(OrphanKind::Volume)];
    document.orphans = Some(left);
    document
}

fn removal_of(word: &str) -> RemovalDocument {
    RemovalDocument {
        ok: false,
        builder: Some(word.to_owned()),
        orphans: document_of(word).orphans.unwrap_or_default(),
        errors: vec![word.to_owned()],
    }
}

/// As GitHub's runner reads the file (`FileCommandManager`): `name=value`, or `name<<DELIMITER`, the lines of the
/// value and the delimiter.
fn outputs_of(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut lines = text.split(['\n', '\r']);
    while let Some(line) = lines.next() {
        if line.is_empty() {
            continue;
        }
        let (equals, heredoc) = (line.find('='), line.find("<<"));
        match (equals, heredoc) {
            (Some(at), other) if other.is_none_or(|other| at < other) => {
                found.push((line[..at].to_owned(), line[at + 1..].to_owned()));
            }
            (_, Some(at)) => {
                let value: Vec<&str> =
                    lines.by_ref().take_while(|each| *each != &line[at + 2..]).collect();
                found.push((line[..at].to_owned(), value.join("\n")));
            }
            _ => panic!("the runner refuses {line:?}"),
        }
    }
    found
}

fn written_outputs(document: &BuilderDocument) -> Vec<(String, String)> {
    let mut out = Vec::new();
    outputs::builder(&mut out, document).unwrap();
    let text = String::from_utf8(out).unwrap();
    assert_eq!(text.lines().count(), 4, "{text}");
    outputs_of(&text)
}

#[test]
fn a_step_has_the_outputs_of_setup_buildx_action() {
    let mut document = document_of("mine");
    document.platforms[0].platform = "linux/arm64".to_owned();
    document.platforms[2].platform = "linux/s390x".to_owned();
    let outputs = written_outputs(&document);
    let names: Vec<&str> = outputs.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["name", "driver", "platforms", "nodes"]);
    assert_eq!(outputs[0].1, "mine");
    // What failed is none.
    assert_eq!(outputs[2].1, "linux/arm64,linux/s390x");
    let nodes: Value = serde_json::from_str(&outputs[3].1).unwrap();
    assert_eq!(nodes.as_array().unwrap().len(), 3);
    assert_eq!(
        nodes[0],
        json!({
            "name": "mine",
            "endpoint": "mine",
            "driver-opts": ["mine=mine"],
            "status": "running",
            "buildkitd-flags": "mine mine",
            "buildkit": "mine",
            "platforms": "mine,linux/arm64",
        })
    );
    // None, and no empty ones either.
    document.builder.as_mut().unwrap().nodes.clear();
    assert_eq!(written_outputs(&document)[3].1, "[]");
    document.builder = None;
    let mut out = Vec::new();
    outputs::builder(&mut out, &document).unwrap();
    assert!(out.is_empty());
}

#[test]
fn nothing_adds_an_output() {
    for word in [
        "x\nname=evil",
        "x\r\nevil=1",
        "x\revil=1",
        "<<EOF\nevil=1\nEOF",
        "name<<EOF",
        "=",
        "a=b",
        "\u{2028}evil=1",
        "\0",
        "",
    ] {
        let outputs = written_outputs(&document_of(word));
        let names: Vec<&str> = outputs.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["name", "driver", "platforms", "nodes"], "{word:?}");
        let nodes: Value = serde_json::from_str(&outputs[3].1).unwrap();
        // JSON escapes its own line ends: this is what it was.
        assert_eq!(nodes[0]["name"], word);
    }
}

const HOSTILE: &str = "\x1b[31mred\x1b[0m\r\n\x07\u{202e}gnp\u{200b}\t::error::%0A\u{9b}2J";

#[test]
fn no_name_of_others_controls_a_terminal() {
    let (document, removal) = (document_of(HOSTILE), removal_of(HOSTILE));
    // Colours are ours, and are kept here: what remains of the others would be seen.
    let mut raw = Vec::new();
    for verbose in [false, true] {
        text::builder(&mut raw, &document, verbose).unwrap();
    }
    text::removal(&mut raw, &removal).unwrap();
    let raw = String::from_utf8(raw).unwrap();
    assert!(!raw.contains("\x1b[31mred"), "{raw:?}");
    let shown = written(|out| out.write_all(raw.as_bytes()));
    assert!(shown.contains("red"));
    let strange = |c: char| c != '\n' && (c.is_control() || "\u{202e}\u{200b}".contains(c));
    let bad: Vec<&str> = shown.lines().filter(|line| line.contains(strange)).collect();
    assert!(bad.is_empty(), "{bad:#?}");
    // Nor does it begin a line, where a runner would take it for a command.
    assert!(shown.lines().all(|line| !line.trim_start().starts_with("::")), "{shown}");
}

#[test]
fn every_word_of_others_comes_through_json() {
    for document in [
        serde_json::to_value(versioned(&document_of(HOSTILE))).unwrap(),
        serde_json::to_value(versioned(&removal_of(HOSTILE))).unwrap(),
    ] {
        let mut out = Vec::new();
        serde_json::to_writer_pretty(&mut out, &document).unwrap();
        assert!(!out.contains(&0x1b));
        let read: Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(read, document);
        assert_eq!(read["schema"], 2);
        assert_eq!(read["ok"], false);
    }
}

#[test]
fn a_document_is_well_when_nothing_fails() {
    let document = document_of("mine");
    let engine = Engine {
        context: String::new(),
        endpoint: String::new(),
        id: String::new(),
        version: String::new(),
        client: String::new(),
        kernel: String::new(),
        rootless: false,
        location: Location::Here,
        buildx: String::new(),
    };
    assert!(!BuilderDocument::new(&engine, None, &[]).ok);
    let builder = Builder {
        name: "mine".to_owned(),
        driver: String::new(),
        current: None,
        error: None,
        nodes: Vec::new(),
    };
    let empty = BuilderDocument::new(&engine, Some(&builder), &[]);
    assert!(empty.ok && empty.engine.here && empty.engine.elsewhere.is_none());
    assert!(!empty.with_error(&"boo").ok);
    let grades: Vec<&str> = document.platforms.iter().map(|one| one.grade).collect();
    assert_eq!(grades, ["doubtful", "fails", "likely"]);
    assert_eq!(document.working().count(), 2);
}

#[test]
fn a_removal_says_what_is_left_and_what_to_do() {
    let mut removal = removal_of("buildx_buildkit_mine0");
    let text = written(|out| text::removal(out, &removal));
    assert!(text.contains("docker container rm --force buildx_buildkit_mine0\n"), "{text}");
    assert!(text.contains("docker volume rm buildx_buildkit_mine0\n"), "{text}");
    assert!(!text.contains("--all-orphans"), "{text}");
    removal.errors.clear();
    removal.orphans.iter_mut().for_each(|one| one.ours = true);
    let text = written(|out| text::removal(out, &removal));
    assert!(text.contains("binfmtd buildx remove --all-orphans --yes"), "{text}");
    assert!(!text.contains("docker volume rm"), "{text}");
    removal.orphans.iter_mut().for_each(|one| one.removed = true);
    let text = written(|out| text::removal(out, &removal));
    assert!(!text.contains("--all-orphans") && text.contains("removed  volume"), "{text}");
    removal.orphans.clear();
    removal.builder = None;
    assert_eq!(written(|out| text::removal(out, &removal)), "nothing to remove\n");
}

proptest! {
    #[test]
    fn no_word_adds_an_output(word in "(?s).*|([a-z=<\\n\\r]|<<|EOF|name)*") {
        let outputs = written_outputs(&document_of(&word));
        let names: Vec<&str> = outputs.iter().map(|(name, _)| name.as_str()).collect();
        prop_assert_eq!(names, ["name", "driver", "platforms", "nodes"]);
        let nodes: Value = serde_json::from_str(&outputs[3].1).unwrap();
        prop_assert_eq!(nodes[0]["name"].as_str(), Some(word.as_str()));
    }
}
