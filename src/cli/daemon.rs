//! `binfmtd daemon`

use super::context::Context;
use super::exit::Exit;
use crate::daemon;
use crate::failure::Failure;
use crate::reconcile::{self, Holder};

/// Keep the kernel as the configuration says, until stopped
///
/// Registers and proves every wanted target, then waits: rules that are removed, disabled or shadowed, an
/// interpreter that is upgraded, a configuration that changes are put right without a gap. Runs in the
/// foreground, speaks to systemd where that started it, and gives up its capabilities once the file system
/// is mounted. SIGHUP reads the configuration again; SIGTERM ends it, and rules stay.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  systemctl enable --now binfmtd    the usual way\n  \
    binfmtd daemon                    in a container or under another supervisor\n\n\
    State: /run/binfmtd/state.json, which binfmtd status reads; metrics: /run/binfmtd/metrics.prom.")]
pub(super) struct Arguments {}

pub(super) fn run(context: &Context, _: &Arguments) -> Result<Exit, Failure> {
    let mounted = reconcile::writable_instance(Holder::Caller)?;
    daemon::run(mounted, context.config(), &context.runtime)?;
    Ok(Exit::Well)
}
