//! The rules, and how a source file breaks them.

use crate::lexer::{Kind, Token, tokens};

/// The top modules, low to high; a module may import from lower levels only, not from its own level.
const LAYERS: &[&[&str]] = &[
    &["shown"],
    &["failure"],
    &["phrase"],
    &["fix"],
    &["rule"],
    &["target"],
    &["probe"],
    &["observation"],
    &["system"],
    &["config"],
    &["plan"],
    &["verify"],
    &["observe"],
    &["apply"],
    &["reconcile"],
    &["buildx", "daemon"],
    &["doctor"],
    &["report"],
    &["compat"],
    &["cli"],
    // What tests outside of the library see of it.
    &["testing"],
    // The two roots: the map of the modules, and the one call.
    &["lib", "main"],
];

/// Modules that decide and never touch the system.
const PURE: [&str; 9] =
    ["shown", "failure", "phrase", "fix", "rule", "target", "probe", "observation", "plan"];

/// What a pure module must not name. Its tests may: they read fixtures.
const SYSTEM_PATHS: [&[&str]; 8] = [
    &["std", "fs"],
    &["std", "env"],
    &["std", "process"],
    &["std", "net"],
    &["std", "thread"],
    &["std", "os", "unix", "net"],
    &["procfs"],
    &["caps"],
];

/// The folders of `system/`, low to high, as in [`LAYERS`].
const SYSTEM: [&str; 4] = ["host", "files", "process", "binfmt_misc"];

/// Types and constants of `system/` that the doctor's checks may name: plain data, whose definitions stand beside the
/// code that fills them. A check must not call anything by them: `Type::function` is refused.
const PLAIN_DATA: [&[&str]; 9] = [
    &["host", "limits", "HostLimits"],
    &["host", "limits", "Selinux"],
    &["host", "surroundings", "Boot"],
    &["host", "surroundings", "Distribution"],
    &["host", "surroundings", "Module"],
    &["process", "batch", "Ended"],
    &["process", "child", "ExecError"],
    &["binfmt_misc", "instance", "InstanceError"],
    &["binfmt_misc", "instance", "MOUNT_POINT"],
];

/// Crates of raw system calls: for `system/` alone.
const RAW: [&str; 2] = ["libc", "nix"];

fn level(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

/// Everything in a source file that the layers forbid; `file` is its path below `src/`.
pub(crate) fn violations(file: &str, source: &str) -> Vec<String> {
    let module: Vec<&str> = module_path(file);
    let top = module.first().copied().unwrap_or_else(|| file.trim_end_matches(".rs"));
    let Some(own) = level(top) else {
        return vec![format!(
            "src/{file}: module {top} is in no layer: add it to tests/tree/layers.rs"
        )];
    };
    let tokens = tokens(source);
    let is_test = module.contains(&"tests");
    let is_check = is_check(&module) && !is_test;
    let mut found = Vec::new();
    for Path { words, line } in paths(&tokens, &module) {
        let mut complain = |what: String| found.push(format!("src/{file}:{line}: {what}"));
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["crate", "*" | "as" | "self", ..] => complain("imports the whole crate".to_owned()),
            ["crate", other, ..] => match level(other) {
                Some(level) if level < own || *other == top => {}
                Some(_) => complain(format!("{top} must not import {other}: it is no lower layer")),
                // An item of the crate's root, where there are none but modules.
                None => complain(format!("{other} is in no layer")),
            },
            ["std" | "core", "as", ..] => complain("gives std another name".to_owned()),
            _ => {}
        }
        let is_pure = PURE.contains(&top) && !is_test || is_check;
        if is_pure && SYSTEM_PATHS.iter().any(|path| words.starts_with(path)) {
            let what = if is_check { "a check" } else { top };
            complain(format!("{what} is pure and must not use {}", words.join("::")));
        }
        if let (["system", own, ..], ["crate", "system", other, ..]) = (&*module, &*words)
            && system_level(other) > system_level(own)
        {
            complain(format!("system/{own} must not import system/{other}: it is no lower folder"));
        }
        if is_check && is_system_beyond_data(&words) {
            complain(format!("a check is pure and must not use {}", words.join("::")));
        }
    }
    if top != "system" {
        found.extend(
            raw(&tokens).map(|(line, what)| format!("src/{file}:{line}: {what} outside system/")),
        );
    }
    found
}

fn system_level(folder: &str) -> Option<usize> {
    SYSTEM.iter().position(|known| *known == folder)
}

