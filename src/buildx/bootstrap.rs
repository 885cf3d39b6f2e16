//! Rules, a builder and a build for each platform: look, plan, carry out, build, and repair what does not build.

use std::fmt::{self, Display};
use std::time::{Duration, Instant};

use super::apply::{ApplyError, Executor};
use super::builder::Builder;
use super::docker::{Docker, DockerError};
use super::engine::{Engine, Location};
use super::facts::{Assessment, Grade, PlatformFacts};
use super::inspection::{self, InspectOptions};
use super::kernel::{self, KernelFacts, KernelOptions, PlatformSupport};
use super::observe::{self, DockerFacts};
use super::plan::{self, BuilderStep};
use super::platform::Platform;
use super::record::BuilderStore;
use super::refusal::BuilderRefusal;
use super::selection::keep_running;
use super::spec::BuilderSpec;
use crate::config::{Settings, Verify};
use crate::failure::Failure;
use crate::observe::ObserveOptions;
use crate::plan::Request;
use crate::reconcile::{self, Holder, Reconciler};

/// What is to be done, and what is not.
#[derive(Debug, Clone)]
pub struct BootstrapRequest<'a> {
    pub spec: BuilderSpec,
    /// `None` for all that the kernel runs.
    pub platforms: Option<Vec<Platform<'a>>>,
    /// Whether to run probes and to build.
    pub verify: bool,
    /// Whether to take digests of the emulators in the image.
    pub digests: bool,
    /// Whether to register rules that are missing.
    pub register: bool,
    /// Whether the engine may be on another machine.
    pub remote: bool,
    /// How long to wait for an engine that does not answer yet.
    pub wait: Duration,
}

/// One thing that was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BootstrapStep {
    /// The rule of this target.
    Register(String),
    Builder(BuilderStep),
}

#[derive(Debug)]
pub struct Bootstrapped {
    pub engine: Engine,
    pub builder: Builder,
    pub facts: Vec<PlatformFacts>,
    pub steps: Vec<BootstrapStep>,
    /// What could not be done, though nothing that was asked for needs it.
    pub warnings: Vec<String>,
    /// Why something that was needed could not be done.
    pub error: Option<Failure>,
}

impl<'a> BootstrapRequest<'a> {
    /// Creates or repairs a builder as the configuration describes it.
    pub fn repair(
        name: &str,
        settings: &Settings,
        platforms: Vec<Platform<'a>>,
    ) -> Result<Self, Failure> {
        Ok(Self {
            spec: BuilderSpec::configured(name, &settings.buildx)?,
            platforms: Some(platforms),
            verify: true,
            digests: false,
            register: true,
            remote: false,
            wait: Duration::ZERO,
        })
    }
}

impl Bootstrapped {
    /// What the facts of each platform mean, now that a bootstrap has been tried.
    pub fn assessments(&self) -> impl Iterator<Item = Assessment> {
        self.facts.iter().map(|facts| facts.assess().after_bootstrap())
    }

    /// What went wrong, in one sentence; `None` if everything that was asked for builds.
    pub fn problem(&self) -> Option<String> {
        let failing = || {
            let mut failing = self.assessments().filter(|one| one.grade == Grade::Fails);
            failing.next().map(|one| one.sentence.unwrap_or_default())
        };
        self.error.as_ref().map(|error| error.message.clone()).or_else(failing)
    }
}

impl Display for BootstrapStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Register(target) => write!(f, "register {target}"),
            Self::Builder(step) => step.fmt(f),
        }
    }
}

/// Told what is under way, how much of it is done, and of how much.
pub type Progress<'p> = dyn FnMut(&str, usize, usize) + 'p;

