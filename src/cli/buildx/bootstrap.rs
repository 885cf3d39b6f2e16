//! `binfmtd buildx bootstrap`

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::ValueEnum;

use super::{Common, all, facts, inspect, kernel_facts, wanted};
use crate::buildx::apply::{ApplyError, Executor};
use crate::buildx::builder::Builder;
use crate::buildx::docker::{Docker, DockerError};
use crate::buildx::engine::{Engine, Location};
use crate::buildx::facts::PlatformFacts;
use crate::buildx::inspection::PlatformSupport;
use crate::buildx::observe::{self, DockerFacts};
use crate::buildx::options;
use crate::buildx::plan::{self, BuilderStep};
use crate::buildx::platform::Platform;
use crate::buildx::record::BuilderStore;
use crate::buildx::refusal::BuilderRefusal;
use crate::buildx::spec::{BuilderSpec, Recreate};
use crate::cli::context::{self, Context};
use crate::cli::{Exit, Failure};
use crate::config::{self, Settings, Verify};
use crate::fix::{Command, Fix};
use crate::reconcile::{self, Holder, Reconciler};
use crate::report::BuilderDocument;

/// Make a builder that builds for other CPUs, and prove that it does
///
/// First the kernel's rules, then a builder with the docker-container driver, then a build for each platform: from scratch, without
/// network. Doing it again changes nothing. A builder that does not see what the kernel runs by now is restarted; only what
/// binfmtd made is ever made anew.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  binfmtd buildx bootstrap                                  all that this kernel runs\n  \
    binfmtd buildx bootstrap --platform linux/arm64,s390x     these; fails when one is not built\n  \
    binfmtd buildx bootstrap mine --use --driver-opt network=host\n  \
    binfmtd buildx bootstrap mine --append --node far --endpoint ssh://far\n\n\
    Exits with 0 when each platform that was asked for is built, 1 when one is not or the builder may not be changed,\n\
    3 when there is no Docker, engine or image, or the engine is elsewhere, 4 when its socket may not be used."
)]
pub(super) struct Arguments {
    /// The builder's name, in place of the configuration's (binfmtd)
    name: Option<String>,
    /// Platforms or targets, in place of the configuration's or all that the kernel runs; more than once, or with commas
    #[arg(long = "platform", value_name = "LIST")]
    platforms: Vec<String>,
    /// An option of the docker-container driver: image=…, network=…, env.NAME=…; more than once
    #[arg(long = "driver-opt", value_name = "KEY=VALUE")]
    options: Vec<String>,
    /// Flags for buildkitd
    #[arg(long, value_name = "FLAGS", allow_hyphen_values = true)]
    buildkitd_flags: Option<String>,
    /// A configuration file for buildkitd
    #[arg(long, value_name = "FILE")]
    buildkitd_config: Option<PathBuf>,
    /// Make a further node of the builder
    #[arg(long, requires = "node")]
    append: bool,
    /// The node's name
    #[arg(long, value_name = "NODE")]
    node: Option<String>,
    /// The engine that the node is to run in: a context or an address
    #[arg(long, value_name = "CONTEXT")]
    endpoint: Option<String>,
    /// Make it the builder that is used where none is named
    #[arg(long = "use")]
    make_current: bool,
    /// Whether it may be made anew, with its state kept
    #[arg(long, value_enum, default_value_t, value_name = "WHEN")]
    recreate: When,
    /// Run no probes and build nothing
    #[arg(long)]
    no_verify: bool,
    /// Leave the kernel's rules as they are
    #[arg(long)]
    no_register: bool,
    /// The engine may be on another machine, which has rules of its own
    #[arg(long)]
    remote: bool,
    /// Seconds to wait for an engine that does not answer yet
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(0..=3600))]
    wait: u64,
    #[command(flatten)]
    common: Common,
}

/// When a builder is made anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum When {
    /// When nothing else helps
    #[default]
    Auto,
    /// In any case
    Always,
    /// Not at all
    Never,
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> Result<Exit, Failure> {
    let settings = context.settings()?;
    let order = Order {
        wish: wish(&settings, arguments)?,
        asked: wanted(&settings, &arguments.platforms)?,
        verify: !arguments.no_verify,
        register: !arguments.no_register,
        remote: arguments.remote,
        wait: Duration::from_secs(arguments.wait),
    };
    arguments.common.check()?;
    let docker = arguments.common.patience.docker()?;
    let document = carry_out(context, &settings, &docker, &order)?;
    arguments.common.finish(context, &document)
}

