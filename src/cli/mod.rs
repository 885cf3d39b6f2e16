//! The command line: one file per subcommand. Parsing decides nothing; a command resolves what was
//! given, calls the layers below and says how it went by an exit code.

mod buildx;
mod config;
mod context;
mod daemon;
mod doctor;
mod exit;
mod export;
mod register;
mod run;
mod status;
mod targets;
mod unregister;
mod which;

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::builder::PossibleValue;
use clap::error::ErrorKind;
use clap::{Parser, Subcommand, ValueEnum};
use tracing_journald::{Priority, PriorityMappings};
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::compat;
use crate::failure::Failure;
use crate::report::{ErrorDocument, github, json, junit, text};
use crate::shown::plain_lines;
use crate::system::host::manager;
pub use exit::Exit;

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    /// For a person
    #[default]
    Text,
    /// One JSON document, valid also on failure
    Json,
}

/// What `--format` may say: a format of every command, or one that only the doctor has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnyFormat {
    /// Of every command.
    Common(Format),
    /// For the systems that a preflight runs in.
    Preflight(doctor::Format),
}

impl Default for AnyFormat {
    fn default() -> Self {
        Self::Common(Format::default())
    }
}

impl From<Format> for AnyFormat {
    fn from(format: Format) -> Self {
        Self::Common(format)
    }
}

impl ValueEnum for AnyFormat {
    fn value_variants<'a>() -> &'a [Self] {
        &[
            Self::Common(Format::Text),
            Self::Common(Format::Json),
            Self::Preflight(doctor::Format::Junit),
            Self::Preflight(doctor::Format::Github),
        ]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        match self {
            Self::Common(format) => format.to_possible_value(),
            Self::Preflight(format) => format.to_possible_value(),
        }
    }
}

/// Makes foreign executables run on this host, keeps them running, and proves it.
#[derive(Debug, Parser)]
#[command(
    name = "binfmtd",
    version,
    max_term_width = 100,
    after_help = "Exit codes: 0 all well, 1 something asked for does not work, 2 bad usage or configuration,\n\
                  3 could not be checked or carried out, 4 not permitted.\n\n\
                  Try it without root and without touching the host:\n  binfmtd run --private -- binfmtd doctor"
)]
pub struct Arguments {
    /// Read this configuration file, and no other and no drop-ins
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// How to print results
    #[arg(long, global = true, value_enum, default_value_t, value_name = "FORMAT")]
    format: AnyFormat,
    /// Say more; twice, even more
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Register(register::Arguments),
    Unregister(unregister::Arguments),
    Status(status::Arguments),
    Doctor(doctor::Arguments),
    Which(which::Arguments),
    Targets(targets::Arguments),
    Run(run::Arguments),
    Daemon(daemon::Arguments),
    Buildx(buildx::Arguments),
    Export(export::Arguments),
    Config(config::Arguments),
}

/// Runs the program with the process' arguments.
pub fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    if compat::is_called(&arguments) {
        log(0, false);
        return compat::run(&arguments[1..]).map_or_else(Exit::from, |()| Exit::Well).into();
    }
    let wanted = wanted_format(&arguments);
    let arguments = match Arguments::try_parse_from(&arguments) {
        Ok(arguments) => arguments,
        Err(error) => return usage(&error, wanted),
    };
    // Before the configuration is read: its trouble has to be heard.
    log(arguments.verbose, matches!(arguments.command, Command::Daemon(_)));
    match dispatch(&arguments) {
        Ok(exit) => exit,
        Err(failure) => {
            let format = match (arguments.format, &arguments.command) {
                // That is what the message is about.
                (AnyFormat::Preflight(_), command) if !matches!(command, Command::Doctor(_)) => {
                    AnyFormat::default()
                }
                (format, _) => format,
            };
            failed(&failure, format)
        }
    }
}

fn failed(failure: &Failure, format: AnyFormat) -> ExitCode {
    let exit = Exit::from(failure.kind);
    report(failure, exit.code(), format);
    exit.into()
}

fn dispatch(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let (common, preflight) = match arguments.format {
        AnyFormat::Common(format) => (format, None),
        AnyFormat::Preflight(format) => (Format::Text, Some(format)),
    };
    if let (Some(format), false) = (preflight, matches!(arguments.command, Command::Doctor(_))) {
        return Err(Failure::usage(format!(
            "--format {format} is for doctor only; every command prints text or json"
        )));
    }
    let context = context::Context::new(arguments, common);
    let exit = match &arguments.command {
        Command::Register(own) => register::run(&context, own),
        Command::Unregister(own) => unregister::run(&context, own),
        Command::Status(own) => status::run(&context, own),
        Command::Doctor(own) => doctor::run(&context, own, preflight),
        Command::Which(own) => which::run(&context, own),
        Command::Targets(own) => targets::run(&context, own),
        Command::Run(own) => return run::run(&context, own),
        Command::Daemon(own) => daemon::run(&context, own),
        Command::Buildx(own) => buildx::run(&context, own),
        Command::Export(own) => export::run(&context, own),
        Command::Config(own) => config::run(&context, own),
    };
    exit.map(ExitCode::from)
}

