//! The command line of tonistiigi/binfmt: flags as Go's package `flag` reads them.

use std::ffi::OsString;
use std::path::PathBuf;

use thiserror::Error;

use crate::system::binfmt_misc::instance::MOUNT_POINT;

pub(super) const USAGE: &str = "\
Usage of binfmt:
  -install LIST
    \tregister these targets: names separated by commas, or all
  -uninstall LIST
    \tremove these rules, before anything is registered: targets, names or globs, separated by commas
  -mount DIR
    \twhere binfmt_misc is mounted (default /proc/sys/fs/binfmt_misc)
  -version
    \tprint the version
QEMU_BINARY_PATH is the folder of the emulators (default /usr/bin), QEMU_BINARY_PREFIX the beginning of
their names. QEMU_PRESERVE_ARGV0, set to anything, gives the rules the flag P.
Exit codes: 0 all well, 1 something asked for does not work, 2 bad usage, 3 could not be carried out,
4 not permitted. With BINFMTD_COMPAT=exit-zero always 0.
";

/// The flags and their values. A list that is not given is empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Arguments {
    pub(super) install: String,
    pub(super) uninstall: String,
    pub(super) mount: PathBuf,
    pub(super) version: bool,
    pub(super) rest: Vec<String>,
}

/// Why there is nothing to carry out.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum Stop {
    #[error("help is wanted")]
    Help,
    #[error("{0}")]
    Bad(String),
}

pub(super) fn parse(words: &[OsString]) -> Result<Arguments, Stop> {
    let mut line = Arguments {
        install: String::new(),
        uninstall: String::new(),
        mount: PathBuf::from(MOUNT_POINT),
        version: false,
        rest: Vec::new(),
    };
    let words: Vec<&str> = words
        .iter()
        .map(|word| {
            word.to_str().ok_or_else(|| Stop::Bad(format!("{} is not UTF-8", word.display())))
        })
        .collect::<Result<_, _>>()?;
    let mut words = words.into_iter().peekable();
    // The first word that is not a flag ends the flags, and so does "--".
    while let Some(word) = words.next_if(|word| word.len() > 1 && word.starts_with('-')) {
        if word == "--" {
            break;
        }
        let flag = word.strip_prefix("--").unwrap_or(&word[1..]);
        if flag.is_empty() || flag.starts_with(['-', '=']) {
            return Err(Stop::Bad(format!("bad flag syntax: {word}")));
        }
        let (name, given) = match flag.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (flag, None),
        };
        let mut value = || {
            let value = given.or_else(|| words.next());
            value.ok_or_else(|| Stop::Bad(format!("flag needs an argument: -{name}")))
        };
        match name {
            "install" => value()?.clone_into(&mut line.install),
            "uninstall" => value()?.clone_into(&mut line.uninstall),
            "mount" => line.mount = PathBuf::from(value()?),
            // A switch takes its value after = only.
            "version" => line.version = given.map_or(Ok(true), switch)?,
            "h" | "help" => return Err(Stop::Help),
            _ => return Err(Stop::Bad(format!("flag provided but not defined: -{name}"))),
        }
    }
    line.rest = words.map(str::to_owned).collect();
    Ok(line)
}

/// As Go's `strconv.ParseBool`.
fn switch(value: &str) -> Result<bool, Stop> {
    match value {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(Stop::Bad(format!("invalid boolean value {value:?} for -version"))),
    }
}

pub(super) fn list(words: &str) -> impl Iterator<Item = &str> {
    words.split(',').map(str::trim).filter(|word| !word.is_empty())
}

/// As Go's `filepath.Match`: `*`, `?`, `[a-z]`, `[^a-z]`, and a backslash that quotes the next character. A malformed
/// pattern matches nothing.
pub(super) fn matches(pattern: &str, name: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    matches_at(&pattern, &name)
}

pub(super) fn is_pattern(word: &str) -> bool {
    word.contains(['*', '?', '[', '\\'])
}

fn matches_at(mut pattern: &[char], mut name: &[char]) -> bool {
    // What follows the last star, and where in the name it was tried. An earlier star need not be tried again:
    // whatever it could match, the last one can.
    let mut star: Option<(&[char], &[char])> = None;
    loop {
        match (pattern, name) {
            ([], []) => return true,
            (['*', rest @ ..], _) => {
                star = Some((rest, name));
                pattern = rest;
                continue;
            }
            ([first, rest @ ..], [character, others @ ..]) => {
                if let Some(behind) = behind(*first, rest, *character) {
                    (pattern, name) = (behind, others);
                    continue;
                }
            }
            _ => {}
        }
        let Some((behind_star, [_, later @ ..])) = star else { return false };
        star = Some((behind_star, later));
        (pattern, name) = (behind_star, later);
    }
}

/// The rest of a pattern, if its first element takes this character; `first` is not a star.
fn behind(first: char, rest: &[char], character: char) -> Option<&[char]> {
    match first {
        '?' => Some(rest),
        '[' => class(rest, character),
        '\\' => {
            rest.split_first().filter(|(wanted, _)| **wanted == character).map(|(_, rest)| rest)
        }
        wanted => (wanted == character).then_some(rest),
    }
}

