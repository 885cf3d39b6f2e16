//! `\xHH` escapes, as the kernel and people write bytes.

use thiserror::Error;

/// Why a text does not spell bytes.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum HexError {
    /// Hex digits come in pairs.
    #[error("{0:?} has an odd number of hex digits")]
    Odd(String),
    /// Neither a hex digit nor a whole escape.
    #[error("{0:?} at byte {1} is neither a hex digit nor a \\xHH escape")]
    Bad(String, usize),
}

/// Whether a byte has to be escaped in a field of a register string: the kernel's string functions stop at NUL, it
/// strips a newline, `#` and `;` begin comments in binfmt.d, and a backslash begins an escape.
fn must_escape(byte: u8, delimiter: u8) -> bool {
    !byte.is_ascii_graphic() || matches!(byte, b'\\' | b'#' | b';') || byte == delimiter
}

/// Writes bytes so that any kernel and any shell reads them back: printable ones as they are.
pub(super) fn escape(bytes: &[u8], delimiter: u8, out: &mut Vec<u8>) {
    for &byte in bytes {
        if must_escape(byte, delimiter) {
            let [high, low] = hex(byte);
            out.extend_from_slice(&[b'\\', b'x', high, low]);
        } else {
            out.push(byte);
        }
    }
}

fn hex(byte: u8) -> [u8; 2] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 0xf)]]
}

/// Like [`escape`], with as few escapes as the kernel needs, for rules that would not fit otherwise.
pub(super) fn escape_tightly(bytes: &[u8], delimiter: u8, out: &mut Vec<u8>) {
    for &byte in bytes {
        if matches!(byte, 0 | b'\n' | b'\\') || byte == delimiter {
            escape(&[byte], delimiter, out);
        } else {
            out.push(byte);
        }
    }
}

/// Undoes `\xHH` as the kernel does: half an escape is an error wherever it stands (`scanarg`), and a
/// backslash before anything but an `x` stands for itself, and takes that byte along as it is
/// (`string_unescape`): `\\x41` is five bytes. The kernel would stop at a NUL, so that is an error too.
pub(super) fn unescape(text: &[u8]) -> Result<Vec<u8>, HexError> {
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    let pair = |at| text.get(at + 2..at + 4).and_then(|pair| digit(pair[0]).zip(digit(pair[1])));
    let is_escape = |at| text[at..].starts_with(b"\\x");
    let bad = |at: &usize| text[*at] == 0 || is_escape(*at) && pair(*at).is_none();
    if let Some(at) = (0..text.len()).find(bad) {
        return Err(HexError::Bad(String::from_utf8_lossy(text).into_owned(), at));
    }
    while at < text.len() {
        if let Some((high, low)) = pair(at).filter(|_| is_escape(at)) {
            out.push(high << 4 | low);
            at += 4;
        } else {
            let length = if text[at] == b'\\' { 2 } else { 1 };
            let end = text.len().min(at + length);
            out.extend_from_slice(&text[at..end]);
            at = end;
        }
    }
    Ok(out)
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// Bytes as hex digits, the kernel's way of showing magic and mask.
pub fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().flat_map(|byte| hex(*byte)).map(char::from).collect()
}

/// Reads what a person or the kernel writes for bytes: hex digits (spaces between them are fine), or
/// `\xHH` escapes with printable characters between them.
pub fn parse_hex(text: &str) -> Result<Vec<u8>, HexError> {
    if text.contains('\\') {
        return parse_escaped(text);
    }
    let mut digits = Vec::with_capacity(text.len());
    for (at, byte) in text.bytes().enumerate() {
        match digit(byte) {
            Some(value) => digits.push(value),
            None if byte == b' ' => {}
            None => return Err(HexError::Bad(text.to_owned(), at)),
        }
    }
    if digits.len() % 2 == 1 {
        return Err(HexError::Odd(text.to_owned()));
    }
    Ok(digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

fn parse_escaped(text: &str) -> Result<Vec<u8>, HexError> {
    let bytes = text.as_bytes();
    let mut at = 0;
    let mut out = Vec::new();
    while let Some(&byte) = bytes.get(at) {
        let bad = || HexError::Bad(text.to_owned(), at);
        if byte == b'\\' {
            let pair =
                bytes.get(at + 1..at + 4).filter(|escape| escape[0] == b'x').ok_or_else(bad)?;
            let (high, low) = digit(pair[1]).zip(digit(pair[2])).ok_or_else(bad)?;
            out.push(high << 4 | low);
            at += 4;
        } else if byte.is_ascii_graphic() {
            out.push(byte);
            at += 1;
        } else {
            return Err(bad());
        }
    }
    Ok(out)
}
