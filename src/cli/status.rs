//! `binfmtd status`

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use super::context::Context;
use super::exit::Exit;
use crate::daemon::State;
use crate::failure::Failure;
use crate::observe;
use crate::reconcile;
use crate::report::{StatusDocument, text};
use crate::system::binfmt_misc::instance::Instance;
use crate::system::binfmt_misc::record;
use crate::system::host::namespace;

/// Show every rule there is: target, flags, owner, and which one wins
///
/// While the service runs, also how that goes: what it keeps, what does not work and why, what it put
/// right last.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  binfmtd status --format json | jq '.rules[] | select(.state != \"active\")'"
)]
pub(super) struct Arguments {}

pub(super) fn run(context: &Context, _: &Arguments) -> Result<Exit, Failure> {
    let settings = context.settings_if_any()?;
    let instance = reconcile::find_instance()?;
    let facts = instance.look()?;
    let record = record::load(&context.runtime, instance.device())?;
    let owners = observe::other_owners(&facts.entries);
    let document = StatusDocument::new(
        &settings.table,
        &facts,
        &record,
        &owners,
        namespace::in_first_user_namespace(),
        service(&context.runtime, &instance),
    );
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    context.print(&document, |out| text::status(out, &document, now))?;
    Ok(Exit::of(document.ok))
}

/// What the service wrote down, if one runs and this is the instance that it keeps.
pub(super) fn service(runtime: &Path, instance: &Instance) -> Option<State> {
    State::load(runtime).filter(|state| state.instance == instance.device())
}
