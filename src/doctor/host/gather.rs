//! Looks at the host, and runs the probes: the only place of this subject that touches the system.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::facts::{HostFacts, PlannedRule, RuleFile, TargetFacts};
use crate::config::Settings;
use crate::daemon::State;
use crate::failure::Failure;
use crate::observation::{InterpreterFault, InterpreterFile, Observation};
use crate::observe::{self, ObserveOptions};
use crate::plan::{Native, Request};
use crate::rule;
use crate::system::binfmt_misc::instance::{Instance, MOUNT_POINT};
use crate::system::binfmt_misc::mount;
use crate::system::files::identity;
use crate::system::files::interpreter::Inspector;
use crate::system::host::limits;
use crate::system::host::machine;
use crate::system::host::manager;
use crate::system::host::namespace;
use crate::system::host::privilege;
use crate::system::host::surroundings;
use crate::target::Target;
use crate::verify::{self, ProbeSubject, Scope};

/// Looks at the host and runs the probes of the targets that are asked about.
///
/// Without names and with `targets = "auto"` these are the native targets and all that have an interpreter or a rule;
/// and in any case the targets in `also` (QEMU's names).
pub fn gather<'a>(
    settings: &'a Settings,
    request: &Request,
    also: &[String],
    options: ObserveOptions<'_>,
    scope: Scope,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<HostFacts<'a>, Failure> {
    let named = request.only.is_some();
    let request = &request.with(settings, also);
    let stack_before = mount::stack()?;
    let instance = Instance::find();
    let seen = match &instance {
        Ok(instance) => observe::observe(instance, settings, request, options)?,
        Err(_) => observe::observe_without_instance(settings, request)?,
    };
    let root = Path::new("/");
    let found = instance.as_ref().ok();
    let machine = machine::describe()?;
    let mut files = Files::known_from(&seen);
    let mut facts = HostFacts {
        settings,
        supported: mount::is_supported()?,
        stack: mount::stack()?,
        stack_before,
        first_stack: mount::stack_of_first(),
        first_namespace: namespace::in_first_user_namespace(),
        // The root of an instance belongs to root of its own user namespace.
        from_above: found.and_then(|instance| instance.owner().ok()).is_some_and(|uid| uid != 0),
        container: namespace::in_container(),
        may_be_the_containers_own: found.is_some_and(mount::may_be_the_containers_own),
        uid: privilege::uid(),
        limits: limits::look(),
        owners: observe::other_owners(&seen.instance.entries),
        systemd: manager::is_systemd(),
        units: surroundings::units(root),
        service: State::load(options.runtime),
        module: surroundings::module(root, &machine.kernel),
        distribution: surroundings::distribution(root),
        planned: planned(&mut files)?,
        read_only: found.is_some_and(Instance::is_read_only),
        elsewhere: found.and_then(elsewhere),
        trouble: instance.err(),
        native: Native::new(&settings.table, &seen.natives),
        machine,
        seen,
        files: BTreeMap::new(),
        named,
        targets: Vec::new(),
        native_cost: None,
    };
    let targets = asked_about(request, also, &facts)?;
    let mut who: Vec<(&Target, u16)> = targets
        .iter()
        .flat_map(|target| target.identity.machines.iter().map(|machine| (*target, *machine)))
        .collect();
    let asked = who.len();
    let own = own(settings, &facts.native);
    who.extend(own.filter(|own| asked > 0 && !who.contains(own)));
    let subjects = who.iter().map(|(target, machine)| {
        let entry = facts.winner(target, *machine);
        ((&target.name, *machine), ProbeSubject::taken_by(target, *machine, entry))
    });
    let mut proofs = verify::prove(subjects, scope, options.limits, progress)?;
    let natives = proofs.values().filter(|proof| proof.native);
    facts.native_cost = natives.filter_map(|proof| proof.cost).min();
    for (target, machine) in who.into_iter().take(asked) {
        let proof = proofs.remove(&(&target.name, machine));
        let mut renamed = Vec::new();
        if let Some(path) = facts.winner(target, machine).map(|entry| entry.interpreter.clone())
            && !facts.is_native(target)
        {
            let file = files.look(&path, facts.limits.selinux.is_some());
            if file.file == Err(InterpreterFault::Missing) {
                renamed = other_names(target, &path);
            }
        }
        facts.targets.push(TargetFacts { target, machine, proof, renamed });
    }
    facts.files = files.of_rules;
    Ok(facts)
}

