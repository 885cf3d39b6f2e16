//! `binfmtd unregister`

use clap::ValueHint;

use super::context::{self, Context};
use super::exit::Exit;
use super::status;
use crate::failure::Failure;
use crate::reconcile;
use crate::report::{UnregisterDocument, text};

/// Remove rules that binfmtd registered
///
/// Removes only rules that the record of ownership names and that are still as they were registered. While
/// the service runs, rules that the configuration asks for come back.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  binfmtd unregister arm64   the rule for this target\n  binfmtd unregister --all   every rule that binfmtd registered"
)]
pub(super) struct Arguments {
    /// Targets or platforms
    #[arg(required_unless_present = "all", value_hint = ValueHint::Other)]
    targets: Vec<String>,
    /// Every rule that binfmtd registered, those of the configuration included
    #[arg(long, conflicts_with = "targets")]
    all: bool,
    /// Print what would be removed and change nothing
    #[arg(long)]
    dry_run: bool,
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> Result<Exit, Failure> {
    let settings = context.settings_if_any()?;
    let request = context::request(&settings, &arguments.targets, false)?;
    let instance = reconcile::find_instance()?;
    let (runtime, only) = (&context.runtime, request.only.as_deref());
    let removal = reconcile::remove(&instance, runtime, &settings.table, only, arguments.dry_run)?;
    let service = status::service(runtime, &instance);
    let document = UnregisterDocument::new(removal, service.as_ref(), arguments.dry_run);
    for warning in &document.warnings {
        tracing::warn!("{warning}");
    }
    context.print(&document, |out| text::unregister(out, &document))?;
    Ok(Exit::of(document.ok))
}
