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

#[test]
fn no_files_import_each_other_in_a_circle() {
    let files = read_all();
    let files: Vec<(&str, &str)> =
        files.iter().map(|(name, source)| (name.as_str(), source.as_str())).collect();
    let circles: Vec<String> =
        circles::circles(&files).iter().map(|circle| circle.join(", ")).collect();
    assert!(circles.is_empty(), "these import each other:\n{}", circles.join("\n"));
}

/// clap's words for each command's own.
const NAMED_TWICE: [&str; 2] = ["Arguments", "Command"];

#[test]
fn no_name_stands_for_two_types() {
    let files = read_all();
    let files: Vec<(&str, &str)> =
        files.iter().map(|(name, source)| (name.as_str(), source.as_str())).collect();
    let twice: Vec<String> = names::twice(&files)
        .iter()
        .filter(|(name, _)| !NAMED_TWICE.contains(&name.as_str()))
        .map(|(name, files)| format!("{name}: {}", files.join(", ")))
        .collect();
    assert!(twice.is_empty(), "these stand for different things:\n{}", twice.join("\n"));
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
