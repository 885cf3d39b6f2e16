//! `binfmtd buildx remove`

use super::common::Patience;
use crate::buildx::removal::{self, RemovalRequest};
use crate::buildx::spec;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::failure::Failure;
use crate::report::{RemovalDocument, text};

/// Remove a builder that binfmtd created, with its container and its state
///
/// Builders that somebody else created are never removed.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  binfmtd buildx remove                       the configured builder\n  \
    binfmtd buildx remove mine --keep-state     keep its cache for the next builder of this name\n  \
    binfmtd buildx remove --all-orphans         list what deleted builders left behind\n  \
    binfmtd buildx remove --all-orphans --yes   remove what binfmtd created of it"
)]
pub(super) struct Arguments {
    /// Name of the builder, instead of the configured one (binfmtd)
    #[arg(conflicts_with = "all_orphans")]
    name: Option<String>,
    /// Keep the volume with its state, such as caches
    #[arg(long, conflicts_with = "all_orphans")]
    keep_state: bool,
    /// List containers and volumes of deleted builders, whoever created them
    #[arg(long)]
    all_orphans: bool,
    /// Remove those of them that binfmtd created
    #[arg(long, requires = "all_orphans")]
    yes: bool,
    #[command(flatten)]
    patience: Patience,
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> Result<Exit, Failure> {
    let settings = context.settings_if_any()?;
    let docker = arguments.patience.docker()?;
    let name = &spec::name(&settings, arguments.name.as_deref())?;
    let request = if arguments.all_orphans {
        RemovalRequest::Orphans { remove: arguments.yes }
    } else {
        RemovalRequest::Builder { name, keep_state: arguments.keep_state }
    };
    let document = RemovalDocument::from(&removal::remove(&docker, request)?);
    context.print(&document, |out| text::removal(out, &document))?;
    Ok(Exit::of(document.ok))
}
