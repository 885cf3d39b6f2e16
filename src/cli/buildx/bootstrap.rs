//! `binfmtd buildx bootstrap`

use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;

use super::Common;
use crate::buildx::bootstrap::{self, BootstrapRequest};
use crate::buildx::options;
use crate::buildx::spec::{BuilderSpec, Recreate};
use crate::cli::context::Context;
use crate::cli::{Exit, Failure};
use crate::config::{self, Settings};
use crate::report::BuilderDocument;
use crate::system::process::batch::Limits;

/// Make a builder that builds for other CPUs, and prove that it does
///
/// First the kernel's rules, then a builder with the docker-container driver, then a build for each platform: from scratch, without
/// network. Doing it again changes nothing. A builder that does not see what the kernel runs by now is restarted; only what
/// binfmtd made is ever made anew.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  binfmtd buildx bootstrap                                  all that this kernel runs\n  \
    binfmtd buildx bootstrap --platform linux/arm64,s390x     these; fails when one is not built\n  \
    binfmtd buildx bootstrap mine --use --driver-opt network=host\n  \
    binfmtd buildx bootstrap mine --append --node far --endpoint ssh://far\n\n\
    Exits with 0 when each platform that was asked for is built, 1 when one is not or the builder may not be changed,\n\
    3 when there is no Docker, engine or image, or the engine is elsewhere, 4 when its socket may not be used."
)]
pub(super) struct Arguments {
    /// The builder's name, in place of the configuration's (binfmtd)
    name: Option<String>,
    /// Platforms or targets, in place of the configuration's or all that the kernel runs; more than once, or with commas
    #[arg(long = "platform", value_name = "LIST")]
    platforms: Vec<String>,
    /// An option of the docker-container driver: image=…, network=…, env.NAME=…; more than once
    #[arg(long = "driver-opt", value_name = "KEY=VALUE")]
    options: Vec<String>,
    /// Flags for buildkitd
    #[arg(long, value_name = "FLAGS", allow_hyphen_values = true)]
    buildkitd_flags: Option<String>,
    /// A configuration file for buildkitd
    #[arg(long, value_name = "FILE")]
    buildkitd_config: Option<PathBuf>,
    /// Make a further node of the builder
    #[arg(long, requires = "node")]
    append: bool,
    /// The node's name
    #[arg(long, value_name = "NODE")]
    node: Option<String>,
    /// The engine that the node is to run in: a context or an address
    #[arg(long, value_name = "CONTEXT")]
    endpoint: Option<String>,
    /// Make it the builder that is used where none is named
    #[arg(long = "use")]
    make_current: bool,
    /// Whether it may be made anew, with its state kept
    #[arg(long, value_enum, default_value_t, value_name = "WHEN")]
    recreate: When,
    /// Run no probes and build nothing
    #[arg(long)]
    no_verify: bool,
    /// Leave the kernel's rules as they are
    #[arg(long)]
    no_register: bool,
    /// The engine may be on another machine, which has rules of its own
    #[arg(long)]
    remote: bool,
    /// Seconds to wait for an engine that does not answer yet
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(0..=3600))]
    wait: u64,
    #[command(flatten)]
    common: Common,
}

/// When a builder is made anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum When {
    /// When nothing else helps
    #[default]
    Auto,
    /// In any case
    Always,
    /// Not at all
    Never,
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> Result<Exit, Failure> {
    let settings = context.settings()?;
    let request = BootstrapRequest {
        spec: spec(&settings, arguments)?,
        platforms: super::platforms(&settings, &arguments.platforms)?,
        verify: !arguments.no_verify,
        digests: context.wants_all(),
        register: !arguments.no_register,
        remote: arguments.remote,
        wait: Duration::from_secs(arguments.wait),
    };
    arguments.common.check()?;
    let docker = arguments.common.patience.docker()?;
    let observe = context.observing(false, Limits::default());
    let done = bootstrap::bootstrap(&docker, &settings, observe, request, &mut context.progress())?;
    arguments.common.finish(context, &BuilderDocument::bootstrapped(&done))
}

fn spec(settings: &Settings, arguments: &Arguments) -> Result<BuilderSpec, Failure> {
    let mut buildx = settings.buildx.clone();
    for text in &arguments.options {
        buildx.driver_options.extend(options::parse(text)?);
    }
    if let Some(flags) = &arguments.buildkitd_flags {
        let flags = config::buildkitd_flags(flags);
        let flags = flags.map_err(|why| Failure::usage(format!("--buildkitd-flags: {why}")))?;
        buildx.buildkitd_flags = Some(flags);
    }
    if let Some(file) = &arguments.buildkitd_config {
        buildx.buildkitd_config = Some(file.clone());
    }
    let name = super::name(settings, arguments.name.as_deref())?;
    let node = arguments.node.as_deref().map(config::builder_name);
    Ok(BuilderSpec {
        node: node.transpose().map_err(Failure::usage)?,
        append: arguments.append,
        endpoint: arguments.endpoint.clone(),
        make_current: arguments.make_current,
        recreate: match arguments.recreate {
            When::Auto => Recreate::Auto,
            When::Always => Recreate::Always,
            When::Never => Recreate::Never,
        },
        ..BuilderSpec::configured(&name, &buildx)?
    })
}
