//! `binfmtd buildx inspect` and `binfmtd buildx verify`

use super::{Common, all, facts, kernel_facts, wanted};
use crate::buildx::apply;
use crate::buildx::builder::{Builder, Node, NodeStatus};
use crate::buildx::inspection::{self, PlatformSupport};
use crate::buildx::kernel::Kernel;
use crate::buildx::observe::{self, DockerFacts};
use crate::buildx::platform::Platform;
use crate::buildx::refusal::BuilderRefusal;
use crate::cli::context::Context;
use crate::cli::{Exit, Failure};
use crate::config::Settings;
use crate::report::{BuilderDocument, OrphanDocument};

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
    let asked = super::platforms(&settings, &arguments.platforms)?;
    arguments.common.check()?;
    let docker = arguments.common.patience.docker()?;
    let name = &super::name(&settings, arguments.name.as_deref())?;
    let prove = !arguments.no_verify;
    let kernels = |seen: &DockerFacts, builder: &Builder| {
        let platforms = if asked.is_empty() { all(&settings) } else { asked.clone() };
        let look = kernel_facts(context, &settings, &seen.engine, &platforms, prove)?;
        let mut looked_at: Vec<PlatformSupport<'_>> =
            platforms.into_iter().zip(look.kernels).collect();
        if asked.is_empty() {
            inspection::keep_interesting(&settings, builder, &mut looked_at);
        }
        Ok(looked_at)
    };
    let mut progress = context.progress();
    let mut progress = |done, total| progress("building", done, total);
    let effort = super::effort(context, prove);
    let found = inspection::inspect(&docker, &settings, name, kernels, effort, &mut progress)?;
    let Some(builder) = &found.builder else {
        return absent(context, &arguments.common, &found.seen, name);
    };
    let mut document = BuilderDocument::new(&found.seen.engine, Some(builder), &found.facts);
    document.orphans = Some(found.orphans.iter().map(OrphanDocument::from).collect());
    if let Some(error) = &builder.error {
        document = document.with_error(&format!("buildx cannot load builder {name}: {error}"));
    } else if let Some(node) = found.resting() {
        document = document.with_error(&asleep(builder, node));
    }
    arguments.common.finish(context, &document)
}

/// Why nothing was built.
fn asleep(builder: &Builder, node: &Node) -> String {
    let (name, node_name) = (builder.name.clone(), node.name.clone());
    if let NodeStatus::Broken(error) = &node.status {
        return BuilderRefusal::Unreachable { name, node: node_name, error: error.clone() }
            .to_string();
    }
    let boot = if builder.is_ours() {
        "binfmtd buildx bootstrap"
    } else {
        "docker buildx inspect --bootstrap"
    };
    let state = node.status.word();
    format!("node {node_name} is {state}, so nothing was built; it is started by: {boot} {name}")
}

pub(super) fn verify(context: &Context, arguments: &VerifyArguments) -> Result<Exit, Failure> {
    let settings = context.settings()?;
    let asked = wanted(&settings, &arguments.platforms)?;
    arguments.common.check()?;
    let docker = arguments.common.patience.docker()?;
    let mut seen = observe::observe(&docker)?;
    let name = &super::name(&settings, arguments.name.as_deref())?;
    if seen.builder(name).is_none() {
        return absent(context, &arguments.common, &seen, name);
    }
    if !seen.builder(name).is_some_and(Builder::is_running) {
        apply::boot(&docker, name)?;
        seen.builders = observe::builders(&docker)?;
    }
    let Some(builder) = seen.builder(name) else {
        return absent(context, &arguments.common, &seen, name);
    };
    let platforms = asked.clone().unwrap_or_else(|| all(&settings));
    let look = kernel_facts(context, &settings, &seen.engine, &platforms, true)?;
    let mut looked_at: Vec<PlatformSupport<'_>> = platforms.into_iter().zip(look.kernels).collect();
    if asked.is_none() {
        inspection::keep_interesting(&settings, builder, &mut looked_at);
    }
    // One node that answers is enough to build with.
    let asleep = match builder.nodes.first() {
        Some(node) if builder.nodes.iter().all(|one| one.status != NodeStatus::Running) => {
            Some(asleep(builder, node))
        }
        _ => None,
    };
    let facts = facts(context, &settings, &docker, builder, &looked_at, asleep.is_none())?;
    let mut document = BuilderDocument::new(&seen.engine, Some(builder), &facts);
    if let Some(error) = asleep {
        document = document.with_error(&error);
    }
    arguments.common.finish(context, &document)
}

/// What the kernel runs; of a kernel elsewhere, what the builder advertises.
pub(super) fn keep_working(
    settings: &Settings,
    builder: &Builder,
    platforms: &mut Vec<PlatformSupport<'_>>,
) {
    let advertised = Platform::advertised(&settings.table, builder);
    platforms.retain(|(platform, kernel)| match kernel {
        Kernel::Unknown(_) => advertised.contains(platform),
        kernel => kernel.works() == Some(true) || matches!(kernel, Kernel::HasRule(_)),
    });
    inspection::sort(platforms);
}

fn absent(
    context: &Context,
    common: &Common,
    seen: &DockerFacts,
    name: &str,
) -> Result<Exit, Failure> {
    let others: Vec<String> = seen
        .builders
        .iter()
        .map(|builder| format!("{} ({})", builder.name, builder.driver))
        .collect();
    let others = if others.is_empty() { "none".to_owned() } else { others.join(", ") };
    let document = BuilderDocument::new(&seen.engine, None, &[]).with_error(&format!(
        "there is no builder {name}; binfmtd buildx bootstrap {name} makes it (there are: {others})"
    ));
    common.finish(context, &document)
}
