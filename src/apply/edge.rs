//! The parts of the system that apply works with, as parameters: its tests run against a kernel that fails on demand.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;

use serde::{Deserialize, Serialize};

use super::error::TrialFault;
use crate::observation::{InstanceFacts, OwnershipRecord};
use crate::rule::Rule;
use crate::system::binfmt_misc::instance::{Instance, Refused, Registrar};
use crate::system::process::batch::BatchError;
use crate::verify::{ProbeSubject, Proof};

/// What apply needs of the system.
pub struct Edge<'a> {
    pub registry: &'a mut dyn Registry,
    pub prover: &'a mut dyn Prover,
    /// Saves the record of ownership.
    pub save: &'a dyn Fn(&OwnershipRecord) -> io::Result<()>,
}

/// An instance of `binfmt_misc`, as far as apply uses it.
pub trait Registry {
    /// Opens `register` first, so that a failure to open it is reported once and not for each rule.
    fn open(&mut self) -> io::Result<()>;
    fn look(&self) -> io::Result<InstanceFacts>;
    fn register(&mut self, rule: &Rule) -> Result<(), Refused>;
    fn remove(&mut self, name: &OsStr) -> io::Result<()>;
    fn enable(&mut self, name: &OsStr) -> io::Result<()>;
    /// Turns on the instance itself: `status` holds the switch for all its rules.
    fn enable_all(&mut self) -> io::Result<()>;
}

/// Runs probes. Keys are places in the plan.
pub trait Prover {
    /// Targets without a probe are missing from the result. `task` is shown to the person who waits; `None` for a
    /// proof too short to be shown.
    fn prove(
        &mut self,
        subjects: Vec<(usize, ProbeSubject<'_>)>,
        task: Option<&str>,
    ) -> Result<BTreeMap<usize, Proof>, BatchError>;

    /// Tries rules in a private instance; `None` if the kernel gives this process none.
    fn trial(
        &mut self,
        candidates: &[Candidate<'_>],
    ) -> Result<Option<BTreeMap<usize, Tried>>, BatchError>;
}

#[derive(Debug, Clone)]
pub struct Candidate<'a> {
    /// Its place in the plan.
    pub place: usize,
    pub rule: &'a Rule,
    /// `None` if no probe can run through the rule.
    pub subject: Option<ProbeSubject<'a>>,
    /// Whether the rule may be registered without the flag `P`: an interpreter that does not expect it takes the
    /// additional argument for one of the program's.
    pub may_drop_p: bool,
}

/// What a trial showed about a candidate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Tried {
    Works,
    WorksWithoutP,
    Fails(TrialFault),
}

pub struct KernelRegistry<'a> {
    instance: &'a Instance,
    registrar: Option<Registrar>,
}

impl<'a> KernelRegistry<'a> {
    pub fn new(instance: &'a Instance) -> Self {
        Self { instance, registrar: None }
    }

    fn registrar(&mut self) -> io::Result<&mut Registrar> {
        Ok(match &mut self.registrar {
            Some(registrar) => registrar,
            none => none.insert(self.instance.registrar()?),
        })
    }
}

impl Registry for KernelRegistry<'_> {
    fn open(&mut self) -> io::Result<()> {
        self.registrar().map(|_| ())
    }

    fn look(&self) -> io::Result<InstanceFacts> {
        self.instance.look()
    }

    fn register(&mut self, rule: &Rule) -> Result<(), Refused> {
        let registrar = self.registrar().map_err(|error| Refused::Other(error.to_string()))?;
        registrar.register(rule)
    }

    fn remove(&mut self, name: &OsStr) -> io::Result<()> {
        self.instance.remove(name)
    }

    fn enable(&mut self, name: &OsStr) -> io::Result<()> {
        self.instance.enable(name)
    }

    fn enable_all(&mut self) -> io::Result<()> {
        self.instance.enable_all()
    }
}
