//! Each branch of the families kernel, rule, interpreter and service, with hosts that nobody ever saw.

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
use crate::system::host::Host;
use crate::system::instance::InstanceError;
use crate::system::interpreter::Inspector;
use crate::system::limits::{Limits, Selinux};
use crate::system::surroundings::{Boot, Distribution, Module, Units};
use crate::target::Table;
use crate::verify::{Outcome, Proof};

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

mod healthy {
    use super::*;

    #[test]
    fn an_empty_host_with_nothing_asked() {
        let settings = Settings::default();
        host(&settings).is_quiet();
        let mut bare = host(&settings);
        bare.trouble = Some(InstanceError::NotMounted);
        bare.stack = Vec::new();
        bare.around.stack_before = Vec::new();
        bare.is_quiet();
    }

    #[test]
    fn an_automount_that_nobody_had_triggered() {
        let settings = Settings::default();
        let mut host = host(&settings);
        host.around.stack_before = vec!["autofs".to_owned()];
        host.stack = vec!["autofs".to_owned(), "binfmt_misc".to_owned()];
        host.is_quiet();
        host.holds("kernel.mounted", PASS, &["before anybody looked: autofs"]);
    }

    #[test]
    fn rules_of_systemd_binfmt_with_its_files() {
        let settings = Settings::default();
        let mut host = host(&settings);
        let path = "/usr/lib/binfmt.d/qemu-aarch64.conf";
        host.plant("qemu-aarch64", "aarch64", &sound(), "OPF").ask("aarch64", Some(Ran::Well));
        host.owners.insert("qemu-aarch64".to_owned(), format!("systemd-binfmt ({path})"));
        host.plan(path, Ok(rule(&settings, "aarch64", &sound(), "OPF")), None);
        host.around.units.systemd_binfmt = Boot::Starts;
        host.is_quiet();
    }

    #[test]
    fn rules_of_update_binfmts() {
        let settings = Settings::default();
        let mut host = host(&settings);
        host.plant("qemu-aarch64", "aarch64", &sound(), "OPF").ask("aarch64", Some(Ran::Well));
        let file = "update-binfmts (/var/lib/binfmts/qemu-aarch64)";
        host.owners.insert("qemu-aarch64".to_owned(), file.to_owned());
        // Debian's package brings files for both; each leaves the other's names alone.
        host.plan(
            "/usr/lib/binfmt.d/qemu-aarch64.conf",
            Ok(rule(&settings, "aarch64", &sound(), "OPF")),
            None,
        );
        host.around.units = Units {
            ours: Boot::Absent,
            systemd_binfmt: Boot::Starts,
            binfmt_support: Boot::Starts,
        };
        host.is_quiet();
    }

    #[test]
    fn rules_of_a_container_under_a_private_path() {
        let settings = Settings::default();
        let mut host = host(&settings);
        // Its path leads nowhere here: it was the container's. Without systemd nobody knows of boots.
        host.systemd = false;
        let path = Path::new("/nowhere/buildkit-qemu-aarch64");
        host.plant("qemu-aarch64", "aarch64", path, "CF").ask("aarch64", Some(Ran::Well));
        host.holds("interpreter.exists", PASS, &["the kernel has the file it opened"]);
        host.holds("rule.credentials", PASS, &["as its owner wanted"]);
        host.holds("service.boot", SKIP, &["systemd does not run here"]);
        host.is_quiet();
    }

    #[test]
    fn a_container_that_sees_nothing_and_is_served_by_the_host() {
        let settings = Settings::default();
        let mut host = host(&settings);
        (host.container, host.trouble) = (true, Some(InstanceError::NotMounted));
        host.ask("aarch64", Some(Ran::Well));
        host.is_quiet();
        host.holds("kernel.mounted", PASS, &["foreign programs run", "rules of the host"]);
        // On the host itself, somebody's mount elsewhere holds them.
        host.container = false;
        host.holds("kernel.mounted", WARN, &["that somebody else holds", "mount -t binfmt_misc"]);
    }

    #[test]
    fn other_emulators_and_run_times() {
        let settings = Settings::default();
        let mut host = host(&settings);
        host.plant("FEX-aarch64", "aarch64", &sound(), "POCF").ask("aarch64", Some(Ran::Well));
        let wine = "enabled\ninterpreter /usr/bin/wine\nflags: \noffset 0\nmagic 4d5a\n";
        for name in ["WSLInterop", "wine"] {
            let entry = Entry::parse(OsStr::new(name), wine.as_bytes()).unwrap();
            host.seen.instance.entries.push(entry);
        }
        host.is_quiet();
    }

    #[test]
    fn our_own_with_the_service() {
        let settings = Settings::default();
        let mut host = host(&settings);
        host.ours("aarch64", &sound(), "POF").ask("aarch64", Some(Ran::Well));
        host.service = Some(state());
        host.around.units.ours = Boot::Starts;
        host.is_quiet();
        host.holds("service.running", PASS, &["is ready"]);
        host.holds("service.record", PASS, &["1 of ours"]);
        host.holds("service.boot", PASS, &["binfmtd.service registers at boot"]);
    }
}

mod kernel_family {
    use super::*;

    #[test]
    fn a_missing_module_has_the_way_out_of_its_distribution() {
        let settings = Settings::default();
        for (module, distribution, words) in [
            (Module::Unknown, Distribution::Debian, &["modprobe binfmt_misc"][..]),
            (Module::Loadable, Distribution::Other, &["is not loaded", "modprobe binfmt_misc"]),
            (Module::NotInstalled, Distribution::Ubuntu, &["linux-modules-extra-$(uname -r)"]),
            (Module::NotInstalled, Distribution::Debian, &["--reinstall linux-image-$(uname -r)"]),
            (Module::NotInstalled, Distribution::Fedora, &["kernel-modules-core-$(uname -r)"]),
            (Module::NotInstalled, Distribution::Suse, &["zypper install"]),
            (Module::NotInstalled, Distribution::Arch, &["pacman -S linux"]),
            (Module::NotInstalled, Distribution::Alpine, &["apk add linux-lts"]),
            (Module::NotInstalled, Distribution::Other, &["further modules of this kernel"]),
            (Module::NotBuilt, Distribution::Debian, &["built without", "CONFIG_BINFMT_MISC"]),
            (Module::OtherKernel, Distribution::Arch, &["upgraded since boot", "reboot"]),
        ] {
            let mut host = host(&settings);
            host.supported = false;
            host.trouble = Some(InstanceError::NoFolder);
            (host.around.module, host.around.distribution) = (module, distribution);
            host.ask("aarch64", Some(Ran::Not));
            host.holds("kernel.supported", FAIL, words);
            // Told once.
            host.holds("kernel.mounted", SKIP, &["no binfmt_misc that could be mounted"]);
        }
        let mut host = host(&settings);
        (host.supported, host.container) = (false, true);
        host.around.module = Module::OtherKernel;
        host.holds("kernel.supported", FAIL, &["modprobe binfmt_misc", "loaded on the host"]);
    }

