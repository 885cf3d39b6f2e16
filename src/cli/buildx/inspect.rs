//! `binfmtd buildx inspect` and `binfmtd buildx verify`

use super::common::Common;
use crate::buildx::inspection::InspectRequest;
use crate::buildx::platform::Platform;
use crate::buildx::spec;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::failure::Failure;
use crate::report::{BuilderDocument, OrphanDocument};
use crate::system::process::batch::Limits;

/// Compare what the kernel runs, the image embeds, and the builder advertises and builds
///
/// Changes nothing and starts nothing. Builds a tiny program for each platform, FROM scratch and without network, because
/// nothing else proves it: a builder advertises a platform for as long as it runs, even if the rule is gone.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  binfmtd buildx inspect                    the configured builder\n  \
    binfmtd buildx inspect mine --no-verify   a quick look, without builds\n\n\
    Exit status: 1 if a platform that the builder advertises or the kernel runs does not build."
)]
pub(super) struct InspectArguments {
    /// Name of the builder, instead of the configured one (binfmtd)
    name: Option<String>,
    /// Platforms to inspect, instead of all that the builder advertises or the kernel runs
    #[arg(long = "platform", value_name = "LIST")]
    platforms: Vec<String>,
    /// Run no probes and build nothing
    #[arg(long)]
    no_verify: bool,
    #[command(flatten)]
    common: Common,
}

/// Prove that a builder builds: a tiny program of each platform, FROM scratch and without network
///
/// Starts the builder if it does not run.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  binfmtd buildx verify                                   all that it advertises or the kernel runs\n  \
    binfmtd buildx verify mine --platform linux/arm64,s390x these; fails unless each is built"
)]
pub(super) struct VerifyArguments {
    /// Name of the builder, instead of the configured one (binfmtd)
    name: Option<String>,
    /// Platforms to build for, instead of the configured ones or all that the builder advertises or the kernel runs
    #[arg(long = "platform", value_name = "LIST")]
    platforms: Vec<String>,
    #[command(flatten)]
    common: Common,
}

pub(super) fn inspect(context: &Context, arguments: &InspectArguments) -> Result<Exit, Failure> {
    let settings = context.settings()?;
    let platforms = Platform::find_all(&settings.table, &arguments.platforms)?;
    let request = InspectRequest {
        name: spec::name(&settings, arguments.name.as_deref())?,
        platforms: Some(platforms).filter(|platforms| !platforms.is_empty()),
        verify: !arguments.no_verify,
        digests: context.wants_all(),
    };
    arguments.common.check()?;
    let docker = arguments.common.patience.docker()?;
    let observe = context.observing(false, Limits::default());
    let found = request.inspect(&docker, &settings, observe, &mut context.progress())?;
    let mut document = BuilderDocument::inspected(&found);
    if found.builder.is_some() {
        document.orphans = Some(found.orphans.iter().map(OrphanDocument::from).collect());
    }
    arguments.common.finish(context, &document)
}

pub(super) fn verify(context: &Context, arguments: &VerifyArguments) -> Result<Exit, Failure> {
    let settings = context.settings()?;
    let request = InspectRequest {
        name: spec::name(&settings, arguments.name.as_deref())?,
        platforms: Platform::requested(&settings, &arguments.platforms)?,
        verify: true,
        digests: context.wants_all(),
    };
    arguments.common.check()?;
    let docker = arguments.common.patience.docker()?;
    let observe = context.observing(false, Limits::default());
    let found = request.verify(&docker, &settings, observe, &mut context.progress())?;
    arguments.common.finish(context, &BuilderDocument::inspected(&found))
}
