//! A host in a world of its own: two emulators in a folder that it may change, their rules, and the doctor.

use std::cell::RefCell;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::support::daemon::LIMIT;
use crate::support::fix::line;
use crate::support::need;
use crate::support::stage::{Qemu, eventually};
use crate::world::{BINFMTD, Said, World};

/// The target that faults are made for.
pub(crate) const VICTIM: &str = "aarch64";
/// A target that has to go on as it was.
pub(crate) const OTHER: &str = "riscv64";

/// Magic and mask of the victim as QEMU's own script and systemd-binfmt's files have them.
pub(crate) const MAGIC: &str = r"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00:\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff";

/// What a package manager would bring is in a folder, to be put in its place.
const INSTALL: &str = "cp -p $D/package/* $D/bin/";

/// Programs that fixes and recipes call and that would change the machine: by name, and what each does here.
const STAND_INS: [(&str, &str); 7] = [
    ("apt-get", INSTALL),
    ("dnf", INSTALL),
    ("zypper", INSTALL),
    ("pacman", INSTALL),
    ("apk", INSTALL),
    // The only unit that a world has is the one that its test began.
    ("systemctl", "echo \"$@\" >> $D/systemctl; [ ! -e $D/undoer ] || rm $D/undoer"),
    // Here one is root already.
    ("sudo", "exec \"$@\""),
];

pub(crate) struct Host {
    /// What was begun and goes on; ended with the host, before its world is.
    running: RefCell<Vec<Child>>,
    pub(crate) world: World,
    folder: String,
}

