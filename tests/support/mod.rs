//! Shared by the tests that touch a real system: what is needed, and a private instance.
#![allow(dead_code, reason = "each test takes what it needs")]

pub(crate) mod daemon;
pub(crate) mod fix;
pub(crate) mod harness;
pub(crate) mod stage;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{getgid, getuid};

/// Gives what a test needs, or says on standard output that the test is skipped, and why. With
/// `BINFMTD_TESTS=require-all`, as in CI, what is missing is a failure.
#[allow(clippy::print_stdout, reason = "a test's words to a person")]
pub(crate) fn need<T>(what: &str, found: Result<T, String>) -> Option<T> {
    match found {
        Ok(found) => Some(found),
        Err(reason)
            if std::env::var_os("BINFMTD_TESTS").is_some_and(|value| value == "require-all") =>
        {
            panic!("{what} is required by BINFMTD_TESTS=require-all, but: {reason}")
        }
        Err(reason) => {
            println!("skipped: {what} is not here: {reason}");
            None
        }
    }
}

/// An instance of our own in namespaces of our own, and a folder on a tmpfs beside it. It ends with
/// the process; programs of the host never see it.
pub(crate) struct Private {
    folder: tempfile::TempDir,
    register: File,
}

/// Where the kernel expects to find it.
pub(crate) const INSTANCE: &str = "/proc/sys/fs/binfmt_misc";

impl Private {
    /// Moves this process over. It must have one thread (the kernel refuses a user namespace to
    /// others), so a test that wants this brings its own `main` (`harness = false`).
    pub(crate) fn enter() -> Result<Self, String> {
        let (uid, gid) = (getuid(), getgid());
        Self::enter_mapped(|| {
            for (file, content) in [
                ("setgroups", "deny".to_owned()),
                ("uid_map", format!("0 {uid} 1")),
                ("gid_map", format!("0 {gid} 1")),
            ] {
                fs::write(Path::new("/proc/self").join(file), content)
                    .map_err(|error| format!("write {file}: {error}"))?;
            }
            Ok(())
        })
    }

    /// The same with every user of the host in it, so that files can belong to others; for root alone.
    pub(crate) fn enter_with_every_user() -> Result<Self, String> {
        if !getuid().is_root() {
            return Err("only root may map other users".to_owned());
        }
        // Who maps others has to stand outside of the namespace (user_namespaces(7)).
        let me = std::process::id();
        let mut outside = Command::new("sh")
            .args(["-ec", "read -r go; for map in uid_map gid_map; do echo '0 0 4294967295' >/proc/$1/$map; done"])
            .args(["sh", &me.to_string()])
            .stdin(Stdio::piped())
            .spawn()
            .map_err(|error| format!("sh: {error}"))?;
        Self::enter_mapped(|| {
            // Closing it is what it waits for as well as the line: it ends in any case.
            let told = outside.stdin.take().is_some_and(|mut pipe| pipe.write_all(b"go\n").is_ok());
            let status = outside.wait().map_err(|error| error.to_string())?;
            if told && status.success() { Ok(()) } else { Err(format!("map all users: {status}")) }
        })
    }

    fn enter_mapped(map: impl FnOnce() -> Result<(), String>) -> Result<Self, String> {
        let folder = tempfile::Builder::new()
            .prefix("binfmtd")
            .tempdir()
            .map_err(|error| error.to_string())?;
        unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS)
            .map_err(|error| format!("unshare user and mount namespace: {error}"))?;
        map()?;
        let mount_here = |kind: &str, at: &Path| {
            mount(Some(kind), at, Some(kind), MsFlags::empty(), None::<&str>)
                .map_err(|error| format!("mount {kind} on {}: {error}", at.display()))
        };
        mount_here("binfmt_misc", Path::new(INSTANCE))?;
        mount_here("tmpfs", folder.path())?;
        let register = OpenOptions::new()
            .write(true)
            .open(Path::new(INSTANCE).join("register"))
            .map_err(|error| format!("open register: {error}"))?;
        Ok(Self { folder, register })
    }

    /// An empty folder on a tmpfs; programs may be started from it.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Registers a rule in the one `write(2)` that the kernel wants.
    pub(crate) fn register(&self, string: &[u8]) -> io::Result<()> {
        let written = (&self.register).write(string)?;
        assert_eq!(written, string.len(), "the kernel takes all or nothing");
        Ok(())
    }

    /// Writes `0`, `1` or `-1` to an entry, or to `status` for all of them.
    pub(crate) fn tell(name: &str, word: &str) -> io::Result<()> {
        OpenOptions::new().write(true).open(Self::path(name))?.write_all(word.as_bytes())
    }

    /// Removes every rule.
    pub(crate) fn flush() -> io::Result<()> {
        Self::tell("status", "-1")
    }

    /// Where an entry stands.
    pub(crate) fn path(name: &str) -> PathBuf {
        Path::new(INSTANCE).join(name)
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        // Else the folder below could not be removed; the namespace ends with us anyway.
        let _ = umount2(self.folder.path(), MntFlags::MNT_DETACH);
    }
}
