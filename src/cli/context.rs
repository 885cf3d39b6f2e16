//! What every command shares: settings, output, names.

use std::io::{self, IsTerminal as _, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anstream::AutoStream;
use serde::Serialize;

use super::{Arguments, Failure, Format};
use crate::config::{self, Settings};
use crate::observation::Observation;
use crate::observe::{self, Manner};
use crate::plan::Request;
use crate::report::json;
use crate::report::text::Page;
use crate::system::binfmt_misc::record;
use crate::system::process::batch::Limits;

/// The global options.
#[derive(Clone)]
pub(super) struct Context {
    config: Option<PathBuf>,
    pub(super) format: Format,
    pub(super) verbose: bool,
    /// The folder of the record of ownership.
    pub(super) runtime: PathBuf,
}

impl Context {
    pub(super) fn new(arguments: &Arguments, format: Format) -> Self {
        Self {
            config: arguments.config.clone(),
            format,
            verbose: arguments.verbose > 0,
            runtime: record::folder(),
        }
    }

    /// What `--config` names.
    pub(super) fn config(&self) -> Option<&Path> {
        self.config.as_deref()
    }

    /// Reads the configuration.
    pub(super) fn settings(&self) -> Result<Settings, Failure> {
        Ok(config::load(Path::new("/"), self.config.as_deref())?)
    }

    /// The same for commands that show or take away what is there: a fault in the configuration must
    /// not stop them, for that is when they are needed. A file that was named is another matter.
    pub(super) fn settings_if_any(&self) -> Result<Settings, Failure> {
        match self.settings() {
            Err(failure) if self.config.is_none() => {
                tracing::warn!("the configuration is left out: {}", failure.message);
                Ok(Settings::default())
            }
            other => other,
        }
    }

    /// The same with another folder for the record.
    pub(super) fn in_runtime(&self, runtime: PathBuf) -> Self {
        Self { runtime, ..self.clone() }
    }

    /// Looks at interpreters and at what is native, for commands that no instance matters to.
    pub(super) fn look_around(
        &self,
        settings: &Settings,
        request: &Request,
    ) -> Result<Observation, Failure> {
        let manner = self.manner(false, Limits::default());
        observe::observe_without_instance(settings, request, manner)
    }

    /// How to look at the machine.
    pub(super) fn manner(&self, run_others: bool, limits: Limits) -> Manner<'_> {
        Manner { runtime: &self.runtime, run_others, limits }
    }

    /// Whether results are for programs.
    pub(super) fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// Prints a result, in the format that was asked for.
    pub(super) fn print(
        &self,
        document: &impl Serialize,
        text: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), Failure> {
        match self.format {
            Format::Json => print(|out| json::write(out, document)),
            Format::Text => print(text),
        }
    }

    /// How much a person wants to read, and on what.
    pub(super) fn page(&self) -> Page {
        let size = terminal_size::terminal_size_of(io::stdout());
        Page { verbose: self.verbose, width: size.map(|(width, _)| usize::from(width.0)) }
    }

    /// Tells a person who waits how far it is; silent unless standard error is a terminal.
    pub(super) fn progress(&self) -> impl FnMut(&str, usize, usize) + use<> {
        let shown = self.format == Format::Text && io::stderr().is_terminal() && !is_dumb();
        let mut line = Line::default();
        move |what, done, total| {
            if shown {
                line.say(what, done, total);
            }
        }
    }
}

/// Whether the terminal cannot go back to the beginning of a line, or nobody said what it can.
fn is_dumb() -> bool {
    std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb")
}

/// The line of progress. It is gone when the result is printed, or a message that ends the command.
#[derive(Default)]
struct Line {
    said: Option<Instant>,
}

impl Line {
    /// Nobody reads faster; with `--repeat` thousands of runs end in a second.
    const PAUSE: Duration = Duration::from_millis(50);

    fn say(&mut self, what: &str, done: usize, total: usize) {
        if done >= total {
            self.clear();
        } else if self.said.is_none_or(|said| said.elapsed() >= Self::PAUSE) {
            self.said = Some(Instant::now());
            let mut stderr = io::stderr().lock();
            let _ = write!(stderr, "\r\x1b[K{what}: {done} of {total}");
            let _ = stderr.flush();
        }
    }

    /// Back to the first column.
    fn clear(&mut self) {
        if self.said.take().is_some() {
            let mut stderr = io::stderr().lock();
            let _ = write!(stderr, "\r\x1b[K");
            let _ = stderr.flush();
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Prints what is written, in colour where that is wanted.
pub(super) fn print(result: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Failure> {
    let stdout = io::stdout();
    // Whole, so that it takes one write(2).
    let mut out = AutoStream::new(Vec::new(), AutoStream::choice(&stdout));
    let result = result(&mut out);
    let mut stdout = stdout.lock();
    let printed = result.and_then(|()| stdout.write_all(&out.into_inner()));
    match printed.and_then(|()| stdout.flush()) {
        // Whoever reads has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other.map_err(|error| {
            Failure::of_io(&error, format!("write the result to standard output: {error}"))
        }),
    }
}

/// Turns names on the command line into QEMU's, each once. An empty variable of a script's names nothing, and nothing
/// that was asked for would be looked at, and all be well.
pub(super) fn request(
    settings: &Settings,
    names: &[String],
    takeover: bool,
) -> Result<Request, Failure> {
    let mut only: Vec<String> = Vec::new();
    let names_given = names.iter().flat_map(|name| name.split(',')).map(str::trim);
    for name in names_given.filter(|name| !name.is_empty()) {
        let found = settings.table.find(name)?;
        if !only.contains(&found.name) {
            only.push(found.name.clone());
        }
    }
    if only.is_empty() && !names.is_empty() {
        return Err(Failure::usage("an empty name: no target is asked for"));
    }
    Ok(Request { only: (!names.is_empty()).then_some(only), takeover })
}
