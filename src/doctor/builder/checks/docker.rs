//! Family `docker`: the docker command, the engine and the plugin that a builder needs.

use crate::buildx::docker::DockerError;
use crate::buildx::engine::Location;
use crate::buildx::inspection::{InspectError, Inspection};
use crate::doctor::check::Check;
use crate::doctor::facts::Facts;
use crate::doctor::finding::{Draft, Finding, Subject};
use crate::doctor::id::CheckId;
use crate::fix::{Command, Fix};
use crate::system::host::surroundings::Distribution;

/// Installs the plugin, and with `command` the docker command as well.
fn install(facts: &Facts<'_>, command: bool) -> Fix {
    let (manager, client, plugin): (&[&str], _, _) = match facts.host.distribution {
        Distribution::Debian => (&["apt-get", "install"], "docker-cli", "docker-buildx"),
        Distribution::Ubuntu => (&["apt-get", "install"], "docker.io", "docker-buildx"),
        Distribution::Arch => (&["pacman", "-S"], "docker", "docker-buildx"),
        Distribution::Alpine => (&["apk", "add"], "docker-cli", "docker-cli-buildx"),
        Distribution::Fedora | Distribution::Suse | Distribution::Other if command => {
            return Fix::advice(
                "install docker-ce-cli and docker-buildx-plugin from Docker's own packages",
            );
        }
        Distribution::Fedora | Distribution::Suse | Distribution::Other => {
            return Fix::advice("install docker-buildx-plugin from Docker's own packages");
        }
    };
    let install = Command::root(manager);
    let install = if command { install.word(client) } else { install };
    Fix::run("install Docker's command line and buildx", [install.word(plugin)])
}

/// With the fix of the error, if it has one.
fn fixed(finding: Finding, error: &DockerError) -> Finding {
    match error.fix() {
        Some(fix) => finding.fix(fix),
        None => finding,
    }
}

pub(super) fn draft(facts: &Facts<'_>, id: CheckId) -> Draft {
    match &facts.builder {
        Some(asked) => Draft::of(id, Subject::Builder { name: asked.name.clone() }),
        None => Draft::host(id),
    }
}

