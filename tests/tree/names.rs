//! Names of types: one that stands for different things in two files has to be looked up each time.

use std::collections::BTreeMap;

use crate::circles::without_tests;
use crate::layers::module_path;
use crate::lexer::{Token, tokens};

/// Names of types that more than one of these files defines, each with the files. `files` are paths below `src/` with
/// their contents; tests are left out.
pub(crate) fn twice(files: &[(&str, &str)]) -> BTreeMap<String, Vec<String>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (file, source) in files {
        if module_path(file).contains(&"tests") {
            continue;
        }
        for name in types(&without_tests(&tokens(source))) {
            found.entry(name).or_default().push((*file).to_owned());
        }
    }
    found.retain(|_, files| files.len() > 1);
    found
}

/// Associated types (`type Err = …` within an `impl`) are the trait's.
fn types(tokens: &[Token]) -> Vec<String> {
    let mut depth = 0_usize;
    let mut found = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        depth = (depth + usize::from(token.is('{'))).saturating_sub(usize::from(token.is('}')));
        let is_definition = match token.word() {
            Some("struct" | "enum" | "union" | "trait") => true,
            Some("type") => depth == 0,
            _ => false,
        };
        if is_definition && let Some(name) = tokens.get(at + 1).and_then(Token::word) {
            found.push(name.to_owned());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_types_are_counted() {
        let one = (
            "a/mod.rs",
            "pub struct Seen { x: u8 } impl Iterator for Seen { type Item = u8; } type Read<T> = T;",
        );
        for other in [
            "enum Seen { A }",
            "pub(super) trait Seen {}",
            "fn f() { struct Seen; }",
            "type Seen = u8;",
        ] {
            let files = twice(&[one, ("b.rs", other)]);
            assert_eq!(files.get("Seen").unwrap(), &["a/mod.rs", "b.rs"], "{other}");
        }
        for other in [
            "struct Seeing; // struct Seen",
            "mod tests { struct Seen; }",
            "impl Iterator for X { type Item = u8; }",
            "fn f(seen: Seen) {}",
        ] {
            assert_eq!(twice(&[one, ("b.rs", other)]), BTreeMap::new(), "{other}");
        }
        assert_eq!(twice(&[one, ("b/tests.rs", "struct Seen;")]), BTreeMap::new());
    }
}
