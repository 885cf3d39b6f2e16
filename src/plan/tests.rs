//! Each branch of a decision, with observations that nobody ever saw.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::*;
use crate::config::{CustomRule, Origin, Override, PreserveArgv0, Targets, Verify};
use crate::observation::{
    Candidates, ElfFacts, FileId, InstanceFacts, InterpreterFault, InterpreterFile, Owned,
    OwnershipRecord, Serving, SystemError, TrustFault, TrustProblem,
};
use crate::rule::{Entry, Header, Magic, MagicError, Matcher, Rule, parse_register};

const QEMU: &str = "/usr/bin/qemu-aarch64-static";
const ID: FileId = FileId { device: 1, inode: 2, size: 3, modified: 4 };

/// A machine and what is asked of it; the default is an x86-64 one with QEMU for aarch64 and nothing
/// registered.
struct Situation {
    settings: Settings,
    request: Request,
    seen: Observation,
}

impl Situation {
    fn new() -> Self {
        let settings =
            Settings { targets: Targets::List(vec!["aarch64".to_owned()]), ..Settings::default() };
        let seen = Observation {
            host: "x86_64".to_owned(),
            natives: ["x86_64", "i386", "i486"].map(str::to_owned).to_vec(),
            instance: InstanceFacts {
                device: 7,
                enabled: true,
                writable: true,
                entries: Vec::new(),
                unreadable: Vec::new(),
            },
            interpreters: [("aarch64".to_owned(), usable(QEMU))].into(),
            others: [(PathBuf::from("/usr/bin/tool"), Ok(file("/usr/bin/tool")))].into(),
            captured: std::collections::BTreeMap::new(),
            serving: std::collections::BTreeMap::new(),
            record: OwnershipRecord {
                schema: OwnershipRecord::SCHEMA,
                ..OwnershipRecord::default()
            },
        };
        Self { settings, request: Request::default(), seen }
    }

    /// A newer entry than all before.
    fn entry(mut self, register: &str) -> Self {
        self.seen.instance.entries.insert(0, entry(register));
        self
    }

    /// The same, and ours.
    fn ours(mut self, register: &str) -> Self {
        let rule = parse_register(register.as_bytes()).unwrap();
        let target = rule.name().as_str().strip_prefix("qemu-").map(str::to_owned);
        let owned = Owned { register: register.to_owned(), target, interpreter: Some(ID) };
        self.seen.record.rules.insert(rule.name().to_string(), owned);
        self.entry(register)
    }

    fn disabled(mut self) -> Self {
        self.seen.instance.entries[0].enabled = false;
        self
    }

    fn serving(mut self, name: &str, serving: Serving) -> Self {
        self.seen.serving.insert(name.into(), serving);
        self
    }

    fn interpreter(mut self, target: &str, found: Candidates) -> Self {
        self.seen.interpreters.insert(target.to_owned(), found);
        self
    }

    fn no_interpreter(mut self) -> Self {
        self.seen.interpreters.clear();
        self
    }

    fn targets(mut self, targets: &[&str]) -> Self {
        self.settings.targets =
            Targets::List(targets.iter().map(|name| (*name).to_owned()).collect());
        self
    }

    fn auto(mut self) -> Self {
        self.settings.targets = Targets::Auto;
        self
    }

    fn only(mut self, targets: &[&str]) -> Self {
        self.request.only = Some(targets.iter().map(|name| (*name).to_owned()).collect());
        self
    }

    fn takeover(mut self) -> Self {
        self.request.takeover = true;
        self
    }

    fn flags(mut self, flags: &str) -> Self {
        let own = Override { flags: Some(flags.parse().unwrap()), ..Override::default() };
        self.settings.overrides.insert("aarch64".to_owned(), own);
        self
    }

    /// A rule of the configuration.
    fn custom(mut self, register: &str) -> Self {
        let rule = parse_register(register.as_bytes()).unwrap();
        let origin = Origin { file: Path::new("binfmtd.toml").into(), line: 1 };
        self.settings.rules.push(CustomRule { rule, origin });
        self.settings.targets = Targets::List(Vec::new());
        self
    }

    fn tool(mut self, found: Result<InterpreterFile, InterpreterFault>) -> Self {
        self.seen.others.insert("/usr/bin/tool".into(), found);
        self
    }

    fn plan(&self) -> Plan {
        plan(&self.settings, &self.request, &self.seen).unwrap()
    }
}

