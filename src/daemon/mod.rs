//! The service: waits for changes, restores rules at once where it can, and leaves the rest to a worker.
//!
//! The loop runs without capabilities. It waits, and restores only rules that were probed before, with the same
//! interpreter files. For everything else (reading the configuration, planning, trying rules, running probes) a
//! helper, which was forked before the capabilities were dropped, forks a worker. So the loop never blocks, and never
//! has the rights that probes need. A state machine without a clock (`machine/`) decides what to do when.

mod event_loop;
mod instance;
mod journal;
mod machine;
mod metrics;
mod pace;
mod protocol;
mod relevant;
mod state;
mod watchlist;
mod worker;

use std::path::Path;

use crate::failure::Failure;
use crate::system::binfmt_misc::mount::{Lifetime, Mounted};
use crate::system::binfmt_misc::record;
use crate::system::files::lock;
use crate::system::host::privilege;
use crate::system::process::helper::Helper;

pub use journal::Message;
pub use metrics::render;
pub use state::{ChangeCause, Condition, Heal, RuleState, State};

use event_loop::EventLoop;
use worker::Worker;

fn whose(process: u32) -> String {
    // The kernel reports 0 for a process in a pid namespace that this one does not see.
    if process == 0 {
        "in another container, or on the host".to_owned()
    } else {
        format!("process {process}")
    }
}

/// Keeps the rules of this instance in force until it is asked to stop. The rules stay.
pub fn run(mounted: Mounted, config: Option<&Path>, runtime: &Path) -> Result<(), Failure> {
    let Mounted { instance, lifetime, mount } = mounted;
    // Without capabilities it cannot be unmounted; it ends with its container.
    std::mem::forget(mount);
    record::make_folder(runtime).map_err(Failure::io("make the runtime folder"))?;
    let held = lock::hold(&runtime.join("daemon.lock")).map_err(Failure::io("hold daemon.lock"))?;
    let _only_one = held.map_err(|other| {
        Failure::unavailable(format!(
            "another binfmtd daemon is already running ({})",
            whose(other)
        ))
    })?;
    let worker = Worker { config, runtime, held: &instance };
    // Started before anything else is opened or allocated, because the helper inherits it.
    let helper = Helper::start(privilege::drop_all_but_probing, |request| worker.work(request))
        .map_err(Failure::io("start the helper"))?;
    privilege::drop_all().map_err(Failure::io("give up capabilities"))?;
    let mut service = EventLoop::new(instance, helper, runtime, lifetime == Lifetime::Ours)?;
    let ended = service.run();
    State::remove(runtime);
    ended
}
