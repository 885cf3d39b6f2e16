//! All that is known of a builder, for `binfmtd buildx` and for the doctor.

use thiserror::Error;

use super::apply;
use super::builder::{Builder, Node, NodeStatus};
use super::docker::{Docker, DockerError};
use super::embedded::{self, Embedded};
use super::facts::{PlatformFacts, by_rule_where_there_is_one};
use super::kernel::{self, KernelOptions, PlatformSupport};
use super::observe::{self, DockerFacts, Orphan};
use super::platform::Platform;
use super::problem::{BuilderProblem, resting};
use super::record;
use super::selection::keep_interesting;
use super::test_build::{self, Built, TestBuild};
use crate::config::Settings;
use crate::failure::Failure;
use crate::observe::{ObserveOptions, host_target};

/// Why a builder could not be inspected.
#[derive(Debug, Error)]
pub enum InspectError {
    #[error(transparent)]
    Docker(#[from] DockerError),
    /// The kernel's rules could not be read.
    #[error(transparent)]
    Observe(#[from] Failure),
}

impl From<InspectError> for Failure {
    fn from(error: InspectError) -> Self {
        match error {
            InspectError::Docker(error) => error.into(),
            InspectError::Observe(failure) => failure,
        }
    }
}

/// What is done to find the facts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InspectOptions {
    /// Whether to build, and to look into the image.
    pub build: bool,
    /// Whether to take digests of the emulators in the image, which are megabytes to copy.
    pub digests: bool,
}

#[derive(Debug)]
pub struct Inspection {
    /// The engine, and all builders.
    pub seen: DockerFacts,
    /// The name that was asked for.
    pub name: String,
    /// `None` if no builder has that name.
    pub builder: Option<Builder>,
    pub facts: Vec<PlatformFacts>,
    /// What is left of builders that are gone.
    pub orphans: Vec<Orphan>,
}

impl Inspection {
    /// Why nothing was built, unless nobody asked for builds.
    pub fn problem(&self) -> Option<BuilderProblem> {
        let Some(builder) = &self.builder else {
            return Some(BuilderProblem::missing(&self.name, &self.seen));
        };
        let has_built = self.facts.iter().any(|facts| facts.built.works().is_some());
        BuilderProblem::of(builder).filter(|_| !has_built)
    }

    /// Finds the facts of each platform. Builds if all nodes run.
    pub fn examine(
        &mut self,
        docker: &Docker,
        settings: &Settings,
        kernels: &[PlatformSupport<'_>],
        options: InspectOptions,
        progress: &mut dyn FnMut(&str, usize, usize),
    ) -> Result<(), InspectError> {
        if let Some(builder) = &self.builder {
            let can_build = resting(builder).is_none() && builder.error.is_none();
            let options = InspectOptions { build: options.build && can_build, ..options };
            self.facts = facts(docker, settings, builder, kernels, options, progress)?;
        }
        Ok(())
    }
}

/// Looks for a builder and at what is around it. Changes nothing and starts nothing.
pub fn look(docker: &Docker, name: &str) -> Result<Inspection, DockerError> {
    let seen = observe::observe(docker)?;
    let orphans = observe::orphans(docker, &seen, &record::read())?;
    let builder = seen.builder(name).cloned();
    Ok(Inspection { seen, name: name.to_owned(), builder, facts: Vec::new(), orphans })
}

/// What `binfmtd buildx inspect` and `verify` are asked for.
#[derive(Debug, Clone)]
pub struct InspectRequest<'a> {
    pub name: String,
    /// `None` for all that the kernel runs or the builder advertises.
    pub platforms: Option<Vec<Platform<'a>>>,
    /// Whether to run probes and to build.
    pub verify: bool,
    /// Whether to take digests of the emulators in the image.
    pub digests: bool,
}

impl<'a> InspectRequest<'a> {
    /// Inspects the builder as it is. Changes nothing and starts nothing.
    pub fn inspect(
        &self,
        docker: &Docker,
        settings: &'a Settings,
        observe: ObserveOptions<'_>,
        progress: &mut dyn FnMut(&str, usize, usize),
    ) -> Result<Inspection, Failure> {
        let mut inspection = look(docker, &self.name)?;
        if let Some(builder) = &inspection.builder {
            let engine = &inspection.seen;
            let kernels = self.kernels(settings, engine, builder, observe, progress)?;
            inspection.examine(docker, settings, &kernels, self.options(), progress)?;
        }
        Ok(inspection)
    }

    /// Starts a builder that does not run, and builds if any of its nodes runs then.
    pub fn verify(
        &self,
        docker: &Docker,
        settings: &'a Settings,
        observe: ObserveOptions<'_>,
        progress: &mut dyn FnMut(&str, usize, usize),
    ) -> Result<Inspection, Failure> {
        let name = self.name.clone();
        let mut seen = observe::observe(docker)?;
        if seen.builder(&name).is_some_and(|builder| !builder.is_running()) {
            apply::boot(docker, &name)?;
            seen.builders = observe::builders(docker)?;
        }
        let builder = seen.builder(&name).cloned();
        let facts = match &builder {
            None => Vec::new(),
            Some(builder) => {
                let kernels = self.kernels(settings, &seen, builder, observe, progress)?;
                let runs = |node: &Node| node.status == NodeStatus::Running;
                let build = builder.nodes.is_empty() || builder.nodes.iter().any(runs);
                let options = InspectOptions { build, ..self.options() };
                facts(docker, settings, builder, &kernels, options, progress)?
            }
        };
        Ok(Inspection { seen, name, builder, facts, orphans: Vec::new() })
    }

    fn options(&self) -> InspectOptions {
        InspectOptions { build: self.verify, digests: self.verify && self.digests }
    }

    fn kernels(
        &self,
        settings: &'a Settings,
        seen: &DockerFacts,
        builder: &Builder,
        observe: ObserveOptions<'_>,
        progress: &mut dyn FnMut(&str, usize, usize),
    ) -> Result<Vec<PlatformSupport<'a>>, Failure> {
        let asked = self.platforms.clone();
        let platforms = asked.unwrap_or_else(|| Platform::all(&settings.table));
        let options = KernelOptions { observe, prove: self.verify };
        let mut kernels =
            kernel::look(settings, &seen.engine, platforms, options, progress)?.platforms;
        if self.platforms.is_none() {
            keep_interesting(settings, builder, &mut kernels);
        }
        Ok(kernels)
    }
}

/// All four facts about each platform.
pub fn facts(
    docker: &Docker,
    settings: &Settings,
    builder: &Builder,
    kernels: &[PlatformSupport<'_>],
    options: InspectOptions,
    progress: &mut dyn FnMut(&str, usize, usize),
) -> Result<Vec<PlatformFacts>, InspectError> {
    let platforms: Vec<Platform<'_>> =
        kernels.iter().map(|(platform, _)| platform.clone()).collect();
    let (embedded, built) = if options.build {
        let embedded = embedded::look(docker, builder, &platforms, options.digests)?;
        let host = host_target(settings)?;
        let cases: Vec<TestBuild<'_>> = platforms
            .iter()
            .zip(&embedded)
            .map(|(platform, embedded)| TestBuild { platform, embedded: embedded.is_there() })
            .collect();
        let mut progress = |done, total| progress("building", done, total);
        let built = test_build::build(docker, &builder.name, &cases, host, &mut progress)?;
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
            built: by_rule_where_there_is_one(built, kernel),
        });
    Ok(facts.collect())
}
