//! Scripts in a private instance: the host is not touched, or the script is not run.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use binfmtd::testing::target::Table;
use tempfile::TempDir;

use crate::support;

/// A folder to work in, with what the examples speak of.
pub(crate) struct Place(TempDir);

/// The programs that examples call and that are not ours to start: the name, and what it does here.
const STAND_INS: [(&str, &str); 2] = [
    // In a private instance one is root already.
    ("sudo", "exec \"$@\""),
    ("dockerd-entrypoint.sh", "exit 0"),
];

impl Place {
    /// Makes the folder, if private instances and QEMU are here; else says that the test is skipped.
    pub(crate) fn prepare() -> Option<Self> {
        let place = Self(tempfile::tempdir().unwrap());
        let bin = place.path().join("bin");
        fs::create_dir(&bin).unwrap();
        for (name, body) in STAND_INS {
            place.program(&bin.join(name), format!("#!/bin/sh\n{body}\n").as_bytes());
        }
        let table = Table::embedded();
        let probe = binfmtd::testing::probe::build(table.find("aarch64").unwrap(), 183).unwrap();
        place.program(&place.path().join("hello-arm64"), &probe);
        // The smallest root filesystem that there can be.
        fs::create_dir(place.path().join("rootfs")).unwrap();
        place.program(&place.path().join("rootfs/hello-arm64"), &probe);
        place.file("mine.toml", "targets = [\"arm64\"]\n");
        support::need("a private instance with QEMU's emulators", place.run("true").map(|_| place))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file that only we may write, as a configuration has to be.
    pub(crate) fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.path().join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        path
    }

    fn program(&self, path: &Path, content: &[u8]) {
        assert!(path.starts_with(self.path()));
        fs::write(path, content).unwrap();
        fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
    }

    /// Runs a shell script where all targets are registered; what it wrote, or why it failed.
    pub(crate) fn run(&self, script: &str) -> Result<String, String> {
        let binfmtd = Path::new(env!("CARGO_BIN_EXE_binfmtd"));
        let path = std::env::join_paths(
            [binfmtd.parent().unwrap().to_owned(), self.path().join("bin")]
                .into_iter()
                .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())),
        )
        .unwrap();
        let output = Command::new(binfmtd)
            .args(["run", "--private", "--no-verify", "--", "sh", "-c", script])
            .current_dir(self.path())
            .env("PATH", path)
            .env_remove("BINFMTD_RUNTIME_DIRECTORY")
            .stdin(Stdio::null())
            .output()
            .map_err(|error| error.to_string())?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() {
            Ok(text(&output.stdout))
        } else {
            Err(format!("{}\n{}{}", output.status, text(&output.stdout), text(&output.stderr)))
        }
    }
}
