//! Looks at a root filesystem, and runs its programs: a command that was asked for, or else what it has.

use std::ffi::OsString;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

use super::facts::{LoadedPart, NotRun, RootfsFacts, WorkloadResult};
use crate::config::Settings;
use crate::doctor::host::facts::HostFacts;
use crate::failure::Failure;
use crate::observation::ElfFacts;
use crate::plan::Request;
use crate::rule::{Header, winner};
use crate::shown::quote;
use crate::system::files::identity;
use crate::system::files::rootfs::{NoProgram, RootFilesystem};
use crate::system::process::batch::Limits;
use crate::system::process::child::ExecError;
use crate::verify::load::{self, SEARCH_PATH, Workload, WorkloadCommand};

/// Shells that have `-c`.
const SHELLS: [&str; 5] = ["/bin/sh", "/usr/bin/sh", "/bin/bash", "/bin/dash", "/bin/ash"];
/// Programs that end by themselves and change nothing. One of them may be dynamic even if the shell is not.
const PROGRAMS: [&str; 6] =
    ["/bin/true", "/usr/bin/true", "/bin/echo", "/usr/bin/env", "/bin/ls", "/usr/bin/ls"];
/// Where loaders are. A loader tells the target of a root without any of the programs above.
const LOADER_FOLDERS: [&str; 4] = ["/lib", "/lib64", "/usr/lib", "/usr/lib64"];

/// A root filesystem, and what is to be run of it.
pub struct ForeignRoot {
    root: RootFilesystem,
    told_by: PathBuf,
    header: Header,
    target: String,
    shell: Option<Program>,
    dynamic: Option<Program>,
    command: Option<WorkloadCommand>,
}

#[derive(Debug, Clone)]
struct Program {
    path: PathBuf,
    elf: ElfFacts,
}

impl ForeignRoot {
    /// Opens the folder and finds out what it is: by the command in `words`, else by its shell, by a program that
    /// most have, or by its loader.
    pub fn open(folder: &Path, words: &[OsString], settings: &Settings) -> Result<Self, Failure> {
        let root = RootFilesystem::open(folder).map_err(|error| {
            Failure::usage(format!(
                "open the root filesystem {}: {error} (name the folder that has its /bin and /lib in it)",
                folder.display()
            ))
        })?;
        let folder = root.path().display().to_string();
        let look = |path: &str| {
            root.may_start(Path::new(path)).ok()?;
            Program::at(&root, Path::new(path))
        };
        let shell = SHELLS.into_iter().find_map(look);
        let programs = || PROGRAMS.into_iter().filter_map(look);
        let command = match words.first() {
            None => None,
            Some(first) => Some(find(&root, Path::new(first))?),
        };
        // A script has no header; its shell tells the target.
        let of_command = command.as_ref().and_then(|path| Program::at(&root, path));
        let telling = of_command.clone().or_else(|| shell.clone()).or_else(|| programs().next());
        let telling = telling.or_else(|| Program::loader(&root)).ok_or_else(|| {
            Failure::usage(format!(
                "{folder} is no root filesystem: there is no program at {}, and no loader in {}",
                [&SHELLS[..], &PROGRAMS[..]].concat().join(", "),
                LOADER_FOLDERS.join(", ")
            ))
        })?;
        let target = settings.table.of_header(&telling.elf.header).ok_or_else(|| {
            Failure::unavailable(format!(
                "{} in {folder} is a program of no target in the table (e_machine {:#x}): binfmtd targets lists all",
                telling.path.display(),
                machine(&telling.elf.header)
            ))
        })?;
        if command.is_none() && shell.is_none() && programs().all(|one| one.elf.loader.is_none()) {
            return Err(Failure::usage(format!(
                "there is no shell in {folder} ({}), and no other program that could be run without being told how: \
                 name one with --exec",
                SHELLS.join(", ")
            )));
        }
        let of_target = |program: &Program| {
            settings.table.of_header(&program.elf.header).is_some_and(|own| own.name == target.name)
        };
        let is_dynamic = |program: &Program| program.elf.loader.is_some() && of_target(program);
        let dynamic = match &of_command {
            Some(program) => Some(program.clone()).filter(is_dynamic),
            None => shell.iter().cloned().chain(programs()).find(is_dynamic),
        };
        let target = target.name.clone();
        Ok(Self {
            command: command.map(|path| WorkloadCommand::ends_well(path, words.to_vec())),
            told_by: telling.path,
            header: telling.elf.header,
            target,
            shell,
            dynamic,
            root,
        })
    }

