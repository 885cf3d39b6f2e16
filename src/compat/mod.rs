//! The drop-in for tonistiigi/binfmt: its command line, if the program is called by the name `binfmt`.
//!
//! Standard output is the same, byte for byte; the way to register rules and the exit codes are binfmtd's.

mod arguments;
mod binfmt;
mod environment;
mod image;
mod install;
mod listing;
mod output;
mod uninstall;

use std::ffi::{OsStr, OsString};
use std::io::{self, Write as _};
use std::path::Path;

use crate::config::Settings;
use crate::failure::{Failure, FailureKind};
use crate::observe;
use crate::plan::Request;
use crate::system::process::batch::Limits;
use crate::verify;
use arguments::{Arguments, Stop};
use binfmt::Binfmt;
use environment::Environment;
use output::{Worst, report, say};

const NAME: &str = "binfmt";

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
    // If standard error is closed, there is nobody to tell.
    let _ = io::stderr().lock().write_all(arguments::USAGE.as_bytes());
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
    // Printed last, even if other steps failed.
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
