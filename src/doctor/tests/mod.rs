//! Each branch of the families kernel, rule, interpreter and service, with hosts that nobody ever saw.

mod builder_family;
mod exec_family;
mod healthy;
mod interpreter_family;
mod kernel_family;
mod load_family;
mod repairs;
mod rule_family;
mod service_family;
mod verdicts;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::host::facts::{HostFacts, PlannedRule, RuleFile, TargetFacts};
use crate::config::{Settings, Targets};
use crate::daemon::{Condition, RuleState, State};
use crate::doctor::facts::Facts;
use crate::doctor::finding::Draft;
use crate::doctor::{CheckId, Finding, Status, Subject, Verdict, checks, find, level_of, verdict};
use crate::fix::{Fix, Reader};
use crate::observation::{
    Candidates, ElfFacts, FileId, InstanceFacts, InterpreterFault, InterpreterFile, Observation,
    Owned, Owner, OwnershipRecord, SystemError, TrustFault, TrustProblem,
};
use crate::plan::Native;
use crate::rule::{Entry, Flags, InterpreterPath, Matcher, Rule};
use crate::system::binfmt_misc::instance::InstanceError;
use crate::system::host::limits::{HostLimits, Selinux};
use crate::system::host::machine::Host;
use crate::system::host::surroundings::{Boot, Distribution, Module, Units};
use crate::target::Table;
use crate::verify::{Level, LevelOutcome, Proof};

const ID: FileId = FileId { device: 1, inode: 2, size: 3, modified: 4 };
const DEVICE: u64 = 7;

/// A host on which nothing is wrong, and nothing is registered.
fn host(settings: &Settings) -> Example<'_> {
    let natives = ["x86_64", "i386", "i486"].map(str::to_owned).to_vec();
    let stack = vec!["binfmt_misc".to_owned()];
    let host = HostFacts {
        settings,
        machine: Host { kernel: "6.1.0".to_owned(), machine: "x86_64".to_owned() },
        supported: true,
        stack: stack.clone(),
        stack_before: stack.clone(),
        first_stack: Some(stack),
        first_namespace: true,
        from_above: false,
        container: false,
        may_be_the_containers_own: false,
        uid: 0,
        limits: HostLimits {
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
        units: Units::default(),
        service: None,
        module: Module::default(),
        distribution: Distribution::default(),
        planned: Vec::new(),
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
            record: OwnershipRecord {
                schema: OwnershipRecord::SCHEMA,
                ..OwnershipRecord::default()
            },
        },
        files: files(),
        named: false,
        targets: Vec::new(),
        native_cost: None,
    };
    Example(host.into())
}

/// Facts to change by hand.
struct Example<'a>(Facts<'a>);

impl<'a> Deref for Example<'a> {
    type Target = HostFacts<'a>;

    fn deref(&self) -> &HostFacts<'a> {
        &self.0.host
    }
}

impl DerefMut for Example<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0.host
    }
}

/// What is on the disk of all examples; whatever else a rule names is not there.
fn files() -> BTreeMap<PathBuf, RuleFile> {
    let missing = Path::new("/nowhere");
    let missing =
        ["qemu-arm", "qemu-arm-static", "qemu-mips", "buildkit-qemu-aarch64", "FEXInterpreter"]
            .map(|name| missing.join(name))
            .into_iter()
            .chain(MISSING.map(PathBuf::from))
            .map(|path| (path, found(Err(InterpreterFault::Missing))));
    let text = InterpreterFile { path: TEXT.into(), mode: 0o644, elf: None, ..program() };
    missing.chain([(sound(), found(Ok(program()))), (TEXT.into(), found(Ok(text)))]).collect()
}

const MISSING: [&str; 7] = [
    "/opt/other",
    "/opt/theirs",
    "/opt/qemu-arm",
    "/opt/appimaged",
    "/usr/bin/qemu-arm-static",
    "/usr/bin/wine",
    "/x",
];
/// A file that is no program.
const TEXT: &str = "/etc/passwd";

fn found(file: Result<InterpreterFile, InterpreterFault>) -> RuleFile {
    RuleFile { file, label: None, mount_point: None }
}

/// A program that could be an interpreter: native to the host of these tests, static, root's.
fn program() -> InterpreterFile {
    let table = Table::embedded();
    let header = table.find("x86_64").unwrap().header(62).unwrap();
    InterpreterFile {
        path: sound(),
        id: ID,
        mode: 0o755,
        noexec: false,
        elf: Some(ElfFacts { header, loader: None }),
        distrust: Vec::new(),
    }
}

fn sound() -> PathBuf {
    PathBuf::from("/usr/bin/emulator")
}

fn systemd_binfmt(file: &str) -> Owner {
    Owner::SystemdBinfmt { file: file.into() }
}

