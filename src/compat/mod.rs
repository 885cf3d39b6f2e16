//! The drop-in for tonistiigi/binfmt: its command line, for whoever calls the program `binfmt`.
//!
//! Standard output is byte for byte that tool's. How rules are registered and which exit codes there are is ours.

mod arguments;
mod environment;
mod image;
mod install;
mod listing;
mod uninstall;

use std::ffi::{OsStr, OsString};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::config::Settings;
use crate::failure::{Failure, FailureKind};
use crate::observe;
use crate::plan::Request;
use crate::shown::plain;
use crate::system::binfmt_misc::instance::{Instance, InstanceError, MOUNT_POINT};
use crate::system::binfmt_misc::mount::{self, Lifetime, Mount, MountError};
use crate::system::binfmt_misc::record;
use crate::system::host::namespace;
use crate::system::process::batch::Limits;
use crate::verify;
use arguments::{Arguments, Stop};
use environment::Environment;
use image::ImageRules;

const NAME: &str = "binfmt";

/// The worst that came of all steps; `None` where all is well.
type Worst = Option<FailureKind>;

/// Whether the program was called by that name.
pub fn is_called(arguments: &[OsString]) -> bool {
    let called = arguments.first().and_then(|path| Path::new(path).file_name());
    called == Some(OsStr::new(NAME))
}

/// Runs it with the words behind the program's name.
pub fn run(words: &[OsString]) -> Result<(), FailureKind> {
    let (arguments, environment) = match understand(words) {
        Ok(understood) => understood,
        Err(Stop::Help) => {
            print_usage();
            return Ok(());
        }
        Err(Stop::Bad(why)) => {
            say(&why);
            print_usage();
            return Err(FailureKind::Usage);
        }
    };
    match carry_out(&arguments, &environment).unwrap_or_else(|failure| Some(report(&failure))) {
        Some(worst) if !environment.exit_zero => Err(worst),
        _ => Ok(()),
    }
}

fn understand(words: &[OsString]) -> Result<(Arguments, Environment), Stop> {
    let arguments = arguments::parse(words)?;
    let environment = Environment::read(&environment::of_process)
        .map_err(|failure| Stop::Bad(failure.message))?;
    if !arguments.rest.is_empty() {
        let rest = arguments.rest.join(" ");
        if !environment.exit_zero {
            return Err(Stop::Bad(format!(
                "{rest} is not a flag (separate a list with commas: --install arm64,riscv64)"
            )));
        }
        // tonistiigi/binfmt ignores it.
        say(&format!("note: {rest} is not a flag, and ignored"));
    }
    Ok((arguments, environment))
}

fn print_usage() {
    // A closed standard error leaves nobody to tell.
    let _ = io::stderr().lock().write_all(arguments::USAGE.as_bytes());
}

/// Writes one line to standard error.
fn say(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{}", plain(line));
}

fn report(failure: &Failure) -> FailureKind {
    say(&format!("error: {}", failure.message));
    failure.kind
}

/// What the steps share.
struct Binfmt {
    settings: Settings,
    image: ImageRules,
    instance: Instance,
    lifetime: Lifetime,
    /// Held where the rules live no longer than our mount.
    _mount: Option<Mount>,
    /// The folder of the record of ownership.
    runtime: PathBuf,
    /// Whether paths in rules may belong to another root than ours.
    in_container: bool,
}

fn carry_out(arguments: &Arguments, environment: &Environment) -> Result<Worst, Failure> {
    let settings = environment.settings()?;
    if arguments.version {
        let version = version(&settings)?;
        say(&format!("{NAME}/{} qemu/{version}", env!("CARGO_PKG_VERSION")));
        return Ok(None);
    }
    let binfmt = Binfmt::open(settings, environment, &arguments.mount)?;
    let mut worst = None;
    let mut step = |result: Result<Worst, Failure>| {
        worst = worst.max(result.unwrap_or_else(|failure| Some(report(&failure))));
    };
    if arguments::list(&arguments.uninstall).next().is_some() {
        step(binfmt.uninstall(&arguments.uninstall));
    }
    if arguments::list(&arguments.install).next().is_some() {
        step(binfmt.install(&arguments.install));
    }
    // Printed last, whatever came of the rest.
    step(binfmt.print());
    Ok(worst)
}

/// The version of QEMU; the emulators of one folder are of one release.
fn version(settings: &Settings) -> Result<String, Failure> {
    let seen = observe::observe_without_instance(settings, &Request::default())?;
    let Some(file) = seen.interpreters.values().find_map(|found| found.usable.as_ref()) else {
        return Ok("none".to_owned());
    };
    let said = verify::version_of(&file.path, Limits::default())?.unwrap_or_default();
    let version = said.split_whitespace().skip_while(|word| *word != "version").nth(1);
    Ok(version.map_or_else(|| "unknown".to_owned(), |version| format!("v{version}")))
}

/// The instance that `--mount` names, unless it is the kernel's place. Where nothing is mounted there, the kernel's
/// place will do: a user namespace has one instance for all its mounts.
fn elsewhere(at: &Path) -> Result<Option<Instance>, Failure> {
    if at == Path::new(MOUNT_POINT) {
        return Ok(None);
    }
    let failed = |why| Failure::unavailable(format!("--mount {}: {why}", at.display()));
    match Instance::open(at) {
        Ok(instance) => Ok(Some(instance)),
        Err(InstanceError::NotMounted | InstanceError::Foreign(_)) => Ok(None),
        Err(InstanceError::NoFolder) => Err(failed("no such folder")),
        Err(InstanceError::BrokenAutomount(_) | InstanceError::Io(_)) => {
            Err(failed("cannot be opened"))
        }
    }
}

impl Binfmt {
    fn open(settings: Settings, environment: &Environment, at: &Path) -> Result<Self, Failure> {
        let in_container = namespace::in_container();
        let (instance, lifetime, mount) = if let Some(instance) = elsewhere(at)? {
            (instance, Lifetime::Host, None)
        } else {
            let mounted = mount::ensure().map_err(|error| match error {
                MountError::NotPermitted if in_container => {
                    Failure::not_permitted(format!("{error}: docker run --privileged"))
                }
                other => other.into(),
            })?;
            (mounted.instance, mounted.lifetime, mounted.mount)
        };
        Ok(Self {
            image: ImageRules::new(&settings, &environment.folder, &environment.prefix),
            settings,
            instance,
            lifetime,
            _mount: mount,
            runtime: record::folder(),
            in_container,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_called_by_its_name_alone() {
        for (called, wanted) in [
            ("binfmt", true),
            ("/usr/bin/binfmt", true),
            ("binfmtd", false),
            ("/opt/binfmt/binfmtd", false),
            ("", false),
        ] {
            assert_eq!(is_called(&[called.into(), "binfmt".into()]), wanted, "{called}");
        }
        assert!(!is_called(&[]));
    }
}
