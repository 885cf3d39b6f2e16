//! Family `docker`: the docker command, the engine and the plugin that a builder needs.

use crate::buildx::docker::DockerError;
use crate::buildx::engine::Location;
use crate::buildx::inspection::{InspectError, Inspection};
use crate::doctor::check::Check;
use crate::doctor::facts::Facts;
use crate::doctor::finding::{Draft, Finding};
use crate::doctor::id::CheckId;
use crate::fix::{Command, Fix};
use crate::system::host::surroundings::Distribution;

/// Installs the plugin, and with `command` the docker command as well.
fn install(distribution: Distribution, command: bool) -> Fix {
    let (manager, client, plugin): (&[&str], _, _) = match distribution {
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

/// What was seen of the builder, or why docker could not be asked.
pub(super) type Seen<'a> = Result<&'a Inspection, &'a DockerError>;

/// The builder that was named, if its rules could be looked at.
pub(super) fn named(
    facts: &Facts<'_>,
    id: CheckId,
    judge: impl Fn(Seen<'_>, Draft) -> Finding,
) -> Vec<Finding> {
    let Some(asked) = &facts.builder else {
        return vec![Draft::host(id).skip("no builder was named: --builder NAME")];
    };
    let draft = asked.draft(id);
    vec![match &asked.outcome {
        Ok(inspection) => judge(Ok(inspection), draft),
        Err(InspectError::Docker(trouble)) => judge(Err(trouble), draft),
        Err(InspectError::Observe(error)) => draft.skip(error.to_string()),
    }]
}

pub(in crate::doctor) static CLI: Check = Check {
    id: CheckId::DockerCli,
    title: "there is a docker command",
    proves: "Docker's own command line is in PATH and answers. Podman's command of the same name has no builders.",
    cure: "Install Docker's command line: docker-ce-cli from Docker's own packages, or docker-cli (Debian). Run the doctor as the user who builds.",
    run: |facts, id| named(facts, id, |seen, draft| cli(facts.host.distribution, seen, draft)),
};

fn cli(distribution: Distribution, seen: Seen<'_>, draft: Draft) -> Finding {
    match seen {
        Ok(found) => draft
            .pass(format!("docker {} answers", found.seen.engine.client))
            .with(format!("context {}", found.seen.engine.context)),
        Err(DockerError::NoDocker) => {
            draft.fail("there is no docker command in PATH").fix(install(distribution, true))
        }
        Err(trouble @ DockerError::Podman(_)) => draft
            .fail(trouble.to_string())
            .fix(Fix::advice(
                "podman has no builders: check the host with binfmtd doctor, then use podman build --platform PLATFORM",
            )),
        // docker's answer was not understood or did not come, so nothing is known.
        Err(
            trouble @ (DockerError::Slow { .. }
            | DockerError::Failed { .. }
            | DockerError::Unreadable { .. }
            | DockerError::Batch(_)),
        ) => draft.error(trouble.to_string()),
        Err(_) => draft.pass("there is a docker command"),
    }
}

pub(in crate::doctor) static ENGINE: Check = Check {
    id: CheckId::DockerEngine,
    title: "Docker's engine answers",
    proves: "The engine of the current context answers this user. A builder is a container in that engine.",
    cure: "Start it: systemctl start docker. Or choose another context: docker context ls, docker context use NAME. If this user may not use the socket: usermod -aG docker USER, then log in again.",
    run: |facts, id| named(facts, id, engine),
};

fn engine(seen: Seen<'_>, draft: Draft) -> Finding {
    match seen {
        Ok(found) => {
            let engine = &found.seen.engine;
            let rootless = if engine.rootless { ", rootless" } else { "" };
            draft
                .pass(format!("Docker {}{rootless} answers", engine.version))
                .with(engine.endpoint.clone())
        }
        Err(error @ DockerError::Down(said)) => {
            fixed(draft.fail("Docker's engine does not answer").with(said.clone()), error)
        }
        Err(error @ DockerError::DeadContext(said)) => {
            fixed(draft.fail("docker's context leads to no engine").with(said.clone()), error)
        }
        Err(error @ DockerError::Compatible { endpoint, version }) => {
            let summary =
                "what answers is not a Docker engine, which the docker-container driver needs";
            fixed(draft.fail(summary).with(format!("{endpoint}, version {version}")), error)
        }
        // Another user may be able to reach the engine.
        Err(error @ DockerError::Denied(said)) => {
            fixed(draft.error("this user may not use Docker's socket").with(said.clone()), error)
        }
        Err(DockerError::NoPlugin | DockerError::OldPlugin(_)) => draft.pass("the engine answers"),
        Err(DockerError::NoDocker | DockerError::Podman(_)) => {
            draft.skip(format!("{} reports why", CheckId::DockerCli))
        }
        Err(
            DockerError::Slow { .. }
            | DockerError::Failed { .. }
            | DockerError::Unreadable { .. }
            | DockerError::BrokenPlugin(_)
            | DockerError::Elsewhere { .. }
            | DockerError::Image(_)
            | DockerError::Batch(_),
        ) => draft.skip(format!("{} reports the cause", CheckId::DockerCli)),
    }
}

pub(in crate::doctor) static HERE: Check = Check {
    id: CheckId::DockerHere,
    title: "the engine runs on this kernel",
    proves: "Builds use the rules of this kernel. An engine on another machine, or in a virtual machine (Docker Desktop), needs rules there.",
    cure: "Register on that machine: ssh HOST binfmtd register. The virtual machine of Docker Desktop has rules of its own.",
    run: |facts, id| named(facts, id, here),
};

fn here(seen: Seen<'_>, draft: Draft) -> Finding {
    match seen {
        Err(_) => draft.skip("the engine could not be asked"),
        Ok(found) => match &found.seen.engine.location {
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
    run: |facts, id| named(facts, id, |seen, draft| buildx(facts.host.distribution, seen, draft)),
};

fn buildx(distribution: Distribution, seen: Seen<'_>, draft: Draft) -> Finding {
    match seen {
        Ok(found) => draft.pass(format!("buildx {}", found.seen.engine.buildx)),
        Err(DockerError::NoPlugin) => {
            draft.fail("docker has no buildx plugin").fix(install(distribution, false))
        }
        Err(DockerError::OldPlugin(version)) => draft
            .fail("buildx is too old: its list of builders cannot be read before 0.13")
            .with(version.clone())
            .fix(install(distribution, false)),
        Err(_) => draft.skip("docker could not be asked"),
    }
}
