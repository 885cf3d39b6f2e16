//! The first of the four facts: what this kernel runs.

use std::path::Path;

use super::platform::Platform;
use crate::config::Settings;
use crate::failure::Failure;
use crate::observation::Observation;
use crate::observe::{self, ObserveOptions};
use crate::plan::Request;
use crate::rule::{Entry, winner};
use crate::system::binfmt_misc::instance::Instance;
use crate::verify::{self, Depth, Proof, Scope, Subject};

/// What the kernel does with a platform's programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kernel {
    /// Its own loader runs them.
    Native,
    /// A rule does, as its probe showed.
    Runs {
        /// The rule's name; `None` where it is hidden from here.
        rule: Option<String>,
        /// The version of the QEMU that ran, in its own words.
        version: Option<String>,
    },
    /// There is a rule, and nothing was run.
    HasRule(String),
    /// Nothing takes them.
    NoRule,
    /// The probe did not run.
    Fails {
        /// The rule's name.
        rule: Option<String>,
        /// What went wrong.
        why: String,
    },
    /// Nothing is known of the kernel that builds.
    Unknown(String),
}

impl Kernel {
    /// What a proof shows, and the rule that takes the programs, as far as it is in sight.
    pub fn of_proof(proof: &Proof, entry: Option<&Entry>) -> Self {
        let rule = entry.map(Entry::display_name);
        match () {
            () if proof.works() && proof.native => Self::Native,
            () if proof.works() => Self::Runs { rule, version: proof.version.clone() },
            () if proof.nobody => Self::NoRule,
            () => Self::Fails {
                rule,
                why: proof.failure().unwrap_or("its probe did not run").to_owned(),
            },
        }
    }

    /// Whether the programs run; `None` where that was not tried.
    pub fn works(&self) -> Option<bool> {
        match self {
            Self::Native | Self::Runs { .. } => Some(true),
            Self::NoRule | Self::Fails { .. } => Some(false),
            Self::HasRule(_) | Self::Unknown(_) => None,
        }
    }

    /// Whether a rule that works is missing.
    pub fn is_lacking(&self) -> bool {
        matches!(self, Self::NoRule | Self::Fails { .. })
    }

    /// Whether a rule is there for them.
    pub fn rule(&self) -> Option<&str> {
        match self {
            Self::Runs { rule, .. } | Self::Fails { rule, .. } => rule.as_deref(),
            Self::HasRule(rule) => Some(rule),
            Self::Native | Self::NoRule | Self::Unknown(_) => None,
        }
    }
}

/// What was seen of this kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KernelFacts {
    /// What it does with each platform, in the order of the command.
    pub kernels: Vec<Kernel>,
    /// Targets that do not run and have an interpreter: a rule would do.
    pub registrable: Vec<String>,
}

/// Looks what this kernel does with each platform; with `prove`, by running probes.
pub fn look(
    settings: &Settings,
    platforms: &[Platform<'_>],
    options: ObserveOptions<'_>,
    prove: bool,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<KernelFacts, Failure> {
    let names = platforms.iter().map(|platform| platform.target.name.clone());
    let request = Request { only: Some(names.collect()), takeover: false };
    let seen = match Instance::find() {
        Ok(instance) => observe::observe(&instance, settings, &request, options)?,
        // The rules may still be there, out of sight: the probes tell.
        Err(_) => observe::observe_without_instance(settings, &request)?,
    };
    let kernels = if prove {
        proved(&seen, platforms, options, progress)?
    } else {
        platforms.iter().map(|platform| by_rule(&seen, platform)).collect()
    };
    let has_interpreter = |platform: &Platform<'_>| {
        let found = seen.interpreters.get(&platform.target.name);
        found.is_some_and(|candidates| candidates.usable.is_some())
    };
    let lacking = platforms.iter().zip(&kernels).filter(|(_, kernel)| kernel.is_lacking());
    let registrable = lacking.filter(|(platform, _)| has_interpreter(platform));
    let registrable = registrable.map(|(platform, _)| platform.target.name.clone()).collect();
    Ok(KernelFacts { kernels, registrable })
}

fn proved(
    seen: &Observation,
    platforms: &[Platform<'_>],
    options: ObserveOptions<'_>,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Vec<Kernel>, Failure> {
    let subjects = platforms.iter().map(|platform| {
        let taker = taker(seen, platform);
        (&platform.name, Subject::taken_by(platform.target, platform.machine(), taker))
    });
    let scope = Scope { depth: Depth::Full, again: 0, digests: false };
    let proofs = verify::prove(subjects, scope, options.limits, progress)?;
    let kernels = platforms.iter().map(|platform| match proofs.get(&platform.name) {
        Some(proof) => Kernel::of_proof(proof, taker(seen, platform)),
        None => by_rule(seen, platform),
    });
    Ok(kernels.collect())
}

fn by_rule(seen: &Observation, platform: &Platform<'_>) -> Kernel {
    if seen.natives.contains(&platform.target.name) {
        return Kernel::Native;
    }
    taker(seen, platform).map_or(Kernel::NoRule, |entry| Kernel::HasRule(entry.display_name()))
}

fn taker<'a>(seen: &'a Observation, platform: &Platform<'_>) -> Option<&'a Entry> {
    let header = platform.target.header(platform.machine())?;
    winner(&seen.instance.entries, &header, Path::new("/")).filter(|_| seen.instance.enabled)
}