/// Does what is asked for. An error is why nothing was done, or why it was not finished and nothing is known of the result.
pub fn bootstrap<'a>(
    docker: &Docker,
    settings: &'a Settings,
    observe: ObserveOptions<'_>,
    request: &BootstrapRequest<'a>,
    progress: &mut Progress<'_>,
) -> Result<Bootstrapped, Failure> {
    // Two bootstraps at a time would undo each other's work; the second one finds it done.
    let mut store = BuilderStore::open()?;
    let seen = observe_patiently(docker, request.wait)?;
    if let (Location::Elsewhere(why), false) = (&seen.engine.location, request.remote) {
        let (context, why) = (seen.engine.context.clone(), why.clone());
        return Err(DockerError::Elsewhere { context, why }.into());
    }
    // What is refused is refused before anything is changed.
    plan::plan(&request.spec, &seen.builders)?;
    let executor = Executor::new(docker, &seen.engine, &mut store);
    let bootstrap = Bootstrap {
        docker,
        settings,
        observe,
        request,
        executor,
        progress,
        steps: Vec::new(),
        warnings: Vec::new(),
    };
    bootstrap.run(&seen)
}

/// An engine that is about to start answers in a moment.
fn observe_patiently(docker: &Docker, wait: Duration) -> Result<DockerFacts, DockerError> {
    let started = Instant::now();
    let mut pause = Duration::from_millis(100);
    loop {
        match observe::observe(docker) {
            Err(error) if error.may_pass() && started.elapsed() + pause < wait => {
                std::thread::sleep(pause);
                pause = (pause * 2).min(Duration::from_secs(2));
            }
            result => return result,
        }
    }
}

struct Bootstrap<'a, 'b> {
    docker: &'b Docker,
    settings: &'a Settings,
    observe: ObserveOptions<'b>,
    request: &'b BootstrapRequest<'a>,
    executor: Executor<'b>,
    progress: &'b mut Progress<'b>,
    steps: Vec<BootstrapStep>,
    warnings: Vec<String>,
}