    /// The request for its target alone, which has to be one of those that were asked for.
    pub fn request(&self, asked: &Request) -> Result<Request, Failure> {
        let is_asked = asked.only.as_ref().is_none_or(|names| names.contains(&self.target));
        if !is_asked {
            return Err(Failure::usage(format!(
                "{} is a root filesystem of {} ({} says so), which is not what was asked for",
                self.root.path().display(),
                self.target,
                self.told_by.display()
            )));
        }
        Ok(Request { only: Some(vec![self.target.clone()]), takeover: false })
    }

    /// Runs its programs, each `times`.
    pub fn run(
        &self,
        host: &HostFacts<'_>,
        times: u32,
        limits: Limits,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<RootfsFacts, Failure> {
        let folder = self.root.path();
        if host.native.names().contains(&self.target) {
            return Err(Failure::usage(format!(
                "{} is a root filesystem of {}, whose programs this machine runs by itself: there is no emulation to \
                 look at",
                folder.display(),
                self.target
            )));
        }
        let mut parts: Vec<LoadedPart> = Vec::new();
        // If the loader does not start, what needs it need not be run.
        let (first, rest): (Vec<_>, Vec<_>) =
            Workload::ALL.into_iter().partition(|part| *part == Workload::Loader);
        for some in [first, rest] {
            let (mut runnable, mut jobs) = (Vec::new(), Vec::new());
            for part in some {
                match self.job(part, &parts) {
                    Ok(job) => {
                        runnable.push(part);
                        jobs.push(job);
                    }
                    Err(why) => parts.push(LoadedPart { part, outcome: Err(why) }),
                }
            }
            let tallies = load::load(self.root.as_fd(), &jobs, times, limits, progress)?;
            let outcomes = jobs.into_iter().zip(tallies).map(Ok);
            let loaded = runnable.into_iter().zip(outcomes);
            parts.extend(loaded.map(|(part, outcome)| LoadedPart { part, outcome }));
        }
        let refused = |outcome: &WorkloadResult| {
            outcome.as_ref().is_ok_and(|(_, tally)| {
                tally.well == 0 && tally.refused == Some(ExecError::NotPermitted)
            })
        };
        if parts.iter().any(|loaded| refused(&loaded.outcome)) {
            return Err(Failure::not_permitted(
                "this process may not change its root, and user namespaces are forbidden: run it as root",
            ));
        }
        let entries = &host.seen.instance.entries;
        let rule =
            winner(entries, &self.header, &self.told_by).map(crate::rule::Entry::display_name);
        let missing = self.dynamic.as_ref().and_then(|program| program.elf.loader.as_ref());
        parts.sort_by_key(|loaded| loaded.part);
        Ok(RootfsFacts {
            parts,
            folder: folder.to_owned(),
            told_by: self.told_by.clone(),
            target: self.target.clone(),
            machine: machine(&self.header),
            rule,
            mount_point: identity::mount_point(folder).ok(),
            noexec: self.root.is_noexec(),
            missing_loader: missing.map(PathBuf::from).filter(|loader| !self.root.has(loader)),
        })
    }

    /// How a part is run, after those that ran `before` it.
    fn job(&self, part: Workload, before: &[LoadedPart]) -> Result<WorkloadCommand, NotRun> {
        match (part, &self.command) {
            (Workload::Command, Some(command)) => return Ok(command.clone()),
            (Workload::Command, None) => return Err(NotRun::NoCommand),
            (_, Some(_)) => return Err(NotRun::OtherCommand),
            _ => {}
        }
        let shell = self.shell.as_ref();
        let no_shell = || NotRun::NoShell { looked_for: &SHELLS };
        if part != Workload::Loader {
            if shell.is_some_and(|shell| shell.elf.loader.is_some()) && loader_fails(before) {
                return Err(NotRun::LoaderFails);
            }
            return shell
                .and_then(|shell| WorkloadCommand::of_shell(part, &shell.path))
                .ok_or_else(no_shell);
        }
        let program =
            self.dynamic.as_ref().ok_or(NotRun::NothingDynamic { looked_for: &PROGRAMS })?;
        if shell.is_some_and(|shell| shell.path == program.path) {
            return WorkloadCommand::of_shell(part, &program.path).ok_or_else(no_shell);
        }
        Ok(WorkloadCommand::ends_well(
            program.path.clone(),
            vec![program.path.clone().into_os_string()],
        ))
    }
}

fn loader_fails(before: &[LoadedPart]) -> bool {
    before.iter().any(|loaded| {
        loaded.part == Workload::Loader
            && loaded.outcome.as_ref().is_ok_and(|(_, tally)| tally.well == 0)
    })
}

impl Program {
    fn at(root: &RootFilesystem, path: &Path) -> Option<Self> {
        let elf = root.program(path).ok()??;
        Some(Self { path: path.to_owned(), elf })
    }

