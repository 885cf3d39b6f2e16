//! Why Docker could not be asked, or did not do what it was asked for.

use thiserror::Error;

use crate::buildx::message::with_fix;
use crate::failure::Failure;
use crate::fix::{Command, Fix};
use crate::system::process::batch::BatchError;

/// The oldest buildx whose `ls` prints JSON.
pub const OLDEST_BUILDX: (u32, u32) = (0, 13);

/// Why Docker could not be asked, or did not do what it was asked for.
#[derive(Debug, Error)]
pub enum DockerError {
    #[error("docker: not found in PATH")]
    NoDocker,
    /// The docker command is podman's, of this version.
    #[error(
        "docker is podman {0} here, which has no builders of buildx; podman build --platform uses the kernel's rules"
    )]
    Podman(String),
    /// The engine speaks Docker's API and is not Docker's.
    #[error(
        "the engine at {endpoint} is not Docker's (version {version}; podman's service, most likely), which the \
         docker-container driver needs"
    )]
    Compatible { endpoint: String, version: String },
    #[error("no Docker engine answers: {0}")]
    Down(String),
    #[error("Docker's socket may not be used: {0}")]
    Denied(String),
    /// The context leads nowhere.
    #[error("docker's current context does not exist: {0}")]
    DeadContext(String),
    #[error("docker has no buildx plugin")]
    NoPlugin,
    /// The plugin is there and does not start.
    #[error("docker's buildx plugin does not work: {0}")]
    BrokenPlugin(String),
    #[error("buildx {0} is too old: it cannot list its builders as JSON before 0.13")]
    OldPlugin(String),
    /// The engine runs on another kernel, where nothing can be registered from here.
    #[error(
        "the engine of context {context} is not on this machine, and its builds do not use the rules here: {why}"
    )]
    Elsewhere { context: String, why: String },
    /// `BuildKit`'s image is not in the engine and cannot be pulled.
    #[error("BuildKit's image could not be pulled: {0}")]
    Image(String),
    #[error("{command} did not end in {seconds} s")]
    Slow { command: String, seconds: u64 },
    /// It failed for any other reason; the last that it said.
    #[error("{command}: {said}")]
    Failed { command: String, said: String },
    #[error("{command}: its answer could not be read: {error}")]
    Unreadable { command: String, error: String },
    /// It could not be run.
    #[error("{0}")]
    Batch(#[from] BatchError),
}

impl From<DockerError> for Failure {
    fn from(error: DockerError) -> Self {
        let fix = error.fix();
        let message = fix.map_or_else(|| error.to_string(), |fix| with_fix(&error, &fix));
        match error {
            DockerError::Batch(batch) => batch.into(),
            DockerError::Denied(_) => Self::not_permitted(message),
            DockerError::NoDocker
            | DockerError::Podman(_)
            | DockerError::Compatible { .. }
            | DockerError::Down(_)
            | DockerError::DeadContext(_)
            | DockerError::NoPlugin
            | DockerError::BrokenPlugin(_)
            | DockerError::OldPlugin(_)
            | DockerError::Elsewhere { .. }
            | DockerError::Image(_)
            | DockerError::Slow { .. }
            | DockerError::Failed { .. }
            | DockerError::Unreadable { .. } => Self::unavailable(message),
        }
    }
}

impl DockerError {
    /// What to do about it, if anything is known to help.
    pub fn fix(&self) -> Option<Fix> {
        Some(match self {
            Self::NoDocker => Fix::advice("install Docker's command line and its buildx plugin"),
            Self::Podman(_) => Fix::run(
                "check the rules that podman uses",
                [Command::user(&["binfmtd", "doctor"])],
            ),
            Self::Compatible { .. } | Self::DeadContext(_) => Fix::run(
                "choose the context of the local engine, or another of docker context ls",
                [Command::user(&["docker", "context", "use", "default"])],
            ),
            Self::Down(_) => Fix::run(
                "choose another context with docker context use, or start the engine",
                [Command::root(&["systemctl", "start", "docker"])],
            ),
            Self::Denied(_) => Fix::advice(
                "add this user to the group docker (usermod -aG docker USER), then log in again",
            ),
            Self::NoPlugin | Self::BrokenPlugin(_) => {
                Fix::advice("install docker-buildx-plugin or docker-buildx")
            }
            Self::OldPlugin(_) => Fix::advice("install docker-buildx-plugin 0.13 or later"),
            Self::Elsewhere { .. } => Fix::advice(
                "run binfmtd register on that machine, then binfmtd buildx bootstrap --remote here",
            ),
            Self::Image(_) => Fix::advice(
                "docker pull it, docker load it, or name another: --driver-opt image=IMAGE",
            ),
            Self::Slow { .. } => Fix::advice("--timeout SECONDS waits longer"),
            Self::Failed { .. } | Self::Unreadable { .. } | Self::Batch(_) => return None,
        })
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
