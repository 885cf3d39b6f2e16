//! Builders, their nodes and their containers: plain data, and how it is read from docker's output.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::docker::{DockerError, DockerOutput};
use super::driver::{self, Driver};
use super::refusal::UnreachableNode;
use crate::config::BUILDER_MARK;

/// [`BUILDER_MARK`] in the environment of a container.
const MARK_VARIABLE: &str = "BINFMTD_BUILDER=";

/// A builder of the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Builder {
    pub name: String,
    /// As buildx names it; empty if buildx could not load the builder.
    pub driver: String,
    /// Whether it is the default builder; buildx 0.13 does not say.
    pub current: Option<bool>,
    /// Why buildx cannot load it, in its words.
    pub error: Option<String>,
    pub nodes: Vec<Node>,
}

/// One `BuildKit` of a builder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    pub name: String,
    /// The engine that it runs in: an address or a context.
    pub endpoint: String,
    pub status: NodeStatus,
    /// `BuildKit`'s version, while it runs.
    pub version: Option<String>,
    /// What it advertises, in `BuildKit`'s spelling.
    pub platforms: Vec<String>,
    /// The driver's options.
    pub options: BTreeMap<String, String>,
    /// `buildkitd`'s flags.
    pub flags: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeStatus {
    /// It answers.
    Running,
    /// Its container is there and does not run.
    Stopped,
    /// It has no container.
    Missing,
    /// buildx could not reach it; its words.
    Broken(String),
    /// Any other status of buildx.
    Other(String),
}

impl NodeStatus {
    pub fn word(&self) -> &str {
        match self {
            Self::Running => "running",
            Self::Stopped => "stopped",
            Self::Missing => "missing",
            Self::Broken(_) => "broken",
            Self::Other(word) => word,
        }
    }
}

impl Builder {
    /// Whether binfmtd created all of it: its node in somebody else's builder does not make the builder ours.
    pub fn is_ours(&self) -> bool {
        !self.nodes.is_empty() && self.nodes.iter().all(|node| node.mark().is_some())
    }

    pub fn advertises(&self, platform: &str) -> bool {
        self.nodes.iter().any(|node| node.platforms.iter().any(|known| known == platform))
    }

    /// buildx does not tell the driver of a builder that it cannot load; that may be one of binfmtd's.
    pub fn driver(&self) -> &'static dyn Driver {
        if self.driver.is_empty() { driver::MANAGED } else { driver::find(&self.driver) }
    }

    /// Whether it is of the driver that binfmtd creates builders with.
    pub fn is_managed(&self) -> bool {
        self.driver().name() == driver::MANAGED.name()
    }

    /// The container of one of its nodes, if its driver uses containers of the engine.
    pub fn container(&self, node: &Node) -> Option<String> {
        Some(self.driver().containers()?.container(&node.name))
    }

    /// The first of its nodes that buildx cannot reach.
    pub fn unreachable_node(&self) -> Option<UnreachableNode> {
        self.nodes.iter().find_map(|node| match &node.status {
            NodeStatus::Broken(error) => Some(UnreachableNode {
                builder: self.name.clone(),
                container: self.container(node),
                node: node.name.clone(),
                error: error.clone(),
            }),
            NodeStatus::Running
            | NodeStatus::Stopped
            | NodeStatus::Missing
            | NodeStatus::Other(_) => None,
        })
    }

    /// Whether each of its nodes runs.
    pub fn is_running(&self) -> bool {
        !self.nodes.is_empty() && self.nodes.iter().all(|node| node.status == NodeStatus::Running)
    }
}

impl Node {
    /// The value of [`BUILDER_MARK`] that it was created with.
    pub fn mark(&self) -> Option<&str> {
        self.options.get(BUILDER_MARK).map(String::as_str)
    }
}