/// The rest of a pattern behind a class that has this character.
fn class(pattern: &[char], character: char) -> Option<&[char]> {
    let (negated, mut pattern) = match pattern.strip_prefix(&['^']) {
        Some(rest) => (true, rest),
        None => (false, pattern),
    };
    let (mut found, mut is_first) = (false, true);
    loop {
        if let (Some(rest), false) = (pattern.strip_prefix(&[']']), is_first) {
            return (found != negated).then_some(rest);
        }
        is_first = false;
        let (low, rest) = one(pattern)?;
        let (high, rest) = match rest.strip_prefix(&['-']) {
            Some(rest) => one(rest)?,
            None => (low, rest),
        };
        found |= (low..=high).contains(&character);
        pattern = rest;
    }
}

/// A character of a class; `-`, `]` and the backslash need a backslash before them.
fn one(pattern: &[char]) -> Option<(char, &[char])> {
    match pattern {
        ['\\', character, rest @ ..] => Some((*character, rest)),
        ['-' | ']' | '\\', ..] | [] => None,
        [character, rest @ ..] => Some((*character, rest)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> Result<Arguments, Stop> {
        let words: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        parse(&words)
    }

    #[test]
    fn flags_are_read_as_go_reads_them() {
        for line in ["--install all", "-install all", "--install=all", "-install=all"] {
            assert_eq!(of(line).unwrap().install, "all", "{line}");
        }
        let line = of("--uninstall qemu-* -install=a=b --mount /m --install arm64,s390x").unwrap();
        assert_eq!((line.uninstall.as_str(), line.install.as_str()), ("qemu-*", "arm64,s390x"));
        assert_eq!(line.mount, PathBuf::from("/m"));
        // What stands behind a flag is its value, whatever it looks like.
        assert_eq!(of("--install --version").unwrap().install, "--version");
        assert_eq!(of("").unwrap().mount, PathBuf::from(MOUNT_POINT));
        for (line, wanted) in [
            ("--version", true),
            ("-version=true", true),
            ("-version=1", true),
            ("-version=F", false),
            ("-version=0", false),
        ] {
            assert_eq!(of(line).unwrap().version, wanted, "{line}");
        }
        for (line, rest) in [
            ("--install a b c", &["b", "c"][..]),
            ("--install a -- --version", &["--version"]),
            ("- --version", &["-", "--version"]),
            ("word --version", &["word", "--version"]),
        ] {
            let line = of(line).unwrap();
            assert_eq!(line.rest, rest);
            assert!(!line.version);
        }
    }

    #[test]
    fn unknown_flags_are_bad_usage() {
        for (line, why) in [
            ("--all", "flag provided but not defined: -all"),
            ("--install=a --Version", "flag provided but not defined: -Version"),
            ("--install", "flag needs an argument: -install"),
            ("---install a", "bad flag syntax: ---install"),
            ("--=a", "bad flag syntax: --=a"),
            ("-version=yes", "invalid boolean value \"yes\" for -version"),
        ] {
            assert_eq!(of(line), Err(Stop::Bad(why.to_owned())), "{line}");
        }
        for line in ["-h", "--help", "-help", "--install a -h"] {
            assert_eq!(of(line), Err(Stop::Help), "{line}");
        }
    }

    #[test]
    fn patterns_match_as_gos_do() {
        for (pattern, name, wanted) in [
            ("qemu-*", "qemu-aarch64", true),
            ("qemu-*", "qemu-", true),
            ("qemu-*", "WSLInterop", false),
            ("*", "anything", true),
            ("*64", "qemu-aarch64", true),
            ("*64", "qemu-aarch64_be", false),
            ("a*b*c", "a-b-c-b-c", true),
            ("a*b*c", "a-b-c-b", false),
            // Many stars take no exponential time.
            ("*************************x", "qemu-microblazeel-0xbaab-static", false),
            ("q*-*m*", "qemu-arm", true),
            ("qemu-arm?b", "qemu-armeb", true),
            ("qemu-arm?", "qemu-arm", false),
            ("qemu-[a-c]*", "qemu-cris", true),
            ("qemu-[^a-c]*", "qemu-cris", false),
            ("qemu-[sx]*", "qemu-xtensa", true),
            ("qemu-[a\\-]*", "qemu--", true),
            ("a\\*", "a*", true),
            ("a\\*", "ab", false),
            ("", "", true),
            // Malformed.
            ("qemu-[", "qemu-[", false),
            ("qemu-[]a]", "qemu-a", false),
            ("qemu-[a-]", "qemu-a", false),
            ("qemu-\\", "qemu-\\", false),
        ] {
            assert_eq!(matches(pattern, name), wanted, "{pattern} {name}");
        }
        assert!(is_pattern("qemu-*") && is_pattern("a[b]") && !is_pattern("linux/arm/v7"));
    }

    #[test]
    fn lists_are_separated_by_commas() {
        assert_eq!(list("arm64, s390x,,").collect::<Vec<_>>(), ["arm64", "s390x"]);
        assert_eq!(list("").count(), 0);
    }
}
