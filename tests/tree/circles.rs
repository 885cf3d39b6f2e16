//! Circles: files of `src/` that import each other, directly or by way of others.
//!
//! A `pub use` does not count as an import of the file that it stands in: whoever imports the name depends on the file
//! that defines it. So a `mod.rs` that only re-exports is never part of a circle, and one with items of its own is.

use std::collections::{BTreeMap, BTreeSet};

use crate::layers::{module_path, paths};
use crate::lexer::{Token, tokens};

/// One file of `src/`, as far as imports are concerned.
struct File {
    imports: Vec<Vec<String>>,
    /// Re-exported names, each with the path that it stands for.
    exports: BTreeMap<String, Vec<String>>,
    /// Paths of `pub use x::*`.
    globs: Vec<Vec<String>>,
}

/// Groups of files that import each other in a circle, each sorted by name. `files` are paths below `src/` with their
/// contents; tests are left out, since they may import anything.
pub(crate) fn circles(files: &[(&str, &str)]) -> Vec<Vec<String>> {
    let mut modules = BTreeMap::new();
    for (name, source) in files {
        let module = owned(&module_path(name));
        if !module.iter().any(|word| word == "tests") {
            modules.insert(module, (*name, read(name, source)));
        }
    }
    let graph: BTreeMap<&str, BTreeSet<&str>> = modules
        .iter()
        .map(|(module, (name, file))| {
            let targets = file.imports.iter().filter_map(|path| target(&modules, module, path, 0));
            (*name, targets.filter(|target| target != name).collect())
        })
        .collect();
    let reach: BTreeMap<&str, BTreeSet<&str>> =
        graph.keys().map(|name| (*name, reached(&graph, name))).collect();
    let mut found = BTreeSet::new();
    for (name, all) in &reach {
        let circle: Vec<String> = all
            .iter()
            .filter(|other| reach[*other].contains(name))
            .map(|other| (*other).to_owned())
            .collect();
        if !circle.is_empty() {
            found.insert(circle);
        }
    }
    found.into_iter().collect()
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// Every file that can be reached by at least one import.
fn reached<'a>(graph: &BTreeMap<&'a str, BTreeSet<&'a str>>, from: &str) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::new();
    let mut next: Vec<&str> = graph[from].iter().copied().collect();
    while let Some(name) = next.pop() {
        if found.insert(name) {
            next.extend(&graph[name]);
        }
    }
    found
}

fn read(name: &str, source: &str) -> File {
    let module = module_path(name);
    let (exported, rest) = split(&without_tests(&tokens(source)));
    let mut file = File { imports: Vec::new(), exports: BTreeMap::new(), globs: Vec::new() };
    file.imports.extend(paths(&rest, &module).into_iter().map(|path| path.words));
    for path in paths(&exported, &module) {
        match path.words.last().map(String::as_str) {
            Some("*") => file.globs.push(path.words),
            Some(last) if path.words.len() > 1 => {
                file.exports.insert(last.to_owned(), path.words);
            }
            _ => {}
        }
    }
    file
}

/// The tokens of `pub use` statements, and all others.
fn split(tokens: &[Token]) -> (Vec<Token>, Vec<Token>) {
    let (mut exported, mut rest) = (Vec::new(), Vec::new());
    let mut at = 0;
    while at < tokens.len() {
        let end = tokens[at..]
            .iter()
            .position(|token| token.is(';'))
            .map_or(tokens.len(), |end| at + end);
        match statement(&tokens[at..]) {
            Some(words) => {
                exported.extend_from_slice(&tokens[at + words..end]);
                exported.extend(tokens.get(end).cloned());
                at = end + 1;
            }
            None if is_restricted(&tokens[at..]) => {
                // `pub(super)` says who may import, and imports nothing.
                let close = tokens[at..].iter().position(|token| token.is(')'));
                at += close.map_or(1, |close| close + 1);
            }
            None => {
                rest.push(tokens[at].clone());
                at += 1;
            }
        }
    }
    (exported, rest)
}

/// How many tokens `pub use` or `pub(…) use` takes at the beginning.
fn statement(tokens: &[Token]) -> Option<usize> {
    if tokens.first()?.word() != Some("pub") {
        return None;
    }
    let at =
        if is_restricted(tokens) { tokens.iter().position(|token| token.is(')'))? + 1 } else { 1 };
    (tokens.get(at)?.word() == Some("use")).then_some(at + 1)
}

/// Whether `pub(` and a path stand at the beginning, which the type of a field in a tuple may look like, too.
fn is_restricted(tokens: &[Token]) -> bool {
    let word = |at: usize| tokens.get(at).and_then(Token::word);
    word(0) == Some("pub")
        && tokens.get(1).is_some_and(|token| token.is('('))
        && matches!(word(2), Some("super" | "crate" | "self" | "in"))
        && (word(2) == Some("in") || tokens.get(3).is_some_and(|token| token.is(')')))
}

