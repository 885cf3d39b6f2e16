//! The only way from settings to the kernel: lock → observe → plan → apply, and again if somebody undid it.
//!
//! `register`, `run`, `buildx bootstrap`, `doctor --fix`, the drop-in for tonistiigi/binfmt and the service's worker
//! all go through [`Reconciler::run`]; what differs between them is data.

mod access;
mod reconciliation;
mod remove;
mod served;
mod settle;
mod usable;

use std::path::Path;

pub use access::{
    Change, Holder, Unmounted, check_lifetime, check_writable, find_instance, writable_instance,
};
pub use reconciliation::Reconciliation;
pub use remove::{Removal, RemovalFault, remove};
pub use served::{Served, Unserved, served_without_us};

use crate::apply::{self, Edge, Given, KernelRegistry, Outcome, Prober};
use crate::config::{Settings, Verify};
use crate::failure::Failure;
use crate::observation::{Observation, OwnershipRecord};
use crate::observe::{self, ObserveOptions};
use crate::plan::{self, Plan, Request};
use crate::system::binfmt_misc::instance::Instance;
use crate::system::binfmt_misc::record::Store;
use crate::system::process::batch::Limits;

/// Brings an instance into the state that the settings describe.
pub struct Reconciler<'a> {
    pub instance: &'a Instance,
    /// The folder of the record of ownership and its lock.
    pub runtime: &'a Path,
    pub settings: &'a Settings,
    /// What to look at.
    pub request: &'a Request,
    pub planning: Planning<'a>,
    pub mode: Mode,
    /// The instance is our own and empty: a trial in another one would prove nothing more.
    pub private: bool,
    pub limits: Limits,
}

/// How a plan follows from what was seen.
#[derive(Clone, Copy)]
pub enum Planning<'a> {
    /// Everything that the request asks for.
    Requested,
    /// The same, and a failure where `targets = "auto"` finds nothing to register.
    SomethingUsable,
    /// The caller's own, made under the lock, before anything is written.
    Custom(&'a dyn Fn(&mut Observation) -> Result<Plan, Failure>),
}

/// Who reconciles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// A command holds the lock from its first look on, and repeats what somebody has undone in the meantime.
    Command,
    /// The service's loop notices when somebody undoes something, but restores nothing while the lock is held. Proofs
    /// take long, so a plan without changes is proved without the lock.
    Service,
}

type ProgressFn<'a> = dyn FnMut(&str, usize, usize) + 'a;

impl<'a> Reconciler<'a> {
    /// With the options of `register`.
    pub fn command(
        instance: &'a Instance,
        runtime: &'a Path,
        settings: &'a Settings,
        request: &'a Request,
    ) -> Self {
        let (planning, mode) = (Planning::SomethingUsable, Mode::Command);
        let limits = Limits::default();
        Self { instance, runtime, settings, request, planning, mode, private: false, limits }
    }
}

impl Reconciler<'_> {
    /// `progress` is told the task, how many of its steps are done, and how many there are.
    pub fn run(&self, progress: &mut ProgressFn<'_>) -> Result<Reconciliation, Failure> {
        match self.mode {
            Mode::Command => settle::settle(|| self.locked(progress)),
            Mode::Service => {
                let (seen, plan) = self.look()?;
                if plan.is_empty() && seen.record.coming.is_empty() {
                    self.apply(seen, plan, None, progress)
                } else {
                    self.locked(progress)
                }
            }
        }
    }

    /// What `run` would do now. Nothing is locked or changed.
    pub fn dry_run(&self) -> Result<Reconciliation, Failure> {
        let (seen, plan) = self.look()?;
        Ok(Reconciliation { seen, outcomes: plan.items.into_iter().map(Outcome::of).collect() })
    }

    fn locked(&self, progress: &mut ProgressFn<'_>) -> Result<Reconciliation, Failure> {
        let store = Store::open(self.runtime).map_err(Failure::io("record of ownership"))?;
        let (seen, plan) = self.look()?;
        self.apply(seen, plan, Some(&store), progress)
    }

    /// Without the store, changes nothing and proves the registered rules.
    fn apply(
        &self,
        seen: Observation,
        plan: Plan,
        store: Option<&Store>,
        progress: &mut ProgressFn<'_>,
    ) -> Result<Reconciliation, Failure> {
        let given = Given { settings: self.settings, seen: &seen, private: self.private };
        let registry = &mut KernelRegistry::new(self.instance);
        let prover = &mut Prober::new(self.settings, &seen, self.limits, progress);
        let outcomes = if let Some(store) = store {
            let save = &|record: &OwnershipRecord| store.save(record);
            apply::apply(plan, given, Edge { registry, prover, save })?
        } else {
            apply::prove(plan, given, Edge { registry, prover, save: &|_| Ok(()) })?
        };
        Ok(Reconciliation { seen, outcomes })
    }

    fn look(&self) -> Result<(Observation, Plan), Failure> {
        let run_others = self.settings.verify != Verify::Off;
        let options = ObserveOptions { runtime: self.runtime, run_others, limits: self.limits };
        let mut seen = observe::observe(self.instance, self.settings, self.request, options)?;
        let plan = match self.planning {
            Planning::Requested => plan::plan(self.settings, self.request, &seen)?,
            Planning::SomethingUsable => {
                let plan = plan::plan(self.settings, self.request, &seen)?;
                usable::check(self.settings, self.request, &seen)?;
                plan
            }
            Planning::Custom(plan) => plan(&mut seen)?,
        };
        Ok((seen, plan))
    }
}
