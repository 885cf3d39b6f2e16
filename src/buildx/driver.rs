//! The drivers of buildx: where the `BuildKit` of a builder runs, and what binfmtd can do with it there.
//!
//! A driver is one entry of [`DRIVERS`] (`docs/development/add-a-driver.md`).

use crate::fix::{Command, Fix};

#[derive(Debug)]
pub struct Driver {
    /// As `docker buildx ls` prints it.
    pub name: &'static str,
    /// Where its `BuildKit` runs, and what that means for other CPUs; a clause that follows a colon.
    pub limits: &'static str,
    /// How a builder of this name gets to build for other CPUs: for this platform, or for all.
    pub repair: fn(&str, Option<&str>) -> Fix,
    /// How the `BuildKit` of a builder of this name is made to look for rules again.
    pub restart: fn(&str) -> Fix,
    /// The containers of its nodes, where `docker exec`, `docker top` and `docker restart` reach them. Without them, nothing
    /// is known of the emulators in the image, and nothing can be restarted.
    pub containers: Option<Containers>,
}

/// Every driver that binfmtd recognizes.
pub static DRIVERS: [Driver; 5] = [
    Driver {
        name: "docker-container",
        limits: "its BuildKit runs in a container of the engine, with the rules of the engine's kernel",
        repair: |builder, platform| {
            let text = "register the rules that are missing, and restart the builder if it does not detect them";
            Fix::run(text, [bootstrap(builder, platform)])
        },
        // Whoever created the builder: `binfmtd buildx bootstrap` restarts only those that binfmtd created.
        restart: |builder| {
            let stop = Command::user(&["docker", "buildx", "stop"]).word(builder);
            let boot = Command::user(&["docker", "buildx", "inspect", "--bootstrap"]).word(builder);
            Fix::run("restart the builder", [stop, boot])
        },
        // `driver/docker-container/driver.go` of buildx, and `builder/builder.go` for the node's part of the name.
        containers: Some(Containers { prefix: "buildx_buildkit_", volume_suffix: "_state" }),
    },
    Driver {
        // Each context has a builder of its own name.
        name: "docker",
        limits: "its BuildKit is part of the engine, which looks for rules once, when it starts, and stores images of several \
                 platforms only with the containerd image store",
        repair: container_beside,
        restart: |_| {
            let restart = Command::root(&["systemctl", "restart", "docker"]);
            Fix::run("restart the engine, whose BuildKit looks for rules when it starts", [restart])
        },
        containers: None,
    },
    Driver {
        name: "kubernetes",
        limits: "its BuildKit runs in pods, with the rules of the machines that they are scheduled to",
        repair: |_, _| {
            Fix::advice(
                "have the cluster's administrator run binfmtd on its machines as a DaemonSet, then restart the builder's pods",
            )
        },
        // Which namespace they are in is an option of the builder, and each node is a deployment of its own.
        restart: |_| {
            Fix::advice(
                "restart the builder's pods: kubectl rollout restart, for the deployment of each node",
            )
        },
        containers: None,
    },
    Driver {
        name: "remote",
        limits: "its BuildKit was started by somebody else, with the rules of the machine that it runs on",
        repair: |_, _| {
            Fix::advice(
                "run binfmtd register on the machine where its buildkitd runs, then restart that buildkitd",
            )
        },
        restart: |_| Fix::advice("restart its buildkitd, on the machine where it runs"),
        containers: None,
    },
    Driver {
        name: "cloud",
        limits: "its BuildKit runs on Docker's machines, whose rules nobody else can change",
        repair: container_beside,
        restart: |builder| container_beside(builder, None),
        containers: None,
    },
];

/// The driver of the builders that binfmtd creates and repairs.
pub static MANAGED: &Driver = &DRIVERS[0];

/// Any other driver: a later one of buildx.
static UNKNOWN: Driver = Driver {
    name: "unknown",
    limits: "binfmtd does not know where its BuildKit runs",
    repair: container_beside,
    restart: |_| Fix::advice("restart the builder, in the way of its driver"),
    containers: None,
};

/// A driver by the name that `docker buildx ls` prints.
pub fn find(name: &str) -> &'static Driver {
    DRIVERS.iter().find(|driver| driver.name == name).unwrap_or(&UNKNOWN)
}

/// How drivers name their containers in the engine.
pub fn containers() -> impl Iterator<Item = &'static Containers> {
    DRIVERS.iter().filter_map(|driver| driver.containers.as_ref())
}

fn bootstrap(builder: &str, platform: Option<&str>) -> Command {
    let bootstrap = Command::user(&["binfmtd", "buildx", "bootstrap"]).word(builder);
    match platform {
        Some(platform) => bootstrap.word("--platform").own(platform),
        None => bootstrap,
    }
}

/// A builder of the driver that binfmtd creates, next to one that cannot be repaired from here.
fn container_beside(builder: &str, platform: Option<&str>) -> Fix {
    let bootstrap = bootstrap(&format!("{builder}-container"), platform);
    Fix::run("create a builder that runs in a container", [bootstrap])
}

/// How a driver names containers and volumes.
#[derive(Debug)]
pub struct Containers {
    /// Before a node's name: its container.
    pub prefix: &'static str,
    /// Behind the container's name: the volume of its state.
    pub volume_suffix: &'static str,
}

impl Containers {
    pub fn container(&self, node: &str) -> String {
        format!("{}{node}", self.prefix)
    }

    pub fn volume(&self, node: &str) -> String {
        format!("{}{node}{}", self.prefix, self.volume_suffix)
    }

    /// The node of a container; `None` for any other container.
    pub fn node_of_container<'a>(&self, container: &'a str) -> Option<&'a str> {
        container.strip_prefix(self.prefix)
    }

    /// The node of a volume; `None` for any other volume.
    pub fn node_of_volume<'a>(&self, volume: &'a str) -> Option<&'a str> {
        self.node_of_container(volume.strip_suffix(self.volume_suffix)?)
    }
}
