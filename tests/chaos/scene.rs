//! Where it happens: an instance that nobody but the service holds, interpreters, configuration, and what
//! is to be expected of each target.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use binfmtd::testing::rule::{Flags, InterpreterPath, Magic, Matcher, Name, Rule};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

use crate::random::Random;
use crate::support::daemon::{Daemon, Launch};
use crate::support::stage::{Qemu, Stage, chmod};
use crate::support::{INSTANCE, Private, need};
use crate::world;

/// Few, so that a full check of them is a matter of a moment.
const TARGETS: [&str; 4] = ["aarch64", "riscv64", "s390x", "m68k"];
/// A target that nobody asks for.
const UNWANTED: &str = "hppa";
/// How many operations are told of when something fails.
const REMEMBERED: usize = 20;

/// What is at an interpreter's path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Disk {
    /// A file that works, by its inode.
    Good(u64),
    /// A file that does not.
    Faulty,
    Missing,
}

/// A target, and what its rule has to be.
pub(crate) struct Target {
    pub(crate) name: &'static str,
    /// The name of its rule.
    pub(crate) rule: String,
    pub(crate) magic: Magic,
    /// A program for it.
    pub(crate) program: PathBuf,
    /// Whether the configuration names it.
    pub(crate) wanted: bool,
    pub(crate) disk: Disk,
    /// A good file that was put aside.
    pub(crate) aside: Option<PathBuf>,
    /// Files that the kernel may run while none on disk is good.
    pub(crate) pins: BTreeSet<u64>,
    /// Whether there may be no rule, while no file on disk is good.
    pub(crate) may_be_gone: bool,
    /// Whether no file on disk was good at the last rest, nor since: what is removed stays so.
    pub(crate) is_beyond_repair: bool,
    /// The configuration changed since the last rest: what it said before may still be carried out.
    pub(crate) is_restless: bool,
    /// Which file the kernel runs is still to be seen.
    pub(crate) to_be_seen: bool,
    /// A broken rule of somebody else by our rule's name.
    pub(crate) impostor: Option<Vec<u8>>,
}

pub(crate) struct Scene {
    pub(crate) stage: Stage,
    pub(crate) random: Random,
    seed: u64,
    old: Qemu,
    new: Qemu,
    /// A program that exits with 1.
    fails: Vec<u8>,
    pub(crate) daemon: Option<Daemon>,
    /// What the last one logged that is no more.
    former_log: Vec<String>,
    pub(crate) targets: Vec<Target>,
    /// Names of the rules of others, oldest first, and what they say.
    pub(crate) others: Vec<(String, Vec<u8>)>,
    /// Names of broken rules that take the programs of a target, by its place.
    pub(crate) shadows: BTreeMap<String, usize>,
    /// What each of our rules says, once it was seen.
    pub(crate) content: BTreeMap<String, Vec<u8>>,
    pub(crate) mounted: bool,
    pub(crate) inotify: Inotify,
    history: VecDeque<String>,
    count: usize,
}