pub(super) enum Seen<'a> {
    Well(&'a Inspection),
    Trouble(&'a DockerError),
    Not(String),
}

pub(super) fn seen<'a>(facts: &'a Facts<'_>) -> Seen<'a> {
    match &facts.builder {
        None => Seen::Not("no builder was named: --builder NAME".to_owned()),
        Some(asked) => match &asked.outcome {
            Ok(inspection) => Seen::Well(inspection),
            Err(InspectError::Docker(trouble)) => Seen::Trouble(trouble),
            Err(InspectError::Observe(error)) => Seen::Not(error.to_string()),
        },
    }
}

pub(in crate::doctor) static CLI: Check = Check {
    id: CheckId::DockerCli,
    title: "there is a docker command",
    proves: "Docker's own command line is in PATH and answers. Podman's command of the same name has no builders.",
    cure: "Install Docker's command line: docker-ce-cli from Docker's own packages, or docker-cli (Debian). Run the doctor as the user who builds.",
    run: |facts| vec![cli(facts)],
};

fn cli(facts: &Facts<'_>) -> Finding {
    let draft = draft(facts, CheckId::DockerCli);
    match seen(facts) {
        Seen::Not(why) => draft.skip(why),
        Seen::Well(found) => draft
            .pass(format!("docker {} answers", found.seen.engine.client))
            .with(format!("context {}", found.seen.engine.context)),
        Seen::Trouble(DockerError::NoDocker) => {
            draft.fail("there is no docker command in PATH").fix(install(facts, true))
        }
        Seen::Trouble(trouble @ DockerError::Podman(_)) => draft
            .fail(trouble.to_string())
            .fix(Fix::advice(
                "podman has no builders: check the host with binfmtd doctor, then use podman build --platform PLATFORM",
            )),
        // docker's answer was not understood or did not come, so nothing is known.
        Seen::Trouble(
            trouble @ (DockerError::Slow { .. }
            | DockerError::Failed { .. }
            | DockerError::Unreadable { .. }
            | DockerError::Batch(_)),
        ) => draft.error(trouble.to_string()),
        Seen::Trouble(_) => draft.pass("there is a docker command"),
    }
}

pub(in crate::doctor) static ENGINE: Check = Check {
    id: CheckId::DockerEngine,
    title: "Docker's engine answers",
    proves: "The engine of the current context answers this user. A builder is a container in that engine.",
    cure: "Start it: systemctl start docker. Or choose another context: docker context ls, docker context use NAME. If this user may not use the socket: usermod -aG docker USER, then log in again.",
    run: |facts| vec![engine(facts)],
};

fn engine(facts: &Facts<'_>) -> Finding {
    let draft = draft(facts, CheckId::DockerEngine);
    match seen(facts) {
        Seen::Not(why) => draft.skip(why),
        Seen::Well(found) => {
            let engine = &found.seen.engine;
            let rootless = if engine.rootless { ", rootless" } else { "" };
            draft
                .pass(format!("Docker {}{rootless} answers", engine.version))
                .with(engine.endpoint.clone())
        }
        Seen::Trouble(error) => match error {
            DockerError::Down(said) => {
                fixed(draft.fail("Docker's engine does not answer").with(said.clone()), error)
            }
            DockerError::DeadContext(said) => {
                fixed(draft.fail("docker's context leads to no engine").with(said.clone()), error)
            }
            DockerError::Compatible { endpoint, version } => {
                let summary =
                    "what answers is not a Docker engine, which the docker-container driver needs";
                fixed(draft.fail(summary).with(format!("{endpoint}, version {version}")), error)
            }
            // Another user may be able to reach the engine.
            DockerError::Denied(said) => fixed(
                draft.error("this user may not use Docker's socket").with(said.clone()),
                error,
            ),
            DockerError::NoDocker | DockerError::Podman(_) => {
                draft.skip(format!("{} reports why", CheckId::DockerCli))
            }
            DockerError::NoPlugin | DockerError::OldPlugin(_) => draft.pass("the engine answers"),
            _ => draft.skip(format!("{} reports the cause", CheckId::DockerCli)),
        },
    }
}

pub(in crate::doctor) static HERE: Check = Check {
    id: CheckId::DockerHere,
    title: "the engine runs on this kernel",
    proves: "Builds use the rules of this kernel. An engine on another machine, or in a virtual machine (Docker Desktop), needs rules there.",
    cure: "Register on that machine: ssh HOST binfmtd register. The virtual machine of Docker Desktop has rules of its own.",
    run: |facts| vec![here(facts)],
};

fn here(facts: &Facts<'_>) -> Finding {
    let draft = draft(facts, CheckId::DockerHere);
    match seen(facts) {
        Seen::Not(why) => draft.skip(why),
        Seen::Trouble(_) => draft.skip("the engine could not be asked"),
        Seen::Well(found) => match &found.seen.engine.location {
            Location::Here => draft
                .pass("the engine runs on this kernel")
                .with(format!("Linux {}", found.seen.engine.kernel)),
            Location::Elsewhere(why) => draft
                .warn("the engine runs on another machine, so its builds do not use the rules of this kernel")
                .with(why.clone())
                .fix(Fix::advice("run binfmtd register on the engine's machine")),
        },
    }
}

pub(in crate::doctor) static BUILDX: Check = Check {
    id: CheckId::DockerBuildx,
    title: "buildx is installed and recent enough",
    proves: "The docker command has the buildx plugin, 0.13 or later. Older versions cannot list their builders in a machine-readable form.",
    cure: "Install the plugin: docker-buildx-plugin from Docker's own packages, or docker-buildx (Debian).",
    run: |facts| vec![buildx(facts)],
};

fn buildx(facts: &Facts<'_>) -> Finding {
    let draft = draft(facts, CheckId::DockerBuildx);
    match seen(facts) {
        Seen::Not(why) => draft.skip(why),
        Seen::Well(found) => draft.pass(format!("buildx {}", found.seen.engine.buildx)),
        Seen::Trouble(DockerError::NoPlugin) => {
            draft.fail("docker has no buildx plugin").fix(install(facts, false))
        }
        Seen::Trouble(DockerError::OldPlugin(version)) => draft
            .fail("buildx is too old: its list of builders cannot be read before 0.13")
            .with(version.clone())
            .fix(install(facts, false)),
        Seen::Trouble(_) => draft.skip("docker could not be asked"),
    }
}