    #[test]
    fn nothing_mounted_is_told_where_something_is_asked() {
        let settings = Settings::default();
        let mut host = host(&settings);
        host.stack = Vec::new();
        host.trouble = Some(InstanceError::NotMounted);
        host.holds("kernel.mounted", SKIP, &["nothing here asks for it"]);
        host.ask("aarch64", Some(Ran::Not));
        host.holds("kernel.mounted", FAIL, &["is not mounted", "nothing", "mount -t binfmt_misc"]);
        assert!(!host.says("kernel.mounted").evidence.to_string().contains("user namespace"));
        host.first_namespace = false;
        host.holds("kernel.mounted", FAIL, &["hides the host's rules even now"]);
        host.trouble = Some(InstanceError::BrokenAutomount("ELOOP".to_owned()));
        host.holds("kernel.mounted", FAIL, &["the automount on", "umount ", "; mount -t"]);
        host.trouble = Some(InstanceError::NoFolder);
        host.holds("kernel.mounted", FAIL, &["does not exist", "modprobe binfmt_misc && mount"]);
    }

    #[test]
    fn an_instance_elsewhere_is_a_containers_volume_or_a_mistake() {
        let settings = Settings::default();
        let mut host = host(&settings);
        host.stack = Vec::new();
        host.elsewhere = Some("/volume".into());
        let words = &["/volume only", "mount -t binfmt_misc", "mounted there: nothing"];
        host.holds("kernel.mounted", WARN, words);
        host.container = true;
        host.holds("kernel.mounted", PASS, &["on /volume", "got it as a volume"]);
    }

    #[test]
    fn who_may_not_write_is_told_why() {
        let settings = Settings::default();
        let mut host = host(&settings);
        host.holds("kernel.writable", PASS, &[]);
        host.seen.instance.writable = false;
        host.holds("kernel.writable", WARN, &["security policy", "dmesg"]);
        host.first_namespace = false;
        host.holds("kernel.writable", SKIP, &["another user namespace"]);
        host.read_only = true;
        host.holds("kernel.writable", WARN, &["read-only", "mount -o remount,rw"]);
        host.root = false;
        host.holds("kernel.writable", SKIP, &["not root"]);
    }

    #[test]
    fn which_instance_it_is() {
        let settings = Settings::default();
        let mut host = host(&settings);
        host.holds("kernel.instance", PASS, &["this is the host's instance"]);
        host.container = true;
        host.holds("kernel.instance", PASS, &["seen from a container"]);
        host.first_namespace = false;
        host.limits.uid_map = "         0       1000          1\n".to_owned();
        host.holds("kernel.instance", PASS, &["nobody outside", "uid_map says 0 1000 1"]);
        host.around.from_above = true;
        host.holds("kernel.instance", PASS, &["a namespace above this one"]);
        host.trouble = Some(InstanceError::NotMounted);
        host.holds("kernel.instance", SKIP, &["user namespace", "uid_map says 0 1000 1"]);
    }

    #[test]
    fn an_instance_that_hides_the_one_that_is_seen() {
        let settings = Settings::default();
        let mut masked = host(&settings);
        masked.first_namespace = false;
        masked.plant("qemu-aarch64", "aarch64", &sound(), "F").ask("aarch64", Some(Ran::Not));
        masked.holds("kernel.instance", FAIL, &["hides them", "mount -t", "binfmtd register"]);
        masked.holds("rule.present", PASS, &["taken by qemu-aarch64"]);
        // What else the kernel says "exec format error" to.
        masked.seen.instance.enabled = false;
        masked.holds("kernel.instance", PASS, &[]);
        masked.seen.instance.enabled = true;
        masked.seen.instance.entries[0].enabled = false;
        masked.holds("kernel.instance", PASS, &[]);
        masked.seen.instance.entries[0].enabled = true;
        masked.seen.instance.entries[0].interpreter = "/etc/passwd".into();
        masked.holds("kernel.instance", PASS, &[]);
        masked.seen.instance.entries[0].interpreter = sound();
        // One rule works: it is this instance that is asked.
        masked.plant("qemu-s390x", "s390x", &sound(), "F").ask("s390x", Some(Ran::Well));
        masked.holds("kernel.instance", PASS, &[]);
        masked.patients.pop();
        masked.holds("kernel.instance", FAIL, &[]);
        masked.first_namespace = true;
        masked.holds("kernel.instance", PASS, &[]);
    }

    #[test]
    fn rules_that_go_with_a_container() {
        let settings = Settings::default();
        let mut host = host(&settings);
        host.holds("kernel.lifetime", PASS, &["the host's mount"]);
        host.container = true;
        host.holds("kernel.lifetime", PASS, &["before this container"]);
        host.around.may_be_the_containers_own = true;
        host.holds("kernel.lifetime", WARN, &["after this container began", "on the host: mount"]);
        host.service = Some(State { only_here: true, ..state() });
        host.holds("kernel.lifetime", WARN, &["when it ends"]);
        host.around.first_stack = Some(vec!["autofs".to_owned()]);
        host.holds("kernel.lifetime", WARN, &["vanish with the container", "/proc/1/mountinfo"]);
        host.first_namespace = false;
        host.holds("kernel.lifetime", SKIP, &["user namespace"]);
        host.trouble = Some(InstanceError::NotMounted);
        host.holds("kernel.lifetime", SKIP, &["no instance"]);
    }