impl Scene {
    /// Without the service; `None` when something is not here, which was said.
    pub(crate) fn enter(seed: u64) -> Option<Self> {
        let old = need("QEMU 7.2", Qemu::release("7.2"))?;
        let new = need("QEMU 10.0", Qemu::release("10.0"))?;
        let fails = world::failing_program().ok_or_else(|| "no code for it".to_owned());
        let fails = need("a program of this machine", fails)?;
        let stage = need("a private instance of binfmt_misc", Stage::enter())?;
        need("a private instance within it", enter_deeper())?;
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC);
        let mut scene = Self {
            random: Random(seed),
            seed,
            old,
            new,
            fails,
            daemon: None,
            former_log: Vec::new(),
            targets: TARGETS.iter().map(|name| Target::new(&stage, name)).collect(),
            stage,
            others: Vec::new(),
            shadows: BTreeMap::new(),
            content: BTreeMap::new(),
            mounted: true,
            inotify: inotify.expect("inotify"),
            history: VecDeque::new(),
            count: 0,
        };
        scene.stage.install_content(&scene.fails, "qemu-fails");
        for place in 0..scene.targets.len() {
            scene.install(place, false);
        }
        scene.watch();
        Some(scene)
    }

    /// Writes down what is done next.
    pub(crate) fn note(&mut self, what: &str) {
        self.count += 1;
        if self.history.len() == REMEMBERED {
            self.history.pop_front();
        }
        self.history.push_back(format!("{:5}  {what}", self.count));
    }

    pub(crate) fn count(&self) -> usize {
        self.count
    }

    pub(crate) fn seed(&self) -> u64 {
        self.seed
    }

    // ---- The service.

    pub(crate) fn daemon(&mut self) -> &mut Daemon {
        self.daemon.as_mut().expect("a running service")
    }

    pub(crate) fn start(&mut self) {
        self.mount();
        self.daemon = Some(Launch::new(&self.stage).start());
    }

    /// Whether it runs and hears signals: it writes its state after it asked for them.
    pub(crate) fn is_up(&self) -> bool {
        let Some(daemon) = &self.daemon else { return false };
        daemon.find_state().is_some_and(|state| state["pid"] == daemon.pid())
    }

    /// The service has ended.
    pub(crate) fn bury(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            let end = daemon.mark();
            self.former_log = daemon.log()[..end].to_vec();
        }
        if !self.mounted {
            self.instance_is_lost();
        }
    }

    // ---- The instance.

    pub(crate) fn mount(&mut self) {
        if !self.mounted {
            mount_instance().expect("binfmt_misc to be mounted");
            self.mounted = true;
            self.watch();
        }
    }

    /// Away from the mount point; whoever holds it goes on having it.
    pub(crate) fn unmount(&mut self) {
        if self.mounted {
            // A watch would not hold it, but is told at the moment of its end only.
            umount2(INSTANCE, MntFlags::MNT_DETACH).expect("a mount of ours");
            self.mounted = false;
            if self.daemon.is_none() {
                self.instance_is_lost();
            }
        }
    }

    /// Nobody held it: all its rules are gone.
    fn instance_is_lost(&mut self) {
        for place in 0..self.targets.len() {
            self.rule_removed(place);
        }
        self.others.clear();
        self.shadows.clear();
    }

    fn watch(&self) {
        let events = AddWatchFlags::IN_MODIFY | AddWatchFlags::IN_DELETE;
        self.inotify.add_watch(INSTANCE, events).expect("a watch on the instance");
    }

    pub(crate) fn tell(name: &str, word: &str) {
        // Our rules may be away for the moment.
        match Private::tell(name, word) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                panic!("write {word} to {name}: {error}")
            }
            _ => {}
        }
    }

    /// Registers a rule; whether its name was free.
    pub(crate) fn register(string: &[u8]) -> bool {
        // Opened each time: an open file would hold the instance.
        let mut register = OpenOptions::new()
            .write(true)
            .open(Private::path("register"))
            .expect("a file to register with");
        match register.write(string) {
            Ok(length) => assert_eq!(length, string.len()),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => return false,
            Err(error) => panic!("register {}: {error}", String::from_utf8_lossy(string)),
        }
        true
    }

    /// A broken rule that takes a target's programs; no F, no interpreter at all, or one that fails.
    pub(crate) fn broken_rule(&mut self, name: &str, magic: &Magic) -> Vec<u8> {
        let fixed = self.random.once_in(2);
        let path = if fixed { self.stage.path("bin/qemu-fails") } else { "/qemu-nowhere".into() };
        rule(name, magic, &path, fixed)
    }

    /// Somebody plants a rule that has nothing to do with ours.
    pub(crate) fn plant(&mut self) -> String {
        let number = self.count;
        let name =
            format!("{}-{number}", ["wine", "FEX", "qemu-notes", "jar"][self.random.below(4)]);
        let (name, string) = match self.random.below(5) {
            0 => (name.clone(), format!(":{name}:E::chaos{number}::/bin/true:P").into_bytes()),
            1 => (name.clone(), format!(":{name}:M:3:chaos{number}::/bin/true:OC").into_bytes()),
            2 => (
                name.clone(),
                format!(":{name}:M::{number:07}\\xff:\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\x0f:/bin/true:F")
                    .into_bytes(),
            ),
            3 => (name.clone(), format!(":{name}:M:200:MZ::nowhere/wine:").into_bytes()),
            _ => {
                // QEMU's, and broken, but nobody asked for its target.
                let (_, magic) = rule_of(&self.stage, UNWANTED);
                let name = format!("qemu-{UNWANTED}-{number}");
                let string = self.broken_rule(&name, &magic);
                (name, string)
            }
        };
        assert!(Self::register(&string), "{name} was free");
        let content = fs::read(Private::path(&name)).expect("the rule that was planted");
        self.others.push((name.clone(), content));
        name
    }

    // ---- What is to be expected.

    /// A rule of ours was removed, or never came back.
    pub(crate) fn rule_removed(&mut self, place: usize) {
        let target = &mut self.targets[place];
        target.may_be_gone = true;
        target.impostor = None;
        if target.is_beyond_repair {
            target.pins.clear();
        }
    }

    /// All entries are removed.
    pub(crate) fn flush(&mut self) {
        Self::tell("status", "-1");
        self.instance_is_lost();
    }

    // ---- Interpreters.

    pub(crate) fn interpreter(&self, place: usize) -> PathBuf {
        self.stage.path("bin").join(file_of(self.targets[place].name))
    }

    /// A good one, by rename; always a new file.
    pub(crate) fn install(&mut self, place: usize, new: bool) -> u64 {
        let name = self.targets[place].name;
        let folder = if new { &self.new.folder } else { &self.old.folder };
        let plain = folder.join(format!("qemu-{name}"));
        let from = if plain.exists() { plain } else { folder.join(file_of(name)) };
        let fresh = self.stage.path("bin/.new");
        fs::copy(&from, &fresh).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
        chmod(&fresh, 0o755);
        fs::rename(&fresh, self.interpreter(place)).expect("an interpreter in its place");
        self.is_good(place)
    }

    /// There is a good one now.
    pub(crate) fn is_good(&mut self, place: usize) -> u64 {
        let found = fs::metadata(self.interpreter(place)).expect("an interpreter").ino();
        let target = &mut self.targets[place];
        target.disk = Disk::Good(found);
        target.pins.insert(found);
        target.is_beyond_repair = false;
        target.to_be_seen = true;
        found
    }

    /// Puts it out of the way, to be put back later as it was.
    pub(crate) fn put_aside(&mut self, place: usize) {
        let path = self.interpreter(place);
        let target = &mut self.targets[place];
        if matches!(target.disk, Disk::Good(_)) {
            let aside = path.with_file_name(format!(".aside-{}", target.name));
            fs::rename(&path, &aside).expect("an interpreter");
            target.aside = Some(aside);
        } else if path.exists() {
            fs::remove_file(&path).expect("an interpreter");
        }
        target.disk = Disk::Missing;
        target.to_be_seen = true;
    }

    /// Nobody may execute it any more; it is the very file.
    pub(crate) fn forbid(&mut self, place: usize) {
        chmod(&self.interpreter(place), 0o644);
        let target = &mut self.targets[place];
        target.aside = None;
        target.disk = Disk::Faulty;
        target.to_be_seen = true;
    }

    /// Puts something there that cannot serve; what it is.
    pub(crate) fn break_it(&mut self, place: usize) -> &'static str {
        let path = self.interpreter(place);
        let whole = matches!(self.targets[place].disk, Disk::Good(_));
        let (content, mode, what) = match self.random.below(6) {
            0 if whole => {
                self.forbid(place);
                return "made not executable";
            }
            0 | 1 => (self.fails.clone(), 0o644, "one that is not executable"),
            2 => {
                let source = fs::read(self.old.folder.join(file_of(self.targets[place].name)));
                let mut content = source.expect("an emulator");
                content.truncate(4096 << self.random.below(8));
                (content, 0o755, "a truncated one")
            }
            3 => {
                let other = (place + 1) % self.targets.len();
                let content = fs::read(&self.targets[other].program).expect("a foreign program");
                (content, 0o755, "one of another machine")
            }
            4 => (b"#!/bin/sh\nexit 0\n".to_vec(), 0o755, "a script"),
            _ => (self.fails.clone(), 0o755, "one that fails"),
        };
        if self.random.once_in(2) {
            self.put_aside(place);
        }
        let fresh = self.stage.path("bin/.new");
        fs::write(&fresh, content).expect("a file");
        chmod(&fresh, mode);
        fs::rename(&fresh, &path).expect("a file in its place");
        let target = &mut self.targets[place];
        target.disk = Disk::Faulty;
        target.to_be_seen = true;
        what
    }

    /// The file that was put aside, or made not executable; whether there was one.
    pub(crate) fn put_back(&mut self, place: usize) -> bool {
        let path = self.interpreter(place);
        let target = &mut self.targets[place];
        if let Some(aside) = target.aside.take() {
            fs::rename(aside, &path).expect("the file that was put aside");
        } else if target.disk == Disk::Faulty
            && target.pins.contains(&fs::metadata(&path).expect("a file").ino())
        {
            chmod(&path, 0o755);
        } else {
            return false;
        }
        self.is_good(place);
        true
    }

    // ---- Configuration.

    /// Writes it, in place or by rename.
    pub(crate) fn configure(&mut self) {
        let names: Vec<_> = self.targets.iter().filter(|it| it.wanted).map(|it| it.name).collect();
        let text = format!(
            "targets = {names:?}\ninterpreter-directories = [\"{}\"]\n[daemon]\npause-after = 1000000\n",
            self.stage.path("bin").display()
        );
        if self.random.once_in(2) {
            self.stage.configure(&text);
        } else {
            let (new, path) = (self.stage.path("binfmtd.new"), self.stage.path("binfmtd.toml"));
            fs::write(&new, text).expect("a configuration file");
            chmod(&new, 0o644);
            fs::rename(&new, &path).expect("a configuration file");
        }
    }
}

