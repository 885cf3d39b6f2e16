//! Docker → observation: asks for everything that a plan needs, and changes nothing.

use super::builder::{
    self, Builder, CONTAINER_PREFIX, Container, NodeStatus, STATE_SUFFIX, read_containers,
    read_list, read_names,
};
use super::docker::{Docker, Question, Trouble};
use super::engine::{Engine, Here};
use super::record::Record;
use crate::system::host;

/// What was seen of Docker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
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

impl Observation {
    /// A builder by its name.
    pub fn builder(&self, name: &str) -> Option<&Builder> {
        self.builders.iter().find(|builder| builder.name == name)
    }
}

fn list() -> Question {
    Question::new(["buildx", "ls", "--format", "json"])
}

/// Looks at the engine, the plugin and the builders.
pub fn observe(docker: &Docker) -> Result<Observation, Trouble> {
    let questions = [
        Question::new(["info", "--format", "{{json .}}"]),
        Question::new(["context", "inspect"]),
        list(),
    ];
    let mut answers = docker.ask_all(&questions, &mut |_| {})?.into_iter();
    let (Some(info), Some(context), Some(list)) = (answers.next(), answers.next(), answers.next())
    else {
        return Err(Trouble::Failed {
            command: "docker".to_owned(),
            said: "it gave no answers".to_owned(),
        });
    };
    let engine = Engine::read(&info, &context, &here()?)?;
    Ok(Observation { engine, builders: read_list(&list)? })
}

/// Looks at the builders once more.
pub fn builders(docker: &Docker) -> Result<Vec<Builder>, Trouble> {
    read_list(&docker.ask(&list())?)
}

fn here() -> Result<Here, Trouble> {
    let failed = |error: std::io::Error| Trouble::Batch(error.into());
    let host = host::describe().map_err(failed)?;
    Ok(Here { kernel: host.kernel, name: host::name().map_err(failed)? })
}

/// Looks for what is left of builders that are gone. Those of another user of the same engine look the
/// same from here, so only our own are ours to take away.
pub fn orphans(
    docker: &Docker,
    seen: &Observation,
    record: &Record,
) -> Result<Vec<Orphan>, Trouble> {
    let filter = format!("name={CONTAINER_PREFIX}");
    let questions = [
        Question::new(["ps", "--all", "--no-trunc", "--filter", &filter, "--format", "{{json .}}"]),
        Question::new(["volume", "ls", "--filter", &filter, "--format", "{{json .}}"]),
    ];
    let mut answers = docker.ask_all(&questions, &mut |_| {})?.into_iter();
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
    let mut orphans: Vec<Orphan> = inspect(docker, &left)?
        .into_iter()
        .map(|container| Orphan {
            kind: OrphanKind::Container(container.state),
            ours: container.ours,
            name: container.name,
        })
        .collect();
    let is_known = |volume: &str| {
        volume.strip_suffix(STATE_SUFFIX).is_none_or(|node| known.iter().any(|name| name == node))
    };
    let engine = &seen.engine.id;
    let volumes = volumes.into_iter().filter(|name| {
        name.starts_with(CONTAINER_PREFIX) && name.ends_with(STATE_SUFFIX) && !is_known(name)
    });
    let volumes: Vec<Orphan> = volumes
        .map(|name| {
            let of_ours = orphans.iter().any(|orphan| {
                orphan.ours && name.strip_suffix(STATE_SUFFIX) == Some(orphan.name.as_str())
            });
            let ours = of_ours || record.owns_volume(engine, &name);
            Orphan { kind: OrphanKind::Volume, name, ours }
        })
        .collect();
    orphans.extend(volumes);
    Ok(orphans)
}

/// Looks at containers by their names; who has gone meanwhile is left out.
fn inspect(docker: &Docker, names: &[&str]) -> Result<Vec<Container>, Trouble> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let words = ["container", "inspect"].into_iter().chain(names.iter().copied());
    read_containers(&docker.ask(&Question::new(words))?)
}

/// How many processes run in a node's container besides `BuildKit` itself: builds in flight.
pub fn busy(docker: &Docker, node: &builder::Node) -> Result<usize, Trouble> {
    if node.status != NodeStatus::Running {
        return Ok(0);
    }
    let question = Question::new(["top", &node.container(), "-o", "pid,comm"]);
    let answer = docker.ask(&question.at(Some(&node.endpoint)))?;
    let output = String::from_utf8_lossy(answer.well()?).into_owned();
    let commands = output.lines().skip(1).filter_map(|line| line.split_whitespace().nth(1));
    // Its own process, docker's init before it, and what serves a client of ours.
    let own = ["buildkitd", "docker-init", "tini", "buildctl", "rootlesskit"];
    Ok(commands.filter(|command| !own.contains(command)).count())
}