/// Whether a module holds checks of the doctor, which judge facts: `src/doctor/**/checks/` or `checks.rs`.
fn is_check(module: &[&str]) -> bool {
    matches!(module, ["doctor", below @ ..] if below.contains(&"checks"))
}

/// Whether a path of a check leads into `system/` to anything but [`PLAIN_DATA`], or calls a function by that.
fn is_system_beyond_data(words: &[&str]) -> bool {
    match words {
        ["crate", "system", rest @ ..] => !PLAIN_DATA.contains(&rest),
        [name, function, ..] => {
            let is_data = PLAIN_DATA.iter().any(|path| path.last() == Some(name));
            is_data && function.starts_with(|first: char| first.is_lowercase())
        }
        _ => false,
    }
}

/// `rule/entry.rs` is `rule::entry`, `rule/mod.rs` is `rule`, `plan.rs` is `plan`; the roots are none.
pub(crate) fn module_path(file: &str) -> Vec<&str> {
    let mut path: Vec<_> = file.trim_end_matches(".rs").split('/').collect();
    if matches!(path.as_slice(), [.., "mod"] | ["lib" | "main"]) {
        path.pop();
    }
    path
}

/// Unsafe code, foreign functions, assembler and the crates of raw system calls.
fn raw(tokens: &[Token]) -> impl Iterator<Item = (usize, String)> {
    tokens.iter().enumerate().filter_map(|(at, token)| {
        let next = tokens.get(at + 1);
        let what = match token.word()? {
            "unsafe" => "unsafe code".to_owned(),
            "asm" | "global_asm" | "naked_asm" if next.is_some_and(|next| next.is('!')) => {
                "assembler".to_owned()
            }
            "extern" if next.is_some_and(|next| next.kind == Kind::Literal || next.is('{')) => {
                "a foreign function".to_owned()
            }
            word if RAW.contains(&word) => format!("the crate {word}"),
            _ => return None,
        };
        Some((token.line, what))
    })
}

/// A path as it is written, from the crate on where it leads there; `a::{b, c}` is two.
pub(crate) struct Path {
    pub(crate) words: Vec<String>,
    line: usize,
}

