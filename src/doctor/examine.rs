//! Gathers what the checks look at.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::buildx;
use crate::buildx::builder::Builder;
use crate::buildx::docker::{Docker, DockerError};
use crate::buildx::engine::Location;
use crate::buildx::inspection::{self, InspectError, InspectOptions, Inspection, PlatformSupport};
use crate::buildx::kernel::Kernel;
use crate::buildx::platform::Platform;
use crate::config::{Settings, Targets};
use crate::daemon::State;
use crate::failure::Failure;
use crate::observation::{Candidates, InterpreterFault, Observation};
use crate::observe::{self, ObserveOptions};
use crate::plan::{Native, Request, others};
use crate::rule::{self, Entry, Rule, winner};
use crate::system::binfmt_misc::instance::{Instance, InstanceError, MOUNT_POINT};
use crate::system::binfmt_misc::mount;
use crate::system::files::interpreter::Inspector;
use crate::system::host::limits;
use crate::system::host::machine::{self, Host};
use crate::system::host::manager;
use crate::system::host::namespace;
use crate::system::host::privilege;
use crate::system::host::surroundings::{self, Distribution, Module, Units};
use crate::target::Target;
use crate::verify::load::Load;
use crate::verify::{self, Proof, Scope, Subject};

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

/// A line of a file that systemd-binfmt reads.
#[derive(Debug)]
pub struct Planned {
    /// The file.
    pub file: PathBuf,
    /// The line's number, from 1.
    pub line: usize,
    /// What it asks for, or why nothing can be made of it.
    pub rule: Result<Rule, String>,
    /// What is wrong with the interpreter's file, where something is.
    pub fault: Option<InterpreterFault>,
}

/// What else is on the machine that decides whether there are rules, and which are used.
#[derive(Debug, Default)]
pub struct Surroundings {
    /// Filesystems on the mount point before it was looked at, which triggers an automount.
    pub stack_before: Vec<String>,
    /// The same as the host's first process has them, where this process can tell.
    pub first_stack: Option<Vec<String>>,
    /// Whether the instance may have been mounted in this container only.
    pub may_be_the_containers_own: bool,
    /// Whether the instance belongs to a user namespace above this one.
    pub from_above: bool,
    /// Where the kernel's module is.
    pub module: Module,
    /// Which packages there are.
    pub distribution: Distribution,
    /// Who registers at boot.
    pub units: Units,
    /// What systemd-binfmt registers, whenever it is started.
    pub planned: Vec<Planned>,
    /// Labels of the interpreters that the rules name, where `SELinux` is on.
    pub labels: BTreeMap<PathBuf, String>,
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
    /// What programs that are started from here have to live with.
    pub limits: limits::Limits,
    /// Whose each rule seems to be, by its name, going by the files of other tools.
    pub owners: BTreeMap<String, String>,
    /// Whether systemd runs this machine or container.
    pub systemd: bool,
    /// What the service wrote down, where it runs.
    pub service: Option<State>,
    /// What else is on the machine.
    pub around: Surroundings,
    /// Whether the instance is mounted read-only.
    pub read_only: bool,
    /// Where the instance is mounted, when that is not where the kernel wants it.
    pub elsewhere: Option<PathBuf>,
    /// Why there is no instance to see, where there is none.
    pub trouble: Option<InstanceError>,
    /// What was observed; without rules where there is no instance.
    pub seen: Observation,
    /// What the kernel runs without a rule.
    pub native: Native,
    /// Whether it was asked about by name, and nothing else was looked at.
    pub named: bool,
    /// What is asked about.
    pub patients: Vec<Patient<'a>>,
    /// What one start of the host's own kind of program took, in the same batch.
    pub native_cost: Option<Duration>,
    /// What came of real programs, where a root filesystem was named.
    pub load: Option<Load>,
    /// What came of a builder, where one was named.
    pub builder: Option<AskedBuilder>,
}

