//! Runs probes for apply: on the host, and in a fork with a private instance.

use std::collections::BTreeMap;
use std::io;

use serde::{Deserialize, Serialize};

use super::edge::{Candidate, KernelRegistry, Prover, Registry, Tried};
use super::trial::{self, Bench};
use crate::config::Settings;
use crate::observation::Observation;
use crate::probe::{self, ElfType};
use crate::system::binfmt_misc::native;
use crate::system::binfmt_misc::private;
use crate::system::process::batch::{BatchError, Limits};
use crate::system::process::fork;
use crate::target::Target;
use crate::verify::{self, Depth, ProbeSubject, Proof};

pub struct Prober<'a> {
    natives: Vec<&'a Target>,
    limits: Limits,
    progress: &'a mut dyn FnMut(&str, usize, usize),
}

/// What the forked process of a trial reports.
#[derive(Debug, Serialize, Deserialize)]
enum TrialReply {
    Tried(BTreeMap<usize, Tried>),
    /// The kernel or the distribution gives us no private instance.
    NoInstance(String),
    /// There was one, but something else failed; that is no reason to go on without a trial.
    Broke(String),
}

impl<'a> Prober<'a> {
    /// `progress` is told the task, how many of its steps are done, and how many there are.
    pub fn new(
        settings: &'a Settings,
        seen: &Observation,
        limits: Limits,
        progress: &'a mut dyn FnMut(&str, usize, usize),
    ) -> Self {
        let targets = settings.table.targets().iter();
        let natives = targets.filter(|target| seen.natives.contains(&target.name)).collect();
        Self { natives, limits, progress }
    }

    /// Runs in a forked process, so what it does to its namespaces ends with it.
    fn try_out(&self, candidates: &[Candidate<'_>]) -> TrialReply {
        let instance = match private::enter_private() {
            Ok(instance) => instance,
            Err(error) => return TrialReply::NoInstance(error.to_string()),
        };
        let (natives, limits) = (&self.natives, self.limits);
        let mut bench = Private { registry: KernelRegistry::new(&instance), natives, limits };
        match trial::trial(&mut bench, candidates) {
            Ok(tried) => TrialReply::Tried(tried),
            Err(error) => TrialReply::Broke(error.to_string()),
        }
    }
}

impl Prover for Prober<'_> {
    fn prove(
        &mut self,
        subjects: Vec<(usize, ProbeSubject<'_>)>,
        task: Option<&str>,
    ) -> Result<BTreeMap<usize, Proof>, BatchError> {
        let mut progress = |done, total| {
            if let Some(task) = task {
                (self.progress)(task, done, total);
            }
        };
        verify::prove(subjects, Depth::Quick, self.limits, &mut progress)
    }

    fn trial(
        &mut self,
        candidates: &[Candidate<'_>],
    ) -> Result<Option<BTreeMap<usize, Tried>>, BatchError> {
        (self.progress)("trying rules in a private instance", 0, candidates.len());
        let answer =
            fork::run(|| serde_json::to_vec(&self.try_out(candidates)).unwrap_or_default())?;
        match serde_json::from_slice(&answer).map_err(io::Error::other)? {
            TrialReply::Tried(tried) => Ok(Some(tried)),
            TrialReply::NoInstance(why) => {
                tracing::info!(
                    "no private instance here, so each rule is proved in place before it replaces another: {why}"
                );
                Ok(None)
            }
            TrialReply::Broke(why) => Err(BatchError::Io(io::Error::other(why))),
        }
    }
}

/// The private instance of a trial.
struct Private<'a> {
    registry: KernelRegistry<'a>,
    natives: &'a [&'a Target],
    limits: Limits,
}

impl Bench for Private<'_> {
    fn registry(&mut self) -> &mut dyn Registry {
        &mut self.registry
    }

    fn prove(
        &mut self,
        subjects: Vec<(usize, ProbeSubject<'_>)>,
    ) -> Result<BTreeMap<usize, Proof>, BatchError> {
        verify::prove(subjects, Depth::Quick, self.limits, &mut |_, _| {})
    }

    fn harmed(&mut self) -> io::Result<Option<String>> {
        let (names, programs): (Vec<&str>, Vec<Vec<u8>>) = self
            .natives
            .iter()
            .flat_map(|target| {
                [ElfType::Executable, ElfType::Shared]
                    .map(|kind| (target.name.as_str(), probe::truncated(target, kind)))
            })
            .unzip();
        let answers =
            native::ask(&programs).map_err(|error| io::Error::other(error.to_string()))?;
        let mut answers = names.into_iter().zip(answers);
        let harmed = answers.find(|(_, answer)| *answer != native::RunBy::Kernel);
        Ok(harmed.map(|(name, _)| name.to_owned()))
    }
}
