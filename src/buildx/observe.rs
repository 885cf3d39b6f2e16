//! Docker → facts: asks for everything that a plan needs, and changes nothing.

use std::collections::BTreeSet;

use super::builder::{Builder, Container, read_containers, read_list, read_names};
use super::docker::{Docker, DockerCommand, DockerError};
use super::driver;
use super::engine::{Engine, LocalMachine, read_endpoint};
use super::record::BuilderRecord;
use crate::system::host::machine;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DockerFacts {
    /// The engine of the current context.
    pub engine: Engine,
    /// All builders of the user.
    pub builders: Vec<Builder>,
}

/// What a driver left in the current engine, of a node that no builder of the user's has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Orphan {
    pub kind: OrphanKind,
    /// Its own name.
    pub name: String,
    /// The node's name.
    pub node: String,
    /// Whether binfmtd created it.
    pub ours: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OrphanKind {
    /// A container, in this state.
    Container(String),
    /// The volume of a node's state.
    Volume,
}

impl OrphanKind {
    pub fn word(&self) -> &'static str {
        match self {
            Self::Container(_) => "container",
            Self::Volume => "volume",
        }
    }
}

impl DockerFacts {
    pub fn builder(&self, name: &str) -> Option<&Builder> {
        self.builders.iter().find(|builder| builder.name == name)
    }
}

fn list() -> DockerCommand {
    DockerCommand::new(["buildx", "ls", "--format", "json"])
}

/// Where the docker command looks for an engine by default.
const DEFAULT_ENDPOINT: &str = "unix:///var/run/docker.sock";

/// Looks at the engine, the plugin and the builders.
pub fn observe(docker: &Docker) -> Result<DockerFacts, DockerError> {
    let commands = [DockerCommand::new(["info", "--format", "{{json .}}"]), list()];
    let mut answers = docker.run_all(&commands, &mut |_| {})?.into_iter();
    let (Some(info), Some(list)) = (answers.next(), answers.next()) else {
        return Err(DockerError::Failed {
            command: "docker".to_owned(),
            said: "it gave no answers".to_owned(),
        });
    };
    let engine = Engine::read(&info, |context| endpoint(docker, context), &here()?)?;
    Ok(DockerFacts { engine, builders: read_list(&list)? })
}

/// Where the engine of a context listens. The default context comes from the environment, so docker is not asked about it:
/// each of its commands takes as long as a whole check of binfmtd.
fn endpoint(docker: &Docker, context: &str) -> Result<String, DockerError> {
    if context == "default" {
        let named = std::env::var("DOCKER_HOST").ok().filter(|host| !host.is_empty());
        return Ok(named.unwrap_or_else(|| DEFAULT_ENDPOINT.to_owned()));
    }
    read_endpoint(&docker.run(&DockerCommand::new(["context", "inspect", context]))?)
}

/// Looks at the builders alone.
pub fn builders(docker: &Docker) -> Result<Vec<Builder>, DockerError> {
    read_list(&docker.run(&list())?)
}

/// The name of the default builder. buildx 0.13 shows it here only.
pub fn current(docker: &Docker) -> Result<String, DockerError> {
    let answer = docker.run(&DockerCommand::new(["buildx", "inspect"]))?;
    let output = String::from_utf8_lossy(answer.success()?).into_owned();
    let name = output.lines().find_map(|line| line.strip_prefix("Name:"));
    Ok(name.unwrap_or_default().trim().to_owned())
}

fn here() -> Result<LocalMachine, DockerError> {
    let failed = |error: std::io::Error| DockerError::Batch(error.into());
    let host = machine::describe().map_err(failed)?;
    Ok(LocalMachine { kernel: host.kernel, name: machine::name().map_err(failed)? })
}

/// Looks for what is left of builders that are gone. The builders of another user of the same engine look the same from
/// here, so only what binfmtd created for this user counts as ours.
pub fn orphans(
    docker: &Docker,
    facts: &DockerFacts,
    record: &BuilderRecord,
) -> Result<Vec<Orphan>, DockerError> {
    let filters: Vec<String> =
        driver::containers().map(|names| format!("name={}", names.prefix)).collect();
    let filters = || filters.iter().flat_map(|filter| ["--filter", filter]);
    let list = |words: &[&'static str]| {
        let words = words.iter().copied().chain(filters());
        DockerCommand::new(words.chain(["--format", "{{json .}}"]))
    };
    let commands = [list(&["ps", "--all", "--no-trunc"]), list(&["volume", "ls"])];
    let mut outputs = docker.run_all(&commands, &mut |_| {})?.into_iter();
    let mut names = || outputs.next().map_or(Ok(Vec::new()), |output| read_names(&output));
    let (containers, volumes) = (names()?, names()?);
    let nodes = facts.builders.iter().flat_map(|builder| &builder.nodes);
    let known: BTreeSet<&str> = nodes.map(|node| node.name.as_str()).collect();
    let orphaned = |node: &&str| !known.contains(node);
    let node_of_container = |name: &str| {
        let node = driver::containers().find_map(|names| names.node_of_container(name))?;
        Some(node).filter(orphaned).map(str::to_owned)
    };
    let node_of_volume = |name: &str| {
        let node = driver::containers().find_map(|names| names.node_of_volume(name))?;
        Some(node).filter(orphaned).map(str::to_owned)
    };
    // The mark alone is not enough: other users of binfmtd create builders with it, too.
    let owns = |node: &str| record.owns(&facts.engine.id, node);
    let left: Vec<&str> = containers
        .iter()
        .map(String::as_str)
        .filter(|name| node_of_container(name).is_some())
        .collect();
    let containers = inspect(docker, &left)?.into_iter().filter_map(|container| {
        let Container { name, state, ours, .. } = container;
        let node = node_of_container(&name)?;
        let ours = ours && owns(&node);
        Some(Orphan { kind: OrphanKind::Container(state), name, node, ours })
    });
    let mut orphans: Vec<Orphan> = containers.collect();
    orphans.sort_by(|one, other| one.name.cmp(&other.name));
    orphans.extend(volumes.into_iter().filter_map(|name| {
        let node = node_of_volume(&name)?;
        let ours = owns(&node);
        Some(Orphan { kind: OrphanKind::Volume, name, node, ours })
    }));
    Ok(orphans)
}

/// Inspects containers by their names; those that are gone by now are left out.
fn inspect(docker: &Docker, names: &[&str]) -> Result<Vec<Container>, DockerError> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let words = ["container", "inspect"].into_iter().chain(names.iter().copied());
    read_containers(&docker.run(&DockerCommand::new(words))?)
}

/// How many processes of builds in flight run in a node's container.
pub fn processes(docker: &Docker, container: &str, endpoint: &str) -> Result<usize, DockerError> {
    let command = DockerCommand::new(["top", container, "-o", "pid,comm"]).at(Some(endpoint));
    let output = docker.run(&command)?;
    Ok(at_work(&String::from_utf8_lossy(output.success()?)))
}

/// How many processes `docker top -o pid,comm` lists that belong to builds.
pub(super) fn at_work(listed: &str) -> usize {
    let commands = listed.lines().skip(1).filter_map(|line| line.split_whitespace().nth(1));
    // BuildKit's own process, docker's init before it, and what serves a client.
    let own = ["buildkitd", "docker-init", "tini", "buildctl", "rootlesskit"];
    commands.filter(|command| !own.contains(command)).count()
}
