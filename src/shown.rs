//! Text from others, made safe for terminals, line-based readers and shells.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt as _;

/// Escapes a text so that it stays on one line. Anybody may name a rule or a file, and an interpreter may write what
/// it likes: none of it may control a terminal, break the lines of a log, or look like something else.
pub fn plain<T: AsRef<OsStr> + ?Sized>(text: &T) -> String {
    let text = text.as_ref().to_string_lossy();
    if !text.chars().any(deceives) {
        return text.into_owned();
    }
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if deceives(c) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// [`plain`] for each line of a text.
pub fn plain_lines(text: &str) -> String {
    text.lines().map(plain).collect::<Vec<_>>().join("\n")
}

/// Whether a character is more than visible text: controls, line and paragraph separators, changes of the writing
/// direction (Unicode's UAX #9), and characters without width.
fn deceives(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Quotes a word for a shell where necessary; the result has visible characters only.
pub fn quote<T: AsRef<OsStr> + ?Sized>(word: &T) -> String {
    let word = word.as_ref();
    let is_bare = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+:@%=,".contains(&byte);
    match word.to_str() {
        Some(text) if !text.is_empty() && text.bytes().all(is_bare) => text.to_owned(),
        Some(text) if !text.chars().any(deceives) => format!("'{}'", text.replace('\'', r"'\''")),
        _ => quote_bytes(word),
    }
}

/// `$'…'` of bash and, since POSIX 2024, of `sh`.
fn quote_bytes(word: &OsStr) -> String {
    let mut quoted = String::from("$'");
    for &byte in word.as_bytes() {
        if (byte.is_ascii_graphic() || byte == b' ') && !matches!(byte, b'\'' | b'\\') {
            quoted.push(char::from(byte));
        } else {
            // Octal escapes end after three digits; in some shells \x takes all hex digits that follow.
            let _ = write!(quoted, "\\{byte:03o}");
        }
    }
    quoted.push('\'');
    quoted
}

#[cfg(test)]
mod tests;