/// Each file is inspected once, so that two checks cannot see different ones.
struct Files {
    inspector: Inspector,
    known: BTreeMap<PathBuf, Result<InterpreterFile, InterpreterFault>>,
    of_rules: BTreeMap<PathBuf, RuleFile>,
}

impl Files {
    fn known_from(seen: &Observation) -> Self {
        let usable = seen.interpreters.values().filter_map(|found| found.usable.as_ref());
        let known = usable.map(|file| (file.path.clone(), Ok(file.clone()))).collect();
        Self { inspector: Inspector::default(), known, of_rules: BTreeMap::new() }
    }

    fn inspect(&mut self, path: &Path) -> &Result<InterpreterFile, InterpreterFault> {
        let slot = self.known.entry(path.to_owned());
        slot.or_insert_with(|| self.inspector.inspect(path))
    }

    fn look(&mut self, path: &Path, has_labels: bool) -> &RuleFile {
        let file = self.inspect(path).clone();
        self.of_rules.entry(path.to_owned()).or_insert_with(|| {
            let is_noexec = file.as_ref().is_ok_and(|file| file.noexec);
            RuleFile {
                label: has_labels.then(|| limits::label(path)).flatten(),
                mount_point: is_noexec.then(|| identity::mount_point(path).ok()).flatten(),
                file,
            }
        })
    }
}

/// Packages have renamed their programs (`qemu-arm-static`, `qemu-arm`,
/// `/usr/libexec/qemu-binfmt/arm-binfmt-P`).
fn other_names(target: &Target, gone: &Path) -> Vec<PathBuf> {
    let names = target.interpreters.iter();
    let beside = names.filter_map(|name| Some(gone.parent()?.join(name)));
    beside.filter(|path| path != gone && path.is_file()).collect()
}

fn elsewhere(instance: &Instance) -> Option<PathBuf> {
    let place = instance.place();
    (place != Path::new(MOUNT_POINT)).then(|| place.to_owned())
}

fn planned(files: &mut Files) -> io::Result<Vec<PlannedRule>> {
    let mut planned = Vec::new();
    for (file, content) in surroundings::binfmt_d(Path::new("/"))? {
        for (line, parsed) in rule::parse_binfmt_d(&content).0 {
            let path = parsed.as_ref().ok().map(|rule| rule.interpreter().as_path());
            let fault = path.and_then(|path| files.inspect(path).as_ref().err().cloned());
            let rule = parsed.map_err(|error| error.to_string());
            planned.push(PlannedRule { file: file.clone(), line, rule, fault });
        }
    }
    Ok(planned)
}

/// The host's own kind of program, as the measure for what the others cost.
fn own<'a>(settings: &'a Settings, native: &Native) -> Option<(&'a Target, u16)> {
    let target = settings.table.find(native.names().first()?).ok()?;
    Some((target, *target.identity.machines.first()?))
}

fn asked_about<'a>(
    request: &Request,
    also: &[String],
    facts: &HostFacts<'a>,
) -> Result<Vec<&'a Target>, Failure> {
    let settings = facts.settings;
    if let Some(names) = request.names(settings) {
        let found: Result<Vec<_>, _> = names.iter().map(|name| settings.table.find(name)).collect();
        return Ok(found?);
    }
    let has_rule = |target: &Target| {
        target.identity.machines.iter().any(|machine| facts.winner(target, *machine).is_some())
    };
    let is_of_interest = |target: &&Target| {
        also.contains(&target.name)
            || facts.is_native(target)
            || facts.usable(target).is_some()
            || has_rule(target)
    };
    Ok(settings.table.targets().iter().filter(is_of_interest).collect())
}
