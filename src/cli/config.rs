//! `binfmtd config`

use clap::Subcommand;

use super::context::Context;
use super::exit::Exit;
use crate::failure::Failure;
use crate::report::ConfigDocument;

/// Show or check the configuration
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  binfmtd config show                            every value, and the file and line it comes from\n  \
    binfmtd config check --config ./binfmtd.toml   says nothing when all is well"
)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: ConfigCommand,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Print every setting in force, and where it comes from
    Show,
    /// Read every file; exit with 2 and name file and line when something is wrong
    Check,
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> Result<Exit, Failure> {
    let settings = context.settings()?;
    let document = ConfigDocument::new(&settings);
    match arguments.action {
        ConfigCommand::Show => {
            context.print(&document, |out| write!(out, "{}", settings.show()))?;
        }
        // Silence is success; JSON is a document all the same.
        ConfigCommand::Check => context.print(&document, |_| Ok(()))?,
    }
    Ok(Exit::Well)
}
