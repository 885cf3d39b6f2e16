//! binfmtd itself under an emulator, as in an image of another CPU: what is native is asked of the kernel, and not guessed.

use crate::support::need;
use crate::support::stage::Qemu;
use crate::world::{BINFMTD, World};

/// A CPU that there is not, of the family of x86: its programs are asked about, like i386's.
const RELATIVE: &str = "[relative]\nfamily = \"x86\"\nclass = 32\nbyte-order = \"little\"\nmachines = [4660]\ninterpreters = [\"qemu-aarch64-static\"]\n";

#[test]
fn a_relative_that_does_not_run_is_not_native() {
    let Some(emulator) = need("QEMU for this machine", Qemu::any("x86_64")) else { return };
    let Some(world) = World::mounted() else { return };
    world.sh("mount -t tmpfs none /run; mkdir -p /run/binfmtd/tables.d");
    std::fs::write(world.folder().join("relative.toml"), RELATIVE).unwrap();
    world.sh(&format!("cp {}/relative.toml /run/binfmtd/tables.d/", world.folder().display()));
    world.configure("");
    let bare = world.json("targets relative");
    assert!(bare["targets"][0]["native"] == false, "{bare:#}");
    let config = world.config();
    let words = [
        emulator.to_str().unwrap(),
        BINFMTD,
        "--config",
        config.to_str().unwrap(),
        "--format",
        "json",
        "targets",
    ];
    let emulated = world.run(words.into_iter().chain(["relative"])).ended(0).document();
    assert_eq!(emulated["targets"][0]["native"], false, "{emulated:#}");
    let own = world.run(words.into_iter().chain(["x86_64"])).ended(0).document();
    assert_eq!(own["targets"][0]["native"], true, "{own:#}");
}
