//! `binfmtd which`

use std::fs::File;
use std::io::Read as _;
use std::path::PathBuf;

use super::context::Context;
use super::exit::Exit;
use crate::failure::Failure;
use crate::observe;
use crate::plan::{Native, Request};
use crate::reconcile;
use crate::report::{WhichDocument, text};
use crate::rule::{HEADER_SIZE, Header};
use crate::system::process::batch::Limits;

/// Say which rule the kernel would pick for a file, and why not the others
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  binfmtd which ./hello-arm64\n  binfmtd which -v ./hello-arm64   every rule, and the byte that differs"
)]
pub(super) struct Arguments {
    /// The file, by the path it would be started with
    file: PathBuf,
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> Result<Exit, Failure> {
    let settings = context.settings_if_any()?;
    let failed =
        |error: std::io::Error| Failure::usage(format!("{}: {error}", arguments.file.display()));
    // Opening a pipe would wait for its writer.
    if !std::fs::metadata(&arguments.file).map_err(failed)?.is_file() {
        return Err(Failure::usage(format!("{}: not a regular file", arguments.file.display())));
    }
    let mut start = Vec::new();
    File::open(&arguments.file)
        .and_then(|file| file.take(HEADER_SIZE as u64).read_to_end(&mut start))
        .map_err(failed)?;
    let instance = reconcile::find_instance()?;
    // Only what is native is of interest here, not interpreters.
    let request = Request { only: Some(Vec::new()), takeover: false };
    let seen = observe::observe(
        &instance,
        &settings,
        &request,
        context.observing(false, Limits::default()),
    )?;
    let native = Native::new(&settings.table, &seen.natives);
    let document = WhichDocument::new(
        &settings.table,
        &native,
        &seen.instance,
        &arguments.file,
        &Header::new(&start),
    );
    context.print(&document, |out| text::which(out, &document, context.verbose))?;
    Ok(Exit::of(document.ok))
}
