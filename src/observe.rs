//! system → observation: looks at everything that a plan needs, and changes nothing.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt::Display;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use crate::config::{Settings, Targets};
use crate::failure::Failure;
use crate::observation::{
    Candidates, InstanceFacts, InterpreterFault, InterpreterFile, Observation, Owner, Record,
    Serving,
};
use crate::plan::guard::{self, Needs};
use crate::plan::{self, Native, Request};
use crate::probe::{self, Kind};
use crate::rule::{self, Entry, Header, Matcher, winner};
use crate::system::binfmt_misc::instance::Instance;
use crate::system::binfmt_misc::native::{self, Answer};
use crate::system::binfmt_misc::record;
use crate::system::files::interpreter::Inspector;
use crate::system::files::read;
use crate::system::host::machine;
use crate::system::host::surroundings;
use crate::system::process::batch::{BatchError, Limits};
use crate::target::Target;
use crate::verify::{Depth, Laboratory, Subject};

/// How to look.
#[derive(Debug, Clone, Copy)]
pub struct Manner<'a> {
    /// The folder of the record of ownership.
    pub runtime: &'a Path,
    /// Judge a rule that is not ours by running its probe; else by its entry.
    pub run_others: bool,
    /// For the probes.
    pub limits: Limits,
}

/// Looks at the instance, the interpreters, what runs natively, and how other people's rules serve.
pub fn observe(
    instance: &Instance,
    settings: &Settings,
    request: &Request,
    manner: Manner<'_>,
) -> Result<Observation, Failure> {
    let facts = instance.look().map_err(Failure::io("read the rules"))?;
    let record = record::load(manner.runtime, instance.device())
        .map_err(Failure::io("read the record of ownership"))?;
    look_around(facts, record, settings, request, manner)
}

/// The same where there is no instance to look at: as if it were empty.
pub fn observe_without_instance(
    settings: &Settings,
    request: &Request,
    manner: Manner<'_>,
) -> Result<Observation, Failure> {
    let facts = InstanceFacts {
        device: 0,
        enabled: true,
        writable: false,
        entries: Vec::new(),
        unreadable: Vec::new(),
    };
    look_around(facts, Record::default(), settings, request, manner)
}

fn look_around(
    instance: InstanceFacts,
    record: Record,
    settings: &Settings,
    request: &Request,
    manner: Manner<'_>,
) -> Result<Observation, Failure> {
    let host = host_target(settings)?;
    let natives = natives(settings, host)?;
    let native = Native::new(&settings.table, &natives);
    let mut inspector = Inspector::default();
    let interpreters = find_interpreters(settings, request, &native, &mut inspector)?;
    let others = settings
        .rules
        .iter()
        .map(|custom| {
            let path = custom.rule.interpreter().as_path();
            let flags = custom.rule.flags();
            let needs = Needs { fixed: flags.fix_binary, credentials: flags.credentials };
            (path.to_owned(), acceptable(path, &mut inspector, &native, settings, needs))
        })
        .collect();
    let mut seen = Observation {
        host: host.name.clone(),
        natives,
        instance,
        interpreters,
        others,
        captured: captured_names(settings, &native, &inspector)?,
        serving: BTreeMap::new(),
        record,
    };
    if manner.run_others && seen.instance.enabled {
        seen.serving = serving(settings, request, &seen, manner.limits)?;
    }
    Ok(seen)
}

/// Names of the rules that systemd-binfmt registers whenever it starts.
pub fn names_of_binfmt_d() -> BTreeSet<String> {
    let files = surroundings::binfmt_d(Path::new("/")).unwrap_or_default();
    let names = files.into_iter().flat_map(|(_, content)| {
        let parsed = rule::parse_binfmt_d(&content);
        parsed.rules().map(|rule| rule.name().to_string()).collect::<Vec<_>>()
    });
    names.collect()
}

