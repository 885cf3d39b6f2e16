//! `binfmtd buildx`

pub(super) mod bootstrap;
mod inspect;
mod remove;

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::time::Duration;

use super::context::Context;
use super::{Exit, Failure};
use crate::buildx::builder::Builder;
use crate::buildx::docker::Docker;
use crate::buildx::engine::{Engine, Location};
use crate::buildx::facts::PlatformFacts;
use crate::buildx::inspection::{self, InspectOptions, PlatformSupport};
use crate::buildx::kernel::{self, Kernel, KernelFacts};
use crate::buildx::platform::Platform;
use crate::config::{Settings, builder_name};
use crate::report::{BuilderDocument, outputs, text};
use crate::system::process::batch::Limits;

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

/// Names in one or several lists, each resolved, none twice.
fn platforms<'a>(settings: &'a Settings, lists: &[String]) -> Result<Vec<Platform<'a>>, Failure> {
    let mut found: Vec<Platform<'a>> = Vec::new();
    let names = lists.iter().flat_map(|list| list.split(',')).map(str::trim);
    for name in names.filter(|name| !name.is_empty()) {
        let platform = Platform::find(&settings.table, name)?;
        if !found.contains(&platform) {
            found.push(platform);
        }
    }
    if found.is_empty() && !lists.is_empty() {
        return Err(Failure::usage("an empty name: no platform is asked for"));
    }
    Ok(found)
}

/// The platforms of the command line, else of the configuration; `None` where neither says any.
fn wanted<'a>(
    settings: &'a Settings,
    lists: &[String],
) -> Result<Option<Vec<Platform<'a>>>, Failure> {
    match (lists, &settings.buildx.platforms) {
        ([], None) => Ok(None),
        ([], Some(names)) => platforms(settings, names).map(Some),
        (lists, _) => platforms(settings, lists).map(Some),
    }
}

/// Everything that Docker could build for.
fn all(settings: &Settings) -> Vec<Platform<'_>> {
    settings.table.targets().iter().filter_map(Platform::of).collect()
}

/// What the kernel does with each, in the same order. Of a kernel elsewhere nothing is known.
fn kernel_facts(
    context: &Context,
    settings: &Settings,
    engine: &Engine,
    platforms: &[Platform<'_>],
    prove: bool,
) -> Result<KernelFacts, Failure> {
    if let Location::Elsewhere(why) = &engine.location {
        let kernels = platforms.iter().map(|_| Kernel::Unknown(why.clone())).collect();
        return Ok(KernelFacts { kernels, registrable: Vec::new() });
    }
    let mut progress = context.progress();
    let mut progress = |done, total| progress("running probes", done, total);
    let options = context.observing(false, Limits::default());
    kernel::look(settings, platforms, options, prove, &mut progress)
}

/// All four facts about each platform.
fn facts(
    context: &Context,
    settings: &Settings,
    docker: &Docker,
    builder: &Builder,
    kernels: &[PlatformSupport<'_>],
    build: bool,
) -> Result<Vec<PlatformFacts>, Failure> {
    let mut progress = context.progress();
    let mut progress = |done, total| progress("building", done, total);
    let effort = effort(context, build);
    Ok(inspection::facts(docker, settings, builder, kernels, effort, &mut progress)?)
}

/// Digests are megabytes to copy: for who sees them.
fn effort(context: &Context, build: bool) -> InspectOptions {
    InspectOptions { build, digests: build && context.wants_all() }
}
