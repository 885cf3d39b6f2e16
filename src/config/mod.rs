//! The configuration: fragments → merged → validated settings; only the last are public.
//!
//! [`parse()`] is pure and reads one text. [`load`] finds the files, refuses those that users other than root could
//! write, and merges them. All errors of all files are gathered.

mod error;
mod files;
mod fragment;
mod origin;
mod parse;
mod reader;
mod settings;
mod show;
mod validate;
mod values;

use std::path::Path;

pub use error::ConfigError;
pub use files::places;
pub use fragment::Fragment;
#[cfg(test)]
pub use origin::Origin;
pub use parse::parse;
#[cfg(test)]
pub use settings::Daemon;
pub use settings::{Buildx, CustomRule, Override, Settings, Targets};
pub use show::Shown;
pub use values::{
    BUILDER_MARK, PreserveArgv0, ValueError, Verify, builder_name, buildkitd_flags,
    check_driver_option,
};

use self::validate::Whole;
use crate::failure::Failure;
use crate::target::Table;

/// Reads the configuration below `root` (`/`, but for tests).
///
/// `explicit` is the file that `--config` names, not relative to `root`: it replaces the main file and all drop-ins,
/// and has to exist. Tables of targets are read either way. Links are followed as on the running system, so an
/// absolute one leaves `root`.
pub fn load(root: &Path, explicit: Option<&Path>) -> Result<Settings, Failure> {
    let found = files::find(root, explicit);
    let mut errors = found.errors;
    let mut whole = Whole { settings: errors.is_empty(), table: errors.is_empty() };
    let mut merged = Fragment::default();
    let mut files = Vec::new();
    for (path, text) in found.settings {
        match parse(&text, &path) {
            Ok(fragment) => merged = merged.overridden_by(fragment),
            Err(faults) => {
                whole.settings = false;
                errors.extend(faults);
            }
        }
        files.push(path);
    }
    let mut table = Table::embedded();
    for (path, text) in found.tables {
        let read = reader::check_syntax(&text, &path).and_then(|()| {
            table.extend(&text).map_err(|error| vec![ConfigError::of_table(&path, error)])
        });
        if let Err(faults) = read {
            whole.table = false;
            errors.extend(faults);
        }
        files.push(path);
    }
    match validate::validate(merged, table, files, whole) {
        Ok(settings) if errors.is_empty() => Ok(settings),
        validated => {
            errors.extend(validated.err().into_iter().flatten());
            Err(errors.into())
        }
    }
}

#[cfg(test)]
mod tests;
