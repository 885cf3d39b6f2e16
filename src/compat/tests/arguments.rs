use std::ffi::OsString;
use std::path::PathBuf;

use super::super::arguments::{Arguments, Stop, is_pattern, list, matches, parse};
use crate::system::binfmt_misc::instance::MOUNT_POINT;

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
