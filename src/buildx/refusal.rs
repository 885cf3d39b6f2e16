//! Why a builder is left as it is.

use std::fmt::{self, Display};

use thiserror::Error;

use super::driver;
use crate::failure::Failure;
use crate::fix::Reader;

/// What a builder would be changed for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
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
        "builder {name} has the driver {driver}, and binfmtd creates and repairs builders of docker-container only{} \
         (binfmtd buildx verify {name} shows what this one builds)", of_driver(.name, .driver)
    )]
    Driver { name: String, driver: String },
    #[error(
        "builder {name} was not made by binfmtd, so it is not changed ({why}); choose another name, or remove it: docker buildx \
         rm {name}"
    )]
    NotOurs { name: String, why: Reason },
    #[error(
        "builder {name} would have to be created again ({why}), and {obstacle} (binfmtd buildx remove {name} removes it)"
    )]
    NotAgain { name: String, why: Reason, obstacle: Obstacle },
    #[error("there is no builder {0} to add a node to; without --append it is created")]
    NothingToAppendTo(String),
    #[error(
        "builder {name} has no node {node}, only {nodes}; --append adds it, and without --node the builder is used as it is"
    )]
    NoSuchNode { name: String, node: String, nodes: String },
    #[error(
        "node {node} of builder {name} runs in {there}, not in {asked}; --append and --node add one there, or choose another name"
    )]
    OtherEngine { name: String, node: String, there: String, asked: String },
    /// The error is buildx' own.
    #[error(
        "node {node} of builder {name} cannot be reached: {error} ({})", way_out(.name, .node, .error)
    )]
    Unreachable { name: String, node: String, error: String },
    /// A restart would end builds in flight.
    #[error(
        "{container} is at work ({processes} processes), and would have to be restarted: {why}; try again when its builds are \
         done, or use --recreate always"
    )]
    Busy { container: String, processes: usize, why: Reason },
}

fn of_driver(name: &str, driver: &str) -> String {
    let driver = driver::find(driver);
    // Nothing here needs root, so nobody is told to use sudo.
    let fix = driver.repair(name, None).line(Reader { uid: 0 });
    format!(": {}; {fix}", driver.limits())
}

fn way_out(name: &str, node: &str, error: &str) -> String {
    match driver::MANAGED.containers() {
        // The engine's words: it does not run anything in a paused container.
        Some(names) if error.contains("is paused") => {
            format!("docker unpause {}", names.container(node))
        }
        _ => format!("docker buildx rm {name} removes the builder"),
    }
}

impl Display for Reason {
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
        Self::failed(refusal)
    }
}
