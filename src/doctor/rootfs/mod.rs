//! A foreign root filesystem, whose programs are run.

mod checks;
pub(in crate::doctor) mod facts;
pub(in crate::doctor) mod gather;

use self::checks::load;
use super::check::Check;

pub use self::checks::load::id_of;

pub(super) const CHECKS: &[&Check] =
    &[&load::LOADER, &load::SHELL, &load::SIGNAL, &load::PIPES, &load::COMMAND];
