//! What is wanted × what was seen → what is to be done with the builder. Pure.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};
use thiserror::Error;

use super::builder::{Builder, CONTAINER_PREFIX, DRIVER, Node, NodeStatus};
use crate::config::BUILDER_MARK;
use crate::rule::to_hex;

/// A builder as it is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuilderSpec {
    /// Its name.
    pub name: String,
    /// The driver's options.
    pub options: BTreeMap<String, String>,
    /// `buildkitd`'s flags, in one word as buildx takes them.
    pub flags: Option<String>,
    /// `buildkitd`'s configuration.
    pub config: Option<ConfigFile>,
    /// The node to make, by this name.
    pub node: Option<String>,
    /// Whether that is a further node of a builder that is there.
    pub append: bool,
    /// The engine that the node is to run in: an address or a context; `None` for the current one.
    pub endpoint: Option<String>,
    /// Whether builds are to go to it that name no other.
    pub make_current: bool,
    /// Whether it may be made anew.
    pub recreate: Recreate,
}

/// `buildkitd`'s configuration, a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigFile {
    /// Where it is.
    pub path: std::path::PathBuf,
    /// What is in it.
    pub content: Vec<u8>,
}

/// Whether a builder may be made anew; its state is kept, and only our own are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recreate {
    /// When nothing else helps.
    Auto,
    /// In any case.
    Always,
    /// Not at all.
    Never,
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BuilderStep {
    /// Make the builder.
    Create,
    /// Make a further node of it.
    Append,
    /// Start what does not run, and wait until it answers.
    Boot,
    /// Start a node's container again.
    Restart {
        /// Its name.
        container: String,
        /// The engine that it is in.
        endpoint: String,
        /// Why.
        why: String,
    },
    /// Take the builder away and keep its state.
    Remove {
        /// Why.
        why: String,
    },
    /// Have builds go to it that name no other.
    MakeCurrent,
}

impl std::fmt::Display for BuilderStep {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Create => f.write_str("create the builder"),
            Self::Append => f.write_str("add the node"),
            Self::Boot => f.write_str("boot it"),
            Self::Restart { container, why, .. } => write!(f, "restart {container}: {why}"),
            Self::Remove { why } => write!(f, "take it away and keep its state: {why}"),
            Self::MakeCurrent => f.write_str("make it the current builder"),
        }
    }
}

/// Why nothing is done: it would touch what is not ours, or was forbidden.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BuilderRefusal {
    /// A builder of another driver has the name.
    #[error(
        "builder {name} has the driver {driver}, and binfmtd makes and mends those of docker-container alone; choose another name \
         (binfmtd buildx verify {name} tells what this one builds)"
    )]
    Driver {
        /// The name.
        name: String,
        /// Its driver.
        driver: String,
    },
    /// It would have to be made anew, and somebody else made it.
    #[error(
        "builder {name} was not made by binfmtd, so it is not changed ({why}); choose another name, or take it away: docker buildx rm {name}"
    )]
    NotOurs {
        /// The name.
        name: String,
        /// Why it would have to be changed.
        why: String,
    },
    /// It would have to be made anew, and that was forbidden.
    #[error(
        "builder {name} would have to be made anew ({why}), and that is not to be: {forbidden} (binfmtd buildx remove {name} takes it away)"
    )]
    Never {
        /// The name.
        name: String,
        /// Why.
        why: String,
        /// What forbids it.
        forbidden: &'static str,
    },
    /// There is no builder to add a node to.
    #[error("there is no builder {0} to add a node to; without --append it is created")]
    NothingToAppendTo(String),
    /// A builder is there, without the node that is named.
    #[error(
        "builder {name} has no node {node}, only {nodes}; with --append it gets one, without --node it is taken as it is"
    )]
    NoSuchNode {
        /// The builder's name.
        name: String,
        /// The node's.
        node: String,
        /// What it has.
        nodes: String,
    },
    /// A builder is there, in another engine than the one that is named.
    #[error(
        "node {node} of builder {name} runs in {there}, not in {asked}; --append and --node add one there, or choose another name"
    )]
    OtherEngine {
        /// The builder's name.
        name: String,
        /// The node's.
        node: String,
        /// Where it runs.
        there: String,
        /// Where it should.
        asked: String,
    },
    /// A node of it is in an engine that cannot be reached.
    #[error(
        "node {node} of builder {name} cannot be reached: {error} ({})", way_out(.name, .node, .error)
    )]
    Unreachable {
        /// The builder's name.
        name: String,
        /// The node's name.
        node: String,
        /// buildx' words.
        error: String,
    },
    /// Builds are in flight, which a restart would end.
    #[error(
        "{container} is at work ({processes} processes), and would have to be restarted: {why}; try again when its builds are done, or --recreate always"
    )]
    Busy {
        /// The container.
        container: String,
        /// How many processes run in it.
        processes: usize,
        /// Why it would have to be restarted.
        why: String,
    },
}