    #[test]
    fn rules_near_their_limit() {
        let settings = Settings::default();
        let mut host = host(&settings);
        host.holds("kernel.limit", PASS, &["no limit"]);
        host.plant("qemu-arm", "arm", &sound(), "F").plant("qemu-s390x", "s390x", &sound(), "F");
        host.limits.interpreters = Some(4);
        host.holds("kernel.limit", PASS, &["2 rules of 4"]);
        host.limits.interpreters = Some(3);
        host.holds("kernel.limit", WARN, &["at most 3", "max_binfmt_misc_interpreters=64"]);
        host.limits.interpreters = Some(0);
        host.holds("kernel.limit", WARN, &[]);
        host.trouble = Some(InstanceError::NotMounted);
        host.holds("kernel.limit", SKIP, &[]);
    }

    #[test]
    fn pages_of_other_sizes_matter_where_something_is_emulated() {
        let settings = Settings::default();
        let mut host = host(&settings);
        host.holds("kernel.page-size", PASS, &["4 KiB"]);
        host.limits.page_size = 65536;
        host.holds("kernel.page-size", SKIP, &["64 KiB"]);
        host.ask("x86_64", Some(Ran::Well));
        host.holds("kernel.page-size", SKIP, &[]);
        host.ask("aarch64", Some(Ran::Well));
        host.holds("kernel.page-size", WARN, &["64 KiB", "getconf PAGE_SIZE", "4 KiB"]);
    }

    #[test]
    fn little_room_matters_to_32_bit_targets() {
        let settings = Settings::default();
        let mut host = host(&settings);
        host.limits.address_space = Some(2_000_000_000);
        host.ask("aarch64", Some(Ran::Badly));
        host.holds("kernel.address-space", SKIP, &["no 32-bit target"]);
        host.ask("arm", Some(Ran::Not));
        host.holds("kernel.address-space", WARN, &["2000000000", "arm", "ulimit -v unlimited"]);
        host.limits.address_space = None;
        host.holds("kernel.address-space", PASS, &["RLIMIT_AS unlimited"]);
        host.limits.lowest_address = Some(1 << 20);
        host.holds("kernel.address-space", WARN, &["vm.mmap_min_addr", "sysctl -w"]);
        // What was run tells more than a limit does.
        host.patients[1].proof = Some(proof(Ran::Well));
        host.holds("kernel.address-space", PASS, &["run all the same"]);
        host.patients[1].proof = Some(proof(Ran::Badly));
        host.holds("kernel.address-space", SKIP, &["told of each"]);
    }

    #[test]
    fn a_sandbox_of_this_process_is_no_fault_of_the_host() {
        let settings = Settings::default();
        let mut host = host(&settings);
        host.limits.no_written_code = true;
        host.holds("kernel.written-code", SKIP, &["nothing is emulated"]);
        host.ask("aarch64", Some(Ran::Not));
        host.holds("kernel.written-code", Status::Error, &["PR_GET_MDWE", "systemd-run"]);
        host.patients[0].proof = Some(proof(Ran::Badly));
        host.holds("kernel.written-code", SKIP, &["told of each target"]);
        host.patients[0].proof = Some(proof(Ran::Well));
        host.holds("kernel.written-code", PASS, &["run all the same"]);
    }
}

mod rule_family {
    use super::*;

    #[test]
    fn why_there_is_no_rule() {
        let settings = Settings::default();
        let mut host = host(&settings);
        host.ask("arm", Some(Ran::Not)).around.distribution = Distribution::Debian;
        let words = ["e_machine 0x28", "apt-get install qemu-user-static && binfmtd register arm"];
        host.holds("rule.present", FAIL, &words);
        host.usable("arm", &sound());
        assert_eq!(host.says("rule.present").fix.unwrap().to_string(), "binfmtd register arm");
        assert_eq!(host.says("rule.present").evidence.to_string(), "");
        host.around.stack_before = vec!["autofs".to_owned()];
        host.holds("rule.present", FAIL, &["nobody had looked at binfmt_misc since boot"]);
        host.first_namespace = false;
        host.holds("rule.present", FAIL, &["an instance of its own"]);
        host.around.from_above = true;
        assert_eq!(host.says("rule.present").evidence.to_string(), "");
        host.patients[0].proof = Some(proof(Ran::Well));
        host.holds("rule.present", PASS, &["no rule is to be seen", "a parent namespace has one"]);
        host.trouble = Some(InstanceError::NotMounted);
        host.holds("rule.present", SKIP, &["no instance"]);
    }

    #[test]
    fn a_rule_of_ours_that_was_removed_is_told_of_its_target() {
        let settings = Settings::default();
        let mut host = host(&settings);
        host.record(&rule(&settings, "arm", &sound(), "POF"), Some("arm"));
        host.ask("arm", Some(Ran::Not));
        host.holds("rule.present", FAIL, &["somebody removed ours, qemu-arm"]);
        host.holds("service.record", SKIP, &["qemu-arm", "told of its target"]);
    }

    /// An arm64 host whose CPU has no 32-bit mode, and one of 64 KiB pages whose kernel was built without.
    #[test]
    fn arm_v7_on_an_arm64_host_without_it() {
        let settings = Settings::default();
        let mut host = host(&settings);
        let natives = vec!["aarch64".to_owned()];
        host.native = Native::new(&settings.table, &natives);
        (host.seen.host, host.seen.natives) = ("aarch64".to_owned(), natives);
        host.ask("arm", Some(Ran::Not)).ask("aarch64", None);
        host.holds(
            "rule.present",
            FAIL,
            &["aarch64", "does not run these", "binfmtd register arm"],
        );
        // One target is foreign here, and its rule takes nothing of the host's.
        assert_eq!(find("rule.present").unwrap().run(&host).len(), 1);
        host.plant("qemu-arm", "arm", &sound(), "POF");
        host.patients[0].proof = Some(proof(Ran::Well));
        host.is_quiet_about("rule.native");
        // Where the CPU has that mode, the very rule takes its programs away.
        let both = ["aarch64", "arm"].map(str::to_owned).to_vec();
        host.native = Native::new(&settings.table, &both);
        host.holds("rule.native", FAIL, &["qemu-arm could take the host's own arm programs"]);
    }

