//! Who registered the rules, by the files of other tools.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use crate::observation::Owner;
use crate::rule::{self, Entry};
use crate::system::files::read;
use crate::system::host::surroundings;

/// Names of the rules that systemd-binfmt registers at each start.
pub fn names_of_binfmt_d() -> BTreeSet<String> {
    let files = surroundings::binfmt_d(Path::new("/")).unwrap_or_default();
    let names = files.into_iter().flat_map(|(_, content)| {
        let parsed = rule::parse_binfmt_d(&content);
        parsed.rules().map(|rule| rule.name().to_string()).collect::<Vec<_>>()
    });
    names.collect()
}

/// The owner of each rule, by the rule's name, according to the files of other tools. A file counts only if its
/// content agrees with the rule.
pub fn other_owners(entries: &[Entry]) -> BTreeMap<String, Owner> {
    let mut owners = BTreeMap::new();
    let named = |name: &str| entries.iter().find(|entry| entry.name == name);
    for (path, content) in read::read_folder(Path::new("/var/lib/binfmts")) {
        // update-binfmts keeps a state file of the rule's name, the interpreter on a line of its own.
        let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
        let says = |entry: &&Entry| {
            let interpreter = entry.interpreter.as_os_str().as_bytes();
            content.split(|byte| *byte == b'\n').any(|line| line == interpreter)
        };
        if named(&name).as_ref().is_some_and(says) {
            owners.insert(name.into_owned(), Owner::UpdateBinfmts { file: path });
        }
    }
    for (path, content) in surroundings::binfmt_d(Path::new("/")).unwrap_or_default() {
        for rule in rule::parse_binfmt_d(&content).rules() {
            let name = rule.name().as_str();
            if named(name).is_some_and(|entry| rule.is(entry)) {
                owners.insert(name.to_owned(), Owner::SystemdBinfmt { file: path.clone() });
            }
        }
    }
    owners
}