/// Help and version are no errors; everything else is bad usage, in the format that was asked for.
fn usage(error: &clap::Error, wanted: AnyFormat) -> ExitCode {
    if error.use_stderr() && wanted != AnyFormat::default() {
        let text = error.render().to_string();
        // What is wrong, in the lines before the usage.
        let lines = text.trim_start_matches("error: ").lines().map(str::trim);
        let message = match error.kind() {
            // Its text is the whole help.
            ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
                "a subcommand is missing; --help lists them".to_owned()
            }
            _ => lines.take_while(|line| !line.is_empty()).collect::<Vec<_>>().join(" "),
        };
        report(&Failure::usage(message), Exit::Usage.code(), wanted);
    } else if error.print().is_err() {
        // A broken pipe: whoever asked has gone.
        return ExitCode::SUCCESS;
    }
    if error.use_stderr() { Exit::Usage.into() } else { Exit::Well.into() }
}

/// Before the arguments are parsed, or when they cannot be.
fn wanted_format(arguments: &[OsString]) -> AnyFormat {
    let ours = arguments.split(|argument| argument == "--").next().unwrap_or_default();
    let joined = ours.iter().filter_map(|argument| argument.to_str()?.strip_prefix("--format="));
    let apart = ours.windows(2).filter(|pair| pair[0] == "--format");
    let given = joined.chain(apart.filter_map(|pair| pair[1].to_str()));
    let known = given.filter_map(|name| AnyFormat::from_str(name, false).ok());
    let is_doctor = ours.iter().any(|argument| argument == "doctor");
    known
        .filter(|format| is_doctor || matches!(format, AnyFormat::Common(_)))
        .find(|format| *format != AnyFormat::default())
        .unwrap_or_default()
}

fn report(failure: &Failure, code: u8, format: impl Into<AnyFormat>) {
    let document = ErrorDocument::new(failure, code);
    let mut stdout = anstream::stdout().lock();
    let said = match format.into() {
        AnyFormat::Common(Format::Text) => None,
        AnyFormat::Common(Format::Json) => Some(json::write(&mut stdout, &document)),
        AnyFormat::Preflight(doctor::Format::Junit) => Some(junit::error(&mut stdout, &document)),
        AnyFormat::Preflight(doctor::Format::Github) => Some(github::error(&mut stdout, &document)),
    };
    let is_heard = said.is_some_and(|said| match said.and_then(|()| stdout.flush()) {
        Ok(()) => true,
        Err(error) => error.kind() == io::ErrorKind::BrokenPipe,
    });
    if !is_heard {
        // Nobody is left to tell when this fails.
        let _ = text::error(&mut anstream::stderr().lock(), &document);
    }
}

/// Messages go to standard error; those of the service to the journal, where it is there, with their
/// fields.
fn log(verbose: u8, is_service: bool) {
    use tracing::level_filters::LevelFilter;
    let level = match verbose + u8::from(is_service) {
        0 => LevelFilter::WARN,
        1 => LevelFilter::INFO,
        _ => LevelFilter::DEBUG,
    };
    let registry = tracing_subscriber::registry().with(level);
    if is_service
        && manager::has_journal()
        && let Ok(journal) = tracing_journald::layer()
    {
        // Field names as they are, and INFO as the journal's info, not notice.
        let priorities = PriorityMappings {
            info: Priority::Informational,
            debug: Priority::Debug,
            ..PriorityMappings::new()
        };
        registry.with(journal.with_field_prefix(None).with_priority_mappings(priorities)).init();
        return;
    }
    let sentences = fmt::format::debug_fn(|out, field, value| {
        // Messages are whole sentences: fields are for the journal.
        if field.name() == "message" {
            out.write_str(&plain_lines(&format!("{value:?}")))
        } else {
            Ok(())
        }
    });
    let lines = fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(
            std::io::IsTerminal::is_terminal(&std::io::stderr())
                && std::env::var_os("NO_COLOR").is_none(),
        )
        .without_time()
        .with_target(false)
        .fmt_fields(sentences);
    registry.with(lines).init();
}