    impl Examination<'_> {
        #[track_caller]
        fn is_quiet_about(&self, id: &str) {
            self.holds(id, PASS, &[]);
        }
    }

    #[test]
    fn a_disabled_rule_is_switched_on() {
        let settings = Settings::default();
        let mut host = host(&settings);
        host.plant("qemu-arm", "arm", &sound(), "F").ask("arm", Some(Ran::Not));
        host.seen.instance.entries[0].enabled = false;
        host.holds("rule.enabled", FAIL, &["there and disabled", "binfmtd register arm"]);
        host.plant("other", "arm", &sound(), "F");
        // Switched on, rule.shadowed would want one of them removed.
        host.holds("rule.enabled", PASS, &["another rule serves"]);
    }

    /// What the check says of two targets.
    fn both(id: &str, host: &Examination<'_>) -> (Finding, Finding) {
        let mut found = find(id).unwrap().run(host);
        assert_eq!(found.len(), 2, "{found:#?}");
        (found.remove(0), found.remove(0))
    }

    #[test]
    fn two_targets_with_one_cause_are_told_of_in_one() {
        let settings = Settings::default();
        let mut host = host(&settings);
        host.ask("arm", Some(Ran::Not)).ask("mips", Some(Ran::Not));
        let is_like = |id: &str, host: &Examination<'_>| {
            let (one, other) = both(id, host);
            assert_eq!(one.status, other.status);
            assert_ne!(one.fix, other.fix, "{id}");
            one.is_like(&other)
        };
        assert!(is_like("rule.present", &host));
        // One has an interpreter, the other takes a package first.
        host.usable("arm", &sound());
        assert!(!is_like("rule.present", &host));
        host.usable("mips", &sound());
        assert!(is_like("rule.present", &host));
        // One was there; each was there.
        host.record(&rule(&settings, "arm", &sound(), "POF"), Some("arm"));
        assert!(!is_like("rule.present", &host));
        host.record(&rule(&settings, "mips", &sound(), "POF"), Some("mips"));
        assert!(is_like("rule.present", &host));
        host.plant("qemu-arm", "arm", Path::new("/nowhere/qemu-arm"), "F");
        host.plant("qemu-mips", "mips", Path::new("/nowhere/qemu-mips"), "POF");
        assert!(is_like("interpreter.exists", &host));
        host.seen.instance.entries[0].flags.known.fix_binary = false;
        let (one, other) = both("interpreter.exists", &host);
        assert_eq!((one.status, other.status), (WARN, FAIL));
        assert!(!one.is_like(&other));
        host.seen.instance.entries.iter_mut().for_each(|entry| entry.enabled = false);
        assert!(is_like("rule.enabled", &host));
    }

    #[test]
    fn rules_of_other_owners_are_another_conflict() {
        let settings = Settings::default();
        let mut host = host(&settings);
        for target in ["arm", "mips"] {
            host.ask(target, Some(Ran::Well));
            host.plant(&format!("qemu-{target}"), target, &sound(), "F");
            host.plant(&format!("mine-{target}"), target, &sound(), "F");
        }
        let is_like = |host: &Examination<'_>| {
            let (one, other) = both("rule.shadowed", host);
            one.is_like(&other)
        };
        assert!(is_like(&host));
        let own = |target: &str| format!("systemd-binfmt (/usr/lib/binfmt.d/qemu-{target}.conf)");
        host.owners.insert("qemu-arm".to_owned(), own("arm"));
        assert!(!is_like(&host));
        host.owners.insert("qemu-mips".to_owned(), own("mips"));
        assert!(is_like(&host));
    }

    #[test]
    fn without_f() {
        let settings = Settings::default();
        let mut host = host(&settings);
        host.plant("qemu-arm", "arm", &sound(), "OP").ask("arm", Some(Ran::Well));
        host.holds("rule.fix-binary", FAIL, &["no flag F", "binfmtd register arm"]);
        // One cause, told once.
        host.seen.instance.entries[0].interpreter = "/nowhere/qemu-arm".into();
        host.holds("rule.fix-binary", SKIP, &["told there"]);
        host.plant("rosetta", "arm", &sound(), "C");
        host.holds("rule.fix-binary", WARN, &["rosetta", "--takeover"]);
    }

    #[test]
    fn a_rule_that_takes_more_than_its_targets_programs() {
        let settings = Settings::default();
        let mut host = host(&settings);
        host.plant("qemu-mips", "mips", &sound(), "F").ask("mips", Some(Ran::Well));
        host.holds("rule.matcher", PASS, &["nothing else"]);
        // Without e_flags o32 and n32 are the same.
        let content = format!(
            "enabled\ninterpreter {}\nflags: F\noffset 0\nmagic 7f454c46010201\nmask ffffffffffffff\n",
            sound().display()
        );
        let wide = Entry::parse(OsStr::new("qemu-mips"), content.as_bytes()).unwrap();
        host.seen.instance.entries = vec![wide];
        let words = ["mipsn32", "binfmtd register mips --takeover"];
        host.holds("rule.matcher", WARN, &words);
        let name = "enabled\ninterpreter /x\nflags: F\nextension .mips\n";
        let name = Entry::parse(OsStr::new("names"), name.as_bytes()).unwrap();
        host.seen.instance.entries = vec![name];
        host.holds("rule.matcher", SKIP, &["no enabled rule"]);
    }

    /// The target's own magic, but for a byte: another mask and value.
    fn narrow(name: &str, target: &str, interpreter: &Path, at: usize, byte: (u8, u8)) -> Entry {
        let table = Table::embedded();
        let (_, magic) = table.find(target).unwrap().rules().swap_remove(0);
        let (mut bytes, mut mask) = (magic.magic().to_vec(), magic.mask().to_vec());
        (bytes[at], mask[at]) = byte;
        let narrow = crate::rule::Magic::new(0, bytes, Some(mask)).unwrap();
        let content = format!(
            "enabled\ninterpreter {}\nflags: POF\noffset 0\nmagic {}\nmask {}\n",
            interpreter.display(),
            narrow.magic_hex(),
            narrow.mask_hex()
        );
        Entry::parse(OsStr::new(name), content.as_bytes()).unwrap()
    }

    #[test]
    fn a_rule_that_takes_some_of_its_programs_only() {
        let settings = Settings::default();
        for (byte, words) in [
            ((16, (2, 0xff)), "e_type (byte 16)"),
            ((7, (0, 0xff)), "EI_OSABI (byte 7), so programs that are marked for Linux"),
        ] {
            let (at, byte) = byte;
            let mut host = host(&settings);
            host.seen.instance.entries.push(narrow("qemu-arm", "arm", &sound(), at, byte));
            host.ask("arm", Some(Ran::Well));
            host.holds("rule.matcher", FAIL, &[words, "binfmtd register arm --takeover"]);
            host.holds("rule.shadowed", PASS, &["one rule only"]);
            assert_eq!(verdict(&host, &host.patients[0]), Verdict::Broken);
            // What it leaves out another takes.
            let rest = narrow("rest", "arm", &sound(), at, (3, byte.1));
            host.seen.instance.entries.push(rest);
            host.holds("rule.matcher", PASS, &["together with another rule"]);
            assert_eq!(verdict(&host, &host.patients[0]), Verdict::Working);
        }
        // Some of EABI's programs.
        let mut host = host(&settings);
        let mut magic =
            settings.table.find("arm").unwrap().rules().swap_remove(0).1.magic().to_vec();
        magic.resize(40, 0);
        magic[39] = 5;
        let mut mask = settings.table.find("arm").unwrap().rules().swap_remove(0).1.mask().to_vec();
        mask.resize(40, 0);
        let content = |mask: &[u8]| {
            let magic = crate::rule::Magic::new(0, magic.clone(), Some(mask.to_vec())).unwrap();
            let (magic, mask) = (magic.magic_hex(), magic.mask_hex());
            let lines = format!("flags: POF\noffset 0\nmagic {magic}\nmask {mask}\n");
            let text = format!("enabled\ninterpreter {}\n{lines}", sound().display());
            Entry::parse(OsStr::new("qemu-arm"), text.as_bytes()).unwrap()
        };
        host.seen.instance.entries.push(content(&mask));
        host.ask("arm", Some(Ran::Well));
        host.holds("rule.matcher", PASS, &["nothing else"]);
        mask[39] = 0xff;
        host.seen.instance.entries[0] = content(&mask);
        // Its own programs have no winner then: the header of the target has no such flags.
        host.holds("rule.matcher", SKIP, &["no enabled rule"]);
    }

    #[test]
    fn a_rule_that_takes_some_programs_before_another() {
        let settings = Settings::default();
        let mut host = host(&settings);
        host.plant("qemu-arm", "arm", &sound(), "POF").ask("arm", Some(Ran::Well));
        let theirs = Path::new("/opt/other");
        for (at, byte, field) in [(16, (3, 0xff), "e_type"), (7, (3, 0xff), "EI_OSABI")] {
            let mut entries = host.seen.instance.entries.clone();
            host.seen.instance.entries.insert(0, narrow("pie", "arm", theirs, at, byte));
            let words =
                ["pie comes before qemu-arm", field, "/opt/other", "register arm --takeover"];
            host.holds("rule.shadowed", FAIL, &words);
            host.holds("rule.matcher", PASS, &["nothing else"]);
            // Of the one kind there is a probe.
            let proved = if at == 16 { Verdict::Working } else { Verdict::Unproved };
            assert_eq!(verdict(&host, &host.patients[0]), proved);
            // Of the same interpreter it does no harm; nor behind the other, or switched off.
            host.seen.instance.entries[0].interpreter = sound();
            host.holds("rule.shadowed", PASS, &["one rule only"]);
            host.seen.instance.entries[0].interpreter = theirs.to_owned();
            host.seen.instance.entries[0].enabled = false;
            host.holds("rule.shadowed", PASS, &["one rule only"]);
            host.seen.instance.entries[0].enabled = true;
            host.seen.instance.entries.swap(0, 1);
            host.holds("rule.shadowed", PASS, &["one rule only"]);
            std::mem::swap(&mut host.seen.instance.entries, &mut entries);
        }
        // Foreign AppImages are nobody's but theirs.
        let appimages = "enabled\ninterpreter /opt/appimaged\nflags: F\noffset 8\nmagic 414902\n";
        let appimages = Entry::parse(OsStr::new("appimage"), appimages.as_bytes()).unwrap();
        host.seen.instance.entries.insert(0, appimages);
        host.holds("rule.shadowed", PASS, &["one rule only"]);
    }

    #[test]
    fn two_rules_and_their_owners() {
        let settings = Settings::default();
        let mut host = host(&settings);
        let qemu = Path::new("/usr/bin/qemu-arm-static");
        host.ours("arm", qemu, "POF").ask("arm", Some(Ran::Well));
        host.holds("rule.shadowed", PASS, &["one rule only"]);
        let winner = |host: &Examination<'_>| {
            let patient = &host.patients[0];
            host.winner(patient.target, patient.machine).unwrap().display_name()
        };

        // Another emulator's works, and comes first: ours is not needed.
        host.plant("rosetta", "arm", &sound(), "C");
        assert_eq!(winner(&host), "rosetta");
        let words = ["rosetta (of Rosetta), then would come qemu-arm (of binfmtd)"];
        host.holds("rule.shadowed", WARN, &words);
        let fix = "echo -1 > /proc/sys/fs/binfmt_misc/qemu-arm";
        assert_eq!(host.says("rule.shadowed").fix.unwrap().to_string(), fix);
        host.service = Some(state());
        host.holds("rule.shadowed", WARN, &["leave arm out of the targets", "systemctl reload"]);
        host.service = None;
        // It does not work: ours before it, and never a word of removing theirs.
        host.patients[0].proof = Some(proof(Ran::Badly));
        host.holds("rule.shadowed", FAIL, &["before our rule", "binfmtd register arm --takeover"]);

        // Ours before theirs: somebody wanted that, or theirs did not work.
        let ours = host.seen.instance.entries.remove(1);
        host.seen.instance.entries.insert(0, ours);
        host.patients[0].proof = Some(proof(Ran::Well));
        host.holds("rule.shadowed", PASS, &["ours comes first", "rosetta (of Rosetta)"]);
        host.seen.instance.entries.swap(0, 1);

        // Two of QEMU's.
        host.seen.instance.entries.remove(0);
        host.plant("qemu-arm-new", "arm", Path::new("/opt/qemu-arm"), "F");
        host.patients[0].proof = Some(proof(Ran::Well));
        let words = ["qemu-arm-new (of unknown)", "binfmtd register arm --takeover"];
        host.holds("rule.shadowed", WARN, &words);
    }

    #[test]
    fn whose_rule_goes_is_by_whose_it_is() {
        let settings = Settings::default();
        let qemu = Path::new("/usr/bin/qemu-arm-static");
        for (owner, fix) in [
            (None, "echo -1 > /proc/sys/fs/binfmt_misc/qemu-arm"),
            (
                Some("update-binfmts (/var/lib/binfmts/qemu-arm)"),
                "update-binfmts --disable qemu-arm",
            ),
        ] {
            let mut host = host(&settings);
            host.plant("FEX-arm", "arm", &sound(), "POCF").plant("qemu-arm", "arm", qemu, "POF");
            host.ask("arm", Some(Ran::Well));
            if let Some(owner) = owner {
                host.owners.insert("qemu-arm".to_owned(), owner.to_owned());
            }
            host.holds("rule.shadowed", WARN, &["qemu-arm wins", "FEX-arm (of FEX)", fix]);
        }
        let mut host = host(&settings);
        host.plant("FEX-arm", "arm", &sound(), "F").plant("box64", "arm", &sound(), "F");
        host.ask("arm", Some(Ran::Well));
        host.holds("rule.shadowed", WARN, &["box64 wins", "nothing of ours is among them"]);
    }

    #[test]
    fn the_flag_c_and_who_asked_for_it() {
        let mut settings = Settings::default();
        {
            let mut host = host(&settings);
            host.ask("arm", Some(Ran::Well));
            host.holds("rule.credentials", SKIP, &["no enabled rule"]);
            host.plant("qemu-arm", "arm", &sound(), "POF");
            host.holds("rule.credentials", PASS, &["no C", "the safe way"]);
            host.plant("qemu-arm", "arm", &sound(), "POCF");
            host.holds("rule.credentials", PASS, &["as its owner wanted"]);
            host.seen.instance.entries.clear();
            host.ours("arm", &sound(), "POCF");
            host.holds("rule.credentials", WARN, &["no longer asks", "binfmtd register arm"]);
        }
        settings.credentials = true;
        let mut host = host(&settings);
        host.ours("arm", &sound(), "POCF").ask("arm", Some(Ran::Well));
        host.holds("rule.credentials", PASS, &["as the configuration asks"]);
        host.ours("arm", &sound(), "POF");
        host.holds("rule.credentials", SKIP, &["asked for and missing"]);
    }

    #[test]
    fn natives_are_freed_and_other_emulators_only_switched_off() {
        let settings = Settings::default();
        let mut host = host(&settings);
        host.plant("qemu-i386", "i386", &sound(), "F");
        let words = ["i386 programs", "echo -1 > /proc/sys/fs/binfmt_misc/qemu-i386"];
        host.holds("rule.native", FAIL, &words);
        let file = "systemd-binfmt (/etc/binfmt.d/x.conf)";
        host.owners.insert("qemu-i386".to_owned(), file.to_owned());
        host.holds("rule.native", FAIL, &["/etc/binfmt.d/x.conf", "brings it back", "echo -1"]);
        host.seen.instance.entries.clear();
        host.plant("FEX-x86", "i386", &sound(), "F");
        host.holds("rule.native", FAIL, &["of FEX", "echo 0 > /proc/sys/fs/binfmt_misc/FEX-x86"]);
        host.seen.instance.entries.clear();
        host.ours("i386", &sound(), "F");
        host.holds("rule.native", FAIL, &["of binfmtd"]);
        host.seen.instance.entries[0].enabled = false;
        host.holds("rule.native", PASS, &[]);
    }
}