fn file(path: &str) -> InterpreterFile {
    InterpreterFile {
        path: path.into(),
        id: ID,
        mode: 0o755,
        noexec: false,
        elf: Some(ElfFacts {
            header: Header::new(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x3e\0"),
            loader: None,
        }),
        distrust: Vec::new(),
    }
}

fn writable() -> TrustFault {
    TrustFault { path: "/usr".into(), owner: 0, mode: 0o777, problem: TrustProblem::Writable }
}

fn usable(path: &str) -> Candidates {
    Candidates { usable: Some(file(path)), faulty: Vec::new() }
}

/// What is found after an upgrade.
fn upgraded(path: &str) -> Candidates {
    let id = FileId { inode: 99, ..ID };
    Candidates { usable: Some(InterpreterFile { id, ..file(path) }), faulty: Vec::new() }
}

fn faulty(path: &str, fault: InterpreterFault) -> Candidates {
    Candidates { usable: None, faulty: vec![(path.into(), fault)] }
}

/// The register string of the table's rule for a target, under a name of choice.
fn table(target: &str, name: &str, interpreter: &str, flags: &str) -> String {
    let table = crate::target::Table::embedded();
    let (_, magic) = table.find(target).unwrap().rules().remove(0);
    let rule = Rule::new(
        name.parse().unwrap(),
        Matcher::Magic(magic),
        crate::rule::InterpreterPath::new(interpreter).unwrap(),
        flags.parse().unwrap(),
    );
    String::from_utf8(rule.unwrap().register_string().to_vec()).unwrap()
}

fn aarch64(name: &str, interpreter: &str, flags: &str) -> String {
    table("aarch64", name, interpreter, flags)
}

/// As the kernel would show it.
fn entry(register: &str) -> Entry {
    let rule = parse_register(register.as_bytes()).unwrap();
    let matcher = match rule.matcher() {
        Matcher::Magic(magic) => {
            format!(
                "offset {}\nmagic {}\nmask {}",
                magic.offset(),
                magic.magic_hex(),
                magic.mask_hex()
            )
        }
        Matcher::Extension(extension) => format!("extension .{}", extension.as_str()),
    };
    let text = format!(
        "enabled\ninterpreter {}\nflags: {}\n{matcher}\n",
        rule.interpreter(),
        rule.flags()
    );
    Entry::parse(rule.name().as_str().as_ref(), text.as_bytes()).unwrap()
}

fn fails() -> Serving {
    Serving::Fails("it exited with status 1".to_owned())
}

fn stale() -> Serving {
    Serving::Stale("the rule is older than the file".to_owned())
}

/// Compares the decisions, a line each and without the target, with what is expected.
#[track_caller]
fn check(cases: Vec<(&str, Situation, &[&str])>) {
    for (what, situation, expected) in cases {
        let plan = situation.plan();
        let lines: Vec<String> = plan.items.iter().map(|item| item.decision.to_string()).collect();
        assert_eq!(lines, expected, "{what}");
        let is_silent = !plan.items.iter().any(|item| matches!(item.decision, Decision::Change(_)));
        assert_eq!(plan.is_empty(), is_silent, "{what}");
    }
}

const ADD: &str = "add qemu-aarch64 → /usr/bin/qemu-aarch64-static [POF]";
const SERVED: &str = "leave alone: served by qemu-aarch64, which is not ours";

fn replaced(old: &str, why: &str) -> String {
    format!("replace {old} by qemu-aarch64 → /usr/bin/qemu-aarch64-static [POF]: {why}")
}

#[test]
fn what_nobody_serves_is_added() {
    let ours = aarch64("qemu-aarch64", QEMU, "POF");
    check(vec![
        ("nothing is there", Situation::new(), &[ADD]),
        ("rules of others", Situation::new().entry(":wine:M::MZ::/usr/bin/wine:"), &[ADD]),
        ("native", Situation::new().targets(&["i386"]), &["native: the host runs it itself"]),
        ("auto", Situation::new().auto(), &[ADD]),
        ("auto, nothing found", Situation::new().auto().no_interpreter(), &[]),
        (
            "the instance is off",
            {
                let mut situation = Situation::new();
                situation.seen.instance.enabled = false;
                situation
            },
            &["enable binfmt_misc as a whole", ADD],
        ),
        ("ours, disabled", Situation::new().ours(&ours).disabled(), &["enable qemu-aarch64"]),
        (
            "QEMU's of another name, disabled",
            Situation::new().entry(&aarch64("qemu-arm64", QEMU, "F")).disabled(),
            &[ADD],
        ),
        (
            "the name is another tool's",
            Situation::new().entry(":qemu-aarch64:E::x::/opt/box64:"),
            &[
                "refuse: the name qemu-aarch64 is taken by a rule that is not QEMU's (remove or rename that rule)",
            ],
        ),
    ]);
    let disabled = replaced("qemu-aarch64", "it is disabled");
    let useless = replaced("qemu-aarch64", "it does not match these programs");
    check(vec![
        (
            "QEMU's, disabled",
            Situation::new().entry(&aarch64("qemu-aarch64", "/opt/qemu-x", "POF")).disabled(),
            &[&disabled],
        ),
        (
            "QEMU's, of something else",
            Situation::new().entry(":qemu-aarch64:M::else::/usr/bin/qemu-aarch64:"),
            &[&useless],
        ),
        (
            "ours, disabled, and to be another",
            Situation::new().ours(&aarch64("qemu-aarch64", "/opt/x", "POF")).disabled(),
            &[&disabled],
        ),
    ]);
}

#[test]
fn what_cannot_be_is_refused_with_the_way_out() {
    let cases: [(InterpreterFault, &str); 10] = [
        (InterpreterFault::Missing, "interpreter /q: not found (install qemu-user-static"),
        (InterpreterFault::NotExecutable, "not executable (chmod a+x /q)"),
        (InterpreterFault::Noexec, "mounted noexec (move it to another"),
        (InterpreterFault::NotElf, "not an ELF program (reinstall"),
        (InterpreterFault::Unreadable(SystemError(5)), "(os error 5) (ls -lL /q)"),
        (InterpreterFault::NotRegular, "cannot be read: not a regular file (ls -lL /q)"),
        (
            InterpreterFault::Foreign(Some("arm".to_owned())),
            "a program for arm, not for this machine",
        ),
        (InterpreterFault::Foreign(None), "a program for an unknown machine, not for this machine"),
        (InterpreterFault::Dynamic("/lib/ld".to_owned()), "dynamically linked: it needs /lib/ld"),
        (
            InterpreterFault::Untrusted(vec![writable()]),
            "credentials: /usr: users other than root may write it (owner 0, mode 0777) (chmod go-w /usr",
        ),
    ];
    for (fault, expected) in cases {
        let situation = Situation::new().interpreter("aarch64", faulty("/q", fault.clone()));
        let plan = situation.plan();
        let [item] = plan.items.as_slice() else { panic!("{plan}") };
        let line = item.decision.to_string();
        assert!(line.starts_with("refuse: ") && line.contains(expected), "{fault:?}: {line}");
        assert_eq!(item.rule.as_deref(), Some("qemu-aarch64"));
        // Asked for by nobody, it is not missed.
        assert_eq!(situation.auto().plan(), Plan::default(), "{fault:?}");
    }
    let unknown = plan(
        &Settings::default(),
        &Request { only: Some(vec!["aarch65".to_owned()]), takeover: false },
        &Situation::new().seen,
    );
    assert_eq!(unknown.unwrap_err().nearest.as_deref(), Some("aarch64"));
}

#[test]
fn ours_is_kept_or_replaced() {
    let ours = aarch64("qemu-aarch64", QEMU, "POF");
    let without_p = aarch64("qemu-aarch64", QEMU, "OF");
    let elsewhere = aarch64("qemu-aarch64", "/opt/qemu-aarch64", "POF");
    let otherwise = replaced("qemu-aarch64", "the configuration has changed");
    let on_disk = replaced("qemu-aarch64", "its interpreter was replaced on disk");
    let shared = r":pie:M::\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x03\x00\xb7\x00::/opt/pie:F";
    let explicit = "replace qemu-aarch64 by qemu-aarch64 → /usr/bin/qemu-aarch64-static [F]: \
                    the configuration has changed";
    let gone = "keep qemu-aarch64: no interpreter for aarch64 (linux/arm64): none of \
                qemu-aarch64-static, qemu-aarch64 found (install qemu-user-static, or set \
                interpreter-directories); the old one stays in use";
    check(vec![
        ("as it should be", Situation::new().ours(&ours), &["keep qemu-aarch64"]),
        ("a trial dropped P", Situation::new().ours(&without_p), &["keep qemu-aarch64"]),
        ("P is insisted on", Situation::new().flags("POF").ours(&without_p), &[&otherwise]),
        ("other flags", Situation::new().flags("F").ours(&ours), &[explicit]),
        ("another path", Situation::new().ours(&elsewhere), &[&otherwise]),
        (
            "an upgrade",
            Situation::new().ours(&ours).interpreter("aarch64", upgraded(QEMU)),
            &[&on_disk],
        ),
        ("gone", Situation::new().ours(&ours).no_interpreter(), &[gone]),
        ("gone, with auto", Situation::new().auto().ours(&ours).no_interpreter(), &[gone]),
        (
            "takeover is about others",
            Situation::new().takeover().ours(&ours),
            &["keep qemu-aarch64"],
        ),
        (
            "behind somebody's that works",
            Situation::new().ours(&ours).entry(&aarch64("qemu-new", "/opt/qemu-x", "F")),
            &["leave alone: served by qemu-new, which is not ours"],
        ),
        (
            "behind somebody's that fails",
            Situation::new()
                .ours(&ours)
                .entry(&aarch64("qemu-new", "/opt/qemu-x", "F"))
                .serving("qemu-new", fails()),
            &[&replaced("qemu-new, qemu-aarch64", "it exited with status 1")],
        ),
        (
            "not asked for any more",
            Situation::new().targets(&[]).ours(&ours),
            &["remove qemu-aarch64: it is ours, and no longer asked for"],
        ),
        ("not asked about", Situation::new().ours(&ours).only(&[]), &[]),
        (
            "behind somebody's that takes position-independent programs alone",
            Situation::new().ours(&ours).entry(shared),
            &["keep qemu-aarch64"],
        ),
        (
            "the same, and somebody insists",
            Situation::new().ours(&ours).entry(shared).takeover(),
            &[&replaced("qemu-aarch64", "pie takes some of these programs before it")],
        ),
        (
            "before it, and somebody insists",
            Situation::new().entry(shared).ours(&ours).takeover(),
            &["keep qemu-aarch64"],
        ),
    ]);
}

#[test]
fn what_others_serve_is_left_alone_or_repaired() {
    let theirs = aarch64("qemu-aarch64", "/opt/qemu-x", "F");
    let without_f = aarch64("qemu-aarch64", "/opt/qemu-x", "O");
    let no_f =
        replaced("qemu-aarch64", "it has no F flag, so it fails in containers and other roots");
    let seen = |serving| Situation::new().entry(&theirs).serving("qemu-aarch64", serving);
    check(vec![
        ("it works", seen(Serving::Works), &[SERVED]),
        ("it works, by its looks", Situation::new().entry(&theirs), &[SERVED]),
        (
            "it works, though without F",
            {
                let situation = Situation::new().entry(&without_f);
                situation.serving("qemu-aarch64", Serving::Works)
            },
            &[SERVED],
        ),
        ("no F, by its looks", Situation::new().entry(&without_f), &[&no_f]),
        ("stale", seen(stale()), &[&replaced("qemu-aarch64", "the rule is older than the file")]),
        ("it fails", seen(fails()), &[&replaced("qemu-aarch64", "it exited with status 1")]),
        ("stale is better than nothing", seen(stale()).no_interpreter(), &[SERVED]),
        (
            "it fails, and there is nothing better",
            seen(fails()).no_interpreter(),
            &["refuse: no interpreter for aarch64 (linux/arm64): none of qemu-aarch64-static, \
               qemu-aarch64 found (install qemu-user-static, or set interpreter-directories)"],
        ),
        ("taken over", seen(Serving::Works).takeover(), &[&replaced("qemu-aarch64", "taken over")]),
        (
            "its file is called otherwise, and it works",
            Situation::new()
                .entry(&aarch64("qemu-aarch64", "/opt/q", "F"))
                .serving("qemu-aarch64", Serving::Works),
            &[SERVED],
        ),
        (
            "its file is called otherwise, and it fails",
            Situation::new()
                .entry(&aarch64("qemu-aarch64", "/opt/q", "F"))
                .serving("qemu-aarch64", fails()),
            &[&replaced("qemu-aarch64", "it exited with status 1")],
        ),
        (
            "it is another emulator's by its file, and fails",
            Situation::new()
                .entry(&aarch64("qemu-aarch64", "/opt/box64", "F"))
                .serving("qemu-aarch64", fails()),
            &[
                "refuse: rule qemu-aarch64 of another emulator takes these programs and does not work: it exited with \
                 status 1 (repair or remove qemu-aarch64, or use --takeover to put ours before it)",
            ],
        ),
        ("nothing to take over with", seen(Serving::Works).takeover().no_interpreter(), &[SERVED]),
    ]);
    // A broken one of another name, over an older one of ours' name.
    let newer = aarch64("qemu-arm64", "/opt/qemu-x", "F");
    let both = || Situation::new().serving("qemu-arm64", fails());
    let taken = "refuse: the name qemu-aarch64 is taken by a rule that is not QEMU's \
                 (remove or rename that rule)";
    check(vec![
        (
            "both are QEMU's",
            both().entry(&theirs).entry(&newer),
            &[&replaced("qemu-arm64, qemu-aarch64", "it exited with status 1")],
        ),
        (
            "the older is another tool's",
            both().entry(":qemu-aarch64:E::x::/opt/box64:").entry(&newer),
            &[taken],
        ),
        ("a disabled one is none", both().entry(&theirs).entry(&newer).disabled(), &[SERVED]),
    ]);
}

#[test]
fn other_emulators_are_never_touched() {
    let fex = aarch64("FEX", "/usr/bin/FEXInterpreter", "POF");
    let broken = || Situation::new().entry(&fex).serving("FEX", fails());
    let refused = "refuse: rule FEX of another emulator takes these programs and does not work: it exited \
                   with status 1 (repair or remove FEX, or use --takeover to put ours before it)";
    check(vec![
        (
            "it works",
            Situation::new().entry(&fex),
            &["leave alone: served by FEX, which is not ours"],
        ),
        ("it fails", broken(), &[refused]),
        ("taken over", broken().takeover(), &[ADD]),
        (
            "taken over, over an older one of QEMU's",
            Situation::new()
                .takeover()
                .entry(&aarch64("qemu-aarch64", "/opt/qemu-x", "F"))
                .entry(&fex),
            &[&replaced("qemu-aarch64", "FEX comes before it")],
        ),
        (
            "taken over, and the name is taken",
            Situation::new().takeover().entry(":qemu-aarch64:E::x::/opt/box64:").entry(&fex),
            &[
                "refuse: the name qemu-aarch64 is taken by a rule that is not QEMU's (remove or rename that rule)",
            ],
        ),
    ]);
}

#[test]
fn what_serves_another_target_too_is_not_removed() {
    // No e_flags: both kinds of mips.
    let any = r":qemu-any:M::\x7fELF\x01\x02\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x08:\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xfe\xff\xff:/opt/qemu-x:F";
    let situation = |name: &str| {
        Situation::new()
            .targets(&["mips"])
            .interpreter("mips", usable("/q"))
            .entry(&any.replacen("qemu-any", name, 1))
            .serving(name, fails())
    };
    check(vec![
        ("under another name", situation("qemu-any"), &["add qemu-mips → /q [POF]"]),
        (
            "under the name that ours has",
            situation("qemu-mips"),
            &["replace qemu-mips by qemu-mips → /q [POF]: qemu-mips comes before it"],
        ),
    ]);
}

#[test]
fn what_an_interrupted_replacement_left_goes_with_the_next() {
    let ours = aarch64("qemu-aarch64", QEMU, "POF");
    let swap = aarch64("qemu-aarch64.binfmtd-swap", QEMU, "POF");
    let second = aarch64("qemu-aarch64.2.binfmtd-swap", QEMU, "POF");
    let left = "an interrupted replacement left it";
    check(vec![
        (
            "before the old one went",
            Situation::new().ours(&ours).entry(&swap),
            &[&replaced("qemu-aarch64, qemu-aarch64.binfmtd-swap", left)],
        ),
        (
            "after it went",
            Situation::new().entry(&swap),
            &[&replaced("qemu-aarch64.binfmtd-swap", left)],
        ),
        (
            "twice",
            Situation::new().ours(&ours).entry(&swap).entry(&second),
            &[&replaced(
                "qemu-aarch64, qemu-aarch64.2.binfmtd-swap, qemu-aarch64.binfmtd-swap",
                left,
            )],
        ),
        (
            "and ours is disabled",
            Situation::new().entry(&swap).ours(&ours).disabled(),
            &[&replaced("qemu-aarch64, qemu-aarch64.binfmtd-swap", left)],
        ),
        (
            "and something is to be replaced anyway",
            Situation::new().ours(&ours).entry(&swap).interpreter("aarch64", upgraded(QEMU)),
            &[&replaced(
                "qemu-aarch64, qemu-aarch64.binfmtd-swap",
                "its interpreter was replaced on disk",
            )],
        ),
        (
            "all that serves stays while nothing better is there",
            Situation::new().entry(&swap).no_interpreter(),
            &["refuse: no interpreter for aarch64 (linux/arm64): none of qemu-aarch64-static, \
               qemu-aarch64 found (install qemu-user-static, or set interpreter-directories)"],
        ),
        (
            "somebody else serves",
            Situation::new().entry(&aarch64("qemu-x", "/opt/qemu-x", "F")).entry(&swap),
            &["remove qemu-aarch64.binfmtd-swap: an interrupted replacement left it"],
        ),
        (
            "the target is not asked for any more",
            Situation::new().targets(&[]).ours(&ours).entry(&swap),
            &[
                "remove qemu-aarch64.binfmtd-swap: an interrupted replacement left it",
                "remove qemu-aarch64: it is ours, and no longer asked for",
            ],
        ),
        (
            "the target is not asked about",
            Situation::new()
                .ours(&ours)
                .entry(&swap)
                .only(&["riscv64"])
                .interpreter("riscv64", usable("/q")),
            &["add qemu-riscv64 → /q [POF]"],
        ),
        (
            "a name that only looks like it",
            Situation::new().entry(":mine.binfmtd-swap:E::x::/usr/bin/tool:"),
            &[ADD],
        ),
    ]);
    // What is to come is ours before it has its name, and after.
    let mut situation = Situation::new().ours(&aarch64("qemu-aarch64", QEMU, "F"));
    let coming = Owned { register: ours.clone(), target: None, interpreter: Some(ID) };
    situation.seen.record.coming.insert("qemu-aarch64".to_owned(), coming);
    for (register, is_ours) in [
        (aarch64("qemu-aarch64", QEMU, "F"), true),
        (ours, true),
        (swap, true),
        (second, true),
        (aarch64("qemu-aarch64", QEMU, "O"), false),
        (aarch64("qemu-aarch64.binfmtd-swap", QEMU, "O"), false),
        (aarch64("qemu-arm64", QEMU, "F"), false),
    ] {
        assert_eq!(situation.seen.record.owns(&entry(&register)), is_ours, "{register}");
    }
}

#[test]
fn rules_of_the_configuration() {
    let mine = ":mine:E::x::/usr/bin/tool:F";
    let new = || Situation::new().custom(mine);
    let replaced = |why: &str| format!("replace mine by mine → /usr/bin/tool [F]: {why}");
    let other = InterpreterFile { id: FileId { inode: 99, ..ID }, ..file("/usr/bin/tool") };
    check(vec![
        ("new", new(), &["add mine → /usr/bin/tool [F]"]),
        ("ours", new().ours(mine), &["keep mine"]),
        ("ours, disabled", new().ours(mine).disabled(), &["enable mine"]),
        (
            "ours, changed",
            new().ours(":mine:E::y::/usr/bin/tool:F"),
            &[&replaced("the configuration has changed")],
        ),
        (
            "ours, upgraded",
            new().ours(mine).tool(Ok(other)),
            &[&replaced("its interpreter was replaced on disk")],
        ),
        (
            "somebody's, the same",
            new().entry(mine),
            &["leave alone: served by mine, which is not ours"],
        ),
        (
            "somebody's, another",
            new().entry(":mine:E::y::/usr/bin/tool:F"),
            &[
                "refuse: a rule named mine exists and is not ours (give yours another name, or use --takeover)",
            ],
        ),
        (
            "taken over",
            new().takeover().entry(":mine:E::y::/usr/bin/tool:F"),
            &[&replaced("taken over")],
        ),
        (
            "a bad interpreter",
            new().tool(Err(InterpreterFault::Missing)),
            &["refuse: rule mine: interpreter /usr/bin/tool: not found \
               (install qemu-user-static, or qemu-user where that is static)"],
        ),
        ("targets are asked for", new().only(&[]), &[]),
        (
            "interrupted",
            new().ours(mine).ours(":mine.binfmtd-swap:E::x::/usr/bin/tool:F"),
            &["replace mine, mine.binfmtd-swap by mine → /usr/bin/tool [F]: \
               an interrupted replacement left it"],
        ),
    ]);
}

#[test]
fn the_guard_sees_through_disguises() {
    let native = Native::new(&Settings::default().table, &Situation::new().seen.natives);
    let captured = |offset: usize, magic: &[u8], mask: Option<&[u8]>| {
        let magic = Magic::new(offset, magic.to_vec(), mask.map(<[u8]>::to_vec)).unwrap();
        native.captured_by(&Matcher::Magic(magic)).map(ToString::to_string)
    };
    let x86_64 = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x3e\0";
    let aarch64 = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\xb7\0";
    let mut no_machine = [0xff; 20];
    no_machine[18..].fill(0);
    for (what, offset, magic, mask, expected) in [
        ("its own", 0, &x86_64[..], None, Some("x86_64 programs")),
        ("another's", 0, &aarch64[..], None, None),
        (
            "another's, not looked at",
            0,
            &aarch64[..],
            Some(&no_machine[..]),
            Some("x86_64 programs"),
        ),
        ("scripts", 0, b"#!", None, Some("scripts")),
        ("a bit", 0, b"\x01", Some(&[1]), Some("i386 programs")),
        ("far away", 250, b"zzz", None, Some("i386 programs")),
        (
            "x32",
            0,
            b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x3e\0",
            None,
            Some("x32 programs"),
        ),
        ("AppImages", 8, b"AI\x02", None, Some("i386 programs")),
        ("Windows programs", 0, b"MZ", None, None),
    ] {
        assert_eq!(captured(offset, magic, mask).as_deref(), expected, "{what}");
    }
    assert_eq!(Magic::new(0, vec![0], Some(vec![0])), Err(MagicError::ZeroMask));
    for (extension, interpreter, is_caught) in [
        // The kernel goes by the last dot of the whole path.
        ("mine", "/usr/bin/tool.mine", true),
        ("mine", "/usr/bin.mine/tool", false),
        ("py", "/usr/bin/python3.11", false),
        ("3", "/usr/bin/python3", true),
        ("so", "/usr/bin/tool", true),
        ("sh", "/usr/bin/tool", true),
        ("so2", "/usr/bin/tool", false),
    ] {
        let register = format!(":mine:E::{extension}::{interpreter}:");
        let rule = parse_register(register.as_bytes()).unwrap();
        assert_eq!(native.guard(&rule).is_err(), is_caught, "{register}");
    }
}

#[test]
fn an_interpreter_is_judged() {
    let situation = Situation::new();
    let table = &situation.settings.table;
    let native = Native::new(table, &situation.seen.natives);
    let plain = guard::Needs { fixed: false, credentials: false };
    let fixed = guard::Needs { fixed: true, ..plain };
    let trusted = guard::Needs { credentials: true, ..fixed };
    let good = file(QEMU);
    let elf = good.elf.clone().unwrap();
    let dynamic = ElfFacts { loader: Some("/lib/ld".to_owned()), ..elf.clone() };
    let foreign = ElfFacts {
        header: Header::new(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\xb7\0"),
        loader: None,
    };
    let strange = ElfFacts {
        header: Header::new(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\xfe\xff"),
        loader: None,
    };
    let with = |elf: ElfFacts| InterpreterFile { elf: Some(elf), ..good.clone() };
    let open = InterpreterFile { distrust: vec![writable()], ..good.clone() };
    let cases = [
        (good.clone(), trusted, None),
        (
            InterpreterFile { mode: 0o644, ..good.clone() },
            plain,
            Some(InterpreterFault::NotExecutable),
        ),
        (InterpreterFile { noexec: true, ..good.clone() }, plain, Some(InterpreterFault::Noexec)),
        (InterpreterFile { elf: None, ..good.clone() }, plain, Some(InterpreterFault::NotElf)),
        (with(dynamic.clone()), plain, None),
        (with(dynamic), fixed, Some(InterpreterFault::Dynamic("/lib/ld".to_owned()))),
        (
            with(foreign),
            plain,
            Some(InterpreterFault::Foreign(Some("aarch64 (linux/arm64)".to_owned()))),
        ),
        (with(strange), plain, Some(InterpreterFault::Foreign(None))),
        (open.clone(), fixed, None),
        (open, trusted, Some(InterpreterFault::Untrusted(vec![writable()]))),
    ];
    for (file, needs, expected) in cases {
        assert_eq!(guard::fault(&file, &native, table, needs), expected, "{file:?}");
    }
}

#[test]
fn a_rule_is_qemus_by_both_its_names() {
    for (name, interpreter, expected) in [
        ("qemu-aarch64", "/usr/bin/qemu-aarch64-static", true),
        ("qemu-aarch64", "/usr/libexec/qemu-binfmt/aarch64-binfmt-P", true),
        ("buildkit-qemu-arm", "/usr/bin/buildkit-qemu-arm", false),
        ("buildkit-qemu-arm", "/usr/bin/qemu-arm", true),
        ("qemu-aarch64", "/usr/bin/box64", false),
        ("mine", "/usr/bin/qemu-aarch64-static", false),
        ("FEX-x86_64", "/usr/bin/FEXInterpreter", false),
    ] {
        let entry = entry(&aarch64(name, interpreter, "F"));
        assert_eq!(is_qemu(&entry), expected, "{name} {interpreter}");
    }
}

#[test]
fn targets_that_are_wanted() {
    let names = |situation: &Situation| -> Vec<String> {
        let Situation { settings, request, seen } = situation;
        let wanted = wanted(settings, request, seen).unwrap();
        wanted.iter().map(|target| target.name.clone()).collect()
    };
    let auto = Situation::new().auto().interpreter("i386", usable("/q"));
    // What is native needs no rule, even with an interpreter.
    assert_eq!(names(&auto), ["aarch64"]);
    let mips = table("mips", "qemu-mips", "/q", "F");
    assert_eq!(names(&auto.ours(&mips)), ["aarch64", "mips"]);
    assert_eq!(names(&Situation::new().only(&["arm64", "x86_64"])), ["aarch64", "x86_64"]);
    let microblaze =
        Situation::new().targets(&["microblaze"]).interpreter("microblaze", usable("/q")).plan();
    let rules: Vec<_> =
        microblaze.items.iter().map(|item| (item.rule.as_deref(), item.machine)).collect();
    assert_eq!(
        rules,
        [(Some("qemu-microblaze"), Some(189)), (Some("qemu-microblaze-0xbaab"), Some(0xbaab))]
    );
}

#[test]
fn flags_of_a_target() {
    let mut settings = Settings::default();
    let said = |settings: &Settings| flags(settings, "aarch64").to_string();
    assert_eq!(said(&settings), "POF");
    assert!(may_drop_p(&settings, "aarch64"));
    settings.credentials = true;
    assert_eq!(said(&settings), "POCF");
    settings.preserve_argv0 = PreserveArgv0::No;
    assert_eq!(said(&settings), "OCF");
    settings.preserve_argv0 = PreserveArgv0::Yes;
    assert!(!may_drop_p(&settings, "aarch64"));
    settings.verify = Verify::Off;
    let own = Override { flags: Some("F".parse().unwrap()), ..Override::default() };
    settings.overrides.insert("aarch64".to_owned(), own);
    settings.preserve_argv0 = PreserveArgv0::Auto;
    assert_eq!(said(&settings), "F");
    assert!(!may_drop_p(&settings, "aarch64"));
    assert!(may_drop_p(&settings, "arm"));
}

#[test]
fn extensions_that_native_programs_have_are_refused() {
    let native = Native::new(&crate::target::Table::embedded(), &["x86_64".to_owned()]);
    for (extension, refused) in [("11", true), ("so", true), ("sh", true), ("wasm", false)] {
        let rule = Rule::new(
            "x".parse().unwrap(),
            crate::rule::Matcher::Extension(extension.parse().unwrap()),
            crate::rule::InterpreterPath::new("/usr/bin/tool").unwrap(),
            crate::rule::Flags::default(),
        )
        .unwrap();
        assert_eq!(native.guard(&rule).is_err(), refused, "{extension}");
    }
}

mod put_back {
    use std::collections::BTreeSet;

    use super::*;

    fn actions(situation: &Situation, on_disk: Option<FileId>, wait: &[&str]) -> Vec<String> {
        let wait: BTreeSet<String> = wait.iter().map(|name| (*name).to_owned()).collect();
        let seen = &situation.seen;
        let actions = restore(&seen.instance, &seen.record, &|_| on_disk, &wait);
        actions.iter().map(ToString::to_string).collect()
    }

    fn gone(mut situation: Situation) -> Situation {
        situation.seen.instance.entries.clear();
        situation
    }

    #[test]
    fn what_is_there_stays() {
        let situation = Situation::new().ours(&aarch64("qemu-aarch64", QEMU, "POF"));
        assert_eq!(actions(&situation, Some(ID), &[]), Vec::<String>::new());
        assert_eq!(
            missing(&situation.seen.instance, &situation.seen.record),
            Vec::<OsString>::new()
        );
    }

    #[test]
    fn what_is_gone_comes_back_with_the_very_interpreter_only() {
        let situation = gone(Situation::new().ours(&aarch64("qemu-aarch64", QEMU, "POF")));
        let back = format!("add qemu-aarch64 → {QEMU} [POF]");
        assert_eq!(actions(&situation, Some(ID), &[]), [back]);
        let another = FileId { modified: ID.modified + 1, ..ID };
        for on_disk in [Some(another), None] {
            assert_eq!(actions(&situation, on_disk, &[]), Vec::<String>::new(), "{on_disk:?}");
        }
        assert_eq!(actions(&situation, Some(ID), &["qemu-aarch64"]), Vec::<String>::new());
        assert_eq!(missing(&situation.seen.instance, &situation.seen.record), ["qemu-aarch64"]);
    }

    #[test]
    fn what_is_disabled_is_enabled_when_it_is_ours() {
        let ours = Situation::new().ours(&aarch64("qemu-aarch64", QEMU, "POF")).disabled();
        assert_eq!(actions(&ours, None, &[]), ["enable qemu-aarch64"]);
        let theirs = gone(Situation::new().ours(&aarch64("qemu-aarch64", QEMU, "POF")))
            .entry(&aarch64("qemu-aarch64", "/usr/bin/another", "F"))
            .disabled();
        assert_eq!(actions(&theirs, Some(ID), &[]), Vec::<String>::new());
    }

    #[test]
    fn the_instance_is_switched_on_and_an_interrupted_replacement_left_alone() {
        let mut situation = gone(Situation::new().ours(&aarch64("qemu-aarch64", QEMU, "POF")));
        situation.seen.instance.enabled = false;
        let owned = situation.seen.record.rules["qemu-aarch64"].clone();
        situation.seen.record.coming.insert("qemu-aarch64".to_owned(), owned);
        assert_eq!(actions(&situation, Some(ID), &[]), ["enable binfmt_misc as a whole"]);
    }
}