/// A builder that was asked about.
#[derive(Debug)]
pub struct AskedBuilder {
    /// Its name.
    pub name: String,
    /// What was found; or why it could not be looked.
    pub outcome: Result<Inspection, InspectError>,
}

/// Looks at the host and runs the probes of the targets that are asked about.
///
/// Without names and with `targets = "auto"`: each with an interpreter or a rule, and what is native.
/// In any case those of `also`, by QEMU's names.
pub fn examine<'a>(
    settings: &'a Settings,
    request: &Request,
    also: &[String],
    options: ObserveOptions<'_>,
    scope: Scope,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Examination<'a>, Failure> {
    let named = request.only.is_some();
    let request = &with(request, settings, also);
    let stack_before = mount::stack()?;
    let instance = Instance::find();
    let seen = match &instance {
        Ok(instance) => observe::observe(instance, settings, request, options)?,
        Err(_) => observe::observe_without_instance(settings, request)?,
    };
    let (host, limits) = (machine::describe()?, limits::look());
    let around = look_around(&host, &limits, instance.as_ref().ok(), stack_before, &seen)?;
    let mut examination = Examination {
        settings,
        host,
        supported: mount::is_supported()?,
        stack: mount::stack()?,
        first_namespace: namespace::in_first_user_namespace(),
        container: namespace::in_container(),
        root: privilege::is_root(),
        limits,
        around,
        owners: observe::other_owners(&seen.instance.entries),
        systemd: manager::is_systemd(),
        service: State::load(options.runtime),
        native: Native::new(&settings.table, &seen.natives),
        read_only: instance.as_ref().is_ok_and(Instance::is_read_only),
        elsewhere: elsewhere(instance.as_ref().ok()),
        trouble: instance.err(),
        seen,
        named,
        patients: Vec::new(),
        native_cost: None,
        load: None,
        builder: None,
    };
    let targets = asked_about(settings, request, also, &examination)?;
    let mut who: Vec<(&Target, u16)> = targets
        .iter()
        .flat_map(|target| target.identity.machines.iter().map(|machine| (*target, *machine)))
        .collect();
    let asked = who.len();
    let own = own(settings, &examination.native);
    who.extend(own.filter(|own| asked > 0 && !who.contains(own)));
    let subjects = who.iter().map(|(target, machine)| {
        let entry = examination.winner(target, *machine);
        ((&target.name, *machine), Subject::taken_by(target, *machine, entry))
    });
    let mut proofs = verify::prove(subjects, scope, options.limits, progress)?;
    let natives = proofs.values().filter(|proof| proof.native);
    examination.native_cost = natives.filter_map(|proof| proof.cost).min();
    let patients = who.into_iter().take(asked).map(|(target, machine)| {
        let proof = proofs.remove(&(&target.name, machine));
        Patient { target, machine, proof }
    });
    examination.patients = patients.collect();
    Ok(examination)
}

/// Where the instance is mounted, when that is not where the kernel wants it.
fn elsewhere(instance: Option<&Instance>) -> Option<PathBuf> {
    let place = instance?.place();
    (place != Path::new(MOUNT_POINT)).then(|| place.to_owned())
}

/// Looks at what has nothing to do with targets.
fn look_around(
    host: &Host,
    limits: &limits::Limits,
    instance: Option<&Instance>,
    stack_before: Vec<String>,
    seen: &Observation,
) -> io::Result<Surroundings> {
    let root = Path::new("/");
    let mut inspector = Inspector::default();
    let mut planned = Vec::new();
    for (file, content) in surroundings::binfmt_d(root)? {
        for (line, parsed) in rule::parse_binfmt_d(&content).0 {
            let fault = parsed
                .as_ref()
                .ok()
                .and_then(|rule| inspector.inspect(rule.interpreter().as_path()).err());
            let rule = parsed.map_err(|error| error.to_string());
            planned.push(Planned { file: file.clone(), line, rule, fault });
        }
    }
    let interpreters = seen.instance.entries.iter().map(|entry| &entry.interpreter);
    let labels = interpreters
        .filter(|_| limits.selinux.is_some())
        .filter_map(|path| Some((path.clone(), limits::label(path)?)))
        .collect();
    Ok(Surroundings {
        stack_before,
        first_stack: mount::stack_of_first(),
        may_be_the_containers_own: instance.is_some_and(mount::may_be_the_containers_own),
        // To its own namespace the root of an instance belongs to root.
        from_above: instance.and_then(|instance| instance.owner().ok()).is_some_and(|uid| uid != 0),
        module: surroundings::module(root, &host.kernel),
        distribution: surroundings::distribution(root),
        units: surroundings::units(root),
        planned,
        labels,
    })
}

