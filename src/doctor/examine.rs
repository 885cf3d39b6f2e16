//! Gathers what the checks look at.

use std::io;
use std::path::Path;

use thiserror::Error;

use crate::config::{Settings, Targets};
use crate::observation::{Candidates, Observation};
use crate::observe::{self, Manner, ObserveError};
use crate::plan::{Native, Request};
use crate::rule::{Entry, Header, winner};
use crate::system::host::{self, Host};
use crate::system::instance::{Instance, InstanceError, MOUNT_POINT};
use crate::system::{mount, namespace, privilege};
use crate::target::Target;
use crate::verify::{Depth, Laboratory, Limits, Proof, Subject, VerifyError};

/// Why nothing could be examined: not a verdict about the host.
#[derive(Debug, Error)]
pub enum ExamineError {
    /// See there.
    #[error(transparent)]
    Observe(#[from] ObserveError),
    /// The edge failed.
    #[error("examine the host: {0}")]
    Io(#[from] io::Error),
    /// Probes could not be run.
    #[error(transparent)]
    Verify(#[from] VerifyError),
}

/// One kind of program that is asked about.
#[derive(Debug)]
pub struct Patient<'a> {
    /// Its target.
    pub target: &'a Target,
    /// Which of its values of `e_machine`.
    pub machine: u16,
    /// What was proved by running its probe; `None` when there is no probe for it.
    pub proof: Option<Proof>,
}

/// Everything that the checks look at.
#[derive(Debug)]
pub struct Examination<'a> {
    /// The settings.
    pub settings: &'a Settings,
    /// The machine.
    pub host: Host,
    /// Whether the kernel knows `binfmt_misc`.
    pub supported: bool,
    /// Filesystems on the mount point, lowest first.
    pub stack: Vec<String>,
    /// Whether this is the host's own instance.
    pub first_namespace: bool,
    /// Whether this is a container.
    pub container: bool,
    /// Whether this is uid 0.
    pub root: bool,
    /// Whether the instance is mounted read-only.
    pub read_only: bool,
    /// Why there is no instance to see, where there is none.
    pub trouble: Option<InstanceError>,
    /// What was observed; without rules where there is no instance.
    pub seen: Observation,
    /// What the kernel runs without a rule.
    pub native: Native,
    /// What is asked about.
    pub patients: Vec<Patient<'a>>,
}

/// Looks at the host and runs the probes of the targets that are asked about.
///
/// Without names and with `targets = "auto"`: each with an interpreter or a rule, and what is native.
pub fn examine<'a>(
    settings: &'a Settings,
    request: &Request,
    manner: Manner<'_>,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Examination<'a>, ExamineError> {
    let instance = Instance::open(Path::new(MOUNT_POINT));
    let seen = match &instance {
        Ok(instance) => observe::observe(instance, settings, request, manner)?,
        Err(_) => observe::observe_without_instance(settings, request, manner)?,
    };
    let mut examination = Examination {
        settings,
        host: host::describe()?,
        supported: mount::is_supported()?,
        stack: mount::stack()?,
        first_namespace: namespace::in_first_user_namespace(),
        container: namespace::in_container(),
        root: privilege::is_root(),
        native: Native::new(&settings.table, &seen.natives),
        read_only: instance.as_ref().is_ok_and(Instance::is_read_only),
        trouble: instance.err(),
        seen,
        patients: Vec::new(),
    };
    let targets = asked_about(settings, request, &examination)?;
    let who: Vec<(&Target, u16)> = targets
        .iter()
        .flat_map(|target| target.identity.machines.iter().map(|machine| (*target, *machine)))
        .collect();
    let proofs = prove(&examination, &who, manner.limits, progress)?;
    let patients = who.into_iter().zip(proofs);
    examination.patients =
        patients.map(|((target, machine), proof)| Patient { target, machine, proof }).collect();
    Ok(examination)
}

fn prove(
    examination: &Examination<'_>,
    who: &[(&Target, u16)],
    limits: Limits,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Vec<Option<Proof>>, ExamineError> {
    if who.is_empty() {
        return Ok(Vec::new());
    }
    let subjects: Vec<Subject<'_>> = who
        .iter()
        .map(|(target, machine)| {
            let entry = examination.winner(target, *machine);
            Subject {
                target,
                machine: *machine,
                interpreter: entry.map(|entry| entry.interpreter.as_path()),
            }
        })
        .collect();
    Ok(Laboratory::open()?.prove(&subjects, Depth::Full, limits, progress)?)
}

fn asked_about<'a>(
    settings: &'a Settings,
    request: &Request,
    examination: &Examination<'_>,
) -> Result<Vec<&'a Target>, ExamineError> {
    let named = match (&request.only, &settings.targets) {
        (Some(names), _) | (None, Targets::List(names)) => Some(names),
        (None, Targets::Auto) => None,
    };
    if let Some(names) = named {
        let found: Result<Vec<_>, _> = names.iter().map(|name| settings.table.find(name)).collect();
        return found.map_err(|error| ObserveError::from(error).into());
    }
    let is_of_interest = |target: &&Target| {
        examination.native.names().contains(&target.name)
            || examination.candidates(target).is_some_and(|found| found.usable.is_some())
            || target
                .identity
                .machines
                .iter()
                .any(|machine| examination.winner(target, *machine).is_some())
    };
    Ok(settings.table.targets().iter().filter(is_of_interest).collect())
}

impl Examination<'_> {
    /// What was observed of the instance, where there is one.
    pub fn instance(&self) -> Option<&Observation> {
        self.trouble.is_none().then_some(&self.seen)
    }

    /// The interpreters that were found for a target.
    pub fn candidates(&self, target: &Target) -> Option<&Candidates> {
        self.seen.interpreters.get(&target.name)
    }

    /// Whether the kernel runs a target's programs itself.
    pub fn is_native(&self, target: &Target) -> bool {
        self.native.names().contains(&target.name)
    }

    /// The entry that takes a target's programs.
    pub fn winner(&self, target: &Target, machine: u16) -> Option<&Entry> {
        winner(&self.seen.instance.entries, &header(target, machine)?, Path::new("/"))
    }

    /// All entries that would take a target's programs, enabled or not; the kernel's order.
    pub fn takers(&self, target: &Target, machine: u16) -> Vec<&Entry> {
        let Some(header) = header(target, machine) else { return Vec::new() };
        let entries = self.seen.instance.entries.iter();
        entries.filter(|entry| entry.matcher.matches(&header, Path::new("/"))).collect()
    }

    /// The patients that need a rule.
    pub fn foreign(&self) -> impl Iterator<Item = &Patient<'_>> {
        self.patients.iter().filter(|patient| !self.is_native(patient.target))
    }
}

/// The header of a target's programs: its magic is one.
fn header(target: &Target, machine: u16) -> Option<Header> {
    let index = target.identity.machines.iter().position(|known| *known == machine)?;
    target.identity.magics().get(index).map(|magic| Header::new(magic.magic()))
}
