//! The docker command line: the user's own contexts, credentials and plugins, asked in their own words.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

use crate::failure::Failure;
use crate::system::process::batch::{self, Batch, BatchError, Ended, Finished, Limits};
use crate::system::process::child::{Child, ExecError, Launch, Root};
use crate::system::process::supervise;

/// More output than this is no answer of docker's.
const LARGEST_OUTPUT: usize = 16 * 1024 * 1024;
/// The oldest buildx whose `ls` prints JSON.
pub const OLDEST_BUILDX: (u32, u32) = (0, 13);

/// Why Docker could not be asked, or did not do what it was asked for.
#[derive(Debug, Error)]
pub enum DockerError {
    /// There is no docker command.
    #[error("docker: not found in PATH (install Docker's command line and its buildx plugin)")]
    NoDocker,
    /// The docker command is podman's.
    #[error(
        "docker is podman {0} here, which has no builders of buildx; podman build --platform uses the kernel's rules \
         by itself: binfmtd doctor proves them"
    )]
    Podman(String),
    /// The engine speaks Docker's language and is none.
    #[error(
        "the engine at {endpoint} is no Docker engine (version {version}; podman's service, most likely): the \
         docker-container driver needs Docker's"
    )]
    Compatible {
        /// Where it listens.
        endpoint: String,
        /// What it says of itself.
        version: String,
    },
    /// Nobody answers.
    #[error(
        "no Docker engine outputs: {0} (start it: systemctl start docker; or choose another: docker context ls)"
    )]
    Down(String),
    /// The socket is there, and not for us.
    #[error(
        "Docker's socket may not be used: {0} (as root, or as a member of its group: usermod -aG docker USER, then log in \
         again)"
    )]
    Denied(String),
    /// The context leads nowhere.
    #[error("docker's context is of no use: {0} (docker context ls, docker context use NAME)")]
    DeadContext(String),
    /// There is no plugin.
    #[error("docker has no buildx plugin (install docker-buildx-plugin or docker-buildx)")]
    NoPlugin,
    /// The plugin is there and does not start.
    #[error(
        "docker's buildx plugin is of no use: {0} (install docker-buildx-plugin or docker-buildx again)"
    )]
    BrokenPlugin(String),
    /// The plugin is too old.
    #[error(
        "buildx {0} is too old: its list of builders cannot be read before 0.13 (install docker-buildx-plugin 0.13 or later)"
    )]
    OldPlugin(String),
    /// The engine runs on another kernel, where we can register nothing.
    #[error(
        "the engine of context {context} is not on this machine: {why}; rules are needed over there: run binfmtd register on \
         it, then binfmtd buildx bootstrap --remote here"
    )]
    Elsewhere {
        /// The context.
        context: String,
        /// How that was seen.
        why: String,
    },
    /// `BuildKit`'s image is not there and cannot be had.
    #[error(
        "BuildKit's image could not be pulled: {0} (docker pull it, docker load it, or name another: --driver-opt \
         image=IMAGE)"
    )]
    Image(String),
    /// It did not answer in time.
    #[error("{command} did not end in {seconds} s (--timeout SECONDS waits longer)")]
    Slow {
        /// What was run.
        command: String,
        /// How long it had.
        seconds: u64,
    },
    /// It failed in a way of its own.
    #[error("{command}: {said}")]
    Failed {
        /// What was run.
        command: String,
        /// The last that it said.
        said: String,
    },
    /// It said what we do not understand.
    #[error("{command}: its answer could not be read: {error}")]
    Unreadable {
        /// What was run.
        command: String,
        /// Where it went wrong.
        error: String,
    },
    /// It could not be run.
    #[error("{0}")]
    Batch(#[from] BatchError),
}

impl From<DockerError> for Failure {
    fn from(trouble: DockerError) -> Self {
        match trouble {
            DockerError::Batch(batch) => batch.into(),
            denied if denied.is_denied() => Self::not_permitted(denied),
            other => Self::unavailable(other),
        }
    }
}