/// Whose each rule seems to be, by its name, going by the files of other tools: they must say what
/// the rule says, for a name alone proves nothing.
pub fn other_owners(entries: &[Entry]) -> BTreeMap<String, Owner> {
    let mut owners = BTreeMap::new();
    let named = |name: &str| entries.iter().find(|entry| entry.name == name);
    for (path, content) in read::read_folder(Path::new("/var/lib/binfmts")) {
        // update-binfmts keeps a state file of the rule's name, the interpreter on a line of its own.
        let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
        let says = |entry: &&Entry| {
            let interpreter = entry.interpreter.as_os_str().as_bytes();
            content.split(|byte| *byte == b'\n').any(|line| line == interpreter)
        };
        if named(&name).as_ref().is_some_and(says) {
            owners.insert(name.into_owned(), Owner::UpdateBinfmts { file: path });
        }
    }
    for (path, content) in surroundings::binfmt_d(Path::new("/")).unwrap_or_default() {
        for rule in rule::parse_binfmt_d(&content).rules() {
            let name = rule.name().as_str();
            if named(name).is_some_and(|entry| rule.is(entry)) {
                owners.insert(name.to_owned(), Owner::SystemdBinfmt { file: path.clone() });
            }
        }
    }
    owners
}

/// The target that this very program is for, so that the kernel runs it natively.
pub fn host_target(settings: &Settings) -> Result<&Target, Failure> {
    let header = machine::own_header().map_err(Failure::io("read this program's own header"))?;
    settings.table.of_header(&Header::new(&header)).ok_or_else(|| {
        Failure::unavailable(
            "this machine is none of the targets in the table, so its own programs could not be protected",
        )
    })
}

/// The kernel did not say of a relative of the host, so that one's programs could not be protected.
fn untold(why: impl Display) -> Failure {
    Failure::unavailable(format!(
        "whether the kernel runs these programs by itself could not be told: {why}"
    ))
}

/// The host's own target, and those of its family that the kernel really runs: asked, not guessed.
fn natives(settings: &Settings, host: &Target) -> Result<Vec<String>, Failure> {
    let relatives = settings
        .table
        .targets()
        .iter()
        .filter(|target| target.family == host.family && target.name != host.name);
    let family: Vec<&Target> = std::iter::once(host).chain(relatives).collect();
    let programs: Vec<Vec<u8>> =
        family.iter().map(|target| probe::truncated(target, Kind::Executable)).collect();
    let mut answers = native::ask(&programs).map_err(untold)?;
    let taken: Vec<usize> =
        (0..answers.len()).filter(|place| answers[*place] == Answer::Rule).collect();
    if !taken.is_empty() {
        // A rule stands before the kernel's own loader; in an instance without rules it does not.
        let programs: Vec<Vec<u8>> = taken.iter().map(|place| programs[*place].clone()).collect();
        let alone = native::ask_without_rules(&programs).map_err(untold)?;
        for (place, answer) in taken.into_iter().zip(alone.into_iter().flatten()) {
            answers[place] = answer;
        }
    }
    native_ones(&family, answers)
}

/// The targets of the host's family, its own first, that the kernel runs by itself. What was not told
/// is an error, never foreign: the guard would let a rule take those programs away.
fn native_ones(family: &[&Target], answers: Vec<Answer>) -> Result<Vec<String>, Failure> {
    let mut natives = Vec::new();
    // By a rule that takes everything, or because the kernel says so of everything: Linux 5.10 does
    // where there is no /dev/fd. Then it means nothing of the others.
    let host_is_taken = answers.first() == Some(&Answer::Rule);
    for (place, (target, answer)) in family.iter().zip(answers).enumerate() {
        let is_host = place == 0;
        let is_native = match answer {
            Answer::Kernel => true,
            // Still, and there is no instance without rules for us. The host's own run by definition. Of
            // others, whoever has the rule has the programs already: nothing more is taken away.
            Answer::Rule => is_host || host_is_taken,
            // Then it means something else by this answer, of the others too.
            Answer::Nobody if is_host => {
                let why = format!("{}: the kernel does not know its own programs", target.name);
                return Err(untold(why));
            }
            Answer::Nobody => false,
            Answer::Unclear(why) => {
                return Err(untold(format_args!("{}: {why}", target.name)));
            }
        };
        if is_native {
            natives.push(target.name.clone());
        }
    }
    Ok(natives)
}

