use std::path::Path;

use super::*;

#[test]
fn words_are_quoted_for_a_shell() {
    for (word, wanted) in [
        ("/usr/bin/qemu-arm", "/usr/bin/qemu-arm"),
        ("", "''"),
        ("/a b", "'/a b'"),
        ("/a;$(b)", "'/a;$(b)'"),
        ("/it's", r"'/it'\''s'"),
        ("/\u{e9}", "'/\u{e9}'"),
        ("/a\x1b[1mb'", r"$'/a\033[1mb\047'"),
        ("/a\nb", r"$'/a\012b'"),
        ("/\u{202e}a", r"$'/\342\200\256a'"),
    ] {
        assert_eq!(quote(word), wanted);
    }
    assert_eq!(quote(OsStr::from_bytes(b"/\xff")), r"$'/\377'");
}

#[test]
fn nothing_steers_a_terminal_or_looks_like_something_else() {
    for (text, wanted) in [
        ("qemu-\u{e9} of \u{65e5}\u{672c}", "qemu-\u{e9} of \u{65e5}\u{672c}"),
        ("a\x1b[2J\r\n::error::b", r"a\u{1b}[2J\r\n::error::b"),
        ("a\u{9b}31m", r"a\u{9b}31m"),
        ("a\u{2028}b\u{2029}", r"a\u{2028}b\u{2029}"),
        ("\u{202e}gnp.exe\u{2066}", r"\u{202e}gnp.exe\u{2066}"),
        ("a\u{200b}b\u{feff}", r"a\u{200b}b\u{feff}"),
    ] {
        assert_eq!(plain(text), wanted);
    }
    assert_eq!(plain_lines("a\nb\x1b"), "a\nb\\u{1b}");
    assert_eq!(plain(Path::new("/a\nb")), r"/a\nb");
}