/// Makes a builder of this name sound again, or new, as the configuration has it: what it did, in words.
pub(in crate::cli) fn mend(
    context: &Context,
    settings: &Settings,
    docker: &Docker,
    name: &str,
    platforms: Vec<Platform<'_>>,
) -> Result<BuilderDocument, Failure> {
    let order = Order {
        wish: BuilderSpec::configured(name, &settings.buildx)?,
        asked: Some(platforms),
        verify: true,
        register: true,
        remote: false,
        wait: Duration::ZERO,
    };
    carry_out(context, settings, docker, &order)
}

/// What is to be done, and what is not.
struct Order<'a> {
    wish: BuilderSpec,
    /// The platforms; `None` for all that the kernel runs.
    asked: Option<Vec<Platform<'a>>>,
    /// Whether to run probes and to build.
    verify: bool,
    /// Whether rules are ours to register.
    register: bool,
    /// Whether the engine may be elsewhere.
    remote: bool,
    /// How long to wait for an engine that does not answer yet.
    wait: Duration,
}

fn carry_out(
    context: &Context,
    settings: &Settings,
    docker: &Docker,
    order: &Order<'_>,
) -> Result<BuilderDocument, Failure> {
    // Two of us would undo each other's work; the second one finds it done.
    let mut store = BuilderStore::open()?;
    let seen = patiently(docker, order.wait)?;
    if let (Location::Elsewhere(why), false) = (&seen.engine.location, order.remote) {
        let (context, why) = (seen.engine.context.clone(), why.clone());
        return Err(DockerError::Elsewhere { context, why }.into());
    }
    let bootstrap = Bootstrap { context, settings, docker, order };
    // What is refused is refused before anything is touched.
    plan::plan(&order.wish, &seen.builders).map_err(ApplyError::from)?;
    let (mut steps, mut warnings) = (Vec::new(), Vec::new());
    let mut kernels = bootstrap.rules_first(&seen.engine, &mut steps, &mut warnings)?;
    let workshop = Executor::new(docker, &seen.engine, &mut store);
    let Made { builder, facts, steps, error, doubt } =
        bootstrap.make(&seen, workshop, &mut kernels, steps)?;
    let mut document = BuilderDocument::new(&seen.engine, Some(&builder), &facts);
    document.steps = steps;
    document.warnings = warnings;
    document.warnings.extend(doubt);
    for one in &mut document.platforms {
        // Who was just here need not come again.
        let is_this =
            |command: &Command| command.argv().take(3).eq(["binfmtd", "buildx", "bootstrap"]);
        if one.fix.as_ref().is_some_and(|fix| fix.commands.iter().any(is_this)) {
            let doctor = Command::user(&["binfmtd", "doctor"]).target(&one.target);
            one.fix = Some(Fix::run("see why the kernel does not run it", [doctor]));
        }
    }
    if let Some(error) = error {
        document = document.with_error(&error);
    }
    Ok(document)
}

fn wish(settings: &Settings, arguments: &Arguments) -> Result<BuilderSpec, Failure> {
    let mut buildx = settings.buildx.clone();
    for text in &arguments.options {
        buildx.driver_options.extend(options::parse(text)?);
    }
    if let Some(flags) = &arguments.buildkitd_flags {
        let flags = config::buildkitd_flags(flags);
        let flags = flags.map_err(|why| Failure::usage(format!("--buildkitd-flags: {why}")))?;
        buildx.buildkitd_flags = Some(flags);
    }
    if let Some(file) = &arguments.buildkitd_config {
        buildx.buildkitd_config = Some(file.clone());
    }
    let name = super::name(settings, arguments.name.as_deref())?;
    let node = arguments.node.as_deref().map(config::builder_name);
    Ok(BuilderSpec {
        node: node.transpose().map_err(Failure::usage)?,
        append: arguments.append,
        endpoint: arguments.endpoint.clone(),
        make_current: arguments.make_current,
        recreate: match arguments.recreate {
            When::Auto => Recreate::Auto,
            When::Always => Recreate::Always,
            When::Never => Recreate::Never,
        },
        ..BuilderSpec::configured(&name, &buildx)?
    })
}

