//! Which files can serve as interpreters.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use crate::config::Settings;
use crate::failure::Failure;
use crate::observation::{Candidates, InterpreterFault, InterpreterFile};
use crate::plan::guard::{self, Needs};
use crate::plan::{self, Native, Request};
use crate::system::files::interpreter::{self, Inspector};
use crate::target::Target;

pub(super) struct InterpreterFinder<'a> {
    pub(super) settings: &'a Settings,
    pub(super) native: &'a Native,
    pub(super) inspector: Inspector,
}

impl InterpreterFinder<'_> {
    /// For each target of the request: the first file that can serve, and what is wrong with the files before it.
    pub(super) fn of_targets(
        &mut self,
        request: &Request,
    ) -> Result<BTreeMap<String, Candidates>, Failure> {
        let settings = self.settings;
        let named = request.names(settings);
        let targets: Vec<&Target> = settings
            .table
            .targets()
            .iter()
            .filter(|target| {
                named.is_none_or(|names| names.contains(&target.name))
                    && !self.native.names().contains(&target.name)
            })
            .collect();
        let programs: HashSet<&str> =
            targets.iter().flat_map(|target| &target.interpreters).map(String::as_str).collect();
        let wanted = |name: &str| programs.contains(name);
        let mut folders = Vec::with_capacity(settings.interpreter_directories.len());
        for folder in &settings.interpreter_directories {
            let files = interpreter::list_unless_large(folder, &wanted)
                .map_err(Failure::io("list an interpreter directory"))?;
            folders.push((folder, files));
        }
        let mut found = BTreeMap::new();
        for target in &targets {
            let own = settings.overrides.get(&target.name).and_then(|own| own.interpreter.as_ref());
            let paths: Vec<PathBuf> = match own {
                Some(path) => vec![path.as_path().to_owned()],
                None => folders
                    .iter()
                    .flat_map(|(folder, files)| {
                        target
                            .interpreters
                            .iter()
                            .filter(|file| files.may_have(file))
                            .map(|file| folder.join(file))
                    })
                    .collect(),
            };
            let flags = plan::flags(settings, &target.name);
            let needs = Needs { fixed: true, credentials: flags.credentials };
            let mut candidates = Candidates::default();
            for path in paths {
                match self.acceptable(&path, needs) {
                    Ok(file) => {
                        candidates.usable = Some(file);
                        break;
                    }
                    // A large folder is not listed, so this file may not exist at all; a dangling link does.
                    Err(InterpreterFault::Missing)
                        if own.is_none() && path.symlink_metadata().is_err() => {}
                    Err(fault) => candidates.faulty.push((path, fault)),
                }
            }
            if candidates != Candidates::default() {
                found.insert(target.name.clone(), candidates);
            }
        }
        Ok(found)
    }

    pub(super) fn acceptable(
        &mut self,
        path: &Path,
        needs: Needs,
    ) -> Result<InterpreterFile, InterpreterFault> {
        let file = self.inspector.inspect(path)?;
        match guard::fault(&file, self.native, &self.settings.table, needs) {
            Some(fault) => Err(fault),
            None => Ok(file),
        }
    }
}
