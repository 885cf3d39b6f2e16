//! What is asked for × what was seen → what to do with the builder. Pure.

use std::fmt::{self, Display};

use super::builder::{Builder, Node, NodeStatus};
use super::kernel::PlatformSupport;
use super::refusal::{BuilderRefusal, ChangeReason, Obstacle};
use super::spec::{BuilderSpec, Recreate};

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BuilderStep {
    Create,
    /// Add a node.
    Append,
    /// Start what does not run, and wait until it answers.
    Boot,
    /// Restart a node's container, in the engine of this endpoint. Builds may be in flight in one that runs.
    Restart {
        container: String,
        endpoint: String,
        is_running: bool,
        why: ChangeReason,
    },
    /// Remove the builder and keep its state.
    Remove {
        why: ChangeReason,
    },
    /// Make it the builder of builds that name none.
    MakeCurrent,
}

impl Display for BuilderStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create => f.write_str("create the builder"),
            Self::Append => f.write_str("add the node"),
            Self::Boot => f.write_str("boot it"),
            Self::Restart { container, why, .. } => write!(f, "restart {container}: {why}"),
            Self::Remove { why } => write!(f, "remove it and keep its state: {why}"),
            Self::MakeCurrent => f.write_str("make it the current builder"),
        }
    }
}

/// What to do until the builder is there as it is asked for, and runs.
pub fn plan(spec: &BuilderSpec, builders: &[Builder]) -> Result<Vec<BuilderStep>, BuilderRefusal> {
    let found = builders.iter().find(|builder| builder.name == spec.name);
    let mut steps = match found {
        Some(builder) => adapt(spec, builder)?,
        None if spec.append => return Err(BuilderRefusal::NothingToAppendTo(spec.name.clone())),
        None => vec![BuilderStep::Create, BuilderStep::Boot],
    };
    let is_current = found.is_some_and(|builder| builder.current == Some(true));
    if spec.make_current && !(is_current && steps.is_empty()) {
        steps.push(BuilderStep::MakeCurrent);
    }
    Ok(steps)
}

/// What to do with a builder that is there.
fn adapt(spec: &BuilderSpec, builder: &Builder) -> Result<Vec<BuilderStep>, BuilderRefusal> {
    let name = || spec.name.clone();
    if !builder.is_managed() {
        return Err(BuilderRefusal::Driver { name: name(), driver: builder.driver.clone() });
    }
    if let Some(why) = recreation(spec, builder)? {
        return Ok(vec![BuilderStep::Remove { why }, BuilderStep::Create, BuilderStep::Boot]);
    }
    let mut steps = Vec::new();
    if spec.append && spec.node_of(builder).is_none() {
        steps.push(BuilderStep::Append);
    } else {
        check_node(spec, builder)?;
    }
    if let Some(node) = builder.unreachable_node() {
        return Err(BuilderRefusal::Unreachable(node));
    }
    if !steps.is_empty() || !builder.is_running() {
        steps.push(BuilderStep::Boot);
    }
    Ok(steps)
}

/// Refuses a builder that stays as it is and lacks the node, or the engine, that was named.
fn check_node(spec: &BuilderSpec, builder: &Builder) -> Result<(), BuilderRefusal> {
    let name = || spec.name.clone();
    let node = spec.node_of(builder);
    if let (Some(asked), None) = (&spec.node, node) {
        let nodes: Vec<&str> = builder.nodes.iter().map(|node| node.name.as_str()).collect();
        let (node, nodes) = (asked.clone(), nodes.join(", "));
        return Err(BuilderRefusal::NoSuchNode { name: name(), node, nodes });
    }
    // buildx keeps the address of the context "default", which is not known here.
    let Some(asked) = spec.endpoint.as_ref().filter(|asked| *asked != "default") else {
        return Ok(());
    };
    let nodes = node.map_or_else(|| builder.nodes.iter().collect(), |node| vec![node]);
    let is_there =
        |node: &&Node| node.endpoint.is_empty() || is_same_endpoint(&node.endpoint, asked);
    match nodes.first() {
        Some(first) if !nodes.iter().any(is_there) => Err(BuilderRefusal::OtherEngine {
            name: name(),
            node: first.name.clone(),
            there: first.endpoint.clone(),
            asked: asked.clone(),
        }),
        _ => Ok(()),
    }
}

