//! systemd's `binfmt.d` files (`binfmt.d(5)`): one register string a line, `#` and `;` begin comments.

use super::register::{self, RegisterError, Rule};

/// A file's lines without comments: each line's number (from 1), and the rule or what is wrong with it. As in
/// systemd, one bad line does not stop the rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BinfmtD(pub Vec<(usize, Result<Rule, RegisterError>)>);

impl BinfmtD {
    pub fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.0.iter().filter_map(|(_, line)| line.as_ref().ok())
    }
}

pub fn parse(content: &[u8]) -> BinfmtD {
    let lines = content
        .split(|byte| *byte == b'\n')
        .enumerate()
        .map(|(index, line)| (index + 1, line.trim_ascii()))
        .filter(|(_, line)| !matches!(line.first(), None | Some(b'#' | b';')))
        .map(|(number, line)| (number, register::parse(line)))
        .collect();
    BinfmtD(lines)
}
