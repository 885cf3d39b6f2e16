//! `binfmtd doctor`

use std::time::Duration;

use super::context::{self, Context};
use super::{Exit, Failure};
use crate::doctor;
use crate::report::{DoctorDocument, text};
use crate::verify::Limits;

/// Verify end to end, and name the cause and the way out of whatever is wrong
///
/// Runs a tiny program of each CPU through the kernel: on the host and in an empty root. Changes nothing.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  binfmtd doctor                     everything that has an interpreter or a rule\n  \
    binfmtd doctor arm64 linux/s390x   these; fails when one of them does not work\n  \
    binfmtd doctor -v                  every check, passed ones too\n\n\
    Exits with 0 when all works, 1 when something does not, 3 when the kernel has no binfmt_misc."
)]
pub(super) struct Arguments {
    /// Targets or platforms, in place of the configuration's
    targets: Vec<String>,
    /// Seconds that each program may take
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,
    /// List all checks and what each proves
    #[arg(long)]
    list_checks: bool,
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> Result<Exit, Failure> {
    if arguments.list_checks {
        return list(context);
    }
    let settings = context.settings()?;
    let request = context::request(&settings, &arguments.targets, false)?;
    let limits = Limits { time: Duration::from_secs(arguments.timeout), ..Limits::default() };
    let mut progress = context.progress();
    let examination =
        doctor::examine(&settings, &request, context.manner(false, limits), &mut |done, total| {
            progress("running probes", done, total);
        })?;
    let unsupported = !examination.supported;
    let document = DoctorDocument::new(&examination, doctor::diagnose(&examination));
    context.print(&document, |out| text::doctor(out, &document, context.verbose))?;
    Ok(match document.ok {
        true => Exit::Well,
        false if unsupported => Exit::Unavailable,
        false => Exit::Failed,
    })
}

fn list(context: &Context) -> Result<Exit, Failure> {
    let document = crate::report::ChecksDocument::new();
    context.print(&document, |out| text::checks(out, &document))?;
    Ok(Exit::Well)
}
