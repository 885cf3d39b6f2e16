//! Columns, line breaks and colours.

use std::fmt::Write as _;
use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

use crate::shown::plain;

pub(super) const GOOD: Style = AnsiColor::Green.on_default();
pub(super) const DOUBTFUL: Style = AnsiColor::Yellow.on_default();
pub(super) const BAD: Style = AnsiColor::Red.on_default().bold();
pub(super) const QUIET: Style = Style::new().dimmed();
pub(super) const STRONG: Style = Style::new().bold();

/// One field of a row: a text, and how it looks.
pub(super) type Cell = (String, Style);

pub(super) fn cell(text: impl AsRef<str>) -> Cell {
    styled(Style::new(), text)
}

pub(super) fn styled(style: Style, text: impl AsRef<str>) -> Cell {
    (plain(text.as_ref()), style)
}

/// Writes rows with aligned columns; the last column is not padded.
pub(super) fn rows(out: &mut dyn Write, rows: &[Vec<Cell>]) -> io::Result<()> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|(text, _)| text.chars().count())
            .max()
            .unwrap_or_default()
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for row in rows {
        for (column, (text, style)) in row.iter().enumerate() {
            let last = column + 1 == row.len();
            let padding = if last { 0 } else { widths[column] - text.chars().count() + 2 };
            write!(out, "{style}{text}{style:#}{:padding$}", "")?;
        }
        writeln!(out)?;
    }
    Ok(())
}

/// Wraps a text at its spaces to lines of `width` columns. It begins in column `at`; further lines begin in
/// column `indent`. Words that are too long are not broken.
pub(super) fn wrapped(text: &str, at: usize, indent: usize, width: Option<usize>) -> String {
    let Some(width) = width else { return text.to_owned() };
    let mut shown = String::with_capacity(text.len());
    let mut column = at;
    for (place, word) in text.split(' ').enumerate() {
        let length = word.chars().count();
        if place > 0 && column + 1 + length > width {
            let _ = write!(shown, "\n{:indent$}", "");
            column = indent;
        } else if place > 0 {
            shown.push(' ');
            column += 1;
        }
        shown.push_str(word);
        column += length;
    }
    shown
}
