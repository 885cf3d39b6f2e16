//! The drivers of buildx: where the `BuildKit` of a builder runs, and what binfmtd can do with it there.
//!
//! A driver is one file and one line of [`DRIVERS`] (`docs/development/add-a-driver.md`).

mod cloud;
mod docker;
mod docker_container;
mod fixes;
mod interface;
mod kubernetes;
mod other;
mod remote;

pub use interface::{Containers, Driver};

/// Every driver that binfmtd recognizes.
pub const DRIVERS: &[&dyn Driver] = &[
    &docker_container::DockerContainerDriver,
    &docker::DockerDriver,
    &kubernetes::KubernetesDriver,
    &remote::RemoteDriver,
    &cloud::CloudDriver,
];

/// The driver of the builders that binfmtd creates and repairs.
pub const MANAGED: &dyn Driver = &docker_container::DockerContainerDriver;

/// A driver by the name that `docker buildx ls` prints.
pub fn find(name: &str) -> &'static dyn Driver {
    DRIVERS.iter().copied().find(|driver| driver.name() == name).unwrap_or(&other::OtherDriver)
}

/// How drivers name their containers in the engine.
pub fn containers() -> impl Iterator<Item = Containers> {
    DRIVERS.iter().filter_map(|driver| driver.containers())
}
