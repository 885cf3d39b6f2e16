//! Why a builder builds nothing, and what to do about it.

use std::fmt::{self, Display};

use super::builder::{Builder, Node, NodeStatus};
use super::observe::DockerFacts;
use super::refusal::UnreachableNode;
use crate::fix::{Command, Fix};

/// Why nothing was built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BuilderProblem {
    Missing {
        name: String,
        /// Names and drivers of the others.
        others: Vec<(String, String)>,
    },
    NotLoaded {
        name: String,
        /// buildx' words.
        error: String,
        is_ours: bool,
    },
    NotRunning {
        name: String,
        node: String,
        /// [`NodeStatus::word`]
        status: String,
        is_ours: bool,
    },
    Unreachable(UnreachableNode),
}

impl Display for BuilderProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { name, others } => {
                let others: Vec<String> =
                    others.iter().map(|(other, driver)| format!("{other} ({driver})")).collect();
                if !others.is_empty() {
                    write!(f, "the builders are {}; ", others.join(", "))?;
                }
                write!(f, "there is no builder {name}")
            }
            Self::NotLoaded { name, error, .. } => {
                write!(f, "buildx cannot load builder {name}: {error}")
            }
            Self::NotRunning { node, status, .. } => {
                write!(f, "node {node} is {status}, so nothing was built")
            }
            Self::Unreachable(node) => node.fmt(f),
        }
    }
}

impl BuilderProblem {
    pub fn fix(&self) -> Fix {
        let bootstrap = |name: &str| Command::user(&["binfmtd", "buildx", "bootstrap"]).word(name);
        match self {
            Self::Missing { name, .. } => Fix::run("create it", [bootstrap(name)]),
            Self::NotLoaded { name, is_ours: true, .. } => {
                Fix::run("create it again", [bootstrap(name)])
            }
            Self::NotLoaded { name, is_ours: false, .. } => {
                let remove = Command::user(&["docker", "buildx", "rm"]).word(name);
                Fix::run("remove it", [remove])
            }
            Self::NotRunning { name, is_ours: true, .. } => {
                Fix::run("start the builder", [bootstrap(name)])
            }
            Self::NotRunning { name, is_ours: false, .. } => {
                let boot = Command::user(&["docker", "buildx", "inspect", "--bootstrap"]);
                Fix::run("start the builder", [boot.word(name)])
            }
            Self::Unreachable(node) => node.fix(),
        }
    }
}

impl BuilderProblem {
    pub fn missing(name: &str, seen: &DockerFacts) -> Self {
        let others = seen.builders.iter();
        let others = others.map(|other| (other.name.clone(), other.driver.clone())).collect();
        Self::Missing { name: name.to_owned(), others }
    }

    /// Of a builder that is there; `None` if buildx can load it and each of its nodes runs.
    pub fn of(builder: &Builder) -> Option<Self> {
        let (name, is_ours) = (builder.name.clone(), builder.is_ours());
        if let Some(error) = builder.error.clone() {
            return Some(Self::NotLoaded { name, error, is_ours });
        }
        let node = resting(builder)?;
        if let Some(node) = builder.unreachable_node() {
            return Some(Self::Unreachable(node));
        }
        let (node, status) = (node.name.clone(), node.status.word().to_owned());
        Some(Self::NotRunning { name, node, status, is_ours })
    }
}

/// A node that does not run.
pub fn resting(builder: &Builder) -> Option<&Node> {
    builder.nodes.iter().find(|node| node.status != NodeStatus::Running)
}
