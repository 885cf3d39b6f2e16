//! Each branch of the families kernel, rule, interpreter and service, with hosts that nobody ever saw.

mod healthy;
mod interpreter_family;
mod kernel_family;
mod rule_family;
mod service_family;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::examine::{Planned, Surroundings};
use super::*;
use crate::config::{Settings, Targets};
use crate::daemon::{Condition, RuleState, State};
use crate::observation::{
    Candidates, FileId, InstanceFacts, InterpreterFault, InterpreterFile, Observation, Owned,
    Record,
};
use crate::plan::Native;
use crate::probe;
use crate::rule::{Entry, Flags, InterpreterPath, Matcher, Rule};
use crate::system::binfmt_misc::instance::InstanceError;
use crate::system::files::interpreter::Inspector;
use crate::system::host::limits::{Limits, Selinux};
use crate::system::host::machine::Host;
use crate::system::host::surroundings::{Boot, Distribution, Module, Units};
use crate::target::Table;
use crate::verify::{LevelOutcome as Outcome, Proof};

const ID: FileId = FileId { device: 1, inode: 2, size: 3, modified: 4 };
const DEVICE: u64 = 7;

/// A host on which nothing is wrong, and nothing is registered.
fn host(settings: &Settings) -> Examination<'_> {
    let natives = ["x86_64", "i386", "i486"].map(str::to_owned).to_vec();
    Examination {
        settings,
        host: Host { kernel: "6.1.0".to_owned(), machine: "x86_64".to_owned() },
        supported: true,
        stack: vec!["binfmt_misc".to_owned()],
        first_namespace: true,
        container: false,
        root: true,
        limits: Limits {
            page_size: 4096,
            lowest_address: Some(65536),
            address_space: None,
            processes: None,
            randomize: Some(2),
            interpreters: None,
            no_written_code: false,
            selinux: None,
            uid_map: "0 0 4294967295\n".to_owned(),
        },
        owners: BTreeMap::new(),
        systemd: true,
        service: None,
        around: Surroundings {
            stack_before: vec!["binfmt_misc".to_owned()],
            first_stack: Some(vec!["binfmt_misc".to_owned()]),
            ..Surroundings::default()
        },
        read_only: false,
        elsewhere: None,
        trouble: None,
        native: Native::new(&settings.table, &natives),
        seen: Observation {
            host: "x86_64".to_owned(),
            natives,
            instance: InstanceFacts {
                device: DEVICE,
                enabled: true,
                writable: true,
                entries: Vec::new(),
                unreadable: Vec::new(),
            },
            interpreters: BTreeMap::new(),
            others: BTreeMap::new(),
            captured: BTreeMap::new(),
            serving: BTreeMap::new(),
            record: Record { schema: Record::SCHEMA, ..Record::default() },
        },
        named: false,
        patients: Vec::new(),
        native_cost: None,
        load: None,
        builder: None,
    }
}

/// What running came to.
#[derive(Clone, Copy, PartialEq)]
enum Ran {
    Well,
    Badly,
    /// No rule took it.
    Not,
}

fn proof(ran: Ran) -> Proof {
    let outcome = match ran {
        Ran::Well => Outcome::Pass("it ran".to_owned()),
        Ran::Badly | Ran::Not => Outcome::Fail("it did not".to_owned()),
    };
    Proof {
        native: false,
        nobody: ran == Ran::Not,
        machine: None,
        pinned: None,
        version: None,
        levels: vec![(Level::Host, outcome)],
        time: Duration::ZERO,
        cost: None,
        cpu: None,
        failures: Vec::new(),
        tries: None,
    }
}

