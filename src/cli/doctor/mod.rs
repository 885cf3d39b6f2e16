//! `binfmtd doctor`

mod fix;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::ValueHint;

use self::fix::{Repaired, Repairing};
use super::context::{self, Context};
use super::exit::Exit;
use crate::buildx::docker::{Docker, DockerError};
use crate::buildx::spec;
use crate::doctor::{self, BuilderFacts, Facts, ForeignRoot, HostFacts};
use crate::failure::Failure;
use crate::report::{self, CheckDocument, ChecksDocument, Conclusion, DoctorDocument, text};
use crate::system::process::batch::Limits;
use crate::verify::{Depth, Scope};

/// The time for one docker command, which may be a build.
const BUILD_LIMIT: Duration = Duration::from_secs(120);

/// Verify end to end; name the cause of each fault and how to fix it
///
/// Runs a tiny program for each CPU through the kernel, on the host and in an empty root. Changes nothing without --fix.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  binfmtd doctor                     everything that has an interpreter or a rule\n  \
    binfmtd doctor arm64 linux/s390x   these; fails when one of them does not work\n  \
    binfmtd doctor -v                  every check, passed ones too\n  \
    binfmtd doctor --require arm64     everything, and only this one decides the exit code\n  \
    binfmtd doctor --explain exec.host what a check proves, and what to do\n  \
    binfmtd doctor --fix               repair what is wrong, and check again\n  \
    binfmtd doctor --rootfs DIR        also run programs of a foreign root filesystem\n  \
    binfmtd doctor --builder NAME      also build for each platform with a builder of buildx\n\n\
    Exits with 0 if everything works, 1 if something does not, 3 if the kernel has no binfmt_misc or not\n\
    everything could be checked."
)]
pub(super) struct Arguments {
    /// Targets or platforms, in place of the configuration's
    #[arg(value_hint = ValueHint::Other)]
    targets: Vec<String>,
    /// Seconds that each program may take
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,
    /// Run each program N times, and report how often it answered
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    repeat: u32,
    /// Check these as well, and let only them decide the exit code; may be repeated, or separated by commas
    #[arg(long, value_name = "LIST")]
    require: Vec<String>,
    /// List all checks and what each proves
    #[arg(long, conflicts_with = "explain")]
    list_checks: bool,
    /// Explain a check: what it proves, and how to fix what it finds
    #[arg(long, value_name = "ID")]
    explain: Option<String>,
    /// Also check Docker and this builder of buildx: build for each platform
    #[arg(long, value_name = "NAME")]
    builder: Option<String>,
    #[command(flatten)]
    repair: fix::Arguments,
    /// Also run real programs of this foreign root filesystem in a chroot: a shell, pipes, a signal, its
    /// loader. Nothing is mounted or written
    #[arg(long, value_name = "DIR", conflicts_with = "fix")]
    rootfs: Option<PathBuf>,
    /// Run only this command in the root filesystem; all arguments that follow belong to it
    #[arg(long, value_name = "CMD", requires = "rootfs", num_args = 1.., allow_hyphen_values = true)]
    exec: Vec<OsString>,
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> Result<Exit, Failure> {
    if arguments.list_checks || arguments.explain.is_some() {
        if context.format.any().is_none() {
            return Err(Failure::usage(format!(
                "--format {} is for what was found; checks are explained in {}",
                context.format.name(),
                report::general_formats()
            )));
        }
        return arguments
            .explain
            .as_deref()
            .map_or_else(|| list(context), |id| explain(context, id));
    }
    let settings = context.settings()?;
    let request = context::request(&settings, &arguments.targets, false)?;
    let required = context::request(&settings, &arguments.require, false)?.only;
    let limits = Limits { time: Duration::from_secs(arguments.timeout), ..Limits::default() };
    let digests = context.wants_all();
    let scope = Scope { depth: Depth::Full, again: arguments.repeat - 1, digests };
    let rootfs = arguments.rootfs.as_deref();
    let rootfs = rootfs.map(|folder| ForeignRoot::open(folder, &arguments.exec, &settings));
    let rootfs = rootfs.transpose()?;
    let request = match &rootfs {
        Some(rootfs) => rootfs.request(&request)?,
        None => request,
    };
    let also = required.as_deref().unwrap_or_default();
    let mut look = || {
        let mut progress = context.progress();
        let mut progress = |done, total| progress("running probes", done, total);
        let options = context.observing(false, limits);
        doctor::gather(&settings, &request, also, options, scope, &mut progress).map(Facts::from)
    };
    let aloud = context.is_for_a_person();
    let Repaired { mut facts, mut fixes, stopped } = if arguments.repair.fix {
        let settings = &settings;
        let repairing = Repairing { context, settings, request: &request, limits, aloud };
        repairing.run(&arguments.repair, &mut look)?
    } else {
        Repaired::none(look()?)
    };
    if let Some(rootfs) = rootfs {
        let mut progress = context.progress();
        let mut progress =
            |done, total| progress("running programs of the root filesystem", done, total);
        facts.rootfs = Some(rootfs.run(&facts.host, arguments.repeat, limits, &mut progress)?);
    }
    if let Some(name) = &arguments.builder {
        let name = spec::name(&settings, Some(name))?;
        let docker = Docker::find(BUILD_LIMIT);
        facts.builder = Some(builder_facts(context, &docker, &name, &facts.host));
        if let (true, Ok(docker)) = (arguments.repair.fix, &docker)
            && let Some(step) = arguments.repair.repair_builder(context, docker, &facts, aloud)?
        {
            facts.builder = Some(builder_facts(context, &Ok(docker.clone()), &name, &facts.host));
            fixes.get_or_insert_default().push(step);
        }
    }
    let unsupported = !facts.host.supported;
    let findings = doctor::diagnose(&facts);
    let mut document = DoctorDocument::new(&facts, findings, required.as_deref());
    document.fixes = fixes;
    document.ok &= stopped.is_none();
    context::print(|out| context.format.doctor(out, &document, context.page()))?;
    if let Some(exit) = stopped {
        return Ok(exit);
    }
    Ok(match document.conclusion() {
        Conclusion::Well => Exit::Well,
        Conclusion::Failed if !unsupported => Exit::Failed,
        Conclusion::Failed | Conclusion::Unchecked => Exit::Unavailable,
    })
}

fn builder_facts(
    context: &Context,
    docker: &Result<Docker, DockerError>,
    name: &str,
    host: &HostFacts<'_>,
) -> BuilderFacts {
    let docker = docker.as_ref().map_err(|_| DockerError::NoDocker);
    doctor::gather_builder(host, docker, name, &mut context.progress())
}

fn list(context: &Context) -> Result<Exit, Failure> {
    let document = ChecksDocument::new();
    context.print(&document, |out| text::checks(out, &document))?;
    Ok(Exit::Well)
}

fn explain(context: &Context, id: &str) -> Result<Exit, Failure> {
    let check = doctor::find(id).map_err(|error| {
        Failure::usage(format!("{error}; binfmtd doctor --list-checks lists all"))
    })?;
    let document = CheckDocument::new(check);
    context.print(&document, |out| text::check(out, &document))?;
    Ok(Exit::Well)
}
