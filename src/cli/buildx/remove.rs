//! `binfmtd buildx remove`

use super::Patience;
use crate::buildx::removal::{self, RemovalRequest};
use crate::cli::context::Context;
use crate::cli::{Exit, Failure};
use crate::report::{RemovalDocument, text};

/// Take a builder of ours away, with its container and its state
///
/// Only what binfmtd made is ever taken away; other builders are left alone.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  binfmtd buildx remove                       the builder that the configuration names\n  \
    binfmtd buildx remove mine --keep-state     and keep its cache for the next one\n  \
    binfmtd buildx remove --all-orphans         list what builders that are gone have left\n  \
    binfmtd buildx remove --all-orphans --yes   and take away what is ours of it"
)]
pub(super) struct Arguments {
    /// The builder, in place of the configuration's (binfmtd)
    #[arg(conflicts_with = "all_orphans")]
    name: Option<String>,
    /// Keep the volume of its state: caches
    #[arg(long, conflicts_with = "all_orphans")]
    keep_state: bool,
    /// List containers and volumes of builders that are gone, whoever made them
    #[arg(long)]
    all_orphans: bool,
    /// Take away those of them that binfmtd made
    #[arg(long, requires = "all_orphans")]
    yes: bool,
    #[command(flatten)]
    patience: Patience,
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> Result<Exit, Failure> {
    let settings = context.settings_if_any()?;
    let docker = arguments.patience.docker()?;
    let name = &super::name(&settings, arguments.name.as_deref())?;
    let request = if arguments.all_orphans {
        RemovalRequest::Orphans { remove: arguments.yes }
    } else {
        RemovalRequest::Builder { name, keep_state: arguments.keep_state }
    };
    let document = RemovalDocument::from(&removal::remove(&docker, request)?);
    context.print(&document, |out| text::removal(out, &document))?;
    Ok(Exit::of(document.ok))
}