impl<'a> Bootstrap<'a, '_> {
    fn run(mut self, seen: &DockerFacts) -> Result<Bootstrapped, Failure> {
        let mut kernels = self.register_missing(&seen.engine)?;
        let mut builders = seen.builders.clone();
        let spec = &self.request.spec;
        if spec.make_current && builders.iter().any(|builder| builder.current.is_none()) {
            let current = observe::current(self.docker)?;
            for builder in &mut builders {
                builder.current = Some(builder.name == current);
            }
        }
        let planned = plan::plan(spec, &builders)?;
        self.carry_out(&planned)?;
        if !planned.is_empty() {
            builders = observe::builders(self.docker)?;
        }
        let builder = self.pick(builders)?;
        if self.request.platforms.is_none() {
            keep_running(self.settings, &builder, &mut kernels);
        }
        let undetected = plan::undetected(&builder, &kernels);
        // A builder that was just booted has looked at the rules already.
        let refresh = !undetected.is_empty() && !planned.contains(&BuilderStep::Boot);
        let refreshed = refresh.then(|| plan::refresh(spec, &builder, &undetected));
        match refreshed.map(|steps| self.repair(steps)) {
            None => self.build_and_repair(builder, &kernels, &seen.engine),
            Some(Ok(builder)) => self.build_and_repair(builder, &kernels, &seen.engine),
            Some(Err(error)) => {
                let facts = self.build(&builder, &kernels)?;
                let builds = |facts: &PlatformFacts| facts.built.works() == Some(true);
                let error = if facts.iter().all(builds) {
                    self.warnings.push(error.message);
                    None
                } else {
                    Some(error)
                };
                Ok(self.finish(builder, facts, error, &seen.engine))
            }
        }
    }

    /// Builds, and as long as something fails that a repair may help, repairs and builds again: a restart first, and then a
    /// new container with the state of the old one.
    fn build_and_repair(
        mut self,
        mut builder: Builder,
        kernels: &[PlatformSupport<'_>],
        engine: &Engine,
    ) -> Result<Bootstrapped, Failure> {
        let mut facts = self.build(&builder, kernels)?;
        for repair in [plan::refresh, plan::renew] {
            let failing: Vec<&str> = facts
                .iter()
                .filter(|facts| facts.may_build_after_restart())
                .map(|facts| facts.platform.as_str())
                .collect();
            if failing.is_empty() {
                break;
            }
            let steps = repair(&self.request.spec, &builder, &failing);
            match self.repair(steps) {
                Ok(repaired) => builder = repaired,
                Err(error) => return Ok(self.finish(builder, facts, Some(error), engine)),
            }
            facts = self.build(&builder, kernels)?;
        }
        Ok(self.finish(builder, facts, None, engine))
    }

    fn finish(
        self,
        builder: Builder,
        facts: Vec<PlatformFacts>,
        error: Option<Failure>,
        engine: &Engine,
    ) -> Bootstrapped {
        let Self { steps, warnings, .. } = self;
        Bootstrapped { engine: engine.clone(), builder, facts, steps, warnings, error }
    }

    /// Looks at what the kernel runs, and registers what is missing.
    fn register_missing(&mut self, engine: &Engine) -> Result<Vec<PlatformSupport<'a>>, Failure> {
        let facts = self.look_at_kernel(engine)?;
        let missing = facts.missing(self.request.platforms.is_some());
        if missing.is_empty() || !self.request.register {
            return Ok(facts.platforms);
        }
        match self.register(&missing) {
            Ok(registered) => {
                self.steps.extend(registered.into_iter().map(BootstrapStep::Register));
                Ok(self.look_at_kernel(engine)?.platforms)
            }
            Err(failure) => {
                // The emulator in BuildKit's image may do, so the builds decide.
                let targets = missing.join(", ");
                self.warnings.push(format!("no rule for {targets}: {}", failure.message));
                Ok(facts.platforms)
            }
        }
    }

    fn look_at_kernel(&mut self, engine: &Engine) -> Result<KernelFacts<'a>, Failure> {
        let asked = self.request.platforms.clone();
        let platforms = asked.unwrap_or_else(|| Platform::all(&self.settings.table));
        let options = KernelOptions { observe: self.observe, prove: self.request.verify };
        kernel::look(self.settings, engine, platforms, options, self.progress)
    }

    /// Returns the targets whose rules changed.
    fn register(&mut self, targets: &[String]) -> Result<Vec<String>, Failure> {
        let request = Request { only: Some(targets.to_vec()), takeover: false };
        let mounted = reconcile::writable_instance(Holder::Nobody)?;
        let mut settings = self.settings.clone();
        if !self.request.verify {
            settings.verify = Verify::Off;
        }
        let runtime = self.observe.runtime;
        let reconciler = Reconciler::command(&mounted.instance, runtime, &settings, &request);
        let done = reconciler.run(self.progress)?;
        self.warnings.extend(done.failures());
        let changed = done.outcomes.into_iter().filter(|outcome| outcome.changed);
        Ok(changed.filter_map(|outcome| outcome.item.target).collect())
    }

    fn carry_out(&mut self, steps: &[BuilderStep]) -> Result<(), ApplyError> {
        for step in steps {
            tracing::info!("{step}");
            self.executor.carry_out(step, &self.request.spec)?;
            self.steps.push(BootstrapStep::Builder(step.clone()));
        }
        Ok(())
    }

    /// Carries out a repair, and looks at the builder again.
    fn repair(
        &mut self,
        steps: Result<Vec<BuilderStep>, BuilderRefusal>,
    ) -> Result<Builder, Failure> {
        self.carry_out(&steps?)?;
        self.look_again()
    }

    fn look_again(&self) -> Result<Builder, Failure> {
        self.pick(observe::builders(self.docker)?)
    }

    fn pick(&self, builders: Vec<Builder>) -> Result<Builder, Failure> {
        let name = &self.request.spec.name;
        builders.into_iter().find(|builder| builder.name == *name).ok_or_else(|| {
            Failure::unavailable(format!(
                "builder {name} is gone: somebody removed it during the bootstrap; run the command again"
            ))
        })
    }

    fn build(
        &mut self,
        builder: &Builder,
        kernels: &[PlatformSupport<'_>],
    ) -> Result<Vec<PlatformFacts>, Failure> {
        let (build, digests) = (self.request.verify, self.request.digests);
        let options = InspectOptions { build, digests: build && digests };
        let (docker, settings) = (self.docker, self.settings);
        Ok(inspection::facts(docker, settings, builder, kernels, options, self.progress)?)
    }
}
