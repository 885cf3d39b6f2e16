//! `binfmtd buildx`

mod bootstrap;
mod common;
mod inspect;
mod remove;

use super::context::Context;
use super::exit::Exit;
use crate::failure::Failure;

/// Create, inspect, verify or remove a builder of buildx that builds for other CPUs
///
/// Runs the docker command with your own context, credentials and plugins.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  binfmtd buildx bootstrap              rules, a builder, and a test build for each platform\n  \
    binfmtd buildx inspect                kernel, image, builder and builds compared\n  \
    binfmtd buildx verify                 start the builder and repeat the test builds\n  \
    binfmtd buildx remove                 remove the builder"
)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Bootstrap(bootstrap::Arguments),
    Inspect(inspect::InspectArguments),
    Verify(inspect::VerifyArguments),
    Remove(remove::Arguments),
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> Result<Exit, Failure> {
    match &arguments.command {
        Command::Bootstrap(own) => bootstrap::run(context, own),
        Command::Inspect(own) => inspect::inspect(context, own),
        Command::Verify(own) => inspect::verify(context, own),
        Command::Remove(own) => remove::run(context, own),
    }
}
