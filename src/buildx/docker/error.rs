//! Why Docker could not be asked, or did not do what it was asked for.

use thiserror::Error;

use crate::failure::Failure;
use crate::system::process::batch::BatchError;

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