mod interpreter_family {
    use super::*;

    #[test]
    fn one_that_was_renamed_is_named() {
        let settings = Settings::default();
        let folder = tempfile::tempdir().unwrap();
        let mut host = host(&settings);
        host.plant("qemu-arm", "arm", &folder.path().join("qemu-arm-static"), "P");
        host.ask("arm", Some(Ran::Badly));
        host.around.distribution = Distribution::Debian;
        let words = ["does not exist", "apt-get install qemu-user-static && binfmtd register arm"];
        host.holds("interpreter.exists", FAIL, &words);
        let now = folder.path().join("qemu-arm");
        std::fs::copy(sound(), &now).unwrap();
        let named = format!("QEMU for it is {} now", now.display());
        host.holds("interpreter.exists", FAIL, &[&named]);
        host.usable("arm", &now);
        host.holds("interpreter.exists", FAIL, &[&named]);
        assert_eq!(
            host.says("interpreter.exists").fix.unwrap().to_string(),
            "binfmtd register arm"
        );
        // With F the kernel goes on; what it opened was there, by the record.
        host.ours("arm", &folder.path().join("qemu-arm-static"), "F");
        host.patients[0].proof = Some(proof(Ran::Well));
        host.holds("interpreter.exists", WARN, &["gone from the disk", &named]);
    }

