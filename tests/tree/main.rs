//! The layers of `src/`, held: what a module may import, and where the system may be touched.

mod circles;
mod layers;
mod lexer;
mod names;

use std::fs;
use std::path::{Path, PathBuf};

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn the_layers_hold() {
    let files = read_all();
    let problems: Vec<_> =
        files.iter().flat_map(|(name, source)| layers::violations(name, source)).collect();
    assert!(files.len() > 10, "where are the sources?");
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

/// Folders that still have a circle of files. One without has to leave this list.
const CIRCLES: [&str; 0] = [];

#[test]
fn no_files_import_each_other_in_a_circle() {
    let files = read_all();
    let files: Vec<(&str, &str)> =
        files.iter().map(|(name, source)| (name.as_str(), source.as_str())).collect();
    let circles = circles::circles(&files);
    let is_in = |folder: &str, circle: &[String]| {
        circle.iter().all(|file| file.starts_with(&format!("{folder}/")))
    };
    let new: Vec<String> = circles
        .iter()
        .filter(|circle| !CIRCLES.iter().any(|folder| is_in(folder, circle)))
        .map(|circle| circle.join(", "))
        .collect();
    assert!(new.is_empty(), "these import each other:\n{}", new.join("\n"));
    for folder in CIRCLES {
        let is_open = circles.iter().any(|circle| is_in(folder, circle));
        assert!(is_open, "src/{folder} has no circle any more: take it off the list");
    }
}

/// Names of types that stand for different things in two files. `Arguments` and `Command` are clap's words for each
/// command's own; the others are to go, each from this list, too.
const NAMED_TWICE: [&str; 2] = ["Arguments", "Command"];

#[test]
fn no_name_stands_for_two_types() {
    let files = read_all();
    let files: Vec<(&str, &str)> =
        files.iter().map(|(name, source)| (name.as_str(), source.as_str())).collect();
    let twice = names::twice(&files);
    for (name, files) in &twice {
        assert!(NAMED_TWICE.contains(&name.as_str()), "{name}: {}", files.join(", "));
    }
    for name in NAMED_TWICE {
        assert!(twice.contains_key(name), "{name} stands for one thing now: take it off the list");
    }
}

#[test]
fn main_is_one_call() {
    let source = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/main.rs"))
        .expect("main.rs");
    assert!(layers::is_one_call(&source), "src/main.rs must be one call");
}

/// Every file of `src/`: its path below it, and its content.
fn read_all() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    files.sort();
    let read = |file: PathBuf| {
        let name = file.strip_prefix(&root).expect("below src").to_str().expect("a name in UTF-8");
        (name.to_owned(), fs::read_to_string(&file).expect("a source file"))
    };
    files.into_iter().map(read).collect()
}
