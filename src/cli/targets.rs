//! `binfmtd targets`

use super::context::{self, Context};
use super::exit::Exit;
use crate::failure::Failure;
use crate::observe;
use crate::report::{TargetsDocument, text};
use clap::ValueHint;

/// Show the table of targets: names, platforms, magic, mask, interpreter found
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  binfmtd targets\n  binfmtd targets -v arm64   with its rule and all its names"
)]
pub(super) struct Arguments {
    /// Only these targets or platforms
    #[arg(value_hint = ValueHint::Other)]
    targets: Vec<String>,
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> Result<Exit, Failure> {
    let settings = context.settings()?;
    let request = context::request(&settings, &arguments.targets, false)?;
    let seen = observe::observe_without_instance(&settings, &request)?;
    let asked = |name: &String| request.only.as_ref().is_none_or(|names| names.contains(name));
    let targets: Vec<_> =
        settings.table.targets().iter().filter(|target| asked(&target.name)).collect();
    let document = TargetsDocument::new(&settings.table, &targets, &seen.natives, &|name| {
        seen.interpreters.get(name).cloned()
    });
    context.print(&document, |out| text::targets(out, &document, context.verbose))?;
    Ok(Exit::of(document.ok))
}
