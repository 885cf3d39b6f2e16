//! `binfmtd status`

use super::context::{self, Context};
use super::{Exit, Failure};
use crate::observe;
use crate::report::{StatusDocument, text};
use crate::system::{namespace, record};

/// Show every rule there is: target, flags, owner, and which one wins
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  binfmtd status --format json | jq '.rules[] | select(.state != \"active\")'"
)]
pub(super) struct Arguments {}

pub(super) fn run(context: &Context, _: &Arguments) -> Result<Exit, Failure> {
    let settings = context.settings_if_any()?;
    let instance = context::instance()?;
    let facts = instance.look()?;
    let record = record::load(&context.runtime, instance.device())?;
    let owners = observe::other_owners(&facts.entries);
    let document = StatusDocument::new(
        &settings.table,
        &facts,
        &record,
        &owners,
        namespace::in_first_user_namespace(),
    );
    context.print(&document, |out| text::status(out, &document))?;
    Ok(Exit::of(document.ok))
}
