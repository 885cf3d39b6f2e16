//! The layers of `src/`, held: what a module may import, and where the system may be touched.

mod layers;
mod lexer;

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
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    files.sort();
    let problems: Vec<_> = files
        .iter()
        .flat_map(|file| {
            let source = fs::read_to_string(file).expect("a source file");
            let name =
                file.strip_prefix(&root).expect("below src").to_str().expect("a name in UTF-8");
            layers::violations(name, &source)
        })
        .collect();
    assert!(files.len() > 10, "where are the sources?");
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

#[test]
fn main_is_one_call() {
    let source = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/main.rs"))
        .expect("main.rs");
    assert!(layers::is_one_call(&source), "src/main.rs must be one call");
}
