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

use std::path::Path;

use crate::failure::Failure;
use crate::system::binfmt_misc::mount::{Lifetime, Mounted};
use crate::system::binfmt_misc::record;
use crate::system::host::privilege;
use crate::system::process::helper::Helper;

pub use journal::Message;
pub use metrics::render;
pub use state::{Cause, Condition, Heal, RuleState, State};

use crate::system::files::lock;
use job::Worker;
use keeper::Keeper;

/// A process that has no number here is told as 0.
fn whose(process: u32) -> String {
    if process == 0 {
        "in another container, or on the host".to_owned()
    } else {
        format!("process {process}")
    }
}

/// Keeps the rules of this instance right until somebody asks it to end. Rules stay.
pub fn run(mounted: Mounted, config: Option<&Path>, runtime: &Path) -> Result<(), Failure> {
    let Mounted { instance, lifetime, mount } = mounted;
    // Without capabilities it could not be taken back; it goes with the container that it is in.
    std::mem::forget(mount);
    record::make_folder(runtime).map_err(Failure::io("make the runtime folder"))?;
    let held = lock::hold(&runtime.join("daemon.lock")).map_err(Failure::io("hold daemon.lock"))?;
    let _only_one = held.map_err(|other| {
        Failure::unavailable(format!("another binfmtd daemon runs already ({})", whose(other)))
    })?;
    let worker = Worker { config, runtime, held: &instance };
    // Before anything else is allocated or opened: the helper has no use for it.
    let helper = Helper::start(privilege::drop_all_but_probing, |job| worker.work(job))
        .map_err(Failure::io("start the helper"))?;
    privilege::drop_all().map_err(Failure::io("give up capabilities"))?;
    let mut keeper = Keeper::new(instance, helper, runtime, lifetime == Lifetime::Ours)?;
    let ended = keeper.run();
    State::remove(runtime);
    ended
}
