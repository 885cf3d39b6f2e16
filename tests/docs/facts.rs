//! Small facts that are easily forgotten.

use std::collections::BTreeSet;
use std::fs;

use binfmtd::cli::Exit;
use binfmtd::testing::failure::FailureKind;

use crate::markdown::{below, code, read, root, rows};

#[test]
fn the_exit_codes_are_those_of_the_program() {
    let text = read("docs/reference/exit-codes.md");
    let rows = rows(&text);
    let kinds = [
        FailureKind::Failed,
        FailureKind::Usage,
        FailureKind::Unavailable,
        FailureKind::NotPermitted,
    ];
    let exits = kinds.map(|kind| (Exit::from(kind), kind.as_str()));
    for (exit, word) in exits.into_iter().chain([(Exit::Well, "well")]) {
        let number = exit.code().to_string();
        let row = rows.iter().find(|row| row[0] == number).expect(&number);
        assert_eq!(code(row[1]), Some(word));
    }
}

#[test]
fn the_compiler_is_the_one_that_cargo_asks_for() {
    let version = env!("CARGO_PKG_RUST_VERSION");
    for file in ["README.md", "docs/guide/install.md"] {
        assert!(read(file).contains(&format!("{version} or later")), "{file}: Rust {version}");
    }
}

#[test]
fn every_key_of_the_table_is_explained() {
    let table: toml::Table = read("src/target/table.toml").parse().unwrap();
    let keys: BTreeSet<&String> =
        table.values().flat_map(|target| target.as_table().unwrap().keys()).collect();
    assert!(keys.len() > 8, "{keys:?}");
    let text = read("docs/development/add-a-target.md");
    let explained: BTreeSet<&str> =
        rows(&text).into_iter().filter_map(|row| code(row[0])).collect();
    let missing: Vec<_> = keys.iter().filter(|key| !explained.contains(key.as_str())).collect();
    assert!(missing.is_empty(), "docs/development/add-a-target.md: {missing:?}");
}

fn names_of_folders(folder: &str) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(root().join(folder))
        .unwrap()
        .map(Result::unwrap)
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn every_folder_of_tests_is_explained() {
    let text = read("docs/development/testing.md");
    let explained: BTreeSet<String> = rows(&text)
        .into_iter()
        .filter_map(|row| code(row[0]).map(|name| name.trim_end_matches('/').to_owned()))
        .collect();
    for name in names_of_folders("tests") {
        assert!(explained.contains(&name), "docs/development/testing.md does not speak of {name}");
    }
}

#[test]
fn every_module_is_in_the_architecture() {
    let text = read("docs/development/architecture.md");
    for name in names_of_folders("src") {
        assert!(text.contains(&format!("`{name}`")), "architecture.md does not speak of {name}");
    }
}

/// Addresses of people's machines, and folders that only one of them has.
#[test]
fn nothing_is_of_one_machine() {
    let files = std::iter::once("README.md".to_owned()).chain(below("docs"));
    for file in files {
        let text = read(&file);
        for bad in ["/work/", "/root/", "/home/", "target-d"] {
            assert!(!text.contains(bad), "{file} has {bad}");
        }
    }
}