/// For each target that is asked about: the first file that can serve, and what is wrong with those before it.
fn find_interpreters(
    settings: &Settings,
    request: &Request,
    native: &Native,
    inspector: &mut Inspector,
) -> Result<BTreeMap<String, Candidates>, Failure> {
    let named = match (&request.only, &settings.targets) {
        (Some(names), _) | (None, Targets::List(names)) => Some(names),
        (None, Targets::Auto) => None,
    };
    let targets: Vec<&Target> = settings
        .table
        .targets()
        .iter()
        .filter(|target| {
            named.is_none_or(|names| names.contains(&target.name))
                && !native.names().contains(&target.name)
        })
        .collect();
    let programs: HashSet<&str> =
        targets.iter().flat_map(|target| &target.interpreters).map(String::as_str).collect();
    let wanted = |name: &str| programs.contains(name);
    let mut folders = Vec::with_capacity(settings.interpreter_directories.len());
    for folder in &settings.interpreter_directories {
        let files = inspector
            .interpreters(folder, &wanted)
            .map_err(Failure::io("list an interpreter directory"))?;
        folders.push((folder, files));
    }
    let mut found = BTreeMap::new();
    for target in &targets {
        let own = settings.overrides.get(&target.name).and_then(|own| own.interpreter.as_ref());
        let paths: Vec<PathBuf> = match own {
            Some(path) => vec![path.as_path().to_owned()],
            None => folders
                .iter()
                .flat_map(|(folder, files)| {
                    target
                        .interpreters
                        .iter()
                        .filter(|file| files.may_have(file))
                        .map(|file| folder.join(file))
                })
                .collect(),
        };
        let flags = plan::flags(settings, &target.name);
        let needs = Needs { fixed: true, credentials: flags.credentials };
        let mut candidates = Candidates::default();
        for path in paths {
            match acceptable(&path, inspector, native, settings, needs) {
                Ok(file) => {
                    candidates.usable = Some(file);
                    break;
                }
                // Of a large folder only now is known what is not there. A link that leads nowhere is.
                Err(InterpreterFault::Missing)
                    if own.is_none() && path.symlink_metadata().is_err() => {}
                Err(fault) => candidates.faulty.push((path, fault)),
            }
        }
        if candidates != Candidates::default() {
            found.insert(target.name.clone(), candidates);
        }
    }
    Ok(found)
}

fn acceptable(
    path: &Path,
    inspector: &mut Inspector,
    native: &Native,
    settings: &Settings,
    needs: Needs,
) -> Result<InterpreterFile, InterpreterFault> {
    let file = inspector.inspect(path)?;
    match guard::fault(&file, native, &settings.table, needs) {
        Some(fault) => Err(fault),
        None => Ok(file),
    }
}

/// Where programs are that would stop to start if a rule took their names.
const PROGRAM_FOLDERS: [&str; 9] = [
    "/usr/local/sbin",
    "/usr/local/bin",
    "/usr/sbin",
    "/usr/bin",
    "/usr/libexec",
    "/usr/lib",
    "/sbin",
    "/bin",
    "/lib64",
];

