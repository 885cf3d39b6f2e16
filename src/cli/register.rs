//! `binfmtd register`

use clap::ValueHint;

use super::context::{self, Context};
use super::exit::Exit;
use crate::config::Verify;
use crate::daemon::State;
use crate::failure::Failure;
use crate::reconcile::{self, Holder, Reconciler};
use crate::report::{RegisterDocument, text};

/// Make the kernel match the configuration
///
/// Mounts `binfmt_misc` if necessary, registers a rule for each target that is asked for, and proves each
/// rule by running a program of that CPU. Running it again changes nothing. Working rules of other owners
/// are left alone; stale or broken `qemu-*` rules are replaced without a gap.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  binfmtd register                       every target that has an interpreter\n  \
    binfmtd register arm64 linux/riscv64   these, by any name\n  \
    binfmtd register --dry-run             print the plan only"
)]
pub(super) struct Arguments {
    /// Targets or platforms, instead of the configuration's: arm64, linux/arm/v7, s390x
    #[arg(value_hint = ValueHint::Other)]
    targets: Vec<String>,
    /// Print the plan and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Run no programs of other CPUs: no trial before, no proof after
    #[arg(long)]
    no_verify: bool,
    /// Also replace working rules of other owners
    #[arg(long)]
    takeover: bool,
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> Result<Exit, Failure> {
    let mut settings = context.settings()?;
    if arguments.no_verify {
        settings.verify = Verify::Off;
    }
    let request = context::request(&settings, &arguments.targets, arguments.takeover)?;
    let runtime = &context.runtime;
    let done = if arguments.dry_run {
        let instance = reconcile::find_instance()?;
        Reconciler::command(&instance, runtime, &settings, &request).dry_run()?
    } else {
        if request.only.is_some() && State::load(runtime).is_some() {
            tracing::warn!(
                "the service runs, and keeps of these only what the configuration asks for (set targets, in \
                 /etc/binfmtd/binfmtd.d/50-mine.toml, say)"
            );
        }
        let mounted = reconcile::writable_instance(Holder::Nobody)?;
        Reconciler::command(&mounted.instance, runtime, &settings, &request)
            .run(&mut context.progress())?
    };
    let document = RegisterDocument::new(&done.outcomes, arguments.dry_run);
    context.print(&document, |out| text::register(out, &document, context.verbose))?;
    Ok(Exit::of(document.ok))
}
