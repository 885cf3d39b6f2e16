//! What every command shares: settings, output, names.

use std::io::{self, IsTerminal as _, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anstream::AutoStream;
use serde::Serialize;

use crate::config::{self, Settings};
use crate::failure::Failure;
use crate::observe::ObserveOptions;
use crate::plan::Request;
use crate::report::{Audience, ErrorDocument, FORMATS, Format, Page, Printed};
use crate::system::binfmt_misc::record;
use crate::system::process::batch::Limits;

/// The global options.
#[derive(Clone)]
pub(super) struct Context {
    /// What `--config` names.
    pub(super) config: Option<PathBuf>,
    pub(super) format: &'static dyn Format,
    pub(super) verbose: bool,
    /// The folder of the record of ownership.
    pub(super) runtime: PathBuf,
}

impl Context {
    pub(super) fn new(config: Option<PathBuf>, format: &'static dyn Format, verbose: bool) -> Self {
        Self { config, format, verbose, runtime: record::folder() }
    }

    pub(super) fn settings(&self) -> Result<Settings, Failure> {
        config::load(Path::new("/"), self.config.as_deref())
    }

    /// The same for commands that show or remove what is there. A fault in the configuration must not stop them,
    /// because that is when they are needed; a fault in a file that `--config` names does.
    pub(super) fn settings_if_any(&self) -> Result<Settings, Failure> {
        match self.settings() {
            Err(failure) if self.config.is_none() => {
                tracing::warn!("the configuration is left out: {}", failure.message);
                Ok(Settings::default())
            }
            other => other,
        }
    }

    pub(super) fn observing(&self, run_others: bool, limits: Limits) -> ObserveOptions<'_> {
        ObserveOptions { runtime: &self.runtime, run_others, limits }
    }

    /// Whether results are for a person, who is told of each step as well.
    pub(super) fn is_for_a_person(&self) -> bool {
        self.format.audience() == Audience::Person
    }

    /// Whether what takes long to find out is shown: digests.
    pub(super) fn wants_all(&self) -> bool {
        self.verbose || self.format.is_complete()
    }

    /// Prints a result, in the format that was asked for: `document` for a program, `text` for a person.
    pub(super) fn print(
        &self,
        document: &impl Serialize,
        text: impl Fn(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), Failure> {
        let printed = Printed { data: document, text };
        let any = self.format.any().ok_or_else(|| {
            Failure::usage(format!("--format {} has no form for this", self.format.name()))
        })?;
        print(|out| any(out, &printed))
    }

    /// How much a person wants to read, and how wide the terminal is.
    pub(super) fn page(&self) -> Page {
        let size = terminal_size::terminal_size_of(io::stdout());
        Page { verbose: self.verbose, width: size.map(|(width, _)| usize::from(width.0)) }
    }

    /// A line of progress on standard error; silent unless that is a terminal.
    pub(super) fn progress(&self) -> impl FnMut(&str, usize, usize) + use<> {
        let shown = self.is_for_a_person() && io::stderr().is_terminal() && !is_dumb();
        let mut line = Line::default();
        move |what, done, total| {
            if shown {
                line.say(what, done, total);
            }
        }
    }
}

/// Whether the terminal cannot return to the beginning of a line, or nothing says what it can do.
fn is_dumb() -> bool {
    std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb")
}

/// The line of progress. It is erased before the result, or a message that ends the command, is printed.
#[derive(Default)]
struct Line {
    said: Option<Instant>,
}

impl Line {
    /// With `--repeat`, thousands of runs end in a second, and nobody reads faster than this.
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

/// Prints to standard output, in colour where that is wanted.
pub(super) fn print(result: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Failure> {
    let stdout = io::stdout();
    // As a whole, with one write(2).
    let mut out = AutoStream::new(Vec::new(), AutoStream::choice(&stdout));
    let result = result(&mut out);
    let mut stdout = stdout.lock();
    let printed = result.and_then(|()| stdout.write_all(&out.into_inner()));
    match printed.and_then(|()| stdout.flush()) {
        // The reader has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other.map_err(|error| {
            Failure::of_io(&error, format!("write the result to standard output: {error}"))
        }),
    }
}

/// Says why the command ends early: to a person on standard error, to a program on standard output.
pub(super) fn report(failure: &Failure, code: u8, format: &dyn Format) {
    let document = ErrorDocument::new(failure, code);
    if format.audience() == Audience::Program {
        let mut stdout = anstream::stdout().lock();
        match format.failure(&mut stdout, &document).and_then(|()| stdout.flush()) {
            Ok(()) => return,
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return,
            Err(_) => {}
        }
    }
    // Nobody is left to tell when this fails.
    let _ = FORMATS[0].failure(&mut anstream::stderr().lock(), &document);
}

/// Turns names on the command line into QEMU's, each once. A script's empty variable is an error: it would ask for
/// nothing, and the command would succeed.
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