fn update_binfmts(file: &str) -> Owner {
    Owner::UpdateBinfmts { file: file.into() }
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
        Ran::Well => LevelOutcome::Pass("it ran".to_owned()),
        Ran::Badly | Ran::Not => LevelOutcome::Fail("it did not".to_owned()),
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

impl Example<'_> {
    fn ask(&mut self, target: &str, ran: Option<Ran>) -> &mut Self {
        let target = self.settings.table.find(target).unwrap();
        let machine = target.identity.machines[0];
        let proof = ran.map(proof);
        self.targets.push(TargetFacts { target, machine, proof, renamed: Vec::new() });
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
        self.planned.push(PlannedRule { file: file.into(), line: 3, rule, fault });
    }

    fn usable(&mut self, target: &str, path: &Path) -> &mut Self {
        let file = InterpreterFile { path: path.to_owned(), ..program() };
        let usable = Candidates { usable: Some(file), faulty: Vec::new() };
        self.seen.interpreters.insert(target.to_owned(), usable);
        self
    }

    /// What a check says.
    fn all(&self, id: &str) -> Vec<Finding> {
        find(id).unwrap().findings(&self.0)
    }

    /// The first finding of a check.
    #[track_caller]
    fn says(&self, id: &str) -> Finding {
        self.all(id).swap_remove(0)
    }

    /// Holds what a check says: its status, and words of the sentence, the evidence and the fix.
    #[track_caller]
    fn holds(&self, id: &str, status: Status, words: &[&str]) {
        let found = self.says(id);
        assert_eq!(found.status, status, "{found:#?}");
        let all = format!("{}\n{}\n{}", found.summary, found.evidence, line(&found));
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
        for check in checks().filter(|check| level_of(check.id).is_none()) {
            for found in check.findings(&self.0) {
                assert!(matches!(found.status, Status::Pass | Status::Skip), "{found:#?}");
                assert!(!found.summary.is_empty());
            }
        }
    }
}

/// What to copy or to read, as root.
fn line(found: &Finding) -> String {
    found.fix.as_ref().map(|fix| fix.line(Reader { uid: 0 })).unwrap_or_default()
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
fn each_id_has_its_check() {
    let ids: Vec<CheckId> = checks().map(|check| check.id).collect();
    assert_eq!(ids, CheckId::ALL);
    for id in ids {
        assert_eq!(find(id.as_str()).map(|check| check.id), Ok(id));
        let (family, name) = id.as_str().split_once('.').unwrap();
        assert_eq!(family, id.family().as_str());
        // A level and its check have one name.
        assert!(
            level_of(id).is_none_or(|level| family == "exec" && level.as_str() == name),
            "{id}"
        );
    }
    let levels = checks().filter(|check| level_of(check.id).is_some()).count();
    assert_eq!(levels, Level::ALL.len());
}

#[test]
fn findings_differ_in_more_than_their_targets() {
    let draft = |id, target: &str| Draft::host(id).target(target);
    let one = draft(CheckId::ExecHost, "arm").fail("no").fix(Fix::advice("do"));
    let like = draft(CheckId::ExecHost, "mips").fail("no").fix(Fix::advice("do"));
    assert!(one.is_like(&like));
    for other in [
        draft(CheckId::ExecPie, "arm").fail("no").fix(Fix::advice("do")),
        draft(CheckId::ExecHost, "arm").warn("no").fix(Fix::advice("do")),
        draft(CheckId::ExecHost, "arm").fail("yes").fix(Fix::advice("do")),
        draft(CheckId::ExecHost, "arm").fail("no").fix(Fix::advice("think")),
        draft(CheckId::ExecHost, "arm").seen("it").fail("no").fix(Fix::advice("do")),
        draft(CheckId::ExecHost, "arm").fail("no"),
        Draft::rootfs(CheckId::ExecHost, Path::new("/r")).fail("no").fix(Fix::advice("do")),
    ] {
        assert!(!one.is_like(&other) && !other.is_like(&one), "{other:#?}");
    }
    let bare = draft(CheckId::ExecHost, "arm").fail("no");
    assert!(bare.is_like(&draft(CheckId::ExecHost, "mips").fail("no")));
}

#[test]
fn a_subject_is_told_by_its_kind() {
    let json = |subject| serde_json::to_value::<Subject>(subject).unwrap();
    assert_eq!(json(Subject::Host), serde_json::json!({ "kind": "host" }));
    let builder = Subject::Builder { name: "b".to_owned() };
    assert_eq!(json(builder), serde_json::json!({ "kind": "builder", "name": "b" }));
    let finding = Draft::rootfs(CheckId::LoadShell, Path::new("/r")).pass("it ran");
    assert_eq!(json(finding.subject), serde_json::json!({ "kind": "rootfs", "path": "/r" }));
    assert_eq!(serde_json::to_value(finding.id).unwrap(), "load.shell");
}

#[test]
fn an_unknown_id_has_a_near_one() {
    let near = |id: &str| find(id).err().and_then(|unknown| unknown.nearest);
    assert_eq!(near("rule.presnt"), Some(CheckId::RulePresent));
    assert_eq!(near("FIX-BINARY"), Some(CheckId::RuleFixBinary));
    assert_eq!(near("nonsense.at.all"), None);
    let said = find("exec.hots").err().unwrap().to_string();
    assert_eq!(said, "unknown check \"exec.hots\" (did you mean exec.host?)");
}

#[test]
fn whose_a_rule_is() {
    let settings = Settings::default();
    let mut host = host(&settings);
    host.ours("arm", &sound(), "F").plant("qemu-s390x", "s390x", &sound(), "F");
    host.plant("qemu-hppa", "hppa", &sound(), "F");
    host.owners.insert("qemu-hppa".to_owned(), systemd_binfmt("/etc/binfmt.d/q.conf"));
    let owner = |name: &str| {
        let mut entries = host.seen.instance.entries.iter();
        host.owner(entries.find(|entry| entry.name == name).unwrap()).to_string()
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
