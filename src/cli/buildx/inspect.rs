//! `binfmtd buildx inspect` and `binfmtd buildx verify`

use super::Common;
use crate::buildx::inspection::InspectRequest;
use crate::buildx::platform::Platform;
use crate::cli::context::Context;
use crate::cli::{Exit, Failure};
use crate::report::{BuilderDocument, OrphanDocument};
use crate::system::process::batch::Limits;

/// Show a builder: what the kernel runs, the image embeds, the builder advertises, and really builds
///
/// Changes nothing and starts nothing. Builds a tiny program for each platform, from scratch and without network, because nothing
/// else tells: a builder advertises a platform for as long as it runs, whether its rule is still there or not.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  binfmtd buildx inspect                    the builder that the configuration names\n  \
    binfmtd buildx inspect mine --no-verify   a quick look, without a build\n\n\
    Exits with 1 when something that it advertises, or the kernel runs, does not build."
)]
pub(super) struct InspectArguments {
    /// The builder, in place of the configuration's (binfmtd)
    name: Option<String>,
    /// KernelFacts at these platforms, in place of all that are advertised or that the kernel runs
    #[arg(long = "platform", value_name = "LIST")]
    platforms: Vec<String>,
    /// Run no probes and build nothing
    #[arg(long)]
    no_verify: bool,
    #[command(flatten)]
    common: Common,
}

/// Prove that a builder builds: a tiny program of each platform, from scratch and without network
///
/// Boots the builder where it does not run.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  binfmtd buildx verify                                  all that it advertises or the kernel runs\n  \
    binfmtd buildx verify mine --platform linux/arm64,s390x these; fails when one is not built"
)]
pub(super) struct VerifyArguments {
    /// The builder, in place of the configuration's (binfmtd)
    name: Option<String>,
    /// Build for these platforms, in place of the configuration's or all that are advertised or that the kernel runs
    #[arg(long = "platform", value_name = "LIST")]
    platforms: Vec<String>,
    #[command(flatten)]
    common: Common,
}

pub(super) fn inspect(context: &Context, arguments: &InspectArguments) -> Result<Exit, Failure> {
    let settings = context.settings()?;
    let platforms = Platform::find_all(&settings.table, &arguments.platforms)?;
    let request = InspectRequest {
        name: super::name(&settings, arguments.name.as_deref())?,
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
        name: super::name(&settings, arguments.name.as_deref())?,
        platforms: super::platforms(&settings, &arguments.platforms)?,
        verify: true,
        digests: context.wants_all(),
    };
    arguments.common.check()?;
    let docker = arguments.common.patience.docker()?;
    let observe = context.observing(false, Limits::default());
    let found = request.verify(&docker, &settings, observe, &mut context.progress())?;
    arguments.common.finish(context, &BuilderDocument::inspected(&found))
}
