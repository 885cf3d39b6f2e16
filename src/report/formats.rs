//! The table of output formats.

use super::format::Format;
use super::github::Github;
use super::json::Json;
use super::junit::Junit;
use super::text::Text;

/// Every value of `--format`, in the order of the help; the first one is the default.
pub static FORMATS: [&dyn Format; 4] = [&Text, &Json, &Junit, &Github];

/// The format of this name.
pub fn find(name: &str) -> Option<&'static dyn Format> {
    FORMATS.into_iter().find(|format| format.name() == name)
}

/// The formats that every command has, as a sentence names them.
pub fn general_formats() -> String {
    let names = FORMATS.iter().filter(|format| format.any().is_some()).map(|format| format.name());
    names.collect::<Vec<_>>().join(" or ")
}