/// Leaves `mod tests { … }` out.
pub(crate) fn without_tests(tokens: &[Token]) -> Vec<Token> {
    let mut kept = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let is_test = tokens[at].word() == Some("mod")
            && tokens.get(at + 1).and_then(Token::word) == Some("tests")
            && tokens.get(at + 2).is_some_and(|token| token.is('{'));
        if !is_test {
            kept.push(tokens[at].clone());
            at += 1;
            continue;
        }
        let mut depth = 0_usize;
        at += 2;
        while let Some(token) = tokens.get(at) {
            depth = depth + usize::from(token.is('{')) - usize::from(token.is('}'));
            at += 1;
            if depth == 0 {
                break;
            }
        }
    }
    kept
}

/// The file that defines what a path names.
fn target<'a>(
    modules: &BTreeMap<Vec<String>, (&'a str, File)>,
    from: &[String],
    path: &[String],
    depth: usize,
) -> Option<&'a str> {
    // Two files that re-export each other's names would go on for ever; rustc refuses them.
    if depth > 16 {
        return None;
    }
    let absolute: Vec<String> = match path.split_first()? {
        (first, rest) if first == "crate" => rest.to_vec(),
        (first, _) => {
            let child: Vec<String> = from.iter().chain([first]).cloned().collect();
            modules.contains_key(&child).then(|| from.iter().chain(path).cloned().collect())?
        }
    };
    let module = (1..=absolute.len())
        .rev()
        .map(|end| &absolute[..end])
        .find(|prefix| modules.contains_key(*prefix))?;
    let (name, file) = &modules[module];
    let Some(item) = absolute.get(module.len()) else { return Some(name) };
    if let Some(exported) = file.exports.get(item) {
        return target(modules, module, exported, depth + 1);
    }
    let through = |glob: &Vec<String>| {
        let (_, folder) = glob.split_last()?;
        let named: Vec<String> = folder.iter().chain([item]).cloned().collect();
        let found = target(modules, module, &named, depth + 1)?;
        (target(modules, module, folder, depth + 1) != Some(found)).then_some(found)
    };
    file.globs.iter().find_map(through).or(Some(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        circles(files).iter().map(|circle| circle.join(" ")).collect()
    }

    #[test]
    fn files_that_import_each_other_are_a_circle() {
        let one = ("a/one.rs", "use super::two::Two;");
        assert_eq!(found(&[one, ("a/two.rs", "use super::one::One;")]), ["a/one.rs a/two.rs"]);
        assert_eq!(
            found(&[one, ("a/two.rs", "fn f() { super::one::f() }")]),
            ["a/one.rs a/two.rs"]
        );
        assert_eq!(found(&[one, ("a/two.rs", "use crate::a::{one, b};")]), ["a/one.rs a/two.rs"]);
        assert_eq!(found(&[one, ("a/two.rs", "use super::three; // super::one")]), [""; 0]);
        let seen_by = "pub(in crate::a::one) struct Two; pub(super) struct Three(pub(crate) u8);";
        assert_eq!(found(&[one, ("a/two.rs", seen_by)]), [""; 0]);
        let far = [
            one,
            ("a/two.rs", "use super::b::C;"),
            ("a/b/mod.rs", "use crate::a::one::X;"),
            ("a/c.rs", "use super::one::X;"),
        ];
        assert_eq!(found(&far), ["a/b/mod.rs a/one.rs a/two.rs"]);
    }

    #[test]
    fn a_file_of_a_folder_that_only_exports_is_no_member() {
        let exports = (
            "a/mod.rs",
            "mod one; mod two; pub use one::{One, make as one}; pub(super) use two::Two;",
        );
        let one = ("a/one.rs", "use super::Two;");
        assert_eq!(found(&[exports, one, ("a/two.rs", "struct Two;")]), [""; 0]);
        assert_eq!(found(&[exports, one, ("a/two.rs", "use super::One;")]), ["a/one.rs a/two.rs"]);
        assert_eq!(
            found(&[exports, one, ("a/two.rs", "use crate::a::one;")]),
            ["a/one.rs a/two.rs"]
        );
        let globs = ("b.rs", "pub use crate::a::*;");
        assert_eq!(
            found(&[globs, exports, one, ("a/two.rs", "use crate::b::One;")]),
            ["a/one.rs a/two.rs"]
        );
    }

    #[test]
    fn one_with_items_of_its_own_is() {
        let folder = ("a/mod.rs", "mod one; pub struct A; fn f() { one::f() }");
        assert_eq!(found(&[folder, ("a/one.rs", "use super::A;")]), ["a/mod.rs a/one.rs"]);
        assert_eq!(
            found(&[folder, ("a/one.rs", "use super::super::b::B;"), ("b.rs", "use crate::a::A;")]),
            ["a/mod.rs a/one.rs b.rs"]
        );
        assert_eq!(found(&[folder, ("a/one.rs", "")]), [""; 0]);
    }

    #[test]
    fn tests_may_import_anything() {
        let one = ("a/one.rs", "use super::two::Two;");
        assert_eq!(
            found(&[
                one,
                ("a/two.rs", "mod tests { fn f() {} use super::super::one::One; } struct Two;")
            ]),
            [""; 0]
        );
        assert_eq!(
            found(&[one, ("a/two.rs", "mod tests { { } } use super::one::One;")]),
            ["a/one.rs a/two.rs"]
        );
        assert_eq!(
            found(&[one, ("a/two.rs", ""), ("a/tests.rs", "use super::one; use super::tests::x;")]),
            [""; 0]
        );
    }
}