impl Drop for Host {
    fn drop(&mut self) {
        for child in self.running.get_mut() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Host {
    /// With emulators and a configuration; nothing is registered yet.
    pub(crate) fn new(world: World) -> Option<Self> {
        let folder = world.folder().to_str().expect("a plain path").to_owned();
        let host = Self { running: RefCell::default(), world, folder };
        std::fs::create_dir(host.path("bin")).expect("a folder");
        std::fs::create_dir(host.path("path")).expect("a folder");
        for target in [VICTIM, OTHER] {
            host.emulator(target)?;
        }
        host.configure("");
        // What is typed is found on PATH, and reads this world's configuration.
        let config = host.world.config();
        let script = format!("#!/bin/sh\nexec {BINFMTD} --config {} \"$@\"\n", config.display());
        host.program("path/binfmtd", script.as_bytes());
        std::fs::create_dir(host.path("package")).expect("a folder");
        for (name, script) in STAND_INS {
            host.program(&format!("path/{name}"), format!("#!/bin/sh\n{script}\n").as_bytes());
        }
        Some(host)
    }

    /// The same, with an instance and with both targets registered.
    pub(crate) fn registered() -> Option<Self> {
        let host = Self::new(World::mounted()?)?;
        host.world.binfmtd("register").ended(0);
        Some(host)
    }

    /// The same, with an instance in which nothing is registered.
    pub(crate) fn mounted() -> Option<Self> {
        Self::new(World::mounted()?)
    }

    /// Configures both targets, and more.
    pub(crate) fn configure(&self, more: &str) {
        self.configure_targets(&[VICTIM, OTHER], more);
    }

    pub(crate) fn configure_targets(&self, targets: &[&str], more: &str) {
        let folder = self.path("bin");
        self.world.configure(&format!(
            "targets = {targets:?}\ninterpreter-directories = [{:?}]\n{more}\n",
            folder.display().to_string()
        ));
    }

    /// A path in this world's folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        Path::new(&self.folder).join(name)
    }

    /// Where the emulator of a target is.
    pub(crate) fn emulator_of(&self, target: &str) -> String {
        self.path(&format!("bin/qemu-{target}-static")).display().to_string()
    }

    /// Installs the emulator of a target.
    pub(crate) fn emulator(&self, target: &str) -> Option<()> {
        let program = need("a static QEMU", Qemu::any(target))?;
        install(&program, Path::new(&self.emulator_of(target)));
        Some(())
    }

    /// Has the package manager bring the emulator of a target, when it is asked.
    pub(crate) fn package(&self, target: &str) -> Option<()> {
        let program = need("a static QEMU", Qemu::any(target))?;
        install(&program, &self.path(&format!("package/qemu-{target}-static")));
        Some(())
    }

    /// Writes a program.
    pub(crate) fn program(&self, name: &str, content: &[u8]) -> PathBuf {
        let (bytes, path) = (self.path("bytes"), self.path(name));
        std::fs::write(&bytes, content).expect("a file");
        install(&bytes, &path);
        path
    }

    /// Runs a shell's script, which has to succeed. `$M` is the mount point, `$D` this world's folder.
    #[track_caller]
    pub(crate) fn sh(&self, script: &str) -> String {
        let said = self.script(crate::fault::HERE, script);
        assert_eq!(said.code, 0, "{script}: {said:#?}");
        said.out.trim_end().to_owned()
    }

    /// Runs a script as a user would who is in the situation that `within` makes: a script that ends in `"$@"`.
    pub(crate) fn script(&self, within: &str, script: &str) -> Said {
        self.world.run([
            "env",
            &format!("M={}", crate::support::INSTANCE),
            &format!("D={}", self.folder),
            &format!("PATH={}/path:/usr/sbin:/usr/bin:/sbin:/bin", self.folder),
            "sh",
            "-ec",
            within,
            "sh",
            "sh",
            "-ec",
            // A function, for whom scripts do not start.
            &format!("binfmtd() {{ {BINFMTD} --config $D/binfmtd.toml \"$@\"; }}\n{script}"),
        ])
    }

    /// Begins a script that goes on until it ends or the host does; of one process, which no other outlives.
    pub(crate) fn begin(&self, script: &str) {
        let mut command = self.world.command([
            "env",
            &format!("M={}", crate::support::INSTANCE),
            &format!("D={}", self.folder),
            "sh",
            "-ec",
            script,
        ]);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        self.running.borrow_mut().push(child.expect("a shell"));
    }

    /// Begins the service, and waits until it has proved both rules.
    pub(crate) fn service(&self) {
        self.begin(&format!("exec {BINFMTD} --config $D/binfmtd.toml daemon"));
        self.until("the service is ready", |state| {
            state["ready"] == true
                && state["rules"].as_array().is_some_and(|rules| rules.len() == 2)
        });
    }

    /// Waits until the service's state is as it is to be.
    #[track_caller]
    pub(crate) fn until(&self, what: &str, is_so: impl Fn(&Value) -> bool) {
        eventually(what, LIMIT, || {
            std::thread::sleep(std::time::Duration::from_millis(10));
            let text = std::fs::read(self.path("run/state.json")).unwrap_or_default();
            serde_json::from_slice(&text).is_ok_and(|state| is_so(&state))
        });
    }

    /// Lets whoever writes to /etc write to this world alone.
    pub(crate) fn own_etc(&self) {
        self.sh(
            "mkdir $D/etc; mount -t tmpfs none $D/etc; mkdir $D/etc/new $D/etc/work
             mount -t overlay overlay -o lowerdir=/etc,upperdir=$D/etc/new,workdir=$D/etc/work /etc",
        );
    }

    /// Looks as if systemd ran this machine, with no file in binfmt.d.
    pub(crate) fn like_systemd(&self) {
        self.own_etc();
        self.sh("mount -t tmpfs none /run; mkdir -p /run/systemd/system
             for folder in /etc/binfmt.d /usr/lib/binfmt.d /usr/local/lib/binfmt.d; do
                 [ ! -d $folder ] || mount -t tmpfs none $folder
             done");
    }

    /// Plants a rule as somebody else would, by the register string; of the kernel's mind.
    #[track_caller]
    pub(crate) fn plant(&self, string: &str) {
        std::fs::write(self.path("rule"), string).expect("a file");
        // One write(2), without an end of line.
        self.sh("cat $D/rule > $M/register");
    }

    /// A rule of somebody else for the victim.
    #[track_caller]
    pub(crate) fn plant_victim(&self, name: &str, interpreter: &str, flags: &str) {
        self.plant(&format!(":{name}:M::{MAGIC}:{interpreter}:{flags}"));
    }

    /// Removes a rule.
    #[track_caller]
    pub(crate) fn remove(&self, name: &str) {
        self.sh(&format!("echo -1 > $M/{name}"));
    }

    /// What the doctor says.
    pub(crate) fn doctor(&self, within: &str, before: &str, arguments: &str) -> Examined {
        let said = self.script(
            within,
            &format!("{{ :; {before}\n}} >&2\nbinfmtd --format json doctor {arguments}"),
        );
        let document = serde_json::from_str(&said.out)
            .unwrap_or_else(|error| panic!("no document: {error}: {said:#?}"));
        Examined { code: said.code, document }
    }
}

/// By another process, and by rename: the file that was there may be running.
pub(crate) fn install(from: &Path, to: &Path) {
    let fresh = to.with_extension("new");
    let status = Command::new("install").args(["-m", "755"]).args([from, &fresh]).status();
    assert!(status.expect("install(1)").success());
    std::fs::rename(&fresh, to).expect("a file of ours");
}

/// What the doctor said.
#[derive(Debug)]
pub(crate) struct Examined {
    pub(crate) code: i32,
    pub(crate) document: Value,
}

/// One finding, as far as it is of interest here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) id: String,
    pub(crate) target: Option<String>,
    pub(crate) status: String,
    pub(crate) summary: String,
    pub(crate) fix: Option<String>,
}

impl Examined {
    /// What is not as it should be.
    pub(crate) fn faults(&self) -> Vec<Found> {
        let checks = self.document["checks"].as_array().map_or(&[][..], Vec::as_slice);
        checks
            .iter()
            .map(Found::new)
            .filter(|it| !matches!(it.status.as_str(), "pass" | "skip"))
            .collect()
    }

    /// The verdict on a target.
    pub(crate) fn verdict(&self, target: &str) -> Option<&str> {
        let targets = self.document["targets"].as_array().map_or(&[][..], Vec::as_slice);
        targets.iter().find(|one| one["target"] == target)?["verdict"].as_str()
    }

    /// Holds that there is nothing to say.
    #[track_caller]
    pub(crate) fn is_green(&self, after: &str) {
        assert!(self.faults().is_empty(), "{after}: {self}");
        assert_eq!(self.code, 0, "{after}: {:#}", self.document);
    }
}

impl fmt::Display for Examined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "exit code {}", self.code)?;
        for found in self.faults() {
            let Found { status, id, target, summary, fix } = found;
            writeln!(f, "  {status} {id} {target:?}: {summary}\n    fix: {fix:?}")?;
        }
        let targets = self.document["targets"].as_array().map_or(&[][..], Vec::as_slice);
        targets.iter().try_for_each(|one| writeln!(f, "  {} is {}", one["target"], one["verdict"]))
    }
}

impl Found {
    fn new(check: &Value) -> Self {
        let text = |key: &str| check[key].as_str().map(str::to_owned);
        Self {
            id: text("id").expect("an id"),
            target: text("target"),
            status: text("status").expect("a status"),
            summary: text("summary").expect("a summary"),
            fix: Some(&check["fix"]).filter(|fix| !fix.is_null()).map(|_| line(check)),
        }
    }
}
