//! Looks at a builder, and builds for each platform that is asked about.

use super::facts::BuilderFacts;
use crate::buildx::docker::{Docker, DockerError};
use crate::buildx::engine::Location;
use crate::buildx::inspection::{self, InspectError, InspectOptions};
use crate::buildx::kernel::{Kernel, PlatformSupport};
use crate::buildx::platform::Platform;
use crate::buildx::selection;
use crate::doctor::host::facts::HostFacts;

/// Builds by the builder of this name.
pub fn gather(
    host: &HostFacts<'_>,
    docker: Result<&Docker, DockerError>,
    name: &str,
    progress: &mut dyn FnMut(&str, usize, usize),
) -> BuilderFacts {
    let outcome = docker.map_err(InspectError::from).and_then(|docker| {
        let mut inspection = inspection::look(docker, name)?;
        let mut kernels = on_kernel(host, &inspection.seen.engine.location);
        selection::sort(&mut kernels);
        let options = InspectOptions { build: true, digests: false };
        inspection.examine(docker, host.settings, &kernels, options, progress)?;
        Ok(inspection)
    });
    BuilderFacts { name: name.to_owned(), outcome }
}

/// The platforms that are asked about, each by its first name.
pub fn platforms<'a>(host: &HostFacts<'a>) -> Vec<Platform<'a>> {
    let mut platforms: Vec<Platform<'a>> = Vec::new();
    for platform in host.targets.iter().filter_map(|asked| Platform::of(asked.target)) {
        if !platforms.contains(&platform) {
            platforms.push(platform);
        }
    }
    platforms
}

/// What the kernel does with each platform that is asked about, by the proofs that are there already.
fn on_kernel<'a>(host: &HostFacts<'a>, location: &Location) -> Vec<PlatformSupport<'a>> {
    let mut kernels: Vec<PlatformSupport<'a>> = Vec::new();
    for asked in &host.targets {
        let Some(platform) = Platform::of(asked.target) else { continue };
        if kernels.iter().any(|(known, _)| *known == platform) {
            continue;
        }
        let entry = host.rule(asked);
        let kernel = match (location, &asked.proof) {
            (Location::Elsewhere(why), _) => Kernel::Unknown(why.clone()),
            (Location::Here, Some(proof)) => Kernel::of_proof(proof, entry),
            (Location::Here, None) => match entry {
                Some(entry) => Kernel::HasRule(entry.display_name()),
                None => Kernel::NoRule,
            },
        };
        kernels.push((platform, kernel));
    }
    kernels
}
