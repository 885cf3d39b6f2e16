//! The parts of the system that apply works with, as traits: its tests run against a kernel that fails on demand.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;

use super::trial::{Candidate, Tried};
use crate::observation::{InstanceFacts, Record};
use crate::rule::Rule;
use crate::system::binfmt_misc::instance::{Instance, Refused, Registrar};
use crate::system::binfmt_misc::record::Store;
use crate::system::process::batch::BatchError;
use crate::verify::{Proof, Subject};

/// What apply needs of the system.
pub struct Edge<'a> {
    pub registry: &'a mut dyn Registry,
    pub prover: &'a mut dyn Prover,
    pub store: &'a dyn RecordStore,
}

/// An instance of `binfmt_misc`, as far as apply uses it.
pub trait Registry {
    /// Opens `register`, so that a failure is one of all rules.
    fn open(&mut self) -> io::Result<()>;
    fn look(&self) -> io::Result<InstanceFacts>;
    fn register(&mut self, rule: &Rule) -> Result<(), Refused>;
    fn remove(&mut self, name: &OsStr) -> io::Result<()>;
    fn enable(&mut self, name: &OsStr) -> io::Result<()>;
    /// Switches the instance as a whole on.
    fn enable_all(&mut self) -> io::Result<()>;
}

/// Runs probes. Keys are places in the plan.
pub trait Prover {
    /// A target without a probe is not in the result. `task` is for a person who waits; `None` for a short one.
    fn prove(
        &mut self,
        subjects: Vec<(usize, Subject<'_>)>,
        task: Option<&str>,
    ) -> Result<BTreeMap<usize, Proof>, BatchError>;

    /// Tries rules in a private instance; `None` where the kernel has none for us.
    fn trial(
        &mut self,
        candidates: &[Candidate<'_>],
    ) -> Result<Option<BTreeMap<usize, Tried>>, BatchError>;
}

/// Where the record of ownership is kept.
pub trait RecordStore {
    fn save(&self, record: &Record) -> io::Result<()>;
}

impl RecordStore for Store {
    fn save(&self, record: &Record) -> io::Result<()> {
        Self::save(self, record)
    }
}

/// For proofs alone, which record nothing.
impl RecordStore for () {
    fn save(&self, _: &Record) -> io::Result<()> {
        Ok(())
    }
}

/// The kernel's own.
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
