//! Stand-ins for emulators: actor.c, in a folder by the name of what it does.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::host::{Host, install};
use crate::support::need;

/// Builds it once for a host, static or not, and installs it; its path.
fn build(host: &Host, act: &str, name: &str, flags: &[&str]) -> Option<String> {
    let program = host.path(&format!("actor{}", flags.concat()));
    if !program.exists() {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faults/actor.c");
        let output = Command::new("cc")
            .args(["-O1", "-w"])
            .args(flags)
            .arg("-o")
            .args([&program, &source])
            .stdin(Stdio::null())
            .output();
        let output = output.map_err(|error| format!("cc: {error}"));
        let built = output.and_then(|output| {
            let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
            if output.status.success() { Ok(()) } else { Err(complaint) }
        });
        need("a C compiler with a static libc", built)?;
    }
    let folder = host.path(act);
    fs::create_dir_all(&folder).expect("a folder");
    let path = folder.join(name);
    install(&program, &path);
    Some(path.display().to_string())
}

/// By the name of an emulator of the victim.
pub(crate) fn actor(host: &Host, act: &str) -> Option<String> {
    build(host, act, "qemu-aarch64-static", &["-static"])
}

/// The same, which needs a loader.
pub(crate) fn dynamic_actor(host: &Host, act: &str) -> Option<String> {
    build(host, act, "qemu-aarch64", &[])
}

/// By the name of something that is not QEMU.
pub(crate) fn other_actor(host: &Host, act: &str) -> Option<String> {
    build(host, act, "FEXInterpreter", &["-static"])
}
