//! The service: waits for changes, puts right at once what it can, and has the rest done.
//!
//! Two processes. The loop here waits, without any capability, and puts back rules that it knows to be
//! good: the very rules that were proved, with the very interpreters. A helper, forked off before the
//! capabilities went, forks a worker for everything else: reading the configuration, planning, trying
//! rules, running probes. So the loop never blocks, and what probes need is no right of the loop's.

mod job;
mod journal;
mod keeper;
mod metrics;
mod pace;
mod state;

use std::io;
use std::path::Path;

use thiserror::Error;

use crate::system::binfmt_misc::mount::{Lifetime, Mounted};
use crate::system::binfmt_misc::record;
use crate::system::host::privilege;
use crate::system::process::helper::Helper;

pub use journal::Message;
pub use metrics::render;
pub use state::{Cause, Condition, Heal, RuleState, State};

use crate::system::files::lock;
use job::{Kind, Trouble, Worker};
use keeper::Keeper;

/// Why the service could not begin, or had to give up.
#[derive(Debug, Error)]
pub enum DaemonError {
    /// Another one runs.
    #[error("another binfmtd daemon runs already ({})", whose(*.0))]
    Running(u32),
    /// The configuration is not in order.
    #[error("{0}")]
    Configuration(String),
    /// The system forbids it.
    #[error("{0}")]
    NotPermitted(String),
    /// Nothing could be looked at or done.
    #[error("{0}")]
    Unavailable(String),
    /// The edge failed.
    #[error("{what}: {error}")]
    Io {
        /// What was to be done.
        what: &'static str,
        /// What went wrong.
        error: io::Error,
    },
}

/// A process that has no number here is told as 0.
fn whose(process: u32) -> String {
    if process == 0 {
        "in another container, or on the host".to_owned()
    } else {
        format!("process {process}")
    }
}

fn io_error(what: &'static str) -> impl FnOnce(io::Error) -> DaemonError {
    move |error| DaemonError::Io { what, error }
}

impl From<Trouble> for DaemonError {
    fn from(trouble: Trouble) -> Self {
        let Trouble { kind, message } = trouble;
        match kind {
            Kind::Configuration => Self::Configuration(message),
            Kind::NotPermitted => Self::NotPermitted(message),
            Kind::Unavailable => Self::Unavailable(message),
        }
    }
}

/// Keeps the rules of this instance right until somebody asks it to end. Rules stay.
pub fn run(mounted: Mounted, config: Option<&Path>, runtime: &Path) -> Result<(), DaemonError> {
    let Mounted { instance, lifetime, mount } = mounted;
    // Without capabilities it could not be taken back; it goes with the container that it is in.
    std::mem::forget(mount);
    record::make_folder(runtime).map_err(io_error("make the runtime folder"))?;
    let held = lock::hold(&runtime.join("daemon.lock")).map_err(io_error("hold daemon.lock"))?;
    let _only_one = held.map_err(DaemonError::Running)?;
    let worker = Worker { config, runtime, held: &instance };
    // Before anything else is allocated or opened: the helper has no use for it.
    let helper = Helper::start(privilege::drop_all_but_probing, |job| worker.work(job))
        .map_err(io_error("start the helper"))?;
    privilege::drop_all().map_err(io_error("give up capabilities"))?;
    let mut keeper = Keeper::new(instance, helper, runtime, lifetime == Lifetime::Ours)?;
    let ended = keeper.run();
    State::remove(runtime);
    ended
}
