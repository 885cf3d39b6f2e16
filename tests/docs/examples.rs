//! Files that are shipped as examples, and the pages that show them.

use crate::markdown::{read, split};

/// The page, and what it shows in full.
const SHOWN: [(&str, &str); 4] = [
    ("docs/guide/dind.md", "packaging/dind/Dockerfile"),
    ("docs/guide/dind.md", "packaging/dind/compose.yaml"),
    ("docs/guide/dind.md", "packaging/dind/gitlab-ci.yml"),
    ("docs/guide/runners.md", "packaging/runner/runner.conf"),
];

#[test]
fn a_page_shows_the_file_as_it_is() {
    for (page, file) in SHOWN {
        let text = read(page);
        let (fences, _) = split(&text);
        let shown = fences.into_iter().any(|fence| {
            let lines = fence.lines.iter().map(|(_, line)| *line);
            lines.eq(read(file).lines())
        });
        assert!(shown, "{page} shows another {file}");
    }
}