    fn loader(root: &RootFilesystem) -> Option<Self> {
        LOADER_FOLDERS.iter().find_map(|folder| {
            let names = root.names(Path::new(folder)).into_iter();
            names
                .filter(|name| name.starts_with("ld-") || name.starts_with("ld."))
                .find_map(|name| Self::at(root, &Path::new(folder).join(name)))
        })
    }
}

/// Where execvp(3) would find a command in the root. A command that could not be started on any machine is an error of
/// usage.
fn find(root: &RootFilesystem, name: &Path) -> Result<PathBuf, Failure> {
    let folder = root.path().display();
    if name.as_os_str().is_empty() {
        return Err(Failure::usage("--exec takes a command, and an empty word is none"));
    }
    // Programs are started in the root's own `/`.
    let places: Vec<PathBuf> = if name.components().count() > 1 || name.is_absolute() {
        vec![Path::new("/").join(name)]
    } else {
        SEARCH_PATH.split(':').map(|folder| Path::new(folder).join(name)).collect()
    };
    let mut why_not = (NoProgram::Missing, name);
    for path in &places {
        match root.may_start(path) {
            Ok(()) => return Ok(path.clone()),
            Err(NoProgram::Missing) => {}
            Err(other) if why_not.0 == NoProgram::Missing => why_not = (other, path),
            Err(_) => {}
        }
    }
    let shown = why_not.1.display();
    Err(Failure::usage(match why_not.0 {
        NoProgram::Missing => {
            format!(
                "{shown} is not in {folder} (without a slash, it is looked for in {SEARCH_PATH})"
            )
        }
        NoProgram::NoFile => format!("{shown} in {folder} is no program: it is no regular file"),
        NoProgram::NotExecutable => {
            let path = why_not.1.strip_prefix("/").unwrap_or(why_not.1);
            format!(
                "{shown} in {folder} has no execute bit (chmod a+x {})",
                quote(&root.path().join(path))
            )
        }
        NoProgram::NoShell(shell) => {
            format!(
                "{shown} in {folder} is a script for {}, which is not in there",
                shell.display()
            )
        }
    }))
}

fn machine(header: &Header) -> u16 {
    let bytes = header.bytes();
    let field = [bytes[18], bytes[19]];
    // EI_DATA: 2 is the most significant byte first.
    if bytes[5] == 2 { u16::from_be_bytes(field) } else { u16::from_le_bytes(field) }
}