/// An engine that is just starting answers in a moment.
fn patiently(docker: &Docker, patience: Duration) -> Result<DockerFacts, DockerError> {
    let begun = Instant::now();
    let mut pause = Duration::from_millis(100);
    loop {
        match observe::observe(docker) {
            Err(trouble) if trouble.may_pass() && begun.elapsed() + pause < patience => {
                std::thread::sleep(pause);
                pause = (pause * 2).min(Duration::from_secs(2));
            }
            other => return other,
        }
    }
}

struct Bootstrap<'a> {
    context: &'a Context,
    settings: &'a Settings,
    docker: &'a Docker,
    order: &'a Order<'a>,
}

/// What came of it.
struct Made {
    builder: Builder,
    facts: Vec<PlatformFacts>,
    steps: Vec<String>,
    /// Why something that should have been done was not.
    error: Option<String>,
    /// The same, of what is not needed: everything was built all the same.
    doubt: Option<String>,
}

impl<'a> Bootstrap<'a> {
    /// Sees what the kernel runs, and registers what is missing where that is ours to do.
    fn rules_first(
        &self,
        engine: &Engine,
        done: &mut Vec<String>,
        warnings: &mut Vec<String>,
    ) -> Result<Vec<PlatformSupport<'a>>, Failure> {
        let asked = &self.order.asked;
        let platforms = asked.clone().unwrap_or_else(|| all(self.settings));
        let prove = self.order.verify;
        let look = || kernel_facts(self.context, self.settings, engine, &platforms, prove);
        let mut seen = look()?;
        let lacking: Vec<String> = platforms
            .iter()
            .zip(&seen.kernels)
            .filter(|(_, kernel)| kernel.is_lacking())
            .map(|(platform, _)| platform.target.name.clone())
            .collect();
        // Nobody asked for what has no interpreter.
        let lacking = if asked.is_some() { lacking } else { seen.registrable.clone() };
        if !lacking.is_empty() && self.order.register {
            // The image may carry an emulator: what is missing is told with what was built.
            match self.register(&lacking, warnings) {
                Ok(registered) => {
                    done.extend(registered.iter().map(|target| format!("register {target}")));
                    seen = look()?;
                }
                Err(failure) => {
                    let targets = lacking.join(", ");
                    warnings.push(format!("no rule for {targets}: {}", failure.message));
                }
            }
        }
        Ok(platforms.into_iter().zip(seen.kernels).collect())
    }

    /// Gives the targets whose rules are new.
    fn register(
        &self,
        targets: &[String],
        warnings: &mut Vec<String>,
    ) -> Result<Vec<String>, Failure> {
        let request = context::request(self.settings, targets, false)?;
        let mounted = reconcile::writable_instance(Holder::Nobody)?;
        let mut settings = self.settings.clone();
        if !self.order.verify {
            settings.verify = Verify::Off;
        }
        let (instance, runtime) = (&mounted.instance, &self.context.runtime);
        let reconciler = Reconciler::command(instance, runtime, &settings, &request);
        let done = reconciler.run(&mut self.context.progress())?;
        warnings.extend(done.failures());
        let changed = done.outcomes.into_iter().filter(|outcome| outcome.changed);
        Ok(changed.filter_map(|outcome| outcome.item.target).collect())
    }

    /// Makes the builder as it is wanted, proves it, and, where it does not see what the kernel runs, does
    /// what helps: a restart, and in the end a new one with the old one's state.
    fn make(
        &self,
        seen: &DockerFacts,
        mut workshop: Executor<'_>,
        kernels: &mut Vec<PlatformSupport<'a>>,
        mut steps: Vec<String>,
    ) -> Result<Made, Failure> {
        let mut builders = seen.builders.clone();
        if self.order.wish.make_current && builders.iter().any(|one| one.current.is_none()) {
            let current = observe::current(self.docker)?;
            for one in &mut builders {
                one.current = Some(one.name == current);
            }
        }
        let first = plan::plan(&self.order.wish, &builders).map_err(ApplyError::from)?;
        self.carry_out(&mut workshop, &first, &mut steps)?;
        if !first.is_empty() {
            builders = observe::builders(self.docker)?;
        }
        let mut builder = self.pick(builders)?;
        if self.order.asked.is_none() {
            inspect::keep_working(self.settings, &builder, kernels);
        }
        let unseen: Vec<&str> = kernels
            .iter()
            .filter(|(platform, kernel)| {
                platform.is_known_to_buildkit()
                    && kernel.works() == Some(true)
                    && !builder.advertises(&platform.name)
            })
            .map(|(platform, _)| platform.name.as_str())
            .collect();
        // A builder that was just booted has looked just now: another start would show it nothing new.
        if !unseen.is_empty() && !first.contains(&BuilderStep::Boot) {
            let planned = plan::refresh(&self.order.wish, &builder, &unseen);
            builder = match self.mend(&mut workshop, planned, &mut steps) {
                Ok(fresh) => fresh,
                Err(error) => {
                    let mut made = self.report(builder, kernels, steps)?;
                    let builds = |facts: &PlatformFacts| facts.built.works() == Some(true);
                    if made.facts.iter().all(builds) {
                        made.doubt = Some(error);
                    } else {
                        made.error = Some(error);
                    }
                    return Ok(made);
                }
            };
        }
        let mut made = self.report(builder, kernels, steps)?;
        for attempt in 0..2 {
            let failing: Vec<String> = made
                .facts
                .iter()
                .filter(|facts| is_blind(facts))
                .map(|facts| facts.platform.clone())
                .collect();
            let failing: Vec<&str> = failing.iter().map(String::as_str).collect();
            if failing.is_empty() {
                break;
            }
            let planned = if attempt == 0 {
                plan::refresh(&self.order.wish, &made.builder, &failing)
            } else {
                plan::renew(&self.order.wish, &made.builder, &failing)
            };
            let mended = self.mend(&mut workshop, planned, &mut made.steps);
            match mended {
                Ok(builder) => made = self.report(builder, kernels, made.steps)?,
                Err(error) => {
                    made.error = Some(error);
                    break;
                }
            }
        }
        Ok(made)
    }

    fn pick(&self, builders: Vec<Builder>) -> Result<Builder, Failure> {
        builders.into_iter().find(|builder| builder.name == self.order.wish.name).ok_or_else(|| {
            let message = format!(
                "builder {} is gone: somebody took it away while it was made; run this again",
                self.order.wish.name
            );
            Failure::unavailable(message)
        })
    }

    fn carry_out(
        &self,
        workshop: &mut Executor<'_>,
        steps: &[BuilderStep],
        done: &mut Vec<String>,
    ) -> Result<(), ApplyError> {
        for step in steps {
            tracing::info!("{step}");
            workshop.carry_out(step, &self.order.wish)?;
            done.push(step.to_string());
        }
        Ok(())
    }

    /// Carries out what is to help a builder that does not see what the kernel runs. What stands in the way
    /// is told with the rest.
    fn mend(
        &self,
        workshop: &mut Executor<'_>,
        steps: Result<Vec<BuilderStep>, BuilderRefusal>,
        done: &mut Vec<String>,
    ) -> Result<Builder, String> {
        let steps = steps.map_err(|refusal| refusal.to_string())?;
        self.carry_out(workshop, &steps, done).map_err(|error| error.to_string())?;
        self.again().map_err(|failure| failure.message)
    }

    fn again(&self) -> Result<Builder, Failure> {
        self.pick(observe::builders(self.docker)?)
    }

    fn report(
        &self,
        builder: Builder,
        kernels: &[PlatformSupport<'_>],
        steps: Vec<String>,
    ) -> Result<Made, Failure> {
        let build = self.order.verify;
        let facts = facts(self.context, self.settings, self.docker, &builder, kernels, build)?;
        Ok(Made { builder, facts, steps, error: None, doubt: None })
    }
}

/// Whether a builder that looks once more may build it: the kernel runs it; or the image has an emulator for it, which is
/// not used for what is advertised.
fn is_blind(facts: &PlatformFacts) -> bool {
    let is_outdated = facts.advertised && facts.embedded.is_there();
    facts.built.works() == Some(false) && (facts.kernel.works() == Some(true) || is_outdated)
}
