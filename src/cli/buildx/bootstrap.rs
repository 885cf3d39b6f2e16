//! `binfmtd buildx bootstrap`

use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;

use super::common::Common;
use crate::buildx::bootstrap::{self, BootstrapRequest};
use crate::buildx::options;
use crate::buildx::platform::Platform;
use crate::buildx::spec::{self, BuilderSpec, Recreate};
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::config::{self, Settings};
use crate::failure::Failure;
use crate::report::BuilderDocument;
use crate::system::process::batch::Limits;

/// Create a builder that builds for other CPUs, and prove it
///
/// Registers the rules that are missing, creates a builder with the docker-container driver, and builds for each platform,
/// FROM scratch and without network. Running it again changes nothing. A builder that has not detected the kernel's rules is
/// restarted. Only builders that binfmtd created are ever created again.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  binfmtd buildx bootstrap                                  all platforms that this kernel runs\n  \
    binfmtd buildx bootstrap --platform linux/arm64,s390x     these; fails unless each is built\n  \
    binfmtd buildx bootstrap mine --use --driver-opt network=host\n  \
    binfmtd buildx bootstrap mine --append --node far --endpoint ssh://far\n\n\
    Exit status: 0 if each requested platform is built, 1 if one is not or the builder may not be changed, 3 without\n\
    Docker, engine or image, or if the engine is on another machine, 4 without permission to use Docker's socket."
)]
pub(super) struct Arguments {
    /// Name of the builder, instead of the configured one (binfmtd)
    name: Option<String>,
    /// Platforms or targets, instead of the configured ones or all that the kernel runs; repeatable or comma-separated
    #[arg(long = "platform", value_name = "LIST")]
    platforms: Vec<String>,
    /// Option of the docker-container driver: image=…, network=…, env.NAME=…; repeatable
    #[arg(long = "driver-opt", value_name = "KEY=VALUE")]
    options: Vec<String>,
    /// Flags for buildkitd
    #[arg(long, value_name = "FLAGS", allow_hyphen_values = true)]
    buildkitd_flags: Option<String>,
    /// Configuration file for buildkitd
    #[arg(long, value_name = "FILE")]
    buildkitd_config: Option<PathBuf>,
    /// Add a node to the builder
    #[arg(long, requires = "node")]
    append: bool,
    /// Name of the node
    #[arg(long, value_name = "NODE")]
    node: Option<String>,
    /// Engine that the node runs in: a context or an address
    #[arg(long, value_name = "CONTEXT")]
    endpoint: Option<String>,
    /// Make it the default builder
    #[arg(long = "use")]
    make_current: bool,
    /// When to create the builder again; its state is kept
    #[arg(long, value_enum, default_value_t, value_name = "WHEN")]
    recreate: When,
    /// Run no probes and build nothing
    #[arg(long)]
    no_verify: bool,
    /// Do not register rules
    #[arg(long)]
    no_register: bool,
    /// Allow an engine on another machine, which has rules of its own
    #[arg(long)]
    remote: bool,
    /// Time to wait for an engine that does not answer yet
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(0..=3600))]
    wait: u64,
    #[command(flatten)]
    common: Common,
}

/// When a builder is created again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum When {
    /// If nothing else helps
    #[default]
    Auto,
    /// Each time
    Always,
    /// Never
    Never,
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> Result<Exit, Failure> {
    let settings = context.settings()?;
    let request = BootstrapRequest {
        spec: requested(&settings, arguments)?,
        platforms: Platform::requested(&settings, &arguments.platforms)?,
        verify: !arguments.no_verify,
        digests: context.wants_all(),
        register: !arguments.no_register,
        remote: arguments.remote,
        wait: Duration::from_secs(arguments.wait),
    };
    arguments.common.check()?;
    let docker = arguments.common.patience.docker()?;
    let observe = context.observing(false, Limits::default());
    let done =
        bootstrap::bootstrap(&docker, &settings, observe, &request, &mut context.progress())?;
    arguments.common.finish(context, &BuilderDocument::bootstrapped(&done))
}

fn requested(settings: &Settings, arguments: &Arguments) -> Result<BuilderSpec, Failure> {
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
    let name = spec::name(settings, arguments.name.as_deref())?;
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