/// Whether `kept` is what buildx keeps of an endpoint that is written as `words`: the name of a context as it is, and
/// an address in Docker's own form (`opts.ParseHost`).
fn is_same_endpoint(kept: &str, words: &str) -> bool {
    let with_port = |address: &str| match address.strip_prefix("tcp://") {
        Some(host) if !host.rsplit(']').next().unwrap_or(host).contains(':') => {
            format!("tcp://{host}:2375")
        }
        _ => address.to_owned(),
    };
    let words = words.trim();
    kept == words
        || [words.to_owned(), format!("tcp://{words}")]
            .iter()
            .any(|it| with_port(it) == with_port(kept))
}

/// Why a builder has to be created again, if it has.
fn recreation(
    spec: &BuilderSpec,
    builder: &Builder,
) -> Result<Option<ChangeReason>, BuilderRefusal> {
    let is_other = |node: &Node| match node.mark() {
        Some(mark) => mark != spec.mark(),
        None => !spec.fits(node),
    };
    let differs = spec.is_particular()
        && if spec.append {
            // The options are those of the node to add, which may be there by now.
            spec.node_of(builder).is_some_and(is_other)
        } else {
            builder.nodes.first().is_none_or(is_other)
        };
    let why = match (spec.recreate, &builder.error) {
        // Adding a node leaves the others as they are.
        (Recreate::Always, _) if !spec.append => ChangeReason::Requested,
        (_, Some(error)) => ChangeReason::NotLoaded(error.clone()),
        (_, None) if differs => ChangeReason::OtherOptions,
        (_, None) => return Ok(None),
    };
    allowed(spec, builder, why).map(Some)
}

/// Gives the reason back where it is enough to create a builder again.
fn allowed(
    spec: &BuilderSpec,
    builder: &Builder,
    why: ChangeReason,
) -> Result<ChangeReason, BuilderRefusal> {
    let name = spec.name.clone();
    if !builder.is_ours() {
        return Err(BuilderRefusal::NotOurs { name, why });
    }
    let obstacle = match spec.recreate {
        Recreate::Never => Obstacle::Forbidden,
        Recreate::Auto | Recreate::Always if spec.append => Obstacle::Append,
        Recreate::Auto | Recreate::Always if builder.nodes.len() > 1 => Obstacle::SeveralNodes,
        Recreate::Auto | Recreate::Always => return Ok(why),
    };
    Err(BuilderRefusal::NotAgain { name, why, obstacle })
}

/// The platforms that the kernel runs, `BuildKit` has a probe for, and the builder does not advertise: it looked at the rules
/// before theirs were there.
pub fn undetected<'k>(builder: &Builder, kernels: &'k [PlatformSupport<'_>]) -> Vec<&'k str> {
    let undetected = kernels.iter().filter(|(platform, kernel)| {
        platform.is_known_to_buildkit()
            && kernel.works() == Some(true)
            && !builder.advertises(&platform.name)
    });
    undetected.map(|(platform, _)| platform.name.as_str()).collect()
}

/// What makes a running builder detect what the kernel runs by now: `BuildKit` looks when it starts, so its containers
/// are restarted.
pub fn refresh(
    spec: &BuilderSpec,
    builder: &Builder,
    platforms: &[&str],
) -> Result<Vec<BuilderStep>, BuilderRefusal> {
    let why = ChangeReason::Outdated(owned(platforms));
    if !builder.is_ours() {
        return Err(BuilderRefusal::NotOurs { name: spec.name.clone(), why });
    }
    let restarts = builder.nodes.iter().filter_map(|node| {
        let container = builder.container(node)?;
        let is_running = node.status == NodeStatus::Running;
        let (endpoint, why) = (node.endpoint.clone(), why.clone());
        Some(BuilderStep::Restart { container, endpoint, is_running, why })
    });
    Ok(restarts.chain([BuilderStep::Boot]).collect())
}

/// The last resort for a builder that a restart did not help: a new container, with the state of the old one.
pub fn renew(
    spec: &BuilderSpec,
    builder: &Builder,
    platforms: &[&str],
) -> Result<Vec<BuilderStep>, BuilderRefusal> {
    let why = allowed(spec, builder, ChangeReason::StillFailing(owned(platforms)))?;
    Ok(vec![BuilderStep::Remove { why }, BuilderStep::Create, BuilderStep::Boot])
}

fn owned(platforms: &[&str]) -> Vec<String> {
    platforms.iter().map(|name| (*name).to_owned()).collect()
}
