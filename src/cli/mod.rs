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
use std::path::PathBuf;
use std::process::ExitCode;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::error::ErrorKind;
use clap::{Parser, Subcommand};
use tracing_journald::{Priority, PriorityMappings};
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::compat;
use crate::failure::Failure;
use crate::report::{self, Audience, FORMATS, Format, find_format};
use crate::shown::plain_lines;
use crate::system::host::manager;
pub use exit::Exit;

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
    #[arg(long, global = true, value_parser = format_parser(), default_value = FORMATS[0].name(), value_name = "FORMAT")]
    format: &'static dyn Format,
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
        // A format that the command does not have is what the message is about.
        Err(failure) if !arguments.command.has(arguments.format) => failed(&failure, FORMATS[0]),
        Err(failure) => failed(&failure, arguments.format),
    }
}

impl Command {
    /// Whether it can print in this format.
    fn has(&self, format: &dyn Format) -> bool {
        matches!(self, Self::Doctor(_)) || format.any().is_some()
    }
}

/// The names of the formats, each with its line of help.
fn format_parser() -> impl TypedValueParser<Value = &'static dyn Format> {
    let values = FORMATS.iter().map(|format| PossibleValue::new(format.name()).help(format.help()));
    PossibleValuesParser::new(values).try_map(|name| find_format(&name).ok_or("no such format"))
}

fn failed(failure: &Failure, format: &dyn Format) -> ExitCode {
    let exit = Exit::from(failure.kind);
    context::report(failure, exit.code(), format);
    exit.into()
}

fn dispatch(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let format = arguments.format;
    if !arguments.command.has(format) {
        return Err(Failure::usage(format!(
            "--format {} is for doctor only; every command prints {}",
            format.name(),
            report::general_formats()
        )));
    }
    let context = context::Context::new(arguments.config.clone(), format, arguments.verbose > 0);
    let exit = match &arguments.command {
        Command::Register(own) => register::run(&context, own),
        Command::Unregister(own) => unregister::run(&context, own),
        Command::Status(own) => status::run(&context, own),
        Command::Doctor(own) => doctor::run(&context, own),
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
fn usage(error: &clap::Error, wanted: &dyn Format) -> ExitCode {
    if error.use_stderr() && wanted.audience() == Audience::Program {
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
        context::report(&Failure::usage(message), Exit::Usage.code(), wanted);
    } else if error.print().is_err() {
        // A broken pipe: whoever asked has gone.
        return ExitCode::SUCCESS;
    }
    if error.use_stderr() { Exit::Usage.into() } else { Exit::Well.into() }
}

/// The format that was asked for, from arguments that are not parsed yet, or cannot be.
fn wanted_format(arguments: &[OsString]) -> &'static dyn Format {
    let ours = arguments.split(|argument| argument == "--").next().unwrap_or_default();
    let joined = ours.iter().filter_map(|argument| argument.to_str()?.strip_prefix("--format="));
    let apart = ours.windows(2).filter(|pair| pair[0] == "--format");
    let given = joined.chain(apart.filter_map(|pair| pair[1].to_str()));
    let is_doctor = ours.iter().any(|argument| argument == "doctor");
    given
        .filter_map(find_format)
        .filter(|format| is_doctor || format.any().is_some())
        .find(|format| format.audience() == Audience::Program)
        .unwrap_or(FORMATS[0])
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