    #[test]
    fn how_one_comes_on_each_distribution() {
        let settings = Settings::default();
        let mut host = host(&settings);
        host.plant("qemu-arm", "arm", Path::new("/nowhere/qemu-arm"), "P").ask("arm", None);
        for (distribution, word) in [
            (Distribution::Ubuntu, "apt-get install qemu-user-static && "),
            (Distribution::Fedora, "dnf install qemu-user-static && "),
            (Distribution::Suse, "zypper install qemu-linux-user && "),
            (Distribution::Arch, "pacman -S qemu-user-static && "),
            (Distribution::Alpine, "apk add qemu-arm && "),
            (Distribution::Other, "install qemu-user-static, then binfmtd register arm"),
        ] {
            host.around.distribution = distribution;
            host.holds("interpreter.exists", FAIL, &[word]);
        }
        host.seen.instance.entries[0].name = "rosetta".into();
        host.holds("interpreter.exists", FAIL, &["binfmtd register arm --takeover"]);
    }

    #[test]
    fn what_cannot_serve_is_replaced_by_what_can() {
        let settings = Settings::default();
        let mut host = host(&settings);
        host.plant("qemu-arm", "arm", Path::new("/etc/passwd"), "P").ask("arm", Some(Ran::Badly));
        host.around.distribution = Distribution::Debian;
        host.holds("interpreter.usable", FAIL, &["not executable", "chmod a+x /etc/passwd"]);
        host.usable("arm", &sound());
        host.seen.instance.entries[0].name = "qemu-arm".into();
        let fix = host.says("interpreter.usable").fix.unwrap().to_string();
        assert_eq!(fix, "binfmtd register arm", "by its name it may be replaced when it fails");
        host.patients[0].proof = Some(proof(Ran::Well));
        let fix = host.says("interpreter.usable").fix.unwrap().to_string();
        assert_eq!(fix, "binfmtd register arm --takeover", "and not while it works");
        host.patients[0].proof = Some(proof(Ran::Badly));
        host.seen.instance.entries[0].name = "mine".into();
        let fix = host.says("interpreter.usable").fix.unwrap().to_string();
        assert_eq!(fix, "binfmtd register arm --takeover", "not QEMU's, so not simply replaced");
        // Whose name ours has to get, and who is another emulator's.
        host.seen.instance.entries[0].name = "qemu-arm".into();
        host.seen.instance.entries[0].interpreter = "/nowhere/FEXInterpreter".into();
        let fix = host.says("interpreter.exists").fix.unwrap().to_string();
        assert_eq!(fix, "echo -1 > /proc/sys/fs/binfmt_misc/qemu-arm && binfmtd register arm");
    }

