//! What runs without rules that binfmtd registered: somebody else may have registered them on the host.

use std::fmt::{self, Display};

use crate::config::{Settings, Verify};
use crate::failure::Failure;
use crate::observe;
use crate::plan::{self, Request};
use crate::system::process::batch::Limits;
use crate::target::Target;
use crate::verify::{self, Depth, ProbeSubject, Proof};

/// What is known of the targets that are asked for, where nothing could be registered.
#[derive(Debug, PartialEq, Eq)]
pub enum Served {
    /// Every one runs.
    All,
    /// These do not.
    Lacking(Vec<Unserved>),
    /// Nothing names the targets, or programs may not be run.
    Unknown,
    /// The check itself failed.
    Unchecked(Failure),
}

/// A target whose programs do not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unserved {
    pub target: String,
    pub lack: Lack,
}

/// Why a target's programs do not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lack {
    NoRule,
    NoProbe,
    /// Why its probe failed.
    Fails(String),
}

/// Runs the probes of all targets that are asked for, whichever rule takes them.
pub fn served_without_us(
    settings: &Settings,
    request: &Request,
    progress: &mut dyn FnMut(usize, usize),
) -> Served {
    if settings.verify == Verify::Off {
        return Served::Unknown;
    }
    match unserved(settings, request, progress) {
        Ok(Some(lacking)) if lacking.is_empty() => Served::All,
        Ok(Some(lacking)) => Served::Lacking(lacking),
        Ok(None) => Served::Unknown,
        Err(failure) => Served::Unchecked(failure),
    }
}

/// `None` where nothing says which targets those are.
fn unserved(
    settings: &Settings,
    request: &Request,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Option<Vec<Unserved>>, Failure> {
    let limits = Limits::default();
    let seen = observe::observe_without_instance(settings, request)?;
    let mut targets = plan::wanted(settings, request, &seen)?;
    if targets.is_empty() {
        return Ok(None);
    }
    targets.retain(|target| !seen.natives.contains(&target.name));
    let programs: Vec<(&Target, u16)> = targets
        .iter()
        .flat_map(|target| target.identity.machines.iter().map(|machine| (*target, *machine)))
        .collect();
    let subjects = programs.iter().map(|(target, machine)| {
        ((&target.name, *machine), ProbeSubject::taken_by(target, *machine, None))
    });
    let proofs = verify::prove(subjects, Depth::Quick, limits, progress)?;
    let lacking = programs.iter().filter_map(|(target, machine)| {
        let lack = lack(proofs.get(&(&target.name, *machine)))?;
        Some(Unserved { target: target.name.clone(), lack })
    });
    let mut lacking: Vec<Unserved> = lacking.collect();
    lacking.dedup();
    Ok(Some(lacking))
}

fn lack(proof: Option<&Proof>) -> Option<Lack> {
    match proof {
        Some(proof) if proof.works() => None,
        Some(proof) if proof.nobody => Some(Lack::NoRule),
        Some(proof) => {
            Some(Lack::Fails(proof.failure().unwrap_or("its probe did not run").to_owned()))
        }
        None => Some(Lack::NoProbe),
    }
}

impl Display for Unserved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = match &self.lack {
            Lack::NoRule => "no rule takes its programs",
            Lack::NoProbe => "there is no probe for it",
            Lack::Fails(why) => why,
        };
        write!(f, "{}: {why}", self.target)
    }
}