impl DockerError {
    /// Whether it is a right that is missing.
    pub fn is_denied(&self) -> bool {
        matches!(self, Self::Denied(_))
    }

    /// Whether it may be over in a moment: an engine that is about to start.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Down(_))
    }

    /// What docker's own words mean.
    pub fn of_words(command: &str, said: &str) -> Self {
        let lower = said.to_lowercase();
        let has = |words: &[&str]| words.iter().any(|words| lower.contains(words));
        let line = last_words(said);
        if has(&["permission denied"])
            && has(&["docker daemon socket", "docker.sock", "docker api"])
        {
            Self::Denied(line)
        } else if has(&["is the docker daemon running", "cannot connect to the docker daemon"])
            || (has(&["docker api", "docker daemon"])
                && has(&["connection refused", "no such file", "no such host", "i/o timeout"]))
        {
            Self::Down(line)
        } else if has(&["context not found", "unable to resolve docker endpoint"])
            || (lower.contains("context") && lower.contains("not found"))
        {
            Self::DeadContext(line)
        } else if has(&["'buildx' is not a docker command", "unknown command: docker buildx"]) {
            Self::NoPlugin
        } else {
            Self::Failed { command: command.to_owned(), said: line }
        }
    }
}

/// The last line that says something: where tools put what went wrong. The docker command puts its help behind it.
fn last_words(said: &str) -> String {
    let is_help =
        |line: &str| ["See 'docker", "Run 'docker"].iter().any(|words| line.starts_with(words));
    let lines = said.lines().map(str::trim).take_while(|line| !line.starts_with("Usage:"));
    let line = lines.filter(|line| !line.is_empty() && !is_help(line)).reduce(|_, last| last);
    let line = line.unwrap_or("it failed and did not say why");
    line.trim_start_matches("ERROR: ").trim_start_matches("error: ").to_owned()
}

/// One thing to ask docker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DockerCommand {
    arguments: Vec<OsString>,
}

impl DockerCommand {
    /// The arguments after `docker`.
    pub fn new<I, S>(arguments: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: Into<OsString>,
    {
        Self { arguments: arguments.into_iter().map(Into::into).collect() }
    }

    /// The same, asked of the engine behind an endpoint of a builder's node: an address or a context.
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

/// What docker answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DockerOutput {
    /// What was asked, as a person would type it.
    pub command: String,
    /// How it ended.
    pub ended: Ended,
    /// Standard output.
    pub output: Vec<u8>,
    /// Standard error.
    pub errors: String,
    /// From start to end.
    pub time: Duration,
}

impl DockerOutput {
    /// Whether it ended well.
    pub fn is_success(&self) -> bool {
        self.ended == Ended::Exited(0)
    }

    /// Standard output, or what went wrong.
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

    /// What could not be made of its output.
    pub fn unreadable(&self, error: impl std::fmt::Display) -> DockerError {
        DockerError::Unreadable { command: self.command.clone(), error: error.to_string() }
    }
}

/// The docker command.
#[derive(Debug, Clone)]
pub struct Docker {
    program: PathBuf,
    /// For each command.
    limit: Duration,
}

impl Docker {
    /// Looks it up in PATH.
    pub fn find(limit: Duration) -> Result<Self, DockerError> {
        let program = supervise::find(OsStr::new("docker")).ok_or(DockerError::NoDocker)?;
        Ok(Self { program, limit })
    }

    /// Asks one thing.
    pub fn run(&self, command: &DockerCommand) -> Result<DockerOutput, DockerError> {
        let mut outputs = self.run_all(std::slice::from_ref(command), &mut |_| {})?;
        outputs.pop().ok_or_else(|| DockerError::Failed {
            command: command.to_string(),
            said: "it gave no answer".to_owned(),
        })
    }

    /// Asks several things at once; the answers come in the same order. `progress` hears how many are
    /// there.
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
        // Each mostly waits for the engine: as many as there are, not as many as there are cores.
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