impl BuilderSpec {
    /// Whether anything is said about how the builder is to be made.
    pub fn is_particular(&self) -> bool {
        !self.options.is_empty() || self.flags.is_some() || self.config.is_some()
    }

    /// The node that is named, where the builder has it.
    fn node_of<'b>(&self, builder: &'b Builder) -> Option<&'b Node> {
        let name = self.node.as_ref()?;
        builder.nodes.iter().find(|node| node.name == *name)
    }

    /// What marks a builder of ours, and tells the options that it was made with.
    pub fn mark(&self) -> String {
        let mut digest = Sha256::new();
        let mut field = |text: &[u8]| {
            digest.update(text.len().to_le_bytes());
            digest.update(text);
        };
        for (name, value) in &self.options {
            field(name.as_bytes());
            field(value.as_bytes());
        }
        field(self.flags.as_deref().unwrap_or_default().as_bytes());
        field(self.config.as_ref().map(|file| file.content.as_slice()).unwrap_or_default());
        to_hex(&digest.finalize()[..8])
    }

    /// Whether a node that somebody else made has what is wanted, as far as buildx tells: its configuration it does not.
    fn fits(&self, node: &Node) -> bool {
        let has = |flag: &str| node.flags.iter().any(|known| known == flag);
        self.options.iter().all(|(name, value)| node.options.get(name) == Some(value))
            && self.flags.iter().flat_map(|flags| flags.split_whitespace()).all(has)
    }

    /// All options of the driver, the mark included.
    pub fn all_options(&self) -> impl Iterator<Item = (String, String)> + '_ {
        let asked = self.options.iter().map(|(name, value)| (name.clone(), value.clone()));
        asked.chain([(BUILDER_MARK.to_owned(), self.mark())])
    }
}

/// What is to be done until the builder is there as it is wanted, and runs.
pub fn plan(wish: &BuilderSpec, builders: &[Builder]) -> Result<Vec<BuilderStep>, BuilderRefusal> {
    let name = || wish.name.clone();
    let found = builders.iter().find(|builder| builder.name == wish.name);
    let mut steps = Vec::new();
    match found {
        None if wish.append => return Err(BuilderRefusal::NothingToAppendTo(name())),
        None => steps.extend([BuilderStep::Create, BuilderStep::Boot]),
        Some(builder) if !builder.driver.is_empty() && builder.driver != DRIVER => {
            return Err(BuilderRefusal::Driver { name: name(), driver: builder.driver.clone() });
        }
        Some(builder) => {
            if let Some(why) = anew(wish, builder)? {
                steps.extend([BuilderStep::Remove { why }, BuilderStep::Create, BuilderStep::Boot]);
            } else {
                if wish.append && wish.node_of(builder).is_none() {
                    steps.push(BuilderStep::Append);
                } else {
                    is_where_it_should(wish, builder)?;
                }
                if let Some((node, error)) = builder.nodes.iter().find_map(unreachable) {
                    return Err(BuilderRefusal::Unreachable { name: name(), node, error });
                }
                if !steps.is_empty() || !builder.is_running() {
                    steps.push(BuilderStep::Boot);
                }
            }
        }
    }
    let is_current = found.is_some_and(|builder| builder.current == Some(true));
    if wish.make_current && !(is_current && steps.is_empty()) {
        steps.push(BuilderStep::MakeCurrent);
    }
    Ok(steps)
}

