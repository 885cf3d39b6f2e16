//! `binfmtd buildx`

mod bootstrap;
mod inspect;
mod remove;

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::time::Duration;

use super::context::Context;
use super::{Exit, Failure};
use crate::buildx::docker::Docker;
use crate::buildx::platform::Platform;
use crate::config::{Settings, builder_name};
use crate::report::{BuilderDocument, outputs, text};

/// Make a builder of buildx that builds for other CPUs, look at it, prove it, or take it away
///
/// Uses the docker command with your own context, credentials and plugins.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  binfmtd buildx bootstrap              rules, builder, and a build for each platform\n  \
    binfmtd buildx inspect                what runs, is embedded, is advertised and is built\n  \
    binfmtd buildx verify                 prove it once more\n  \
    binfmtd buildx remove                 take it away"
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

/// How long to wait for docker.
#[derive(Debug, clap::Args)]
struct Patience {
    /// Seconds that each command of docker's may take: a pull of `BuildKit`'s image, a build
    #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,
}

impl Patience {
    fn docker(&self) -> Result<Docker, Failure> {
        Ok(Docker::find(Duration::from_secs(self.timeout))?)
    }
}

/// What those that show a builder have in common.
#[derive(Debug, clap::Args)]
struct Common {
    #[command(flatten)]
    patience: Patience,
    /// Write name, driver, platforms and nodes to the file that `GITHUB_OUTPUT` names, as docker/setup-buildx-action does
    #[arg(long)]
    github_output: bool,
}

impl Common {
    /// Refuses what could not be done in the end.
    fn check(&self) -> Result<(), Failure> {
        if self.github_output { output_file().map(|_| ()) } else { Ok(()) }
    }

    /// Prints what was found, and gives how it went.
    fn finish(&self, context: &Context, document: &BuilderDocument) -> Result<Exit, Failure> {
        if self.github_output {
            write_outputs(document)?;
        }
        context.print(document, |out| text::builder(out, document, context.verbose))?;
        Ok(Exit::of(document.ok))
    }
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> Result<Exit, Failure> {
    match &arguments.command {
        Command::Bootstrap(own) => bootstrap::run(context, own),
        Command::Inspect(own) => inspect::inspect(context, own),
        Command::Verify(own) => inspect::verify(context, own),
        Command::Remove(own) => remove::run(context, own),
    }
}

/// The builder's name: the command line's, else the configuration's.
pub(super) fn name(settings: &Settings, given: Option<&str>) -> Result<String, Failure> {
    builder_name(given.unwrap_or(&settings.buildx.name)).map_err(Failure::usage)
}

/// GitHub's name for the file that a step's outputs go to.
const OUTPUT_VARIABLE: &str = "GITHUB_OUTPUT";

fn output_file() -> Result<OsString, Failure> {
    let file = std::env::var_os(OUTPUT_VARIABLE).filter(|file| !file.is_empty());
    file.ok_or_else(|| {
        Failure::usage(format!(
            "--github-output: {OUTPUT_VARIABLE} is not set; GitHub Actions sets it for each step"
        ))
    })
}

fn write_outputs(document: &BuilderDocument) -> Result<(), Failure> {
    let file = output_file()?;
    let mut content = Vec::new();
    outputs::builder(&mut content, document)?;
    let written = OpenOptions::new()
        .append(true)
        .create(true)
        .open(&file)
        .and_then(|mut file| file.write_all(&content));
    written.map_err(|error| {
        Failure::unavailable(format!("{OUTPUT_VARIABLE}: {}: {error}", file.to_string_lossy()))
    })
}

/// The platforms of the command line, else of the configuration; `None` if neither names any.
fn platforms<'a>(
    settings: &'a Settings,
    lists: &[String],
) -> Result<Option<Vec<Platform<'a>>>, Failure> {
    let lists = if lists.is_empty() { settings.buildx.platforms.as_deref() } else { Some(lists) };
    let platforms = lists.map(|lists| Platform::find_all(&settings.table, lists));
    Ok(platforms.transpose()?)
}
