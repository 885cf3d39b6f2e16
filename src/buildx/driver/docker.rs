//! `docker`: the `BuildKit` inside the engine. Each context has such a builder of its own name.

use super::fixes;
use super::interface::Driver;
use crate::fix::{Command, Fix};

pub(super) struct DockerDriver;

impl Driver for DockerDriver {
    fn name(&self) -> &'static str {
        "docker"
    }

    fn limits(&self) -> &'static str {
        "its BuildKit is part of the engine, which looks for rules once, when it starts, and stores images of several platforms \
         only with the containerd image store"
    }

    fn repair(&self, builder: &str, platform: Option<&str>) -> Fix {
        fixes::container_beside(builder, platform)
    }

    fn restart(&self, _builder: &str) -> Fix {
        let restart = Command::root(&["systemctl", "restart", "docker"]);
        Fix::run("restart the engine, whose BuildKit looks for rules when it starts", [restart])
    }
}
