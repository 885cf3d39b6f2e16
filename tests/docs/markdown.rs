//! As much Markdown as these files use.

use std::fs;
use std::path::{Path, PathBuf};

/// The repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A file's text, by its path in the repository.
pub(crate) fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The Markdown files of a folder and those below it, by their paths in the repository.
pub(crate) fn below(folder: &str) -> Vec<String> {
    let mut found = Vec::new();
    collect(&root().join(folder), &mut found);
    let mut found: Vec<String> = found
        .iter()
        .map(|path| path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned())
        .collect();
    found.sort();
    assert!(!found.is_empty(), "{folder}: no files");
    found
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in
        fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
    {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
}

/// A block between two lines of three backticks.
pub(crate) struct Fence<'a> {
    /// What stands behind the backticks.
    pub(crate) language: &'a str,
    /// Its lines, each with its number in the file, from 1.
    pub(crate) lines: Vec<(usize, &'a str)>,
}

/// Every fenced block, and the lines that are in none.
pub(crate) fn split(text: &str) -> (Vec<Fence<'_>>, Vec<&str>) {
    let (mut fences, mut rest) = (Vec::new(), Vec::new());
    let mut open: Option<Fence<'_>> = None;
    for (index, line) in text.lines().enumerate() {
        match (line.strip_prefix("```"), open.take()) {
            (Some(language), None) => open = Some(Fence { language, lines: Vec::new() }),
            (Some(_), Some(fence)) => fences.push(fence),
            (None, Some(mut fence)) => {
                fence.lines.push((index + 1, line));
                open = Some(fence);
            }
            (None, None) => rest.push(line),
        }
    }
    assert!(open.is_none(), "a block is not closed");
    (fences, rest)
}

/// The parts of a file under its headings of the second level: the heading and the text below it.
pub(crate) fn sections(text: &str) -> Vec<(&str, String)> {
    let mut sections: Vec<(&str, String)> = Vec::new();
    for line in text.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            sections.push((heading, String::new()));
        } else if let Some((_, text)) = sections.last_mut() {
            text.push_str(line);
            text.push('\n');
        }
    }
    sections
}

/// The cells of every row of every table, head and ruler left out.
pub(crate) fn rows(text: &str) -> Vec<Vec<&str>> {
    let lines: Vec<&str> = text.lines().collect();
    let is_row = |line: &str| line.starts_with('|');
    let mut rows = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let is_head = index == 0 || !is_row(lines[index - 1]);
        if is_row(line) && !is_head && !line.starts_with("|--") {
            rows.push(line.trim_matches('|').split('|').map(str::trim).collect());
        }
    }
    rows
}

/// What stands between backticks, where a cell is nothing else.
pub(crate) fn code(cell: &str) -> Option<&str> {
    cell.strip_prefix('`')?.strip_suffix('`')
}