/// A rule by extension looks at the path only: for each extension that is asked for, a native program
/// or script that it would take.
fn captured_names(
    settings: &Settings,
    native: &Native,
    inspector: &Inspector,
) -> Result<BTreeMap<String, PathBuf>, Failure> {
    let extensions: BTreeSet<&str> = settings
        .rules
        .iter()
        .filter_map(|custom| match custom.rule.matcher() {
            Matcher::Extension(extension) => Some(extension.as_str()),
            Matcher::Magic(_) => None,
        })
        .collect();
    let mut captured = BTreeMap::new();
    if extensions.is_empty() {
        return Ok(captured);
    }
    // As the kernel does: what follows the last dot.
    let extension_of = |name: &str| {
        let (_, end) = name.rsplit_once('.')?;
        extensions.contains(end).then(|| end.to_owned())
    };
    for folder in PROGRAM_FOLDERS.map(Path::new) {
        let names = inspector
            .list(folder, &|name| extension_of(name).is_some())
            .map_err(Failure::io("list a folder of programs"))?;
        for name in names {
            let Some(extension) = extension_of(&name) else { continue };
            let path = folder.join(name);
            let is_native =
                || read::first_bytes(&path).is_ok_and(|start| native.runs(&Header::new(&start)));
            if !captured.contains_key(&extension) && is_native() {
                captured.insert(extension, path);
            }
        }
    }
    Ok(captured)
}

/// Runs the probes of wanted targets whose programs somebody else's rule takes.
fn serving(
    settings: &Settings,
    request: &Request,
    seen: &Observation,
    limits: Limits,
) -> Result<BTreeMap<std::ffi::OsString, Serving>, Failure> {
    let mut subjects = Vec::new();
    let mut names = Vec::new();
    for target in plan::wanted(settings, request, seen)? {
        for machine in &target.identity.machines {
            let Some(header) = target.header(*machine) else { continue };
            let entry = winner(&seen.instance.entries, &header, Path::new("/"));
            if let Some(entry) = entry.filter(|entry| !seen.record.owns(entry)) {
                subjects.push(Subject::taken_by(target, *machine, Some(entry)));
                names.push(entry.name.clone());
            }
        }
    }
    if subjects.is_empty() {
        return Ok(BTreeMap::new());
    }
    let laboratory = Laboratory::open().map_err(BatchError::from)?;
    let proofs = laboratory.prove(&subjects, Depth::Quick, limits, &mut |_, _| {})?;
    Ok(names
        .into_iter()
        .zip(proofs)
        .filter_map(|(name, proof)| Some((name, proof?.serving())))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::Table;

    #[test]
    fn what_the_kernel_did_not_tell_is_never_foreign() {
        let table = Table::embedded();
        let family = ["x86_64", "i386", "i486"].map(|name| table.find(name).unwrap());
        let natives = |answers: [Answer; 3]| {
            native_ones(&family, answers.to_vec()).map_err(|error| error.to_string())
        };
        let (kernel, rule, nobody) = (Answer::Kernel, Answer::Rule, Answer::Nobody);
        let unclear = Answer::Unclear("why".to_owned());
        let names = |names: &[&str]| Ok(names.iter().map(|&name| name.to_owned()).collect());

        let answers = [kernel.clone(), kernel.clone(), nobody.clone()];
        assert_eq!(natives(answers), names(&["x86_64", "i386"]));
        let answers = [kernel.clone(), rule.clone(), kernel.clone()];
        assert_eq!(natives(answers), names(&["x86_64", "i486"]));
        // Under an emulator, where a rule takes this very program; or nothing can be told by this.
        let answers = [rule.clone(), rule, nobody.clone()];
        assert_eq!(natives(answers), names(&["x86_64", "i386"]));

        let error = natives([kernel.clone(), unclear.clone(), kernel.clone()]).unwrap_err();
        assert!(error.ends_with("could not be told: i386: why"), "{error}");
        let error = natives([unclear, kernel.clone(), kernel.clone()]).unwrap_err();
        assert!(error.ends_with("x86_64: why"), "{error}");
        let error = natives([nobody, kernel.clone(), kernel]).unwrap_err();
        assert!(error.contains("x86_64: the kernel does not know its own programs"), "{error}");
    }
}
