//! What a command prints when something stands in the way.

use std::fmt::Display;

use crate::fix::{Fix, Reader};
use crate::system::host::privilege;

/// What is wrong and, in parentheses, what to do.
pub fn with_fix(problem: impl Display, fix: &Fix) -> String {
    let line = fix.line(Reader { uid: privilege::uid() });
    let text = fix.text.to_string();
    if line == text { format!("{problem} ({text})") } else { format!("{problem} ({text}: {line})") }
}
