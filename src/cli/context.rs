//! What every command shares: settings, output, names.

use std::io::{self, IsTerminal as _, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anstream::AutoStream;
use serde::Serialize;

use super::{Arguments, Failure};
use crate::config::{self, Settings};
use crate::observation::Observation;
use crate::observe::{self, Manner};
use crate::plan::Request;
use crate::report::{Audience, Format, Page, Printed};
use crate::system::binfmt_misc::instance::{Instance, InstanceError};
use crate::system::binfmt_misc::record;
use crate::system::host::namespace;
use crate::system::host::privilege;
use crate::system::process::batch::Limits;

/// The global options.
#[derive(Clone)]
pub(super) struct Context {
    config: Option<PathBuf>,
    pub(super) format: &'static dyn Format,
    pub(super) verbose: bool,
    /// The folder of the record of ownership.
    pub(super) runtime: PathBuf,
}

impl Context {
    pub(super) fn new(arguments: &Arguments) -> Self {
        Self {
            config: arguments.config.clone(),
            format: arguments.format,
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

    /// How much a person wants to read, and on what.
    pub(super) fn page(&self) -> Page {
        let size = terminal_size::terminal_size_of(io::stdout());
        Page { verbose: self.verbose, width: size.map(|(width, _)| usize::from(width.0)) }
    }

    /// Tells a person who waits how far it is; silent unless standard error is a terminal.
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

/// Refuses to change an instance that this process may not write to.
pub(super) fn writable(instance: &Instance, without_root: &str) -> Result<(), Failure> {
    if instance.is_writable() {
        return Ok(());
    }
    Err(Failure::not_permitted(if !privilege::is_root() {
        without_root
    } else if instance.is_read_only() {
        "binfmt_misc is mounted read-only (mount -o remount,rw /proc/sys/fs/binfmt_misc)"
    } else if !namespace::in_first_user_namespace() {
        "this user namespace may not change the host's rules; register them on the host"
    } else {
        "a security policy forbids root to write to binfmt_misc"
    }))
}

/// Opens the instance of this namespace; changes nothing.
pub(super) fn instance() -> Result<Instance, Failure> {
    Instance::find().map_err(|error| {
        let fix = match error {
            InstanceError::NoFolder => "; modprobe binfmt_misc, or binfmtd register as root",
            InstanceError::NotMounted => "; binfmtd register as root mounts it",
            _ => "",
        };
        Failure::unavailable(format!("{error}{fix}"))
    })
}
