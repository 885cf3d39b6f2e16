//! Docker → observation: asks for everything that a plan needs, and changes nothing.

use super::builder::{
    self, Builder, CONTAINER_PREFIX, Container, NodeStatus, STATE_SUFFIX, read_containers,
    read_list, read_names,
};
use super::docker::{Docker, DockerCommand, DockerError};
use super::engine::{Engine, LocalMachine, read_endpoint};
use super::record::BuilderRecord;
use crate::system::host::machine;

/// What was seen of Docker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DockerFacts {
    /// The engine of the current context.
    pub engine: Engine,
    /// All builders of the user's.
    pub builders: Vec<Builder>,
}

/// What buildx left in the current engine, and no builder of the user's names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Orphan {
    /// What it is.
    pub kind: OrphanKind,
    /// Its name.
    pub name: String,
    /// Whether we made it.
    pub ours: bool,
}

/// What an orphan is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OrphanKind {
    /// A container, in this state.
    Container(String),
    /// The volume of a node's state.
    Volume,
}

impl Orphan {
    /// The node that it is left of.
    pub fn node(&self) -> &str {
        let name = self.name.strip_prefix(CONTAINER_PREFIX).unwrap_or(&self.name);
        match self.kind {
            OrphanKind::Container(_) => name,
            OrphanKind::Volume => name.strip_suffix(STATE_SUFFIX).unwrap_or(name),
        }
    }
}

impl DockerFacts {
    /// A builder by its name.
    pub fn builder(&self, name: &str) -> Option<&Builder> {
        self.builders.iter().find(|builder| builder.name == name)
    }
}

fn list() -> DockerCommand {
    DockerCommand::new(["buildx", "ls", "--format", "json"])
}

/// Where the docker command looks for an engine when nobody says otherwise.
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

/// Where the engine of a context listens. The default one is made of the environment: each command of docker's takes
/// as long as a whole check of ours, so it is not asked about that.
fn endpoint(docker: &Docker, context: &str) -> Result<String, DockerError> {
    if context == "default" {
        let named = std::env::var("DOCKER_HOST").ok().filter(|host| !host.is_empty());
        return Ok(named.unwrap_or_else(|| DEFAULT_ENDPOINT.to_owned()));
    }
    read_endpoint(&docker.run(&DockerCommand::new(["context", "inspect", context]))?)
}

/// Looks at the builders once more.
pub fn builders(docker: &Docker) -> Result<Vec<Builder>, DockerError> {
    read_list(&docker.run(&list())?)
}

/// The name of the builder that builds go to that name no other: 0.13 says it here alone.
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

/// Looks for what is left of builders that are gone. Those of another user of the same engine look the
/// same from here, so only our own are ours to take away.
pub fn orphans(
    docker: &Docker,
    seen: &DockerFacts,
    record: &BuilderRecord,
) -> Result<Vec<Orphan>, DockerError> {
    let filter = format!("name={CONTAINER_PREFIX}");
    let commands = [
        DockerCommand::new([
            "ps",
            "--all",
            "--no-trunc",
            "--filter",
            &filter,
            "--format",
            "{{json .}}",
        ]),
        DockerCommand::new(["volume", "ls", "--filter", &filter, "--format", "{{json .}}"]),
    ];
    let mut answers = docker.run_all(&commands, &mut |_| {})?.into_iter();
    let mut names = || answers.next().map_or(Ok(Vec::new()), |answer| read_names(&answer));
    let (containers, volumes) = (names()?, names()?);
    let known: Vec<String> = seen
        .builders
        .iter()
        .flat_map(|builder| &builder.nodes)
        .map(builder::Node::container)
        .collect();
    let left: Vec<&str> = containers
        .iter()
        .filter(|name| name.starts_with(CONTAINER_PREFIX) && !known.contains(name))
        .map(String::as_str)
        .collect();
    let engine = &seen.engine.id;
    // Other users' of this program bear the mark, too.
    let made = |orphan: &Orphan| record.owns(engine, orphan.node());
    let mut orphans: Vec<Orphan> = inspect(docker, &left)?
        .into_iter()
        .map(|container| {
            let kind = OrphanKind::Container(container.state);
            let orphan = Orphan { kind, name: container.name, ours: false };
            Orphan { ours: container.ours && made(&orphan), ..orphan }
        })
        .collect();
    orphans.sort_by(|one, other| one.name.cmp(&other.name));
    let is_known = |volume: &str| {
        volume.strip_suffix(STATE_SUFFIX).is_none_or(|node| known.iter().any(|name| name == node))
    };
    let volumes = volumes.into_iter().filter(|name| {
        name.starts_with(CONTAINER_PREFIX) && name.ends_with(STATE_SUFFIX) && !is_known(name)
    });
    orphans.extend(volumes.map(|name| {
        let orphan = Orphan { kind: OrphanKind::Volume, name, ours: false };
        Orphan { ours: made(&orphan), ..orphan }
    }));
    Ok(orphans)
}

/// Looks at containers by their names; who has gone meanwhile is left out.
fn inspect(docker: &Docker, names: &[&str]) -> Result<Vec<Container>, DockerError> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let words = ["container", "inspect"].into_iter().chain(names.iter().copied());
    read_containers(&docker.run(&DockerCommand::new(words))?)
}

/// How many processes run in a node's container besides `BuildKit` itself: builds in flight.
pub fn busy(docker: &Docker, node: &builder::Node) -> Result<usize, DockerError> {
    if node.status != NodeStatus::Running {
        return Ok(0);
    }
    let command = DockerCommand::new(["top", &node.container(), "-o", "pid,comm"]);
    let answer = docker.run(&command.at(Some(&node.endpoint)))?;
    Ok(at_work(&String::from_utf8_lossy(answer.success()?)))
}

/// How many processes `docker top -o pid,comm` lists that belong to builds.
pub(super) fn at_work(listed: &str) -> usize {
    let commands = listed.lines().skip(1).filter_map(|line| line.split_whitespace().nth(1));
    // Its own process, docker's init before it, and what serves a client of ours.
    let own = ["buildkitd", "docker-init", "tini", "buildctl", "rootlesskit"];
    commands.filter(|command| !own.contains(command)).count()
}
