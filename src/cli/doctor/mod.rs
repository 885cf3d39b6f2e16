//! `binfmtd doctor`

mod fix;
mod rootfs;

use std::fmt;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::Path;
use std::time::Duration;

use clap::{ValueEnum, ValueHint};

use super::context::{self, Context};
use super::{Exit, Failure, buildx};
use crate::buildx::docker::{Docker, DockerError};
use crate::doctor::{self, Examination};
use crate::report::{
    CheckDocument, ChecksDocument, Conclusion, DoctorDocument, github, junit, text,
};
use crate::system::process::batch::Limits;
use crate::verify::{Depth, Scope};

/// The file that a step of GitHub's appends its summary to.
const STEP_SUMMARY: &str = "GITHUB_STEP_SUMMARY";

/// For each command of docker's: a build.
const BUILD_LIMIT: Duration = Duration::from_secs(120);

/// What only the doctor prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Of doctor only: XML for Jenkins, GitLab and others
    Junit,
    /// Of doctor only: annotations and a step summary for GitHub Actions
    Github,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Junit => "junit",
            Self::Github => "github",
        })
    }
}

/// Verify end to end, and name the cause and the way out of whatever is wrong
///
/// Runs a tiny program of each CPU through the kernel: on the host and in an empty root. Without --fix it changes nothing.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  binfmtd doctor                     everything that has an interpreter or a rule\n  \
    binfmtd doctor arm64 linux/s390x   these; fails when one of them does not work\n  \
    binfmtd doctor -v                  every check, passed ones too\n  \
    binfmtd doctor --require arm64     everything, and only this one decides the exit code\n  \
    binfmtd doctor --explain exec.host what a check proves, and what to do\n  \
    binfmtd doctor --fix               put right what is wrong, and look again\n  \
    binfmtd doctor --rootfs DIR        also run programs of a foreign root filesystem\n  \
    binfmtd doctor --builder NAME      also build for each platform with a builder of buildx\n\n\
    Exits with 0 when all works, 1 when something does not, 3 when the kernel has no binfmt_misc or not\n\
    all could be checked."
)]
pub(super) struct Arguments {
    /// Targets or platforms, in place of the configuration's
    #[arg(value_hint = ValueHint::Other)]
    targets: Vec<String>,
    /// Seconds that each program may take
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,
    /// Run each program so often, and say how often it answered
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    repeat: u32,
    /// Look at these, too, and let only them decide the exit code; more than once, or with commas
    #[arg(long, value_name = "LIST")]
    require: Vec<String>,
    /// List all checks and what each proves
    #[arg(long, conflicts_with = "explain")]
    list_checks: bool,
    /// Explain a check: what it proves, and how to fix what it finds
    #[arg(long, value_name = "ID")]
    explain: Option<String>,
    /// Look at Docker and this builder of buildx, too: build for each platform
    #[arg(long, value_name = "NAME")]
    builder: Option<String>,
    #[command(flatten)]
    treatment: fix::Arguments,
    #[command(flatten)]
    load: rootfs::Arguments,
}

pub(super) fn run(
    context: &Context,
    arguments: &Arguments,
    format: Option<Format>,
) -> Result<Exit, Failure> {
    if arguments.list_checks || arguments.explain.is_some() {
        if let Some(format) = format {
            return Err(Failure::usage(format!(
                "--format {format} is for what was found; checks are explained in text or json"
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
    // Text shows them only to who wants more.
    let digests = context.verbose || context.format == super::Format::Json;
    let scope = Scope { depth: Depth::Full, again: arguments.repeat - 1, digests };
    let foreign = arguments.load.open(&settings, &request)?;
    let request = foreign.as_ref().map_or(request, rootfs::Foreign::request);
    let also = required.as_deref().unwrap_or_default();
    let mut look = || -> Result<Examination<'_>, Failure> {
        let mut progress = context.progress();
        let mut progress = |done, total| progress("running probes", done, total);
        let options = context.observing(false, limits);
        doctor::examine(&settings, &request, also, options, scope, &mut progress)
    };
    let aloud = format.is_none() && context.format == super::Format::Text;
    let mut treatment = if arguments.treatment.fix {
        let case = fix::Case { context, settings: &settings, request: &request, limits, aloud };
        case.treat(&arguments.treatment, &mut look)?
    } else {
        fix::Treatment::none(look()?)
    };
    if let Some(foreign) = foreign {
        foreign.run(context, &mut treatment.examination, arguments.repeat, limits)?;
    }
    if let Some(name) = &arguments.builder {
        let name = buildx::name(&settings, Some(name))?;
        let docker = Docker::find(BUILD_LIMIT);
        ask_builder(context, &docker, &name, &mut treatment.examination);
        if let (true, Ok(docker)) = (arguments.treatment.fix, &docker)
            && let Some(step) =
                arguments.treatment.mend(context, docker, &name, &treatment, aloud)?
        {
            ask_builder(context, &Ok(docker.clone()), &name, &mut treatment.examination);
            treatment.fixes.get_or_insert_default().push(step);
        }
    }
    let fix::Treatment { examination, fixes, stopped } = treatment;
    let unsupported = !examination.supported;
    let findings = doctor::diagnose(&examination);
    let mut document = DoctorDocument::new(&examination, findings, required.as_deref());
    document.fixes = fixes;
    document.ok &= stopped.is_none();
    print(context, &document, format)?;
    if let Some(exit) = stopped {
        return Ok(exit);
    }
    Ok(match document.conclusion() {
        Conclusion::Well => Exit::Well,
        Conclusion::Failed if !unsupported => Exit::Failed,
        Conclusion::Failed | Conclusion::Unchecked => Exit::Unavailable,
    })
}

fn ask_builder(
    context: &Context,
    docker: &Result<Docker, DockerError>,
    name: &str,
    examination: &mut Examination<'_>,
) {
    let mut progress = context.progress();
    let mut progress = |done, total| progress("building", done, total);
    let docker = docker.as_ref().map_err(|_| DockerError::NoDocker);
    examination.ask_builder(docker, name, &mut progress);
}

fn print(
    context: &Context,
    document: &DoctorDocument,
    format: Option<Format>,
) -> Result<(), Failure> {
    match format {
        None => context.print(document, |out| text::doctor(out, document, context.page())),
        Some(Format::Junit) => context::print(|out| junit::doctor(out, document)),
        Some(Format::Github) => {
            let file = std::env::var_os(STEP_SUMMARY).filter(|file| !file.is_empty());
            let trouble = file.and_then(|file| {
                let file = Path::new(&file);
                let error = append(file, document).err()?;
                Some(format!("{STEP_SUMMARY}: {}: {error}", file.display()))
            });
            context::print(|out| {
                github::doctor(out, document)?;
                trouble.map_or(Ok(()), |trouble| github::warning(out, &trouble))
            })
        }
    }
}

fn append(file: &Path, document: &DoctorDocument) -> io::Result<()> {
    let mut summary = Vec::new();
    github::summary(&mut summary, document)?;
    OpenOptions::new().append(true).create(true).open(file)?.write_all(&summary)
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
