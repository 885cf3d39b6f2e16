//! The program in a situation: in namespaces of its own, which end with the test however it ends.
#![allow(dead_code, reason = "each test takes what it needs")]

use std::ffi::{OsStr, OsString};
use std::fs::{self, Permissions};
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;

use nix::unistd::{getgid, getuid};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{INSTANCE, need};

/// The program under test.
pub(crate) const BINFMTD: &str = env!("CARGO_BIN_EXE_binfmtd");

/// Emulators that every QEMU package has, and few enough to be proved in a moment.
pub(crate) const TARGETS: &str = r#"targets = ["aarch64", "riscv64", "s390x"]"#;

/// Somebody who is neither root nor the overflow uid.
pub(crate) const SOMEBODY: &str = "4242";

/// More than any command here takes, on a busy machine.
const SECONDS: &str = "60";

/// What a command said, and how it ended: as a shell counts, 128 and the signal's number.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let status = output.status;
        Self {
            code: status.code().or(status.signal().map(|number| 128 + number)).unwrap(),
            out: text(&output.stdout),
            err: text(&output.stderr),
        }
    }
}

impl Said {
    /// Holds the exit code, and shows everything when it is another.
    #[track_caller]
    pub(crate) fn ended(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:#?}");
        self
    }

    /// The only document on standard output.
    #[track_caller]
    pub(crate) fn document(&self) -> Value {
        let document: Value =
            serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:#?}"));
        assert_eq!(document["schema"], 2, "{document:#}");
        let ok = document["ok"].as_bool().unwrap_or_else(|| panic!("no ok: {document:#}"));
        assert_eq!(ok, self.code == 0, "{document:#}");
        document
    }
}

/// The map of a user namespace, from our uid or gid.
type Map = fn(u32) -> String;

/// Where the program is run: on the host, or in namespaces that a child of ours holds.
pub(crate) struct World {
    holder: Option<Child>,
    enter: Vec<OsString>,
    folder: TempDir,
}

impl World {
    /// No namespaces: for what does not look at `binfmt_misc`.
    pub(crate) fn host() -> Self {
        let folder = tempfile::Builder::new().prefix("binfmtd-test-").tempdir().unwrap();
        // Others have to reach what is in it.
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        let world = Self { holder: None, enter: Vec::new(), folder };
        world.configure(TARGETS);
        world
    }

    /// A user namespace in which we are root, without an instance: a container of its own.
    pub(crate) fn unmounted() -> Option<Self> {
        let world = Self::of_a_user()?;
        let free =
            world.run(["sh", "-c", &format!("! grep -q ' {INSTANCE} ' /proc/self/mountinfo")]);
        let free =
            if free.code == 0 { Ok(world) } else { Err("only root can unmount it".to_owned()) };
        need("a machine without binfmt_misc mounted", free)
    }

    fn of_a_user() -> Option<Self> {
        need("a user namespace", Self::enter(&["--user"], Some(|id| format!("0 {id} 1"))))
    }

    /// The same with an empty instance, mounted.
    pub(crate) fn mounted() -> Option<Self> {
        let world = Self::of_a_user()?;
        need("binfmt_misc in a user namespace", world.mount())?;
        Some(world)
    }

    /// With an instance, and all users there are: it takes root to make.
    pub(crate) fn with_users() -> Option<Self> {
        need("root", if getuid().is_root() { Ok(()) } else { Err("this is not root".to_owned()) })?;
        let everybody: Map = |_| "0 0 65537".to_owned();
        let world = need("a user namespace", Self::enter(&["--user"], Some(everybody)))?;
        need("binfmt_misc in a user namespace", world.mount())?;
        Some(world)
    }

    /// The first user namespace, with mounts of its own: a privileged container.
    pub(crate) fn privileged() -> Option<Self> {
        need("root", if getuid().is_root() { Ok(()) } else { Err("this is not root".to_owned()) })?;
        need("a mount namespace", Self::enter(&[], None))
    }