/// Whether a node that stays as it is is the one that was named, in the engine that was named.
fn is_where_it_should(wish: &BuilderSpec, builder: &Builder) -> Result<(), BuilderRefusal> {
    let name = || wish.name.clone();
    let node = wish.node_of(builder);
    if let (Some(asked), None) = (&wish.node, node) {
        let nodes: Vec<&str> = builder.nodes.iter().map(|node| node.name.as_str()).collect();
        return Err(BuilderRefusal::NoSuchNode {
            name: name(),
            node: asked.clone(),
            nodes: nodes.join(", "),
        });
    }
    // buildx keeps the address of the context "default", which is not known here.
    let Some(asked) = wish.endpoint.as_ref().filter(|asked| *asked != "default") else {
        return Ok(());
    };
    let is_there =
        |node: &Node| node.endpoint.is_empty() || is_same_endpoint(&node.endpoint, asked);
    let mut nodes =
        node.map_or_else(|| builder.nodes.iter().collect(), |node| vec![node]).into_iter();
    match nodes.clone().next() {
        Some(first) if !nodes.any(is_there) => Err(BuilderRefusal::OtherEngine {
            name: name(),
            node: first.name.clone(),
            there: first.endpoint.clone(),
            asked: asked.clone(),
        }),
        _ => Ok(()),
    }
}

/// Whether what buildx keeps of an endpoint is what it makes of these words: the name of a context as it is, and of an
/// address Docker's own form (`opts.ParseHost`).
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

/// What a person can do about a node that cannot be reached.
fn way_out(name: &str, node: &str, error: &str) -> String {
    if error.contains("is paused") {
        format!("docker unpause {CONTAINER_PREFIX}{node}")
    } else {
        format!("docker buildx rm {name} takes the builder away")
    }
}

fn unreachable(node: &Node) -> Option<(String, String)> {
    match &node.status {
        NodeStatus::Broken(error) => Some((node.name.clone(), error.clone())),
        _ => None,
    }
}

/// Why a builder has to be made anew, if it has.
fn anew(wish: &BuilderSpec, builder: &Builder) -> Result<Option<String>, BuilderRefusal> {
    let is_other = |node: &Node| match node.mark() {
        Some(mark) => mark != wish.mark(),
        None => !wish.fits(node),
    };
    let differs = wish.is_particular()
        && if wish.append {
            // What is said is said of the node to be added, which may be there by now.
            wish.node_of(builder).is_some_and(is_other)
        } else {
            builder.nodes.first().is_none_or(is_other)
        };
    let why = match (wish.recreate, &builder.error) {
        // A node that is added leaves the others as they are.
        (Recreate::Always, _) if !wish.append => "--recreate always".to_owned(),
        (_, Some(error)) => format!("buildx cannot load it: {error}"),
        (_, None) if differs => "it was made with other options".to_owned(),
        _ => return Ok(None),
    };
    allowed(wish, builder, why).map(Some)
}

/// Gives the reason back where it is enough to make a builder anew.
fn allowed(wish: &BuilderSpec, builder: &Builder, why: String) -> Result<String, BuilderRefusal> {
    let name = wish.name.clone();
    if !builder.is_ours() {
        return Err(BuilderRefusal::NotOurs { name, why });
    }
    // What further nodes were made with is not known well enough to make them again.
    let forbidden = match wish.recreate {
        Recreate::Never => "--recreate never",
        _ if wish.append => "a node is to be added to it",
        _ if builder.nodes.len() > 1 => "it has several nodes",
        _ => return Ok(why),
    };
    Err(BuilderRefusal::Never { name, why, forbidden })
}

/// How a builder that runs is made to know what the kernel does by now: its containers are started again.
pub fn refresh(
    wish: &BuilderSpec,
    builder: &Builder,
    platforms: &[&str],
) -> Result<Vec<BuilderStep>, BuilderRefusal> {
    let why = format!("what it knows of {} is out of date", platforms.join(", "));
    if !builder.is_ours() {
        return Err(BuilderRefusal::NotOurs { name: wish.name.clone(), why });
    }
    let restarts = builder.nodes.iter().map(|node| BuilderStep::Restart {
        container: node.container(),
        endpoint: node.endpoint.clone(),
        why: why.clone(),
    });
    Ok(restarts.chain([BuilderStep::Boot]).collect())
}

/// The last resort for a builder that does not see what the kernel runs: a new container, with its state.
pub fn renew(
    wish: &BuilderSpec,
    builder: &Builder,
    platforms: &[&str],
) -> Result<Vec<BuilderStep>, BuilderRefusal> {
    let why = format!("started again, it still does not build for {}", platforms.join(", "));
    let why = allowed(wish, builder, why)?;
    Ok(vec![BuilderStep::Remove { why }, BuilderStep::Create, BuilderStep::Boot])
}
