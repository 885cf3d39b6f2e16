//! What the commands that show a builder have in common.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::time::Duration;

use crate::buildx::docker::Docker;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::failure::Failure;
use crate::report::{BuilderDocument, outputs, text};

/// How long to wait for docker.
#[derive(Debug, clap::Args)]
pub(super) struct Patience {
    /// Time limit for each docker command, such as a pull of `BuildKit`'s image or a build
    #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,
}

impl Patience {
    pub(super) fn docker(&self) -> Result<Docker, Failure> {
        Ok(Docker::find(Duration::from_secs(self.timeout))?)
    }
}

#[derive(Debug, clap::Args)]
pub(super) struct Common {
    #[command(flatten)]
    pub(super) patience: Patience,
    /// Write name, driver, platforms and nodes to the file that `GITHUB_OUTPUT` names, as docker/setup-buildx-action does
    #[arg(long)]
    github_output: bool,
}

impl Common {
    /// Refuses, before anything is done, what could not be written afterwards.
    pub(super) fn check(&self) -> Result<(), Failure> {
        if self.github_output { output_file().map(|_| ()) } else { Ok(()) }
    }

    /// Prints what was found, and returns how the command ends.
    pub(super) fn finish(
        &self,
        context: &Context,
        document: &BuilderDocument,
    ) -> Result<Exit, Failure> {
        if self.github_output {
            write_outputs(document)?;
        }
        context.print(document, |out| text::builder(out, document, context.verbose))?;
        Ok(Exit::of(document.ok))
    }
}

/// GitHub's name for the file that a step's outputs go to.
const OUTPUT_VARIABLE: &str = "GITHUB_OUTPUT";

fn output_file() -> Result<OsString, Failure> {
    let file = std::env::var_os(OUTPUT_VARIABLE).filter(|file| !file.is_empty());
    file.ok_or_else(|| {
        Failure::usage(format!(
            "--github-output: {OUTPUT_VARIABLE} is not set; GitHub Actions sets it for each step"
        ))
    })
}

fn write_outputs(document: &BuilderDocument) -> Result<(), Failure> {
    let file = output_file()?;
    let mut content = Vec::new();
    outputs::builder(&mut content, document)?;
    let written = OpenOptions::new()
        .append(true)
        .create(true)
        .open(&file)
        .and_then(|mut file| file.write_all(&content));
    written.map_err(|error| {
        Failure::unavailable(format!("{OUTPUT_VARIABLE}: {}: {error}", file.to_string_lossy()))
    })
}
