//! `binfmtd export`

use std::fs;
use std::path::PathBuf;

use clap::{ValueEnum, ValueHint};

use super::context::{self, Context};
use super::exit::Exit;
use crate::failure::Failure;
use crate::observe;
use crate::plan::{self, Action, Decision};
use crate::report::{ExportDocument, FileDocument, text};
use crate::rule::{DebianError, Rule, write_debian};

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
    let mut notes = Vec::new();
    let mut rules: Vec<Rule> = Vec::new();
    for item in plan::plan(&settings, &request, &seen)?.items {
        match item.decision {
            Decision::Change(Action::Add(rule)) => rules.push(rule),
            Decision::Refused(refusal) => notes.push(refusal.to_string()),
            _ => {}
        }
    }
    let ok = notes.is_empty();
    if rules.is_empty() && ok {
        return Err(Failure::unavailable(
            "there is nothing to export: no interpreter was found (install qemu-user-static)",
        ));
    }
    if arguments.tool == Tool::Debian
        && rules.iter().any(|rule| rule.flags().open_binary && !rule.flags().credentials)
    {
        notes.push("update-binfmts cannot express the flag O: it is left out".to_owned());
    }
    let files = files(arguments.tool, &rules).map_err(Failure::usage)?;
    let document = ExportDocument { ok, files, notes };
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

fn files(tool: Tool, rules: &[Rule]) -> Result<Vec<FileDocument>, DebianError> {
    match tool {
        Tool::BinfmtD => {
            let mut content =
                "# Written by binfmtd export --as binfmt.d; see binfmt.d(5).\n".to_owned();
            for rule in rules {
                content.push_str(&String::from_utf8_lossy(rule.register_string()));
                content.push('\n');
            }
            Ok(vec![FileDocument { name: "binfmtd.conf".to_owned(), content }])
        }
        Tool::Debian => rules
            .iter()
            .map(|rule| {
                Ok(FileDocument {
                    name: rule.name().to_string(),
                    content: write_debian(rule, "binfmtd")?,
                })
            })
            .collect(),
    }
}