    fn enter(namespaces: &[&str], map: Option<Map>) -> Result<Self, String> {
        let mut world = Self::host();
        let mut words = vec!["unshare", "--mount"];
        if getuid().is_root() {
            // What the host has mounted is in the way, and cannot be unmounted in a user namespace.
            let script = "while umount $0 2> /dev/null; do :; done; exec \"$@\"";
            words.extend(["sh", "-c", script, INSTANCE, "unshare", "--mount"]);
        }
        words.extend(namespaces);
        // It ends at the end of its input: when we end, by whatever.
        words.extend(["sh", "-c", "echo here && exec cat"]);
        let mut holder = Command::new(words[0])
            .args(&words[1..])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("unshare: {error}"))?;
        let mut here = String::new();
        BufReader::new(holder.stdout.take().unwrap()).read_line(&mut here).unwrap();
        if here != "here\n" {
            let output = holder.wait_with_output().unwrap();
            return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned());
        }
        let process = Path::new("/proc").join(holder.id().to_string());
        let target = holder.id().to_string();
        world.holder = Some(holder);
        if let Some(map) = map {
            let groups = if getuid().is_root() { "allow" } else { "deny" };
            for (file, content) in [
                ("setgroups", groups.to_owned()),
                ("uid_map", map(getuid().as_raw())),
                ("gid_map", map(getgid().as_raw())),
            ] {
                fs::write(process.join(file), content)
                    .map_err(|error| format!("{file}: {error}"))?;
            }
        }
        let mut enter = vec!["nsenter", "--target", target.as_str(), "--mount"];
        enter.extend(namespaces);
        enter.push("--preserve-credentials");
        world.enter = enter.into_iter().map(OsString::from).collect();
        Ok(world)
    }

    /// Mounts an instance.
    pub(crate) fn mount(&self) -> Result<(), String> {
        let said = self.run(["mount", "-t", "binfmt_misc", "binfmt_misc", INSTANCE]);
        if said.code == 0 { Ok(()) } else { Err(said.err) }
    }

    /// A folder for files.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where the record of ownership is kept.
    pub(crate) fn runtime(&self) -> PathBuf {
        self.folder().join("run")
    }

    /// Writes the configuration that every command gets.
    pub(crate) fn configure(&self, content: &str) {
        fs::write(self.config(), content).unwrap();
        fs::set_permissions(self.config(), Permissions::from_mode(0o644)).unwrap();
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.folder().join("binfmtd.toml")
    }

    /// The environment of every command.
    fn environment(&self, command: &mut Command) {
        command.env("BINFMTD_RUNTIME_DIRECTORY", self.runtime());
        for name in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "TERM", "TMPDIR", "COLUMNS"] {
            command.env_remove(name);
        }
    }

    /// A command in this world, not started yet. No shell waits for it, so it can be sent signals.
    pub(crate) fn command<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>) -> Command {
        let mut all = self.enter.clone();
        all.extend(words.into_iter().map(|word| word.as_ref().to_owned()));
        let mut command = Command::new(&all[0]);
        command.args(&all[1..]).stdin(Stdio::null()).current_dir("/");
        self.environment(&mut command);
        command
    }

    /// Runs a command to its end, with a limit of time.
    pub(crate) fn run<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>) -> Said {
        let limited = ["timeout", "--verbose", "--kill-after=5", SECONDS].map(OsString::from);
        let words = words.into_iter().map(|word| word.as_ref().to_owned());
        let said = Said::from(self.command(limited.into_iter().chain(words)).output().unwrap());
        assert!(!said.err.contains("timeout: sending signal"), "out of time: {said:#?}");
        said
    }

    /// Words of a command line of ours, with this world's configuration.
    pub(crate) fn words(&self, line: &str) -> Vec<OsString> {
        assert!(self.holder.is_some() || is_harmless(line), "not on the host: {line}");
        let mut words = vec![OsString::from(BINFMTD), "--config".into(), self.config().into()];
        words.extend(line.split_whitespace().map(OsString::from));
        words
    }

    /// Runs the program; the line has no quotes.
    pub(crate) fn binfmtd(&self, line: &str) -> Said {
        self.run(self.words(line))
    }

    /// Runs it with `--format json`; its one document.
    #[track_caller]
    pub(crate) fn json(&self, line: &str) -> Value {
        self.binfmtd(&format!("--format json {line}")).document()
    }

    /// Runs a shell's script, which has to succeed; what it wrote. `$M` is the mount point.
    #[track_caller]
    pub(crate) fn sh(&self, script: &str) -> String {
        let mut said = self.run(["env", &format!("M={INSTANCE}"), "sh", "-ec", script]).ended(0);
        said.out.truncate(said.out.trim_end().len());
        said.out
    }

    /// The names of the rules that are there.
    #[track_caller]
    pub(crate) fn rules(&self) -> Vec<String> {
        let names = self.sh("ls $M");
        names
            .lines()
            .filter(|name| !matches!(*name, "register" | "status"))
            .map(str::to_owned)
            .collect()
    }

    /// How often `binfmt_misc` is mounted here.
    pub(crate) fn mounts(&self) -> usize {
        let said = self.run(["cat", "/proc/self/mountinfo"]).ended(0);
        said.out.lines().filter(|line| line.contains(" - binfmt_misc ")).count()
    }

    /// A copy of the program that everybody can reach, and the words that make us somebody else.
    pub(crate) fn as_somebody(&self) -> (PathBuf, Vec<String>) {
        let copy = self.folder().join("binfmtd");
        if !copy.exists() {
            install(Path::new(BINFMTD), &copy);
        }
        let words = ["setpriv", "--reuid", SOMEBODY, "--regid", SOMEBODY, "--clear-groups"];
        (copy, words.map(str::to_owned).to_vec())
    }

    /// Runs the program as somebody who is not root.
    pub(crate) fn binfmtd_as_somebody(&self, line: &str) -> Said {
        let (copy, mut words) = self.as_somebody();
        words.push(copy.to_str().unwrap().to_owned());
        words.push("--config".to_owned());
        words.push(self.config().to_str().unwrap().to_owned());
        words.extend(line.split_whitespace().map(str::to_owned));
        self.run(words)
    }

    /// Writes a program and says where it is.
    pub(crate) fn program(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.folder().join(name);
        let bytes = self.folder().join(format!("{name}.bytes"));
        fs::write(&bytes, content).unwrap();
        install(&bytes, &path);
        path
    }
}