/// Where targets are named, the others are named as well; where they are not, all are looked at.
fn with(request: &Request, settings: &Settings, also: &[String]) -> Request {
    let names = match (&request.only, &settings.targets) {
        (Some(names), _) | (None, Targets::List(names)) => names,
        (None, Targets::Auto) => return request.clone(),
    };
    let more = also.iter().filter(|name| !names.contains(name));
    Request { only: Some(names.iter().chain(more).cloned().collect()), ..*request }
}

/// The host's own kind of program, which others are compared with.
fn own<'a>(settings: &'a Settings, native: &Native) -> Option<(&'a Target, u16)> {
    let target = settings.table.find(native.names().first()?).ok()?;
    Some((target, *target.identity.machines.first()?))
}

fn asked_about<'a>(
    settings: &'a Settings,
    request: &Request,
    also: &[String],
    examination: &Examination<'_>,
) -> Result<Vec<&'a Target>, Failure> {
    let named = match (&request.only, &settings.targets) {
        (Some(names), _) | (None, Targets::List(names)) => Some(names),
        (None, Targets::Auto) => None,
    };
    if let Some(names) = named {
        let found: Result<Vec<_>, _> = names.iter().map(|name| settings.table.find(name)).collect();
        return found.map_err(std::convert::Into::into);
    }
    let is_of_interest = |target: &&Target| {
        also.contains(&target.name)
            || examination.native.names().contains(&target.name)
            || examination.candidates(target).is_some_and(|found| found.usable.is_some())
            || target
                .identity
                .machines
                .iter()
                .any(|machine| examination.winner(target, *machine).is_some())
    };
    Ok(settings.table.targets().iter().filter(is_of_interest).collect())
}

impl<'a> Examination<'a> {
    /// Looks at a builder of buildx: each platform that is asked about is built by it.
    pub fn ask_builder(
        &mut self,
        docker: Result<&Docker, DockerError>,
        name: &str,
        progress: &mut dyn FnMut(usize, usize),
    ) {
        let kernels = |seen: &buildx::observe::DockerFacts, _: &Builder| {
            let mut kernels = self.on_kernel(&seen.engine.location);
            inspection::sort(&mut kernels);
            Ok(kernels)
        };
        let effort = InspectOptions { build: true, digests: false };
        let outcome = docker.map_err(InspectError::from).and_then(|docker| {
            inspection::inspect(docker, self.settings, name, kernels, effort, progress)
        });
        self.builder = Some(AskedBuilder { name: name.to_owned(), outcome });
    }

