//! `binfmtd run`

use std::ffi::OsString;
use std::process::ExitCode;

use super::context::{self, Context};
use super::register::{self, Holding};
use super::{Exit, Failure};
use crate::apply::Options;
use crate::config::Verify;
use crate::system::batch::Limits;
use crate::system::namespace;
use crate::system::record::FOLDER_VARIABLE;
use crate::system::signal::Interrupt;
use crate::system::supervise::{self, CommandError};

/// Register, then run a command: entrypoint of a container, or without root in a private instance
///
/// Holds `binfmt_misc` while the command runs, hands it every signal, reaps what becomes an orphan, and
/// exits with its status (128 and the signal's number when one ended it).
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  binfmtd run --private -- binfmtd doctor         no root, the host untouched\n  \
    binfmtd run --private -- ./hello-riscv64        run one foreign program\n  \
    binfmtd run -- dockerd-entrypoint.sh            entrypoint of a Docker-in-Docker sidecar"
)]
pub(super) struct Arguments {
    /// In a user namespace of our own with an empty instance: nothing of the host changes
    #[arg(long)]
    private: bool,
    /// Do not run the command when a target that was asked for does not work
    #[arg(long)]
    strict: bool,
    /// Run no programs of other CPUs before the command
    #[arg(long)]
    no_verify: bool,
    /// Only this target or platform; may be given more than once, or with commas
    #[arg(long = "target", value_name = "TARGET")]
    targets: Vec<String>,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> Result<ExitCode, Failure> {
    let mut settings = context.settings()?;
    if arguments.no_verify {
        settings.verify = Verify::Off;
    }
    let request = context::request(&settings, &arguments.targets, false)?;
    let options =
        Options { verify: settings.verify, private: arguments.private, limits: Limits::default() };
    // Who asks us to end before the command runs waits until the folder below is gone; afterwards the
    // command hears of it.
    let _interrupt = Interrupt::catch()?;
    // A private instance is no business of the host's record. Removed when this is dropped.
    let own_runtime = if arguments.private {
        Some(tempfile::Builder::new().prefix("binfmtd-run-").tempdir()?)
    } else {
        None
    };
    // Held until the command has ended: its rules live as long.
    let (instance, _mount) = if arguments.private {
        (namespace::enter_private()?, None)
    } else {
        let mounted = register::mounted(Holding::Yes)?;
        (mounted.instance, mounted.mount)
    };
    let runtime = own_runtime.as_ref().map(|folder| folder.path().to_owned());
    let environment: Vec<(&str, OsString)> =
        runtime.iter().map(|path| (FOLDER_VARIABLE, path.clone().into_os_string())).collect();
    let context = runtime.map_or_else(|| context.clone(), |runtime| context.in_runtime(runtime));
    let outcomes = register::carry_out(&context, &instance, &settings, &request, options)?;
    let failures = register::failures(&outcomes);
    for failure in &failures {
        tracing::warn!("{failure}");
    }
    if arguments.strict && !failures.is_empty() {
        return Err(Failure {
            exit: Exit::Failed,
            message: format!("{} targets do not work, and --strict was given", failures.len()),
        });
    }
    match supervise::run(&arguments.command, &environment) {
        Ok(status) => Ok(ExitCode::from(status)),
        // As a shell, env(1) and container engines do.
        Err(error) => {
            let code = if matches!(error, CommandError::NotFound) { 127 } else { 126 };
            let message = format!("{}: {error}", arguments.command[0].to_string_lossy());
            super::report(Exit::Unavailable.kind(), code, message, context.format);
            Ok(ExitCode::from(code))
        }
    }
}