impl Target {
    fn new(stage: &Stage, name: &'static str) -> Self {
        let (rule, magic) = rule_of(stage, name);
        Self {
            name,
            rule: rule.to_string(),
            magic,
            program: stage.foreign(name, None),
            wanted: true,
            disk: Disk::Missing,
            aside: None,
            pins: BTreeSet::new(),
            may_be_gone: true,
            is_beyond_repair: false,
            is_restless: false,
            to_be_seen: true,
            impostor: None,
        }
    }

    pub(crate) fn good(&self) -> Option<u64> {
        if let Disk::Good(inode) = self.disk { Some(inode) } else { None }
    }

    /// Whether this is somebody else's rule by our name, enabled or not.
    pub(crate) fn is_impostor(&self, entry: &[u8]) -> bool {
        let rest = |entry: &[u8]| entry.splitn(2, |byte| *byte == b'\n').nth(1).map(<[u8]>::to_vec);
        self.impostor.as_ref().is_some_and(|own| rest(own) == rest(entry))
    }

    /// The inode of the program that the kernel starts for this target's.
    pub(crate) fn runs(&self) -> Result<u64, String> {
        let mut command = Command::new(&self.program);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| error.to_string())?;
        // It waits for a byte, so it is there to be looked at.
        let interpreter = fs::metadata(format!("/proc/{}/exe", child.id()));
        // Its standard input is closed by the wait.
        let status = child.wait().expect("a child of ours");
        if !status.success() {
            return Err(status.to_string());
        }
        interpreter.map(|found| found.ino()).map_err(|error| error.to_string())
    }
}

