//! What the drop-in says on standard error, and how badly its steps ended.

use std::io::{self, Write as _};

use crate::failure::{Failure, FailureKind};
use crate::shown::plain;

/// The worst failure of all steps; `None` if none failed.
pub(super) type Worst = Option<FailureKind>;

/// Writes one line to standard error.
pub(super) fn say(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{}", plain(line));
}

pub(super) fn report(failure: &Failure) -> FailureKind {
    say(&format!("error: {}", failure.message));
    failure.kind
}
