//! Family `docker`: the docker command, the engine and the plugin, as far as a builder needs them.

use super::{Check, Draft, Examination, Finding};
use crate::buildx::docker::DockerError;
use crate::buildx::engine::Location;
use crate::buildx::inspection::{InspectError, Inspection};

const CLI: &str = "docker.cli";
const ENGINE: &str = "docker.engine";
const HERE: &str = "docker.here";
const BUILDX: &str = "docker.buildx";

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: CLI,
        title: "there is a docker command",
        proves: "Docker's own command line is in PATH and answers. Podman's command of the same name has no builders.",
        cure: "Install Docker's command line: docker-ce-cli of Docker's own packages, or docker-cli (Debian), and run the doctor as the user who builds.",
        run: |examination| vec![cli(examination)],
    },
    Check {
        id: ENGINE,
        title: "Docker's engine answers",
        proves: "The engine of the current context answers this user. A builder is a container of it.",
        cure: "Start it: systemctl start docker. Or choose a context that answers: docker context ls, docker context use NAME. A socket that this user may not use: usermod -aG docker USER, then log in again.",
        run: |examination| vec![engine(examination)],
    },
    Check {
        id: HERE,
        title: "the engine runs on this kernel",
        proves: "The rules of this kernel are those that builds will meet. An engine on another machine, or in a virtual one (Docker Desktop), needs rules over there.",
        cure: "Register over there: ssh HOST binfmtd register; in Docker Desktop the machine has rules of its own.",
        run: |examination| vec![here(examination)],
    },
    Check {
        id: BUILDX,
        title: "buildx is there, and not too old",
        proves: "The docker command has the buildx plugin, 0.13 or later: older ones cannot list their builders for programs.",
        cure: "Install the plugin: docker-buildx-plugin of Docker's own packages, or docker-buildx (Debian).",
        run: |examination| vec![buildx(examination)],
    },
];

/// What was seen; or what is in the way, or why nobody looked.
pub(super) enum Seen<'a> {
    Well(&'a Inspection),
    Trouble(&'a DockerError),
    Not(String),
}

pub(super) fn seen<'a>(examination: &'a Examination<'_>) -> Seen<'a> {
    match &examination.builder {
        None => Seen::Not("it takes a builder to look at: --builder NAME".to_owned()),
        Some(asked) => match &asked.outcome {
            Ok(inspection) => Seen::Well(inspection),
            Err(InspectError::Docker(trouble)) => Seen::Trouble(trouble),
            Err(InspectError::Observe(error)) => Seen::Not(error.to_string()),
        },
    }
}

fn cli(examination: &Examination<'_>) -> Finding {
    let draft = Draft::host(CLI);
    match seen(examination) {
        Seen::Not(why) => draft.skip(why),
        Seen::Well(found) => draft
            .pass(format!("docker {} answers", found.seen.engine.client))
            .with(format!("context {}", found.seen.engine.context)),
        Seen::Trouble(DockerError::NoDocker) => draft.fail("there is no docker command in PATH").fix(
            "apt-get install docker-cli docker-buildx, or docker-ce-cli of Docker's own packages",
        ),
        Seen::Trouble(trouble @ DockerError::Podman(_)) => draft
            .fail(trouble.to_string())
            .fix("binfmtd doctor, then podman build --platform PLATFORM"),
        // Something answered, and could not be understood or did not end: nothing is known.
        Seen::Trouble(
            trouble @ (DockerError::Slow { .. }
            | DockerError::Failed { .. }
            | DockerError::Unreadable { .. }
            | DockerError::Batch(_)),
        ) => draft.error(trouble.to_string()),
        Seen::Trouble(_) => draft.pass("there is a docker command"),
    }
}

fn engine(examination: &Examination<'_>) -> Finding {
    let draft = Draft::host(ENGINE);
    match seen(examination) {
        Seen::Not(why) => draft.skip(why),
        Seen::Well(found) => {
            let engine = &found.seen.engine;
            let rootless = if engine.rootless { ", rootless" } else { "" };
            draft
                .pass(format!("Docker {}{rootless} answers", engine.version))
                .with(engine.endpoint.clone())
        }
        Seen::Trouble(trouble) => match trouble {
            DockerError::Down(said) => draft
                .fail("Docker's engine does not answer")
                .with(said.clone())
                .fix("systemctl start docker"),
            DockerError::DeadContext(said) => draft
                .fail("docker's context leads to no engine")
                .with(said.clone())
                .fix("docker context use default"),
            DockerError::Compatible { endpoint, version } => draft
                .fail("what answers is no Docker engine: the docker-container driver needs one")
                .with(format!("{endpoint}, version {version}"))
                .fix("docker context use default"),
            // Says nothing about the engine: another user may reach it.
            DockerError::Denied(said) => draft
                .error("this user may not use Docker's socket")
                .with(said.clone())
                .fix("usermod -aG docker USER, then log in again"),
            DockerError::NoDocker | DockerError::Podman(_) => draft.skip(format!("{CLI} says why")),
            DockerError::NoPlugin | DockerError::OldPlugin(_) => draft.pass("the engine answers"),
            _ => draft.skip(format!("{CLI} says what is in the way")),
        },
    }
}

fn here(examination: &Examination<'_>) -> Finding {
    let draft = Draft::host(HERE);
    match seen(examination) {
        Seen::Not(why) => draft.skip(why),
        Seen::Trouble(_) => draft.skip("the engine could not be asked"),
        Seen::Well(found) => match &found.seen.engine.location {
            Location::Here => draft
                .pass("the engine runs on this kernel")
                .with(format!("Linux {}", found.seen.engine.kernel)),
            Location::Elsewhere(why) => draft
                .warn("the engine is not on this machine: this kernel's rules are not those of its builds")
                .with(why.clone())
                .fix("run binfmtd register on the engine's machine"),
        },
    }
}

fn buildx(examination: &Examination<'_>) -> Finding {
    let draft = Draft::host(BUILDX);
    match seen(examination) {
        Seen::Not(why) => draft.skip(why),
        Seen::Well(found) => draft.pass(format!("buildx {}", found.seen.engine.buildx)),
        Seen::Trouble(DockerError::NoPlugin) => draft
            .fail("docker has no buildx plugin")
            .fix("apt-get install docker-buildx, or docker-buildx-plugin of Docker's own packages"),
        Seen::Trouble(DockerError::OldPlugin(version)) => draft
            .fail("buildx is too old: its list of builders cannot be read before 0.13")
            .with(version.clone())
            .fix("apt-get install docker-buildx, or docker-buildx-plugin of Docker's own packages"),
        Seen::Trouble(_) => draft.skip("docker could not be asked"),
    }
}