    #[test]
    fn labels_that_containers_may_not_execute() {
        let settings = Settings::default();
        let mut host = host(&settings);
        host.plant("qemu-arm", "arm", &sound(), "F").ask("arm", Some(Ran::Well));
        let label = |host: &mut Examination<'_>, label: &str| {
            host.around.labels.insert(sound(), format!("system_u:object_r:{label}"));
        };
        label(&mut host, "user_home_t:s0");
        host.holds("interpreter.label", SKIP, &["SELinux is off"]);
        host.limits.selinux = Some(Selinux::Enforcing);
        host.holds("interpreter.label", WARN, &["user_home_t", "chcon -t bin_t", "register arm"]);
        // podman#25318: the interpreter is of another container's image.
        label(&mut host, "container_file_t:s0:c1022,c1023");
        host.holds("interpreter.label", WARN, &["labelled for one container (s0:c1022,c1023)"]);
        for good in ["bin_t:s0", "qemu_exec_t:s0", "container_file_t:s0", "container_ro_file_t:s0"]
        {
            label(&mut host, good);
            host.holds("interpreter.label", PASS, &["may execute", good]);
        }
        label(&mut host, "mine_t:s0");
        host.holds("interpreter.label", PASS, &["nothing is known against mine_t"]);
        label(&mut host, "tmp_t:s0");
        host.limits.selinux = Some(Selinux::Permissive);
        host.holds("interpreter.label", PASS, &["only notes it"]);
        host.around.labels.clear();
        host.holds("interpreter.label", SKIP, &["no label"]);
    }

    #[test]
    fn what_others_may_write_is_mended_by_a_command() {
        use std::os::unix::fs::PermissionsExt as _;
        let settings = Settings::default();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("qemu-arm");
        std::fs::copy(sound(), &path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o777)).unwrap();
        let mut host = host(&settings);
        host.plant("qemu-arm", "arm", &path, "F").ask("arm", Some(Ran::Well));
        let fix = format!("chmod go-w {}", path.display());
        host.holds("interpreter.trusted", WARN, &["runs for everybody", &fix]);
        host.plant("qemu-arm", "arm", &path, "CF");
        host.holds("interpreter.trusted", FAIL, &["with credentials", &fix]);
    }

    #[test]
    fn a_file_is_looked_at_as_it_is() {
        // What these tests take for an interpreter is one.
        let file: InterpreterFile = Inspector::default().inspect(&sound()).unwrap();
        assert!(file.elf.is_some() && file.mode & 0o111 != 0);
    }
}

mod service_family {
    use super::*;

    #[test]
    fn how_the_service_is() {
        let settings = Settings::default();
        let mut host = host(&settings);
        host.holds("service.running", SKIP, &["no service"]);
        host.around.units.ours = Boot::Starts;
        host.holds("service.running", WARN, &["does not run", "systemctl start binfmtd.service"]);
        host.service = Some(state());
        host.holds("service.running", PASS, &["ready", "1 target working"]);
        host.service = Some(State { ready: false, ..state() });
        host.holds("service.running", WARN, &["nothing of what it is to keep works yet"]);
        host.service = Some(State { trouble: Some("EIO".to_owned()), ..state() });
        host.holds("service.running", WARN, &["last full check", "EIO", "journalctl"]);
        // From a container or a user namespace another instance is seen.
        host.service = Some(State { instance: DEVICE + 1, ready: false, ..state() });
        for id in ["service.running", "service.degraded", "service.conflicts"] {
            host.holds(id, SKIP, &["another instance"]);
        }
        host.service = None;
        host.systemd = false;
        host.holds("service.running", SKIP, &[]);
    }

    #[test]
    fn what_the_service_complains_of_is_told_once() {
        let settings = Settings::default();
        let mut host = host(&settings);
        host.service = Some(state());
        host.holds("service.degraded", PASS, &["1 target working"]);
        host.service = Some(State { rules: vec![degraded("arm"), degraded("s390x")], ..state() });
        let words = ["arm, s390x", "arm: its interpreter hangs", "systemctl reload"];
        host.holds("service.degraded", WARN, &words);
        host.ask("arm", Some(Ran::Badly));
        host.holds("service.degraded", WARN, &["trouble with s390x"]);
        host.ask("s390x", Some(Ran::Badly));
        host.holds("service.degraded", SKIP, &["arm, s390x", "told of each"]);
    }

