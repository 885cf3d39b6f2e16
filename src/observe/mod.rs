//! Observes everything that a plan needs, and changes nothing.

mod captured;
mod interpreters;
mod natives;
mod owners;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use crate::config::Settings;
use crate::failure::Failure;
use crate::observation::{InstanceFacts, Observation, OwnershipRecord, Serving};
use crate::plan::guard::Needs;
use crate::plan::{self, Native, Request};
use crate::rule::winner;
use crate::system::binfmt_misc::instance::Instance;
use crate::system::binfmt_misc::record;
use crate::system::files::interpreter::Inspector;
use crate::system::process::batch::Limits;
use crate::verify::{self, Depth, ProbeSubject};

use interpreters::InterpreterFinder;

pub use natives::host_target;
pub use owners::{names_of_binfmt_d, other_owners};

/// How to look at an instance.
#[derive(Debug, Clone, Copy)]
pub struct ObserveOptions<'a> {
    /// The folder of the record of ownership.
    pub runtime: &'a Path,
    /// Judge a rule that is not ours by running its probe; else by its entry.
    pub run_others: bool,
    /// For the probes.
    pub limits: Limits,
}

/// Observes the instance, the interpreters, which targets are native, and how rules of others serve.
pub fn observe(
    instance: &Instance,
    settings: &Settings,
    request: &Request,
    options: ObserveOptions<'_>,
) -> Result<Observation, Failure> {
    let facts = instance.look().map_err(Failure::io("read the rules"))?;
    let record = record::load(options.runtime, instance.device())
        .map_err(Failure::io("read the record of ownership"))?;
    let around = observe_without_instance(settings, request)?;
    let mut seen = Observation { instance: facts, record, ..around };
    if options.run_others && seen.instance.enabled {
        seen.serving = serving(settings, request, &seen, options.limits)?;
    }
    Ok(seen)
}

/// Observes without an instance, as if it were empty.
pub fn observe_without_instance(
    settings: &Settings,
    request: &Request,
) -> Result<Observation, Failure> {
    let host = natives::host_target(settings)?;
    let natives = natives::natives(settings, host)?;
    let native = Native::new(&settings.table, &natives);
    let mut finder =
        InterpreterFinder { settings, native: &native, inspector: Inspector::default() };
    let interpreters = finder.of_targets(request)?;
    let of_rule = |custom: &crate::config::CustomRule| {
        let path = custom.rule.interpreter().as_path();
        let flags = custom.rule.flags();
        let needs = Needs { fixed: flags.fix_binary, credentials: flags.credentials };
        (path.to_owned(), finder.acceptable(path, needs))
    };
    let others = settings.rules.iter().map(of_rule).collect();
    Ok(Observation {
        host: host.name.clone(),
        instance: InstanceFacts { enabled: true, ..InstanceFacts::default() },
        interpreters,
        others,
        captured: captured::captured_names(settings, &native)?,
        serving: BTreeMap::new(),
        record: OwnershipRecord::default(),
        natives,
    })
}

/// Runs the probes of wanted targets whose programs a rule of others takes.
fn serving(
    settings: &Settings,
    request: &Request,
    seen: &Observation,
    limits: Limits,
) -> Result<BTreeMap<OsString, Serving>, Failure> {
    let mut subjects = Vec::new();
    for target in plan::wanted(settings, request, seen)? {
        for machine in &target.identity.machines {
            let Some(header) = target.header(*machine) else { continue };
            let entry = winner(&seen.instance.entries, &header, Path::new("/"));
            if let Some(entry) = entry.filter(|entry| !seen.record.owns(entry)) {
                let subject = ProbeSubject::taken_by(target, *machine, Some(entry));
                subjects.push(((&entry.name, subjects.len()), subject));
            }
        }
    }
    let proofs = verify::prove(subjects, Depth::Quick, limits, &mut |_, _| {})?;
    // Of several targets that one rule takes, the last decides.
    Ok(proofs.into_iter().map(|((name, _), proof)| (name.clone(), proof.serving())).collect())
}
