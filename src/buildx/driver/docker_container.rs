//! `docker-container`: `BuildKit` in a container of the engine. The driver of the builders that binfmtd creates.

use super::fixes;
use super::interface::{Containers, Driver};
use crate::fix::{Command, Fix};

pub(super) struct DockerContainerDriver;

impl Driver for DockerContainerDriver {
    fn name(&self) -> &'static str {
        "docker-container"
    }

    fn limits(&self) -> &'static str {
        "its BuildKit runs in a container of the engine, with the rules of the engine's kernel"
    }

    fn repair(&self, builder: &str, platform: Option<&str>) -> Fix {
        let text = "register the rules that are missing, and restart the builder if it does not detect them";
        Fix::run(text, [fixes::bootstrap(builder, platform)])
    }

    /// Whoever created the builder: `binfmtd buildx bootstrap` restarts only those that binfmtd created.
    fn restart(&self, builder: &str) -> Fix {
        let stop = Command::user(&["docker", "buildx", "stop"]).word(builder);
        let boot = Command::user(&["docker", "buildx", "inspect", "--bootstrap"]).word(builder);
        Fix::run("restart the builder", [stop, boot])
    }

    /// `driver/docker-container/driver.go` of buildx, and `builder/builder.go` for the node's part of the name.
    fn containers(&self) -> Option<Containers> {
        Some(Containers { prefix: "buildx_buildkit_", volume_suffix: "_state" })
    }
}