    #[test]
    fn somebody_who_undoes_its_work() {
        let settings = Settings::default();
        let mut host = host(&settings);
        host.holds("service.conflicts", SKIP, &["no service"]);
        host.service = Some(State { conflicts: 2, ..state() });
        host.holds("service.conflicts", PASS, &["it had to pause 2 times"]);
        host.service = Some(State { conflicts: 3, paused_until: Some(1.0), ..state() });
        host.holds("service.conflicts", WARN, &["keeps undoing", "3 times", "journalctl"]);
        host.around.units.binfmt_support = Boot::Starts;
        host.holds("service.conflicts", WARN, &["mask --now binfmt-support.service"]);
        host.around.units.systemd_binfmt = Boot::Starts;
        host.plan("/etc/binfmt.d/x.conf", Ok(rule(&settings, "arm", &sound(), "F")), None);
        host.holds("service.conflicts", WARN, &["mask --now systemd-binfmt.service"]);
        // Two more managers, and nobody in another's way.
        host.service = Some(state());
        let words = ["nobody undoes", "systemd-binfmt.service, binfmt-support.service"];
        host.holds("service.conflicts", PASS, &words);
    }

    #[test]
    fn rules_of_ours_that_are_gone_or_changed() {
        let settings = Settings::default();
        let mut host = host(&settings);
        host.holds("service.record", SKIP, &["no rule of ours"]);
        host.ours("arm", &sound(), "POF");
        host.holds("service.record", PASS, &[]);
        host.seen.instance.entries[0].interpreter = "/opt/theirs".into();
        host.holds("service.record", WARN, &["removed or changed", "qemu-arm", "binfmtd register"]);
        host.ask("arm", Some(Ran::Well));
        host.holds("service.record", SKIP, &["told of its target"]);
        host.trouble = Some(InstanceError::NotMounted);
        host.holds("service.record", SKIP, &["no instance"]);
    }

    #[test]
    fn nobody_registers_at_boot() {
        let settings = Settings::default();
        let mut host = host(&settings);
        host.holds("service.boot", SKIP, &["no rule is in use"]);
        host.ours("arm", &sound(), "POF").ask("arm", Some(Ran::Well));
        for (ours, fix) in [
            (Boot::Absent, "install binfmtd's units"),
            (Boot::Off, "systemctl enable --now binfmtd.service"),
            (Boot::Masked, "systemctl unmask binfmtd.service && systemctl enable"),
        ] {
            host.around.units.ours = ours;
            host.holds("service.boot", WARN, &["the kernel forgets them: qemu-arm", fix]);
        }
        // Those of others come back with their managers, unless these are switched off.
        host.seen.record.rules.clear();
        let by = |host: &mut Examination<'_>, owner: &str| {
            host.owners.insert("qemu-arm".to_owned(), owner.to_owned());
        };
        host.around.units.systemd_binfmt = Boot::Masked;
        by(&mut host, "systemd-binfmt (/usr/lib/binfmt.d/qemu-arm.conf)");
        host.holds("service.boot", WARN, &["qemu-arm"]);
        host.around.units.systemd_binfmt = Boot::Starts;
        host.holds("service.boot", PASS, &["by its owner"]);
        by(&mut host, "update-binfmts (/var/lib/binfmts/qemu-arm)");
        host.holds("service.boot", PASS, &["by its owner"]);
        host.around.units.binfmt_support = Boot::Masked;
        host.holds("service.boot", WARN, &["qemu-arm"]);
        host.systemd = false;
        host.holds("service.boot", SKIP, &["systemd does not run"]);
        host.container = true;
        host.holds("service.boot", SKIP, &["on the host"]);
    }

    #[test]
    fn lines_of_binfmt_d_that_will_not_do() {
        let settings = Settings::default();
        let vendor = "/usr/lib/binfmt.d/qemu.conf";
        let arm = |flags: &str| rule(&settings, "arm", &sound(), flags);
        let with = |file: &str, rule: Result<Rule, &str>, fault: Option<InterpreterFault>| {
            let mut host = host(&settings);
            host.plan(file, rule, fault);
            host
        };
        let empty = host(&settings);
        empty.holds("service.binfmt-d", SKIP, &["no rules"]);
        with(vendor, Ok(arm("F")), None).holds("service.binfmt-d", PASS, &["1 rules"]);

        let bad = with(vendor, Err("the mask is all zeros"), None);
        let words = ["/usr/lib/binfmt.d/qemu.conf:3", "all zeros", "> /etc/binfmt.d/qemu.conf"];
        bad.holds("service.binfmt-d", WARN, &words);
        let bad = with("/etc/binfmt.d/qemu.conf", Err("no"), None);
        bad.holds("service.binfmt-d", WARN, &["sed -i '3s/^/#/' /etc/binfmt.d/qemu.conf"]);

        let gone = with(vendor, Ok(arm("F")), Some(InterpreterFault::Missing));
        gone.holds("service.binfmt-d", WARN, &["does not exist", "no such file or directory"]);
        let mut loose = with(vendor, Ok(arm("OP")), None);
        loose.holds("service.binfmt-d", WARN, &["no flag F", "3s/[[:space:]]*$/F/"]);
        // It is in the kernel, and told of there.
        loose.plant("qemu-arm", "arm", &sound(), "OP");
        loose.holds("service.binfmt-d", PASS, &[]);

        let native = with(vendor, Ok(rule(&settings, "i386", &sound(), "F")), None);
        native.holds("service.binfmt-d", WARN, &["the host's own i386 programs"]);
        // Others' rules are others' affair.
        let renamed = arm("").renamed("mine".parse().unwrap()).unwrap();
        let theirs = with(vendor, Ok(renamed), Some(InterpreterFault::Missing));
        theirs.holds("service.binfmt-d", PASS, &[]);
        let mut without = with(vendor, Err("no"), None);
        without.systemd = false;
        without.holds("service.binfmt-d", SKIP, &["systemd does not run"]);
    }
}

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