/// A container that buildx created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    pub name: String,
    /// `running`, `exited` and so on.
    pub state: String,
    pub image: String,
    /// Whether it has the mark.
    pub ours: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListedBuilder {
    name: String,
    #[serde(default)]
    driver: String,
    current: Option<bool>,
    #[serde(default)]
    err: String,
    #[serde(default)]
    nodes: Option<Vec<ListedNode>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListedNode {
    #[serde(default)]
    name: String,
    #[serde(default)]
    endpoint: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    version: String,
    #[serde(default)]
    err: String,
    #[serde(default)]
    platforms: Option<Vec<String>>,
    #[serde(default)]
    driver_opts: Option<BTreeMap<String, String>>,
    #[serde(default)]
    flags: Option<Vec<String>>,
}

/// Reads `docker buildx ls --format json`: a line for each builder, which some versions print more than once.
pub fn read_list(answer: &DockerOutput) -> Result<Vec<Builder>, DockerError> {
    let mut builders: Vec<Builder> = Vec::new();
    for listed in lines::<ListedBuilder>(answer)? {
        if !builders.iter().any(|known| known.name == listed.name) {
            builders.push(listed.into());
        }
    }
    Ok(builders)
}

impl From<ListedBuilder> for Builder {
    fn from(listed: ListedBuilder) -> Self {
        let nodes = listed.nodes.unwrap_or_default().into_iter();
        Self {
            name: listed.name,
            driver: listed.driver,
            current: listed.current,
            error: Some(listed.err).filter(|error| !error.is_empty()),
            // A builder that could not be loaded has one empty node.
            nodes: nodes.filter(|node| !node.name.is_empty()).map(Node::from).collect(),
        }
    }
}

impl From<ListedNode> for Node {
    fn from(listed: ListedNode) -> Self {
        let status = match listed.status.as_str() {
            _ if !listed.err.is_empty() => NodeStatus::Broken(listed.err),
            "running" => NodeStatus::Running,
            "stopped" => NodeStatus::Stopped,
            "inactive" => NodeStatus::Missing,
            other => NodeStatus::Other(other.to_owned()),
        };
        let platforms = listed.platforms.unwrap_or_default();
        Self {
            name: listed.name,
            endpoint: listed.endpoint,
            status,
            version: Some(listed.version).filter(|version| !version.is_empty()),
            // A star marks the platforms that the user chose.
            platforms: platforms
                .into_iter()
                .map(|platform| platform.trim_end_matches('*').to_owned())
                .collect(),
            options: listed.driver_opts.unwrap_or_default(),
            flags: listed.flags.unwrap_or_default(),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Named {
    #[serde(alias = "Names")]
    name: String,
}

/// Reads the names of `docker ps --format json` and of `docker volume ls --format json`.
pub fn read_names(answer: &DockerOutput) -> Result<Vec<String>, DockerError> {
    Ok(lines::<Named>(answer)?.into_iter().map(|named| named.name).collect())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct InspectedContainer {
    name: String,
    state: InspectedState,
    config: InspectedConfig,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct InspectedState {
    status: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct InspectedConfig {
    image: String,
    #[serde(default)]
    env: Option<Vec<String>>,
}

/// Reads `docker container inspect`; of several, those that are there.
pub fn read_containers(answer: &DockerOutput) -> Result<Vec<Container>, DockerError> {
    if !answer.errors.to_lowercase().contains("no such container") {
        answer.success()?;
    }
    let inspected: Vec<InspectedContainer> =
        serde_json::from_slice(&answer.output).map_err(|error| answer.unreadable(error))?;
    let containers = inspected.into_iter().map(|one| Container {
        name: one.name.trim_start_matches('/').to_owned(),
        state: one.state.status,
        image: one.config.image,
        ours: one
            .config
            .env
            .unwrap_or_default()
            .iter()
            .any(|variable| variable.starts_with(MARK_VARIABLE)),
    });
    Ok(containers.collect())
}

/// Reads JSON documents, one after the other.
fn lines<T: DeserializeOwned>(answer: &DockerOutput) -> Result<Vec<T>, DockerError> {
    let documents = serde_json::Deserializer::from_slice(answer.success()?).into_iter::<T>();
    documents.collect::<Result<_, _>>().map_err(|error| answer.unreadable(error))
}