impl Drop for Scene {
    /// Tells of it when something went wrong.
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("\nthe last operations:");
            for line in &self.history {
                eprintln!("{line}");
            }
            for (name, content) in Stage::entries() {
                eprintln!("\n{name}: {}", String::from_utf8_lossy(&content).trim_end());
            }
            for target in &self.targets {
                eprintln!(
                    "{}: wanted {}, {:?}, pins {:?}, may be gone {}, beyond repair {}",
                    target.name,
                    target.wanted,
                    target.disk,
                    target.pins,
                    target.may_be_gone,
                    target.is_beyond_repair
                );
            }
            let tail = self.former_log.len().saturating_sub(40);
            eprintln!("\nthe former service:\n{}", self.former_log[tail..].join("\n"));
            if let Some(daemon) = &mut self.daemon {
                daemon.mark();
                eprintln!("\n{daemon}");
            }
            eprintln!("repeat with BINFMTD_SEED={}", self.seed);
        }
    }
}

/// `qemu-aarch64-static`
fn file_of(target: &str) -> String {
    format!("qemu-{target}-static")
}

fn rule_of(stage: &Stage, target: &str) -> (Name, Magic) {
    let target = stage.table().find(target).expect("a known target");
    target.rules().into_iter().next().expect("a rule")
}

fn rule(name: &str, magic: &Magic, interpreter: &Path, fixed: bool) -> Vec<u8> {
    let flags = Flags { open_binary: true, fix_binary: fixed, ..Flags::default() };
    let name: Name = name.parse().expect("a name");
    let interpreter = InterpreterPath::new(interpreter).expect("a path");
    let rule = Rule::new(name, Matcher::Magic(magic.clone()), interpreter, flags);
    rule.expect("a rule").register_string().to_vec()
}

/// Into namespaces below the stage's, whose instance the stage's open files do not hold.
fn enter_deeper() -> Result<(), String> {
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS)
        .map_err(|error| format!("unshare user and mount namespace: {error}"))?;
    for (file, content) in [("setgroups", "deny"), ("uid_map", "0 0 1"), ("gid_map", "0 0 1")] {
        fs::write(Path::new("/proc/self").join(file), content)
            .map_err(|error| format!("write {file}: {error}"))?;
    }
    // Else the stage's would be seen whenever ours is not mounted.
    mount(Some("tmpfs"), INSTANCE, Some("tmpfs"), MsFlags::empty(), None::<&str>)
        .map_err(|error| format!("mount tmpfs on {INSTANCE}: {error}"))?;
    mount_instance()
}

fn mount_instance() -> Result<(), String> {
    let kind = Some("binfmt_misc");
    mount(kind, INSTANCE, kind, MsFlags::empty(), None::<&str>)
        .map_err(|error| format!("mount binfmt_misc on {INSTANCE}: {error}"))
}
