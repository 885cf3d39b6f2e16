//! Why a builder is left as it is.

use std::fmt::{self, Display};

use thiserror::Error;

use super::driver;
use super::message::with_fix;
use crate::failure::Failure;
use crate::fix::{Command, Fix};

/// What a builder would be changed for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangeReason {
    /// `--recreate always`
    Requested,
    /// In buildx' words.
    NotLoaded(String),
    OtherOptions,
    /// It started before the kernel ran these platforms.
    Outdated(Vec<String>),
    /// A restart did not help these platforms.
    StillFailing(Vec<String>),
    /// `binfmtd buildx remove`
    Removal,
}

/// What stands against creating a builder again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Obstacle {
    /// `--recreate never`
    Forbidden,
    /// Only a node is to be added.
    Append,
    /// buildx does not show enough of what its further nodes were created with.
    SeveralNodes,
}

/// Why nothing is done: it would change what is not ours, or was forbidden.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BuilderRefusal {
    #[error(
        "builder {name} has the driver {driver}, and binfmtd creates and repairs builders of {} only: {}",
        driver::MANAGED.name(), driver::find(.driver).limits()
    )]
    Driver { name: String, driver: String },
    #[error("builder {name} was not created by binfmtd, so it is not changed ({why})")]
    NotOurs { name: String, why: ChangeReason },
    #[error("builder {name} would have to be created again ({why}), and {obstacle}")]
    NotAgain { name: String, why: ChangeReason, obstacle: Obstacle },
    #[error("there is no builder {0} to add a node to")]
    NothingToAppendTo(String),
    #[error("builder {name} has no node {node}, only {nodes}")]
    NoSuchNode { name: String, node: String, nodes: String },
    #[error("node {node} of builder {name} runs in {there}, not in {asked}")]
    OtherEngine { name: String, node: String, there: String, asked: String },
    #[error(transparent)]
    Unreachable(UnreachableNode),
    /// A restart would end builds in flight.
    #[error(
        "{container} is at work ({processes} processes), and would have to be restarted: {why}"
    )]
    Busy { container: String, processes: usize, why: ChangeReason },
}

/// A node that buildx cannot reach.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("node {node} of builder {builder} cannot be reached: {error}")]
pub struct UnreachableNode {
    pub builder: String,
    pub node: String,
    pub container: Option<String>,
    /// buildx' words, or the engine's.
    pub error: String,
}

impl UnreachableNode {
    pub fn fix(&self) -> Fix {
        match &self.container {
            // The engine does not run anything in a paused container.
            Some(container) if self.error.contains("is paused") => {
                let unpause = Command::user(&["docker", "unpause"]).word(container);
                Fix::run("continue its container", [unpause])
            }
            Some(_) => {
                let bootstrap = Command::user(&["binfmtd", "buildx", "bootstrap"]);
                let commands = [remove(&self.builder), bootstrap.word(&self.builder)];
                Fix::run("create the builder again", commands)
            }
            None => Fix::run("remove the builder", [remove(&self.builder)]),
        }
    }
}

fn remove(builder: &str) -> Command {
    Command::user(&["docker", "buildx", "rm"]).word(builder)
}

impl BuilderRefusal {
    pub fn fix(&self) -> Fix {
        match self {
            Self::Driver { name, driver } => driver::find(driver).repair(name, None),
            Self::NotOurs { name, .. } => {
                Fix::run("choose another name, or remove it", [remove(name)])
            }
            Self::NotAgain { name, .. } => {
                let remove = Command::user(&["binfmtd", "buildx", "remove"]).word(name);
                Fix::run("remove it first", [remove])
            }
            Self::NothingToAppendTo(_) => Fix::advice("without --append, the builder is created"),
            Self::NoSuchNode { .. } => {
                Fix::advice("--append adds it; without --node, the builder is used as it is")
            }
            Self::OtherEngine { .. } => {
                Fix::advice("--append and --node add a node there; or choose another name")
            }
            Self::Unreachable(node) => node.fix(),
            Self::Busy { .. } => {
                Fix::advice("try again when its builds are done, or use --recreate always")
            }
        }
    }
}

impl Display for ChangeReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Requested => f.write_str("--recreate always"),
            Self::NotLoaded(error) => write!(f, "buildx cannot load it: {error}"),
            Self::OtherOptions => f.write_str("it was made with other options"),
            Self::Outdated(platforms) => {
                write!(f, "what it knows of {} is out of date", platforms.join(", "))
            }
            Self::StillFailing(platforms) => {
                write!(f, "after a restart it still does not build for {}", platforms.join(", "))
            }
            Self::Removal => f.write_str("it would be removed"),
        }
    }
}

impl Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Forbidden => "--recreate never forbids that",
            Self::Append => "only a node is to be added to it",
            Self::SeveralNodes => "it has several nodes",
        })
    }
}

impl From<BuilderRefusal> for Failure {
    fn from(refusal: BuilderRefusal) -> Self {
        Self::failed(with_fix(&refusal, &refusal.fix()))
    }
}