pub(crate) fn paths(tokens: &[Token], module: &[&str]) -> Vec<Path> {
    let mut found = Vec::new();
    let mut at = 0;
    // Modules within the file, and the depth of braces that each is open at.
    let (mut inner, mut depth) = (Vec::new(), 0_usize);
    while let Some(token) = tokens.get(at) {
        match &token.kind {
            Kind::Sign('{') => depth += 1,
            Kind::Sign('}') => {
                depth = depth.saturating_sub(1);
                inner.retain(|open| *open < depth);
            }
            Kind::Word(word)
                if word == "mod" && tokens.get(at + 2).is_some_and(|token| token.is('{')) =>
            {
                inner.push(depth);
                (at, depth) = (at + 3, depth + 1);
                continue;
            }
            Kind::Word(_) => {
                let mut raw = Vec::new();
                at = tree(tokens, at, &[], &mut raw);
                let resolved = raw.into_iter().map(|path| resolve(path, module, inner.len()));
                found.extend(resolved.flatten());
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    found
}

/// Reads one path, with its groups, from a word on; gives where it ends.
fn tree(tokens: &[Token], mut at: usize, prefix: &[String], found: &mut Vec<Path>) -> usize {
    let line = tokens[at].line;
    let mut words = prefix.to_vec();
    while let Some(token) = tokens.get(at) {
        match &token.kind {
            Kind::Word(word) => words.push(word.clone()),
            Kind::Sign('*') => words.push("*".to_owned()),
            Kind::Sign('{') if words.len() > prefix.len() || !prefix.is_empty() => {
                at += 1;
                while tokens.get(at).is_some_and(|token| !token.is('}')) {
                    at = if tokens[at].word().is_some() || tokens[at].is('*') || tokens[at].is('{')
                    {
                        tree(tokens, at, &words, found)
                    } else {
                        at + 1
                    };
                }
                return at + 1;
            }
            _ => break,
        }
        at += 1;
        if tokens.get(at).is_some_and(|token| token.kind == Kind::Colons) {
            at += 1;
        } else {
            // `crate as x` would hide what follows.
            if words.len() <= 2 && tokens.get(at).and_then(Token::word) == Some("as") {
                words.push("as".to_owned());
            }
            break;
        }
    }
    found.push(Path { words, line });
    at
}

/// Follows `self` and `super` from the module that a path stands in.
fn resolve(path: Path, module: &[&str], inner: usize) -> Option<Path> {
    let Path { words, line } = path;
    let ups = words.iter().take_while(|word| *word == "super" || *word == "self");
    let ups = ups.clone().count().checked_sub(ups.filter(|word| *word == "self").count())?;
    if ups == 0 {
        return Some(Path { words, line });
    }
    let outside = ups.saturating_sub(inner);
    let here = &module[..module.len().saturating_sub(outside)];
    let rest = words.into_iter().skip_while(|word| word == "super" || word == "self");
    let from_crate = std::iter::once("crate").chain(here.iter().copied()).map(str::to_owned);
    let words: Vec<_> = from_crate.chain(rest).collect();
    // `use super::*` within a module is its own.
    (words.len() > 1).then_some(Path { words, line })
}

/// Whether a source file is `fn main` with one call in it, and no more.
pub(crate) fn is_one_call(source: &str) -> bool {
    let tokens = tokens(source);
    let words: Vec<_> = tokens.iter().filter_map(Token::word).collect();
    let Some(open) = tokens.iter().position(|token| token.is('{')) else { return false };
    let body = &tokens[open + 1..];
    let Some((last, body)) = body.split_last() else { return false };
    let body =
        if body.last().is_some_and(|token| token.is(';')) { &body[..body.len() - 1] } else { body };
    let path = body
        .iter()
        .take_while(|token| token.word().is_some() || token.kind == Kind::Colons)
        .count();
    let call = &body[path..];
    let parens = call.first().is_some_and(|token| token.is('('))
        && call.last().is_some_and(|token| token.is(')'));
    let calls = body.iter().filter(|token| token.is('(')).count();
    let plain = !call.iter().any(|token| token.is(';') || token.is('{'));
    words.iter().filter(|word| **word == "fn").count() == 1
        && last.is('}')
        && path > 0
        && parens
        && calls == 1
        && plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bad(file: &str, source: &str) -> String {
        let found = violations(file, source);
        assert!(!found.is_empty(), "nothing found in {source}");
        found.join("; ")
    }

    fn good(file: &str, source: &str) {
        assert_eq!(violations(file, source), [""; 0], "{source}");
    }

    #[test]
    fn imports_run_downward() {
        good("plan.rs", "use crate::rule::Rule; use crate::{target::Table, config::Settings};");
        good(
            "cli/mod.rs",
            "use crate::{report, daemon::{self, Loop}}; fn f() { crate::apply::apply() }",
        );
        good("rule/entry.rs", "use super::magic::Magic; use crate::rule::Name; use self::x::y;");
        good("observe.rs", "use crate::verify;");

        assert!(
            bad("rule/mod.rs", "\n\nuse crate::target::Table;")
                .starts_with("src/rule/mod.rs:3: rule must not")
        );
        bad("rule/mod.rs", "pub use crate::{rule::Rule, target::Table};");
        bad("rule/mod.rs", "pub use crate::{rule::{Rule, Name}, plan};");
        bad("verify/mod.rs", "use crate::observe::Observation;");
        bad("plan.rs", "fn f() { crate::apply::apply(); }");
        bad("plan.rs", "fn f(x: &crate::daemon::State) -> Vec<crate::rule::Rule> {}");
        bad("buildx/mod.rs", "use crate::daemon::x;");
        bad("daemon/mod.rs", "use crate::buildx::x;");
        bad("probe/elf.rs", "macro_rules! m { () => { $crate::system::x() } }");
    }

    #[test]
    fn super_is_followed_out_of_the_module() {
        bad("rule/entry.rs", "use super::super::target::Table;");
        bad("rule/mod.rs", "use super::target::Table;");
        bad("plan.rs", "use super::apply;");
        bad("rule/entry.rs", "mod tests { use super::super::super::target::Table; }");
        good("rule/entry.rs", "mod tests { use super::super::target; }");
        good("rule/entry.rs", "mod tests { use super::*; fn f() {} } use super::plan;");
        bad("rule/entry.rs", "mod tests { fn f() {} } use super::super::plan;");
        good("probe/elf.rs", "use super::super::rule::Magic;");
    }

    #[test]
    fn nothing_hides_behind_another_name() {
        bad("rule/mod.rs", "use crate::*;");
        bad("rule/mod.rs", "use crate as everything;");
        bad("rule/mod.rs", "use crate::{self as everything};");
        bad("plan.rs", "use std as s;");
        bad("rule/mod.rs", "use crate::somewhere::X;");
        assert!(bad("misc/mod.rs", "").contains("in no layer"));
    }

    #[test]
    fn comments_and_strings_import_nothing() {
        good(
            "rule/mod.rs",
            "//! See [`crate::plan`].\n/* use crate::plan; unsafe */ const X: &str = \"crate::plan unsafe\";",
        );
        good(
            "rule/mod.rs",
            "const X: &[u8] = br#\"use libc; \" unsafe\"#; fn f<'unsafe_>() { '\\''; }",
        );
    }

    #[test]
    fn pure_modules_touch_nothing() {
        for source in [
            "use std::fs;",
            "use std::{collections::BTreeMap, fs::File};",
            "fn f() { ::std::fs::read(\"x\"); }",
            "fn f() { std::env::var(\"x\"); }",
            "use std::process::Command;",
            "use std::{net, io};",
            "use procfs::process;",
            "use caps;",
            "use std::os::{unix::{net::UnixStream}};",
        ] {
            for file in
                ["rule/mod.rs", "target/table.rs", "probe/elf.rs", "observation.rs", "plan.rs"]
            {
                bad(file, source);
            }
            good("observe.rs", source);
            good("rule/tests.rs", source);
        }
        good(
            "rule/mod.rs",
            "use std::path::Path; use std::io; const V: &str = env!(\"X\"); fn fs() {}",
        );
    }

    #[test]
    fn the_folders_of_system_import_one_way() {
        good("system/files/trust.rs", "use crate::system::host::namespace; use super::identity;");
        good("system/binfmt_misc/mount.rs", "use crate::system::{files::read, process};");
        good("system/host/limits.rs", "use super::machine::boot_id;");
        bad("system/host/limits.rs", "use crate::system::files::read;");
        bad("system/files/trust.rs", "use super::super::process::child;");
        bad("system/process/child.rs", "fn f() { crate::system::binfmt_misc::mount::f() }");
        bad("system/process/child.rs", "use crate::system::{host, binfmt_misc::mount};");
    }

    #[test]
    fn checks_of_the_doctor_touch_nothing() {
        for file in ["doctor/checks/rule.rs", "doctor/checks.rs", "doctor/builder/checks/mod.rs"] {
            for source in [
                "use std::fs;",
                "fn f() { std::env::var(\"x\"); }",
                "use std::process::Command;",
                "use crate::system::files::interpreter::Inspector;",
                "use crate::system::host::limits;",
                "use crate::system::host::limits::{Selinux, read};",
                "use crate::system::host::limits::*;",
                "fn f() { crate::system::host::limits::read() }",
                "use crate::system::host::limits::Selinux; fn f() { Selinux::read() }",
            ] {
                bad(file, source);
                good("doctor/facts.rs", source);
            }
            good(file, "use crate::system::host::limits::Selinux; fn f() { Selinux::Enforcing }");
            good(file, "use std::path::Path; use crate::rule::Entry; fn f() { Entry::parse() }");
        }
        good("doctor/checks/tests.rs", "use std::fs;");
        good("apply/checks.rs", "use std::fs;");
    }

    #[test]
    fn only_the_edge_is_raw() {
        for source in [
            "fn f() { unsafe { x() } }",
            "unsafe extern \"C\" { fn x(); }",
            "extern \"C\" fn x() {}",
            "extern { fn x(); }",
            "core::arch::asm!(\"nop\")",
            "use nix::sched;",
            "use {nix, std::io};",
            "fn f() { libc::getpid(); }",
            "fn f() { ::libc::syscall(1); }",
        ] {
            for file in ["rule/mod.rs", "daemon/mod.rs", "cli/mod.rs", "main.rs", "rule/tests.rs"] {
                bad(file, source);
            }
            good("system/namespace.rs", source);
        }
        good("daemon/mod.rs", "#![forbid(unsafe_code)] fn asm() {} extern crate alloc;");
    }

    #[test]
    fn one_call_is_one() {
        for source in [
            "//! The binary: one call.\nfn main() -> std::process::ExitCode {\n    binfmtd::cli::main()\n}",
            "fn main() { run(); }",
            "use std::process::ExitCode;\nfn main() -> ExitCode { binfmtd::cli::main(std) }",
        ] {
            assert!(is_one_call(source), "{source}");
        }
        for source in [
            "",
            "fn main() {}",
            "fn main() { a(); b(); }",
            "fn main() { a(b()) }",
            "fn main() { let x = a(); }",
            "fn main() { if a() {} }",
            "fn main() { a() } fn b() {}",
            "fn main() { a().b() }",
        ] {
            assert!(!is_one_call(source), "{source}");
        }
    }
}
