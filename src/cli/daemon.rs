//! `binfmtd daemon`

use super::context::Context;
use super::exit::Exit;
use crate::daemon;
use crate::failure::Failure;
use crate::reconcile::{self, Holder};

/// Keep the rules in the kernel as configured, until stopped
///
/// Registers and proves every wanted target, then waits. When a rule is removed, disabled or shadowed, an
/// interpreter is upgraded or the configuration changes, it restores or replaces rules without a gap. Runs
/// in the foreground, talks to systemd if that started it, and drops its capabilities once `binfmt_misc` is
/// mounted. SIGHUP reloads the configuration; SIGTERM stops the service, and the rules stay.
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
