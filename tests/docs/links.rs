//! Every relative link leads to a file, and to a heading of it.

use crate::markdown::{below, read, root, split};

/// Of the repository, where a page cannot lead to it by a path.
const REPOSITORY: &str = "https://github.com/binfmtd/binfmtd/blob/main/";
const OTHERS: [&str; 4] = ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"];

fn links(line: &str) -> Vec<&str> {
    line.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link).collect()
}

/// A heading's anchor, as GitHub makes it.
fn anchor(heading: &str) -> String {
    let kept = heading.to_lowercase();
    kept.chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

fn anchors(text: &str) -> Vec<String> {
    let (_, lines) = split(text);
    let headings = lines.into_iter().filter(|line| line.starts_with('#'));
    headings.map(|line| anchor(line.trim_start_matches('#').trim_start())).collect()
}

#[test]
fn every_link_resolves() {
    let mut problems = Vec::new();
    let mut count = 0;
    for file in OTHERS.map(str::to_owned).into_iter().chain(below("docs")) {
        let text = read(&file);
        let (_, lines) = split(&text);
        for link in lines.into_iter().flat_map(links) {
            let own = link.strip_prefix(REPOSITORY);
            if own.is_none() && link.contains("://") {
                continue;
            }
            count += 1;
            let (path, heading) =
                own.unwrap_or(link).split_once('#').unwrap_or((own.unwrap_or(link), ""));
            let folder = root().join(&file);
            let target = match path {
                path if own.is_some() => root().join(path),
                "" => folder,
                path => folder.parent().unwrap().join(path),
            };
            if !target.exists() {
                problems.push(format!("{file}: {link}: no such file"));
            } else if !heading.is_empty() {
                let there = std::fs::read_to_string(&target).unwrap();
                if !anchors(&there).iter().any(|anchor| anchor == heading) {
                    problems.push(format!("{file}: {link}: no such heading"));
                }
            }
        }
    }
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
    assert!(count > 30, "only {count} links were found");
}