/// A program that could be an interpreter: native to the host of these tests, static, nobody else's to
/// change.
fn sound() -> PathBuf {
    use std::os::unix::fs::PermissionsExt as _;
    thread_local! {
        // A test has a thread of its own, and takes its folder along.
        static FOLDER: tempfile::TempDir = tempfile::tempdir().unwrap();
    }
    FOLDER.with(|folder| {
        let path = folder.path().join("emulator");
        if !path.exists() {
            let table = Table::embedded();
            let program = probe::build(table.find("x86_64").unwrap(), 62).unwrap();
            std::fs::write(&path, program).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        path
    })
}

fn rule(settings: &Settings, target: &str, interpreter: &Path, flags: &str) -> Rule {
    let (name, magic) = settings.table.find(target).unwrap().rules().swap_remove(0);
    let interpreter = InterpreterPath::new(interpreter).unwrap();
    Rule::new(name, Matcher::Magic(magic), interpreter, flags.parse::<Flags>().unwrap()).unwrap()
}

fn entry(name: &str, rule: &Rule) -> Entry {
    let magic = rule.matcher().magic().unwrap();
    let content = format!(
        "enabled\ninterpreter {}\nflags: {}\noffset {}\nmagic {}\nmask {}\n",
        rule.interpreter(),
        rule.flags(),
        magic.offset(),
        magic.magic_hex(),
        magic.mask_hex()
    );
    Entry::parse(OsStr::new(name), content.as_bytes()).unwrap()
}

impl Examination<'_> {
    fn ask(&mut self, target: &str, ran: Option<Ran>) -> &mut Self {
        let target = self.settings.table.find(target).unwrap();
        let machine = target.identity.machines[0];
        self.patients.push(Patient { target, machine, proof: ran.map(proof) });
        self
    }

    /// A newer rule than all before, of nobody known.
    fn plant(&mut self, name: &str, target: &str, interpreter: &Path, flags: &str) -> &mut Self {
        let rule = rule(self.settings, target, interpreter, flags);
        self.seen.instance.entries.insert(0, entry(name, &rule));
        self
    }

    /// The same, and ours by the record.
    fn ours(&mut self, target: &str, interpreter: &Path, flags: &str) -> &mut Self {
        let rule = rule(self.settings, target, interpreter, flags);
        let name = rule.name().to_string();
        self.seen.instance.entries.insert(0, entry(&name, &rule));
        self.record(&rule, Some(target))
    }

    fn record(&mut self, rule: &Rule, target: Option<&str>) -> &mut Self {
        let register = String::from_utf8(rule.register_string().to_vec()).unwrap();
        let owned = Owned { register, target: target.map(str::to_owned), interpreter: Some(ID) };
        self.seen.record.rules.insert(rule.name().to_string(), owned);
        self
    }

    fn plan(&mut self, file: &str, rule: Result<Rule, &str>, fault: Option<InterpreterFault>) {
        let rule = rule.map_err(str::to_owned);
        self.around.planned.push(Planned { file: file.into(), line: 3, rule, fault });
    }

    fn usable(&mut self, target: &str, path: &Path) -> &mut Self {
        let file = Inspector::default().inspect(path).unwrap();
        let usable = Candidates { usable: Some(file), faulty: Vec::new() };
        self.seen.interpreters.insert(target.to_owned(), usable);
        self
    }

    /// What a check says; of several findings the first.
    #[track_caller]
    fn says(&self, id: &str) -> Finding {
        find(id).unwrap().run(self).swap_remove(0)
    }

    /// Holds what a check says: its status, and words of the sentence, the evidence and the fix.
    #[track_caller]
    fn holds(&self, id: &str, status: Status, words: &[&str]) {
        let found = self.says(id);
        assert_eq!(found.status, status, "{found:#?}");
        let fix = found.fix.as_ref().map(ToString::to_string).unwrap_or_default();
        let all = format!("{}\n{}\n{fix}", found.summary, found.evidence);
        for word in words {
            assert!(all.contains(word), "{word:?} is missing: {found:#?}");
        }
        assert_eq!(found.summary.to_string(), found.summary.to_string().trim(), "{found:#?}");
        let is_fault = matches!(status, Status::Warn | Status::Fail | Status::Error);
        assert_eq!(found.fix.is_some(), is_fault, "{found:#?}");
    }

    /// Holds that none of these families has anything to complain of.
    #[track_caller]
    fn is_quiet(&self) {
        for check in checks().filter(|check| check.level().is_none()) {
            for found in check.run(self) {
                assert!(matches!(found.status, Status::Pass | Status::Skip), "{found:#?}");
                assert!(!found.summary.is_empty());
            }
        }
    }
}

impl Check {
    fn run(&self, examination: &Examination<'_>) -> Vec<Finding> {
        (self.run)(examination)
    }
}

fn state() -> State {
    State {
        schema: State::SCHEMA,
        version: String::new(),
        pid: 1,
        pid_started: 1,
        started: 0.0,
        ready: true,
        status: "1 target working".to_owned(),
        instance: DEVICE,
        only_here: false,
        rules: Vec::new(),
        heals: BTreeMap::new(),
        last_heal: None,
        conflicts: 0,
        paused_until: None,
        trouble: None,
    }
}

fn degraded(target: &str) -> RuleState {
    RuleState {
        target: Some(target.to_owned()),
        rule: format!("qemu-{target}"),
        condition: Condition::Degraded,
        why: Some("its interpreter hangs".to_owned()),
        by: Some(format!("qemu-{target}")),
        ours: true,
        interpreter: None,
        file: None,
        version: None,
        sha256: None,
        probe_seconds: None,
    }
}

const PASS: Status = Status::Pass;
const WARN: Status = Status::Warn;
const FAIL: Status = Status::Fail;
const SKIP: Status = Status::Skip;

#[test]
fn whose_a_rule_is() {
    let settings = Settings::default();
    let mut host = host(&settings);
    host.ours("arm", &sound(), "F").plant("qemu-s390x", "s390x", &sound(), "F");
    host.plant("qemu-hppa", "hppa", &sound(), "F");
    host.owners.insert("qemu-hppa".to_owned(), "systemd-binfmt (/etc/binfmt.d/q.conf)".to_owned());
    let owner = |name: &str| {
        let mut entries = host.seen.instance.entries.iter();
        host.owner(entries.find(|entry| entry.name == name).unwrap())
    };
    assert_eq!(owner("qemu-arm"), "binfmtd");
    assert_eq!(owner("qemu-s390x"), "unknown");
    assert_eq!(owner("qemu-hppa"), "systemd-binfmt (/etc/binfmt.d/q.conf)");
}

#[test]
fn what_a_command_without_names_is_about() {
    let mut settings = Settings::default();
    let configured = |settings: &Settings, named: bool| {
        let mut host = host(settings);
        host.named = named;
        host.ask("x86_64", Some(Ran::Well)).ask("arm", Some(Ran::Not)).ask("mips", Some(Ran::Not));
        host.usable("mips", &sound());
        host.configured()
    };
    // The first has no interpreter.
    assert_eq!(configured(&settings, false), ["mips"]);
    assert!(configured(&settings, true).is_empty());
    settings.targets = Targets::List(vec!["arm".to_owned(), "x86_64".to_owned()]);
    assert_eq!(configured(&settings, false), ["arm"]);
    assert!(configured(&settings, true).is_empty());
}
