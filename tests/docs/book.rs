//! `docs/SUMMARY.md`, by which a site generator takes the documentation as it is: mdBook, `mdbook build docs`.

use std::collections::BTreeMap;

use crate::markdown::{below, read, split};

const SUMMARY: &str = "docs/SUMMARY.md";
const PARTS: [&str; 3] = ["guide", "reference", "development"];

/// The files that it links to, in its order, by their paths in `docs/`.
fn entries(summary: &str) -> Vec<&str> {
    // What stands before the parts is no point of a list.
    let points = summary.lines().map(|line| line.trim_start().trim_start_matches("- "));
    points
        .filter(|line| line.starts_with('['))
        .map(|point| {
            let (_, link) = point.split_once("](").unwrap_or_else(|| panic!("{SUMMARY}: {point}"));
            link.strip_suffix(')').unwrap_or_else(|| panic!("{SUMMARY}: {point}"))
        })
        .collect()
}

#[test]
fn each_page_is_in_the_summary_once() {
    let summary = read(SUMMARY);
    let mut count: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for page in below("docs").iter().filter(|page| *page != SUMMARY) {
        count.entry(page["docs/".len()..].to_owned()).or_default().0 += 1;
    }
    for entry in entries(&summary) {
        count.entry(entry.to_owned()).or_default().1 += 1;
    }
    let problems: Vec<String> = count
        .iter()
        .filter_map(|(page, counts)| match counts {
            (1, 1) => None,
            (1, 0) => Some(format!("{page} is not in {SUMMARY}")),
            (0, _) => Some(format!("{page} is in {SUMMARY} and is not there")),
            (_, times) => Some(format!("{page} is in {SUMMARY} {times} times")),
        })
        .collect();
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

#[test]
fn the_parts_are_in_the_order_of_a_reader() {
    let summary = read(SUMMARY);
    let folder = |entry: &&str| entry.split('/').next().unwrap().to_owned();
    let mut parts: Vec<String> = entries(&summary).iter().map(folder).collect();
    parts.dedup();
    // In mdBook the first page is the site's, too, and only so its links resolve in both places.
    assert_eq!(parts.remove(0), "README.md");
    assert_eq!(parts, PARTS);
}

/// A book has no files beside its own, and nor has `/usr/share/doc/binfmtd`.
#[test]
fn no_page_links_to_a_file_out_of_the_book() {
    let mut problems = Vec::new();
    for page in below("docs") {
        let depth = page.matches('/').count() - 1;
        let text = read(&page);
        let (_, lines) = split(&text);
        for line in lines {
            for link in line.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
                if link.matches("../").count() > depth {
                    problems.push(format!("{page}: {link} (say where it is on GitHub)"));
                }
            }
        }
    }
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}
