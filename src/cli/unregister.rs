//! `binfmtd unregister`

use clap::ValueHint;
use std::ffi::OsStr;
use std::path::Path;

use super::context::{self, Context};
use super::{Exit, Failure, status};
use crate::daemon::State;
use crate::reconcile::{self, Change};
use crate::report::{UnregisterDocument, text};
use crate::rule::winner;
use crate::system::binfmt_misc::instance::Instance;
use crate::system::binfmt_misc::record::{self, Store};

/// Remove rules that binfmtd registered
///
/// Removes only rules that the record of ownership names and that are still as they were registered. While
/// the service runs, rules that the configuration asks for come back.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  binfmtd unregister arm64   the rule for this target\n  binfmtd unregister --all   every rule that binfmtd registered"
)]
pub(super) struct Arguments {
    /// Targets or platforms
    #[arg(required_unless_present = "all", value_hint = ValueHint::Other)]
    targets: Vec<String>,
    /// Every rule that binfmtd registered, those of the configuration included
    #[arg(long, conflicts_with = "targets")]
    all: bool,
    /// Print what would be removed and change nothing
    #[arg(long)]
    dry_run: bool,
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> Result<Exit, Failure> {
    let settings = context.settings_if_any()?;
    let request = context::request(&settings, &arguments.targets, false)?;
    let instance = reconcile::find_instance()?;
    if !arguments.dry_run {
        reconcile::check_writable(&instance, Change::Remove)?;
    }
    let store = if arguments.dry_run { None } else { Some(Store::open(&context.runtime)?) };
    let facts = instance.look()?;
    let mut record = record::load(&context.runtime, instance.device())?;
    let mut document = UnregisterDocument {
        ok: true,
        dry_run: arguments.dry_run,
        removed: Vec::new(),
        errors: Vec::new(),
        warnings: Vec::new(),
    };
    let asked = |target: Option<&String>| match &request.only {
        None => true,
        Some(names) => target.is_some_and(|target| names.contains(target)),
    };
    for entry in facts.entries.iter().filter(|entry| record.owns(entry)) {
        let name = entry.display_name();
        if asked(record.owned(entry).and_then(|owned| owned.target.as_ref())) {
            remove(&instance, &name, &mut document);
        }
    }
    for name in request.only.iter().flatten() {
        let target = settings.table.find(name)?;
        for header in target.identity.machines.iter().filter_map(|it| target.header(*it)) {
            let left = winner(&facts.entries, &header, Path::new("/"));
            if let Some(entry) = left.filter(|entry| !record.owns(entry)) {
                document.errors.push(format!(
                    "{name} is served by {}, which is not ours",
                    entry.display_name()
                ));
            }
        }
    }
    if let Some(state) = status::service(&context.runtime, &instance) {
        document.warnings.extend(comes_back(&state, &document.removed));
    }
    for warning in &document.warnings {
        tracing::warn!("{warning}");
    }
    document.ok = document.errors.is_empty();
    if let Some(store) = store {
        for name in &document.removed {
            record.forget(name);
        }
        store.save(&record)?;
    }
    context.print(&document, |out| text::unregister(out, &document))?;
    Ok(Exit::of(document.ok))
}

/// The service registers what it wants again, sooner or later.
fn comes_back(state: &State, removed: &[String]) -> Option<String> {
    let is_wanted = |name: &&String| state.rules.iter().any(|rule| rule.rule == **name);
    let wanted: Vec<&str> = removed.iter().filter(is_wanted).map(String::as_str).collect();
    (!wanted.is_empty()).then(|| {
        format!(
            "the service (process {}) registers {} again at its next full check (name the targets that are \
             wanted in the configuration, or stop the service first: systemctl stop binfmtd)",
            state.pid,
            wanted.join(", ")
        )
    })
}

fn remove(instance: &Instance, name: &str, document: &mut UnregisterDocument) {
    if document.dry_run {
        document.removed.push(name.to_owned());
        return;
    }
    match instance.remove(OsStr::new(name)) {
        Ok(()) => document.removed.push(name.to_owned()),
        Err(error) => document.errors.push(format!("remove {name}: {error}")),
    }
}
