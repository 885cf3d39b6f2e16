//! `binfmtd run`

use std::ffi::OsString;
use std::process::ExitCode;

use clap::ValueHint;

use super::context::{self, Context};
use crate::config::Verify;
use crate::failure::{Failure, FailureKind};
use crate::reconcile::{self, Holder, Reconciler, Served, Unserved};
use crate::system::binfmt_misc::private;
use crate::system::binfmt_misc::record::FOLDER_VARIABLE;
use crate::system::process::signal::Interrupt;
use crate::system::process::supervise::{self, CommandError};

/// Register, then run a command: entrypoint of a container, or without root in a private instance
///
/// Keeps `binfmt_misc` mounted while the command runs, passes signals on to it, reaps orphans, and exits
/// with its status (128 plus the signal's number if a signal ended it). A target that cannot be registered,
/// or does not work, is a warning, and the command runs; --strict forbids that.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  binfmtd run --private -- binfmtd doctor         without root, the host untouched\n  \
    binfmtd run --private -- ./hello-riscv64        run one foreign program\n  \
    binfmtd run -- dockerd-entrypoint.sh            entrypoint of a Docker-in-Docker sidecar"
)]
pub(super) struct Arguments {
    /// In a new user namespace with an empty instance: nothing changes on the host
    #[arg(long)]
    private: bool,
    /// Do not run the command if a target that was asked for does not work
    #[arg(long)]
    strict: bool,
    /// Run no programs of other CPUs before the command
    #[arg(long)]
    no_verify: bool,
    /// Only this target or platform; more than once, or separated by commas
    #[arg(long = "target", value_name = "TARGET", value_hint = ValueHint::Other)]
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
    // A signal before the command runs waits until the folder below is gone; later ones are passed on to the
    // command.
    let interrupt = Interrupt::catch()?;
    // A private instance is not in the host's record. Removed when dropped.
    let own_runtime = if arguments.private {
        Some(tempfile::Builder::new().prefix("binfmtd-run-").tempdir()?)
    } else {
        None
    };
    let runtime = own_runtime.as_ref().map(|folder| folder.path().to_owned());
    let environment: Vec<(&str, OsString)> =
        runtime.iter().map(|path| (FOLDER_VARIABLE, path.clone().into_os_string())).collect();
    let context =
        Context { runtime: runtime.unwrap_or_else(|| context.runtime.clone()), ..context.clone() };
    let register = || {
        let (instance, mount) = if arguments.private {
            (private::enter_private()?, None)
        } else {
            let mounted = reconcile::writable_instance(Holder::Caller)?;
            (mounted.instance, mounted.mount)
        };
        let reconciler = Reconciler {
            private: arguments.private,
            ..Reconciler::command(&instance, &context.runtime, &settings, &request)
        };
        let failures = reconciler.run(&mut context.progress())?.failures();
        Ok::<_, Failure>(((instance, mount), failures))
    };
    // Held until the command has ended: its rules live as long.
    let (_held, failures) = match register() {
        Ok((held, failures)) => (Some(held), failures),
        // Without a private instance the command would change the host; a bad configuration must not go unnoticed;
        // and after a signal nobody wants the command.
        Err(failure)
            if arguments.private
                || failure.kind == FailureKind::Usage
                || interrupt.is_pending() =>
        {
            return Err(failure);
        }
        // Rules that somebody else registered on the host may serve all the same.
        Err(failure) => {
            let mut progress = context.progress();
            let mut progress = |done, total| progress("running probes", done, total);
            let served = reconcile::served_without_us(&settings, &request, &mut progress);
            (None, unregistered(served, failure, arguments.strict)?)
        }
    };
    for failure in &failures {
        tracing::warn!("{failure}");
    }
    if arguments.strict && !failures.is_empty() {
        return Err(Failure::failed(format!(
            "{} targets do not work, and --strict was given",
            failures.len()
        )));
    }
    match supervise::run(&arguments.command, &environment) {
        Ok(status) => Ok(ExitCode::from(status)),
        // As a shell, env(1) and container engines do.
        Err(error) => {
            let code = if matches!(error, CommandError::NotFound) { 127 } else { 126 };
            let program = arguments.command[0].to_string_lossy();
            let failure = Failure::unavailable(format_args!("{program}: {error}"));
            context::report(&failure, code, context.format);
            Ok(ExitCode::from(code))
        }
    }
}

/// The targets that do not run, each with why, where nothing could be registered. With --strict only a proof of every
/// target that was asked for makes up for that.
fn unregistered(served: Served, failure: Failure, strict: bool) -> Result<Vec<String>, Failure> {
    let without = &failure.message;
    match served {
        Served::All => {
            tracing::info!(
                "nothing was registered from here ({without}), and every target that was asked for runs"
            );
            Ok(Vec::new())
        }
        _ if strict => Err(failure),
        Served::Lacking(lacking) => {
            go_on(without);
            Ok(lacking.iter().map(Unserved::to_string).collect())
        }
        Served::Unknown => {
            go_on(without);
            Ok(Vec::new())
        }
        Served::Unchecked(other) => {
            go_on(without);
            tracing::warn!("what runs without it could not be checked: {}", other.message);
            Ok(Vec::new())
        }
    }
}

fn go_on(without: &str) {
    tracing::warn!("nothing was registered, and the command runs all the same: {without}");
}
