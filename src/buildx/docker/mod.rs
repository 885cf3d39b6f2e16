//! The docker command line, with the user's own contexts, credentials and plugins.

mod error;

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::time::Duration;

pub use self::error::{DockerError, OLDEST_BUILDX};
use crate::system::process::batch::{self, Batch, Ended, Finished, Limits};
use crate::system::process::child::{Child, ExecError, Launch, Root};
use crate::system::process::supervise;

/// docker does not write more than this.
const LARGEST_OUTPUT: usize = 16 * 1024 * 1024;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DockerCommand {
    arguments: Vec<OsString>,
}

impl DockerCommand {
    /// By the arguments after `docker`.
    pub fn new<I, S>(arguments: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: Into<OsString>,
    {
        Self { arguments: arguments.into_iter().map(Into::into).collect() }
    }

    /// The same for the engine at the endpoint of a node: an address or a context.
    #[must_use]
    pub fn at(mut self, endpoint: Option<&str>) -> Self {
        if let Some(endpoint) = endpoint {
            let option = if endpoint.contains("://") { "--host" } else { "--context" };
            self.arguments.splice(0..0, [OsString::from(option), OsString::from(endpoint)]);
        }
        self
    }
}

impl std::fmt::Display for DockerCommand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("docker")?;
        self.arguments.iter().try_for_each(|word| write!(f, " {}", word.to_string_lossy()))
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DockerOutput {
    /// The command, as a person would type it.
    pub command: String,
    pub ended: Ended,
    /// Standard output.
    pub output: Vec<u8>,
    /// Standard error.
    pub errors: String,
    /// From start to end.
    pub time: Duration,
}

impl DockerOutput {
    pub fn is_success(&self) -> bool {
        self.ended == Ended::Exited(0)
    }

    /// Standard output, or why there is none.
    pub fn success(&self) -> Result<&[u8], DockerError> {
        match self.ended {
            Ended::Exited(0) => Ok(&self.output),
            Ended::TimedOut => Err(DockerError::Slow {
                command: self.command.clone(),
                seconds: self.time.as_secs(),
            }),
            Ended::Exited(_) => Err(DockerError::of_words(&self.command, &self.errors)),
            Ended::Signaled(number) => Err(DockerError::Failed {
                command: self.command.clone(),
                said: format!("it died by signal {number}"),
            }),
            Ended::Flooded => Err(DockerError::Failed {
                command: self.command.clone(),
                said: "it wrote without end".to_owned(),
            }),
        }
    }

    pub fn unreadable(&self, error: impl std::fmt::Display) -> DockerError {
        DockerError::Unreadable { command: self.command.clone(), error: error.to_string() }
    }
}

#[derive(Debug, Clone)]
pub struct Docker {
    program: PathBuf,
    /// The time limit of each command.
    limit: Duration,
}

impl Docker {
    /// Looks the command up in PATH.
    pub fn find(limit: Duration) -> Result<Self, DockerError> {
        let program = supervise::find(OsStr::new("docker")).ok_or(DockerError::NoDocker)?;
        Ok(Self { program, limit })
    }

    /// Runs one command.
    pub fn run(&self, command: &DockerCommand) -> Result<DockerOutput, DockerError> {
        let mut outputs = self.run_all(std::slice::from_ref(command), &mut |_| {})?;
        outputs.pop().ok_or_else(|| DockerError::Failed {
            command: command.to_string(),
            said: "it gave no answer".to_owned(),
        })
    }

    /// Runs several commands at once; the outputs come in the same order. `progress` is told how many have ended.
    pub fn run_all(
        &self,
        commands: &[DockerCommand],
        progress: &mut dyn FnMut(usize),
    ) -> Result<Vec<DockerOutput>, DockerError> {
        let environment: Vec<(OsString, OsString)> = std::env::vars_os().collect();
        let mut batch = CommandBatch {
            docker: self,
            commands,
            environment: &environment,
            next: 0,
            outputs: commands.iter().map(|_| None).collect(),
            refused: None,
            done: 0,
            progress,
        };
        // They mostly wait for the engine, so their number does not depend on that of the cores.
        let limits = Limits { time: self.limit, parallel: commands.len().clamp(1, 8) };
        batch::run(&mut batch, limits)?;
        match batch.refused {
            Some(error) => Err(DockerError::Failed {
                command: self.program.display().to_string(),
                said: error.to_string(),
            }),
            None => Ok(batch.outputs.into_iter().flatten().collect()),
        }
    }
}

struct CommandBatch<'a, 'p> {
    docker: &'a Docker,
    commands: &'a [DockerCommand],
    environment: &'a [(OsString, OsString)],
    next: usize,
    outputs: Vec<Option<DockerOutput>>,
    refused: Option<ExecError>,
    done: usize,
    progress: &'p mut dyn FnMut(usize),
}

impl Batch for CommandBatch<'_, '_> {
    fn next(&mut self) -> Option<usize> {
        let number = self.next;
        (number < self.commands.len()).then(|| {
            self.next += 1;
            number
        })
    }

    fn start(&mut self, number: usize) -> Result<Child, ExecError> {
        let words = self.commands[number].arguments.iter();
        let environment = self.environment.iter();
        let mut child = Child::start(&Launch {
            program: &self.docker.program,
            argv0: OsStr::new("docker"),
            arguments: &words.map(OsString::as_os_str).collect::<Vec<_>>(),
            environment: &environment
                .map(|(name, value)| (name.as_os_str(), value.as_os_str()))
                .collect::<Vec<_>>(),
            root: Root::Host,
            largest_output: LARGEST_OUTPUT,
        })?;
        child.close_input();
        Ok(child)
    }

    fn end(&mut self, number: usize, outcome: Result<Finished, ExecError>, time: Duration) {
        match outcome {
            Ok(Finished { mut child, ended }) => {
                self.outputs[number] = Some(DockerOutput {
                    command: self.commands[number].to_string(),
                    ended,
                    output: std::mem::take(&mut child.output),
                    errors: String::from_utf8_lossy(&child.errors).into_owned(),
                    time,
                });
            }
            Err(error) => self.refused = Some(error),
        }
        self.done += 1;
        (self.progress)(self.done);
    }
}
