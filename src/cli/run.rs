//! `binfmtd run`

use clap::ValueHint;
use std::ffi::OsString;
use std::process::ExitCode;

use super::Failure;
use super::context::{self, Context};
use super::register::{self, Holding};
use crate::apply::Options;
use crate::config::{Settings, Verify};
use crate::failure::FailureKind;
use crate::plan::{self, Request};
use crate::system::binfmt_misc::private;
use crate::system::binfmt_misc::record::FOLDER_VARIABLE;
use crate::system::process::batch::{BatchError, Limits};
use crate::system::process::signal::Interrupt;
use crate::system::process::supervise::{self, CommandError};
use crate::verify::{Depth, Laboratory, Subject};

/// Register, then run a command: entrypoint of a container, or without root in a private instance
///
/// Holds `binfmt_misc` while the command runs, hands it every signal, reaps what becomes an orphan, and
/// exits with its status (128 and the signal's number when one ended it). What cannot be registered, or
/// does not work, is a warning, and the command runs; --strict forbids it.
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
    let options =
        Options { verify: settings.verify, private: arguments.private, limits: Limits::default() };
    // Who asks us to end before the command runs waits until the folder below is gone; afterwards the
    // command hears of it.
    let interrupt = Interrupt::catch()?;
    // A private instance is no business of the host's record. Removed when this is dropped.
    let own_runtime = if arguments.private {
        Some(tempfile::Builder::new().prefix("binfmtd-run-").tempdir()?)
    } else {
        None
    };
    let runtime = own_runtime.as_ref().map(|folder| folder.path().to_owned());
    let environment: Vec<(&str, OsString)> =
        runtime.iter().map(|path| (FOLDER_VARIABLE, path.clone().into_os_string())).collect();
    let context = runtime.map_or_else(|| context.clone(), |runtime| context.in_runtime(runtime));
    let register = || {
        let (instance, mount) = if arguments.private {
            (private::enter_private()?, None)
        } else {
            let mounted = register::mounted(Holding::Yes)?;
            (mounted.instance, mounted.mount)
        };
        let outcomes = register::carry_out(&context, &instance, &settings, &request, options)?;
        Ok::<_, Failure>(((instance, mount), register::failures(&outcomes)))
    };
    // Held until the command has ended: its rules live as long.
    let (_held, failures) = match register() {
        Ok((held, failures)) => (Some(held), failures),
        // Without a private instance, the command is not what was asked for; a bad configuration is not to
        // go unnoticed; and who asks us to end wants no command.
        Err(failure)
            if arguments.private
                || failure.kind == FailureKind::Usage
                || interrupt.is_pending() =>
        {
            return Err(failure);
        }
        // Rules that somebody else has registered on the host may serve all the same.
        Err(failure) => {
            (None, without_rules_of_ours(&context, &settings, &request, arguments, failure)?)
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
            super::report(&failure, code, context.format);
            Ok(ExitCode::from(code))
        }
    }
}

/// Where nothing could be registered: the targets that do not run, each with why. With --strict nothing
/// but a proof of each that was asked for makes up for it.
fn without_rules_of_ours(
    context: &Context,
    settings: &Settings,
    request: &Request,
    arguments: &Arguments,
    failure: Failure,
) -> Result<Vec<String>, Failure> {
    let looked = if settings.verify == Verify::Off {
        Ok(None)
    } else {
        unserved(context, settings, request)
    };
    match looked {
        Ok(Some(failures)) if failures.is_empty() => {
            tracing::info!(
                "nothing was registered from here ({}), and every target that was asked for runs",
                failure.message
            );
            Ok(failures)
        }
        _ if arguments.strict => Err(failure),
        looked => {
            tracing::warn!(
                "nothing was registered, and the command runs all the same: {}",
                failure.message
            );
            if let Err(other) = &looked {
                tracing::warn!("what runs without it could not be checked: {}", other.message);
            }
            Ok(looked.ok().flatten().unwrap_or_default())
        }
    }
}

/// The targets that are asked for and whose programs do not run, each with why; `None` where nothing
/// says which those are.
fn unserved(
    context: &Context,
    settings: &Settings,
    request: &Request,
) -> Result<Option<Vec<String>>, Failure> {
    let seen = context.look_around(settings, request)?;
    let mut targets = plan::wanted(settings, request, &seen)?;
    if targets.is_empty() {
        return Ok(None);
    }
    targets.retain(|target| !seen.natives.contains(&target.name));
    let subjects: Vec<Subject<'_>> = targets
        .iter()
        .flat_map(|target| {
            let machines = target.identity.machines.iter();
            machines.map(|machine| Subject::taken_by(target, *machine, None))
        })
        .collect();
    let laboratory = Laboratory::open().map_err(BatchError::from)?;
    let mut progress = context.progress();
    let mut progress = |done, total| progress("running probes", done, total);
    let proofs = laboratory.prove(&subjects, Depth::Quick, Limits::default(), &mut progress)?;
    let failing = subjects.iter().zip(proofs).filter_map(|(subject, proof)| {
        let why = match &proof {
            Some(proof) if proof.works() => return None,
            Some(proof) if proof.nobody => "no rule takes its programs",
            Some(proof) => proof.failure().unwrap_or("its probe did not run"),
            None => "there is no probe of it",
        };
        Some(format!("{}: {why}", subject.target.name))
    });
    let mut failing: Vec<String> = failing.collect();
    failing.dedup();
    Ok(Some(failing))
}
