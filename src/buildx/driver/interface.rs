//! What a driver has to tell about itself.

use crate::fix::Fix;

/// One driver of buildx.
pub trait Driver: Sync {
    /// As `docker buildx ls` prints it.
    fn name(&self) -> &'static str;

    /// Where its `BuildKit` runs, and what that means for other CPUs; a clause that follows a colon.
    fn limits(&self) -> &'static str;

    /// How a builder of this name gets to build for other CPUs: for this platform, or for all.
    fn repair(&self, builder: &str, platform: Option<&str>) -> Fix;

    /// How its `BuildKit` is made to look for rules again.
    fn restart(&self, builder: &str) -> Fix;

    /// The containers of its nodes, where `docker exec`, `docker top` and `docker restart` reach them. Without them, nothing
    /// is known of the emulators in the image, and nothing can be restarted.
    fn containers(&self) -> Option<Containers> {
        None
    }
}

/// How a driver names containers and volumes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
