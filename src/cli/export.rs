//! `binfmtd export`

use std::fs;
use std::path::PathBuf;

use clap::{ValueEnum, ValueHint};

use super::context::{self, Context};
use super::exit::Exit;
use crate::failure::Failure;
use crate::observe;
use crate::plan;
use crate::report::{ExportDocument, ExportTool, text};

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Tool {
    /// For systemd-binfmt: one register string per line
    #[value(name = "binfmt.d")]
    BinfmtD,
    /// For update-binfmts: one file for each rule
    Debian,
}

/// Write the rules in another tool's format
///
/// The rules are those that `register` would register in an empty instance.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  binfmtd export --as binfmt.d > /etc/binfmt.d/qemu.conf\n  \
    binfmtd export --as debian --output /usr/share/binfmts arm64 s390x")]
pub(super) struct Arguments {
    /// The format
    #[arg(long = "as", value_name = "TOOL")]
    tool: Tool,
    /// Write files to this folder instead of standard output
    #[arg(long, value_name = "FOLDER")]
    output: Option<PathBuf>,
    /// Targets or platforms, in place of the configuration's
    #[arg(value_hint = ValueHint::Other)]
    targets: Vec<String>,
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> Result<Exit, Failure> {
    let settings = context.settings()?;
    let request = context::request(&settings, &arguments.targets, false)?;
    let seen = observe::observe_without_instance(&settings, &request)?;
    let tool = match arguments.tool {
        Tool::BinfmtD => ExportTool::BinfmtD,
        Tool::Debian => ExportTool::Debian,
    };
    let plan = plan::plan(&settings, &request, &seen)?;
    let document = ExportDocument::new(tool, &plan).map_err(Failure::usage)?;
    if document.files.is_empty() && document.ok {
        return Err(Failure::unavailable(
            "there is nothing to export: no interpreter was found (install qemu-user-static)",
        ));
    }
    for note in &document.notes {
        tracing::warn!("{note}");
    }
    match &arguments.output {
        Some(folder) => {
            let named =
                |error: std::io::Error| Failure::usage(format!("{}: {error}", folder.display()));
            fs::create_dir_all(folder).map_err(named)?;
            for file in &document.files {
                fs::write(folder.join(&file.name), &file.content).map_err(named)?;
            }
            context.print(&document, |out| {
                writeln!(out, "wrote {} files to {}", document.files.len(), folder.display())
            })?;
        }
        None if arguments.tool == Tool::Debian
            && document.files.len() > 1
            && context.is_for_a_person() =>
        {
            return Err(Failure::usage(
                "this format needs a file for each rule: give --output FOLDER, or one target",
            ));
        }
        None => context.print(&document, |out| text::export(out, &document))?,
    }
    Ok(Exit::of(document.ok))
}
