//! The first of the four facts: what the kernel runs.

use std::path::Path;

use super::engine::{Engine, Location};
use super::platform::Platform;
use crate::config::Settings;
use crate::failure::Failure;
use crate::observation::Observation;
use crate::observe::{self, ObserveOptions};
use crate::plan::Request;
use crate::rule::{Entry, winner};
use crate::system::binfmt_misc::instance::Instance;
use crate::verify::{self, Depth, ProbeSubject, Proof, Scope};

/// What the kernel does with a platform's programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kernel {
    /// Its own loader runs them.
    Native,
    /// A rule does, as a probe showed.
    Runs {
        /// `None` if the rule is not visible from here.
        rule: Option<String>,
        /// What the QEMU that ran prints as its version.
        version: Option<String>,
    },
    /// There is a rule of this name, and nothing was run.
    HasRule(String),
    NoRule,
    /// The probe did not run.
    Fails {
        rule: Option<String>,
        why: String,
    },
    /// Why nothing is known of the kernel that builds.
    Unknown(String),
}

impl Kernel {
    /// From a proof, and the rule that takes the programs, if one is visible.
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

    /// Whether the programs run; `None` if that was not tried.
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

    pub fn rule(&self) -> Option<&str> {
        match self {
            Self::Runs { rule, .. } | Self::Fails { rule, .. } => rule.as_deref(),
            Self::HasRule(rule) => Some(rule),
            Self::Native | Self::NoRule | Self::Unknown(_) => None,
        }
    }
}

/// A platform, and what the kernel that builds does with its programs.
pub type PlatformSupport<'a> = (Platform<'a>, Kernel);

/// How to look at the kernel.
#[derive(Debug, Clone, Copy)]
pub struct KernelOptions<'a> {
    pub observe: ObserveOptions<'a>,
    /// Whether to run probes; else the rules are read only.
    pub prove: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KernelFacts<'a> {
    pub platforms: Vec<PlatformSupport<'a>>,
    /// Targets that do not run and have an interpreter: a rule is all that is missing.
    pub registrable: Vec<String>,
}

impl KernelFacts<'_> {
    /// The targets to register a rule for. Unless somebody named the platforms, a target without an interpreter is left out.
    pub fn missing(&self, named: bool) -> Vec<String> {
        if !named {
            return self.registrable.clone();
        }
        let lacking = self.platforms.iter().filter(|(_, kernel)| kernel.is_lacking());
        lacking.map(|(platform, _)| platform.target.name.clone()).collect()
    }
}

/// What the kernel of an engine does with each platform. Of a kernel elsewhere nothing is known.
pub fn look<'a>(
    settings: &Settings,
    engine: &Engine,
    platforms: Vec<Platform<'a>>,
    options: KernelOptions<'_>,
    progress: &mut dyn FnMut(&str, usize, usize),
) -> Result<KernelFacts<'a>, Failure> {
    if let Location::Elsewhere(why) = &engine.location {
        let unknown = |platform| (platform, Kernel::Unknown(why.clone()));
        let platforms = platforms.into_iter().map(unknown).collect();
        return Ok(KernelFacts { platforms, registrable: Vec::new() });
    }
    let names = platforms.iter().map(|platform| platform.target.name.clone());
    let request = Request { only: Some(names.collect()), takeover: false };
    let seen = match Instance::find() {
        Ok(instance) => observe::observe(&instance, settings, &request, options.observe)?,
        // Rules may be in force all the same, out of sight; the probes tell.
        Err(_) => observe::observe_without_instance(settings, &request)?,
    };
    let kernels = if options.prove {
        let mut progress = |done, total| progress("running probes", done, total);
        proved(&seen, &platforms, options.observe, &mut progress)?
    } else {
        platforms.iter().map(|platform| by_rule(&seen, platform)).collect()
    };
    let has_interpreter = |platform: &Platform<'_>| {
        let found = seen.interpreters.get(&platform.target.name);
        found.is_some_and(|candidates| candidates.usable.is_some())
    };
    let platforms: Vec<PlatformSupport<'_>> = platforms.into_iter().zip(kernels).collect();
    let registrable = platforms
        .iter()
        .filter(|(platform, kernel)| kernel.is_lacking() && has_interpreter(platform))
        .map(|(platform, _)| platform.target.name.clone())
        .collect();
    Ok(KernelFacts { platforms, registrable })
}

fn proved(
    seen: &Observation,
    platforms: &[Platform<'_>],
    options: ObserveOptions<'_>,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Vec<Kernel>, Failure> {
    let subjects = platforms.iter().map(|platform| {
        let taker = taker(seen, platform);
        (&platform.name, ProbeSubject::taken_by(platform.target, platform.machine(), taker))
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
