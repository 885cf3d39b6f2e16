//! Native programs that a rule for an extension would take.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::config::Settings;
use crate::failure::Failure;
use crate::plan::Native;
use crate::rule::{Header, Matcher};
use crate::system::files::interpreter;
use crate::system::files::read;

/// Folders of native programs, which would no longer start if a rule took them by their names.
const PROGRAM_FOLDERS: [&str; 9] = [
    "/usr/local/sbin",
    "/usr/local/bin",
    "/usr/sbin",
    "/usr/bin",
    "/usr/libexec",
    "/usr/lib",
    "/sbin",
    "/bin",
    "/lib64",
];

/// A rule for an extension looks at the path only. Returns, for each extension that the settings ask for, a native
/// program or script that the rule would take.
pub(super) fn captured_names(
    settings: &Settings,
    native: &Native,
) -> Result<BTreeMap<String, PathBuf>, Failure> {
    let extensions: BTreeSet<&str> = settings
        .rules
        .iter()
        .filter_map(|custom| match custom.rule.matcher() {
            Matcher::Extension(extension) => Some(extension.as_str()),
            Matcher::Magic(_) => None,
        })
        .collect();
    let mut captured = BTreeMap::new();
    if extensions.is_empty() {
        return Ok(captured);
    }
    // As the kernel does, from the last dot on.
    let extension_of = |name: &str| {
        let (_, end) = name.rsplit_once('.')?;
        extensions.contains(end).then(|| end.to_owned())
    };
    for folder in PROGRAM_FOLDERS.map(Path::new) {
        let names = interpreter::list(folder, &|name| extension_of(name).is_some())
            .map_err(Failure::io("list a folder of programs"))?;
        for name in names {
            let Some(extension) = extension_of(&name) else { continue };
            let path = folder.join(name);
            let is_native =
                || read::first_bytes(&path).is_ok_and(|start| native.runs(&Header::new(&start)));
            if !captured.contains_key(&extension) && is_native() {
                captured.insert(extension, path);
            }
        }
    }
    Ok(captured)
}