/// Whether a command changes nothing of the machine that it is run on.
fn is_harmless(line: &str) -> bool {
    let has = |word: &str| line.split_whitespace().any(|given| given == word);
    let changes = has("register") || has("unregister") || (has("run") && !has("--private"));
    !changes || has("--dry-run")
}

/// By another process: one of ours that is being started by another test could still hold the file
/// open for writing, and then nobody could run it (ETXTBSY).
fn install(from: &Path, to: &Path) {
    let status = Command::new("install").args(["-m", "755"]).args([from, to]).status().unwrap();
    assert!(status.success());
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(holder) = &mut self.holder {
            let _ = holder.kill();
            let _ = holder.wait();
        }
    }
}

/// Whether QEMU is here; asked once.
pub(crate) fn qemu() -> Option<()> {
    static FOUND: OnceLock<Result<(), String>> = OnceLock::new();
    let found = FOUND.get_or_init(|| {
        let document = World::host().json("targets aarch64 riscv64 s390x");
        let targets = document["targets"].as_array().unwrap();
        match targets.iter().find(|target| target["interpreter"].is_null()) {
            None => Ok(()),
            Some(target) => {
                Err(format!("no interpreter for {} (qemu-user-static)", target["name"]))
            }
        }
    });
    need("QEMU", found.clone())
}

/// The interpreter that is found for a target.
pub(crate) fn interpreter(target: &str) -> PathBuf {
    let document = World::host().json(&format!("targets {target}"));
    document["targets"][0]["interpreter"].as_str().unwrap().into()
}

/// A probe of a target: a foreign program that everybody has.
pub(crate) fn probe(target: &str) -> Vec<u8> {
    let table = binfmtd::testing::target::Table::embedded();
    let target = table.find(target).unwrap();
    binfmtd::testing::probe::build(target, target.identity.machines[0]).unwrap()
}

/// The usual targets, with an interpreter of our choice for one of them.
pub(crate) fn with_interpreter(target: &str, path: &Path) -> String {
    format!("{TARGETS}\n[target.{target}]\ninterpreter = \"{}\"\n", path.display())
}

/// A static program of this machine that exits with 1 at once; `None` on machines we have no code for.
pub(crate) fn failing_program() -> Option<Vec<u8>> {
    let code: &[u8] = match std::env::consts::ARCH {
        // mov eax, 60; mov edi, 1; syscall
        "x86_64" => &[0xb8, 60, 0, 0, 0, 0xbf, 1, 0, 0, 0, 0x0f, 0x05],
        // mov x8, #93; mov x0, #1; svc #0
        "aarch64" => &[0xa8, 0x0b, 0x80, 0xd2, 0x20, 0, 0x80, 0xd2, 1, 0, 0, 0xd4],
        _ => return None,
    };
    // The probe's file, with other code at its entry, which the headers place behind themselves.
    let mut file = probe(std::env::consts::ARCH);
    let entry = usize::from(file[24]) + (usize::from(file[25]) << 8);
    file[entry..entry + code.len()].copy_from_slice(code);
    Some(file)
}
