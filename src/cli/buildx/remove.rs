//! `binfmtd buildx remove`

use super::Patience;
use crate::buildx::apply::Executor;
use crate::buildx::observe::{self, Orphan};
use crate::buildx::record::BuilderStore;
use crate::cli::context::Context;
use crate::cli::{Exit, Failure};
use crate::report::{OrphanDocument, RemovalDocument, text};

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
    let mut store = BuilderStore::open()?;
    let seen = observe::observe(&docker)?;
    let mut orphans = observe::orphans(&docker, &seen, &store.record)?;
    let name = &super::name(&settings, arguments.name.as_deref())?;
    let mut document =
        RemovalDocument { ok: true, builder: None, orphans: Vec::new(), errors: Vec::new() };
    let mut workshop = Executor::new(&docker, &seen.engine, &mut store);
    if !arguments.all_orphans {
        if let Some(builder) = seen.builder(name) {
            workshop.remove(builder, arguments.keep_state)?;
            document.builder = Some(name.clone());
        }
        // What is left of a builder of this name whose record buildx has lost.
        let builder_of =
            |orphan: &Orphan| workshop.store.record.builder_of(&seen.engine.id, &orphan.node);
        orphans.retain(|orphan| {
            orphan.ours && builder_of(orphan) == Some(name) && !arguments.keep_state
        });
    }
    for orphan in &orphans {
        let mut line = OrphanDocument::from(orphan);
        if orphan.ours && (arguments.yes || !arguments.all_orphans) {
            match workshop.remove_orphan(orphan) {
                Ok(()) => line.removed = true,
                Err(error) => {
                    document.errors.push(format!("{} {}: {error}", line.kind, line.name));
                }
            }
        }
        document.orphans.push(line);
    }
    document.ok = document.errors.is_empty();
    context.print(&document, |out| text::removal(out, &document))?;
    Ok(Exit::of(document.ok))
}
