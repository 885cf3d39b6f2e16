//! Workflow commands: the lines of standard output that the runner takes for itself.

use std::fmt::{self, Display, Write as _};
use std::io::{self, Write};

/// The text of a command, after `::`, or the value of one of its properties, where colon and comma are
/// escaped as well.
struct Escaped<'a> {
    text: &'a str,
    is_property: bool,
}

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.text.chars() {
            match c {
                '%' => f.write_str("%25")?,
                '\r' => f.write_str("%0D")?,
                '\n' => f.write_str("%0A")?,
                ':' if self.is_property => f.write_str("%3A")?,
                ',' if self.is_property => f.write_str("%2C")?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// How GitHub shows an annotation; the worst last.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum AnnotationLevel {
    Notice,
    Warning,
    Error,
}

pub(super) fn annotate(
    out: &mut dyn Write,
    level: AnnotationLevel,
    title: &str,
    message: &str,
) -> io::Result<()> {
    let word = match level {
        AnnotationLevel::Notice => "notice",
        AnnotationLevel::Warning => "warning",
        AnnotationLevel::Error => "error",
    };
    let title = Escaped { text: title, is_property: true };
    let message = Escaped { text: message, is_property: false };
    writeln!(out, "::{word} title={title}::{message}")
}
