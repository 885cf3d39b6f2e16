//! Debian's import files (`update-binfmts(8)`): `key value` lines under `/usr/share/binfmts`.

use std::fmt::Write as _;

use thiserror::Error;

use super::escape::escape;
use super::parts::Matcher;
use super::register::Rule;

/// A value that the format cannot hold: its lines are UTF-8 text without space at either end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the {0} cannot be written in this format: no line of text can hold it")]
pub struct DebianError(pub(super) &'static str);

/// The content of the file for `rule`. The format has no key for the flag `O`, so that flag is lost.
pub fn write(rule: &Rule, package: &str) -> Result<String, DebianError> {
    let line = |what, text: Option<&str>| {
        text.filter(|text| !text.is_empty() && text.trim() == *text && !text.contains('\n'))
            .map(str::to_owned)
            .ok_or(DebianError(what))
    };
    let package = line("package", Some(package))?;
    let interpreter = line("interpreter", rule.interpreter().as_path().to_str())?;
    let escaped = |bytes: &[u8]| {
        let mut text = Vec::new();
        // A space would end nothing here, but update-binfmts' own display splits at it.
        escape(bytes, b' ', &mut text);
        String::from_utf8_lossy(&text).into_owned()
    };
    let mut text = format!("package {package}\ninterpreter {interpreter}\n");
    match rule.matcher() {
        Matcher::Magic(magic) => {
            let _ = writeln!(text, "magic {}", escaped(magic.magic()));
            let _ = writeln!(text, "offset {}", magic.offset());
            let _ = writeln!(text, "mask {}", escaped(magic.mask()));
        }
        Matcher::Extension(extension) => {
            let _ = writeln!(text, "extension {}", extension.as_str());
        }
    }
    let flags = rule.flags();
    for (key, set) in [
        ("credentials", flags.credentials),
        ("preserve", flags.preserve_argv0),
        ("fix_binary", flags.fix_binary),
    ] {
        let _ = writeln!(text, "{key} {}", if set { "yes" } else { "no" });
    }
    Ok(text)
}
