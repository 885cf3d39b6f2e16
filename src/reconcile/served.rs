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
    target: String,
    why: String,
}

/// Runs the probes of all targets that are asked for, whichever rule takes them.
pub fn served_without_us(
    settings: &Settings,
    request: &Request,
    progress: &mut dyn FnMut(usize, usize),
) -> Served {
    probe(settings, request, progress).unwrap_or_else(Served::Unchecked)
}

fn probe(
    settings: &Settings,
    request: &Request,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Served, Failure> {
    if settings.verify == Verify::Off {
        return Ok(Served::Unknown);
    }
    let limits = Limits::default();
    let seen = observe::observe_without_instance(settings, request)?;
    let mut targets = plan::wanted(settings, request, &seen)?;
    if targets.is_empty() {
        return Ok(Served::Unknown);
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
        let why = why_not(proofs.get(&(&target.name, *machine)))?;
        Some(Unserved { target: target.name.clone(), why })
    });
    let mut lacking: Vec<Unserved> = lacking.collect();
    lacking.dedup();
    Ok(if lacking.is_empty() { Served::All } else { Served::Lacking(lacking) })
}

fn why_not(proof: Option<&Proof>) -> Option<String> {
    let why = match proof {
        Some(proof) if proof.works() => return None,
        Some(proof) if proof.nobody => "no rule takes its programs",
        Some(proof) => proof.failure().unwrap_or("its probe did not run"),
        None => "there is no probe for it",
    };
    Some(why.to_owned())
}

impl Display for Unserved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.target, self.why)
    }
}
