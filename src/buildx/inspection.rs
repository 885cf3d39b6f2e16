//! All that is known of a builder: one look, for `binfmtd buildx` and for the doctor.

use thiserror::Error;

use super::builder::{Builder, Node, NodeStatus};
use super::docker::{Docker, DockerError};
use super::embedded::{self, Embedded};
use super::facts::PlatformFacts;
use super::kernel::Kernel;
use super::observe::{self, DockerFacts, Orphan};
use super::platform::Platform;
use super::record;
use super::test_build::{self, Built, Runner, TestBuild};
use crate::config::Settings;
use crate::failure::Failure;
use crate::observe::host_target;

/// Why a builder could not be looked at.
#[derive(Debug, Error)]
pub enum InspectError {
    /// Docker could not be asked.
    #[error(transparent)]
    Docker(#[from] DockerError),
    /// The kernel could not be looked at.
    #[error(transparent)]
    Observe(#[from] Failure),
}

impl From<InspectError> for Failure {
    fn from(error: InspectError) -> Self {
        match error {
            InspectError::Docker(trouble) => trouble.into(),
            InspectError::Observe(observe) => observe,
        }
    }
}

/// What is done to find the facts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InspectOptions {
    /// Whether to build, and to look into the image.
    pub build: bool,
    /// Whether to take digests of its emulators.
    pub digests: bool,
}

/// A builder, inside and out.
#[derive(Debug)]
pub struct Inspection {
    /// The engine, and all builders.
    pub seen: DockerFacts,
    /// The builder that was asked for; `None` when there is none of that name.
    pub builder: Option<Builder>,
    /// The four facts about each platform.
    pub facts: Vec<PlatformFacts>,
    /// What is left of builders that are gone.
    pub orphans: Vec<Orphan>,
}

impl Inspection {
    /// A node that does not run, so that nothing was built.
    pub fn resting(&self) -> Option<&Node> {
        resting(self.builder.as_ref()?)
    }
}

fn resting(builder: &Builder) -> Option<&Node> {
    builder.nodes.iter().find(|node| node.status != NodeStatus::Running)
}

/// A platform, and what this kernel does with its programs.
pub type PlatformSupport<'a> = (Platform<'a>, Kernel);

/// Looks at a builder, and builds where all of its nodes run. Changes nothing and starts nothing. `kernels` is
/// asked once it is known what the builder advertises.
pub fn inspect<'a>(
    docker: &Docker,
    settings: &'a Settings,
    name: &str,
    kernels: impl FnOnce(&DockerFacts, &Builder) -> Result<Vec<PlatformSupport<'a>>, Failure>,
    effort: InspectOptions,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Inspection, InspectError> {
    let seen = observe::observe(docker)?;
    let orphans = observe::orphans(docker, &seen, &record::read())?;
    let builder = seen.builder(name).cloned();
    let facts = match &builder {
        None => Vec::new(),
        Some(builder) => {
            let kernels = kernels(&seen, builder)?;
            let can_build = resting(builder).is_none() && builder.error.is_none();
            let effort = InspectOptions { build: effort.build && can_build, ..effort };
            facts(docker, settings, builder, &kernels, effort, progress)?
        }
    };
    Ok(Inspection { seen, builder, facts, orphans })
}

/// All four facts about each platform.
pub fn facts(
    docker: &Docker,
    settings: &Settings,
    builder: &Builder,
    kernels: &[PlatformSupport<'_>],
    effort: InspectOptions,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Vec<PlatformFacts>, InspectError> {
    let platforms: Vec<Platform<'_>> =
        kernels.iter().map(|(platform, _)| platform.clone()).collect();
    let (embedded, built) = if effort.build {
        let embedded = embedded::look(docker, builder, &platforms, effort.digests)?;
        let host = host_target(settings)?;
        let cases: Vec<TestBuild<'_>> = platforms
            .iter()
            .zip(&embedded)
            .map(|(platform, embedded)| TestBuild { platform, embedded: embedded.is_there() })
            .collect();
        let built = test_build::build(docker, &builder.name, &cases, host, progress)?;
        (embedded, built)
    } else {
        let unknown = Embedded::Unknown("not looked for".to_owned());
        let untried = match resting(builder) {
            Some(node) => format!("node {} is {}", node.name, node.status.word()),
            None => "no build was asked for".to_owned(),
        };
        let untried = Built::NotTried(untried);
        (vec![unknown; platforms.len()], vec![untried; platforms.len()])
    };
    let both = embedded.into_iter().zip(built);
    let facts =
        kernels.iter().zip(both).map(|((platform, kernel), (embedded, built))| PlatformFacts {
            platform: platform.name.clone(),
            target: platform.target.name.clone(),
            kernel: kernel.clone(),
            embedded,
            advertised: builder.advertises(&platform.name),
            resting: resting(builder).is_some(),
            built: by_what_takes_it(built, kernel),
        });
    Ok(facts.collect())
}

/// Emulators that are not QEMU (FEX, Rosetta) do not tell a version: where the kernel has a rule, it is the rule that ran.
fn by_what_takes_it(built: Built, kernel: &Kernel) -> Built {
    match (built, kernel) {
        (Built::Yes { by: Runner::Native, version, time }, Kernel::Runs { .. }) => {
            Built::Yes { by: Runner::Rule, version, time }
        }
        (built, _) => built,
    }
}

/// The host's own first, the others by name.
pub fn sort(platforms: &mut [PlatformSupport<'_>]) {
    platforms.sort_by(|(one, kernel), (other, others)| {
        let rank = |kernel: &Kernel| *kernel != Kernel::Native;
        (rank(kernel), &one.name).cmp(&(rank(others), &other.name))
    });
}

/// Keeps what is of interest where nobody names platforms: what the kernel runs or has a rule for, and what
/// the builder advertises.
pub fn keep_interesting(
    settings: &Settings,
    builder: &Builder,
    platforms: &mut Vec<PlatformSupport<'_>>,
) {
    let advertised = Platform::advertised(&settings.table, builder);
    platforms.retain(|(platform, kernel)| {
        kernel.works() == Some(true)
            || kernel.rule().is_some()
            || advertised.iter().any(|known| known.target.name == platform.target.name)
    });
    sort(platforms);
}
