//! Which folders the loop watches, so that it notices changes of configuration and interpreters.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use crate::config::{self, Settings};
use crate::system::files::watch::{Followed, Names};

/// The kernel gives up after 40 links (`MAXSYMLINKS`).
const MOST_LINKS: usize = 40;

pub(super) fn follow_configuration(explicit: Option<&Path>) -> Vec<Followed> {
    let places = config::places(Path::new("/"), explicit);
    let explicit = explicit.and_then(Path::file_name).and_then(OsStr::to_str);
    let folders = ["binfmtd.d", "tables.d"].into_iter().chain(explicit);
    let names = Names::Ending(".toml".to_owned(), folders.map(str::to_owned).collect());
    places.into_iter().map(|place| Followed::new(place, names.clone())).collect()
}

/// The folders that the links among these files lead through.
pub(super) fn follow_links<'a>(files: impl Iterator<Item = &'a PathBuf>) -> Vec<Followed> {
    let mut wanted = NamesByFolder::default();
    for file in files.filter(|file| file.canonicalize().is_ok_and(|real| real != **file)) {
        wanted.add_links(file);
    }
    wanted.followed()
}

/// The folders where interpreters are or may appear, and those that links to them lead through.
pub(super) fn follow_interpreters(settings: &Settings) -> Vec<Followed> {
    let programs: BTreeSet<String> =
        settings.table.targets().iter().flat_map(|target| target.interpreters.clone()).collect();
    let overrides = settings.overrides.values().filter_map(|own| own.interpreter.as_ref());
    let customs = settings.rules.iter().map(|custom| custom.rule.interpreter());
    let mut files: Vec<PathBuf> =
        overrides.chain(customs).map(|path| path.as_path().to_owned()).collect();
    let mut wanted = NamesByFolder::default();
    for folder in &settings.interpreter_directories {
        wanted.0.entry(folder.clone()).or_default().extend(programs.iter().cloned());
        files.push(folder.clone());
        let links = programs.iter().map(|name| folder.join(name));
        files.extend(links.filter(|path| path.is_symlink()));
    }
    for file in files {
        if let (Some(folder), Some(name)) =
            (file.parent(), file.file_name().and_then(OsStr::to_str))
        {
            wanted.add(folder.to_owned(), name.to_owned());
        }
        wanted.add_links(&file);
    }
    wanted.followed()
}

#[derive(Default)]
struct NamesByFolder(BTreeMap<PathBuf, BTreeSet<String>>);

impl NamesByFolder {
    fn add(&mut self, folder: PathBuf, name: String) {
        self.0.entry(folder).or_default().insert(name);
    }

    fn add_links(&mut self, path: &Path) {
        for (folder, name) in links_on(path) {
            self.add(folder, name);
        }
    }

    fn followed(self) -> Vec<Followed> {
        let folders = self.0.into_iter();
        folders.map(|(folder, names)| Followed::new(folder, Names::Only(names))).collect()
    }
}

/// Every link along a path, in its folders too, and the file at the end: each as a folder without links and a name in
/// it.
fn links_on(path: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut at = PathBuf::from("/");
    let mut todo: Vec<OsString> = Vec::new();
    let push = |todo: &mut Vec<OsString>, path: &Path| {
        todo.extend(path.components().rev().map(|it| it.as_os_str().to_owned()));
    };
    push(&mut todo, path);
    let mut left = MOST_LINKS;
    while let Some(name) = todo.pop() {
        if name == ".." {
            at.pop();
            continue;
        }
        let here = at.join(&name);
        let link = std::fs::read_link(&here).ok().filter(|_| left > 0);
        if (link.is_some() || todo.is_empty())
            && let Some(name) = name.to_str()
        {
            found.push((at.clone(), name.to_owned()));
        }
        match link {
            Some(link) => {
                left -= 1;
                push(&mut todo, &link);
            }
            // For the "/" that an absolute link begins with, `join` gives the root.
            None => at = here,
        }
    }
    found
}

#[cfg(test)]
mod tests;