    /// The platforms that are asked about, the first name of each.
    pub fn platforms(&self) -> Vec<Platform<'a>> {
        let mut platforms: Vec<Platform<'a>> = Vec::new();
        for platform in self.patients.iter().filter_map(|patient| Platform::of(patient.target)) {
            if !platforms.contains(&platform) {
                platforms.push(platform);
            }
        }
        platforms
    }

    /// What the kernel does with each platform that is asked about, by the proofs that are there already.
    fn on_kernel(&self, location: &Location) -> Vec<PlatformSupport<'a>> {
        let mut kernels: Vec<PlatformSupport<'a>> = Vec::new();
        for patient in &self.patients {
            let target = patient.target;
            let Some(platform) = Platform::of(target) else { continue };
            if kernels.iter().any(|(known, _)| *known == platform) {
                continue;
            }
            let entry = self.winner(target, patient.machine);
            let kernel = match (location, &patient.proof) {
                (Location::Elsewhere(why), _) => Kernel::Unknown(why.clone()),
                (Location::Here, Some(proof)) => Kernel::of_proof(proof, entry),
                (Location::Here, None) => match entry {
                    Some(entry) => Kernel::HasRule(entry.display_name()),
                    None => Kernel::NoRule,
                },
            };
            kernels.push((platform, kernel));
        }
        kernels
    }

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
        winner(&self.seen.instance.entries, &target.header(machine)?, Path::new("/"))
    }

    /// All entries that would take a target's programs, enabled or not; the kernel's order.
    pub fn takers(&self, target: &Target, machine: u16) -> Vec<&Entry> {
        let Some(header) = target.header(machine) else { return Vec::new() };
        let entries = self.seen.instance.entries.iter();
        entries.filter(|entry| entry.matcher.matches(&header, Path::new("/"))).collect()
    }

    /// Whose a rule is: `binfmtd`, `systemd-binfmt (FILE)`, `update-binfmts (FILE)` or `unknown`.
    pub fn owner(&self, entry: &Entry) -> &str {
        if self.seen.record.owns(entry) {
            return "binfmtd";
        }
        entry.name.to_str().and_then(|name| self.owners.get(name)).map_or("unknown", String::as_str)
    }

    /// The same in a report: whose emulator it is, where that is known.
    pub fn whose(&self, entry: &Entry) -> &str {
        others::owner(entry).unwrap_or_else(|| self.owner(entry))
    }

    /// Enabled rules that come before the one that takes a target's programs, and take some of them: a kind
    /// of file (`ET_DYN`), an `EI_OSABI`; in the kernel's order.
    pub fn partly_before(&self, target: &Target, machine: u16) -> Vec<&Entry> {
        let winner = self.winner(target, machine).map(|winner| &winner.name);
        let programs = target.identity.programs(machine);
        let takes_some = |entry: &&Entry| {
            let magic = entry.matcher.magic().filter(|_| entry.enabled);
            magic.is_some_and(|magic| programs.iter().any(|program| program.overlaps(magic)))
        };
        let entries = self.seen.instance.entries.iter();
        entries.take_while(|entry| Some(&entry.name) != winner).filter(takes_some).collect()
    }

    /// Whether a patient's rule is there, switched on, and not used: another instance is asked.
    pub fn is_masked(&self, patient: &Patient<'_>) -> bool {
        // In the first user namespace there is nothing above that could be hidden.
        !self.first_namespace
            && self.instance().is_some_and(|seen| seen.instance.enabled)
            && self.winner(patient.target, patient.machine).is_some()
            && patient.proof.as_ref().is_some_and(|proof| proof.nobody)
    }

    /// Rules of ours that the record names, and that are not in the kernel as we wrote them.
    pub fn lost(&self) -> Vec<&str> {
        let entries = &self.seen.instance.entries;
        let is_there = |name: &str| {
            entries.iter().any(|entry| entry.name == name && self.seen.record.owns(entry))
        };
        let names = self.seen.record.rules.keys().map(String::as_str);
        names.filter(|name| !is_there(name)).collect()
    }

    /// The targets that `register` would register if it were given no names; none where this was given some.
    pub fn configured(&self) -> Vec<String> {
        let is_configured = |target: &Target| match &self.settings.targets {
            Targets::List(names) => names.contains(&target.name),
            Targets::Auto => self.candidates(target).is_some_and(|found| found.usable.is_some()),
        };
        let patients =
            self.foreign().filter(|patient| !self.named && is_configured(patient.target));
        let mut names: Vec<String> = patients.map(|patient| patient.target.name.clone()).collect();
        names.dedup();
        names
    }

    /// The patients that need a rule.
    pub fn foreign(&self) -> impl Iterator<Item = &Patient<'_>> {
        self.patients.iter().filter(|patient| !self.is_native(patient.target))
    }
}
