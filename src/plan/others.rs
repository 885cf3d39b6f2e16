//! Whose rules are whose: QEMU's may be replaced, those of other emulators, run-times and WSL must not be.

use std::borrow::Cow;
use std::ffi::OsStr;

use crate::observation::Runtime;
use crate::rule::Entry;

/// Owner, beginnings of rule names, and file names of interpreters, in lower case. Taken from each project's
/// installer or packages: FEX (`FEX-x86_64`), box64 (`box64.conf`), Rosetta as Lima and Docker Desktop register it,
/// WSL (`WSLInterop`, `WSLInterop-late`), Debian's wine, mono, jar and python, LLVM's `lli`.
const KNOWN: [(Runtime, &[&str], &[&str]); 10] = [
    (Runtime::Wsl, &["wslinterop"], &[]),
    (Runtime::Fex, &["fex-"], &["fex", "fexinterpreter"]),
    (Runtime::Box64, &["box64", "box86", "box32"], &["box64", "box86", "box32"]),
    (Runtime::Rosetta, &["rosetta"], &["rosetta"]),
    (Runtime::Wine, &["wine", "doswin"], &["wine", "wine64", "wine-stable"]),
    (Runtime::Mono, &["cli", "mono"], &["cli", "mono", "binfmt-detector-cli"]),
    (Runtime::Java, &["jar", "java"], &["jexec", "jarwrapper", "javawrapper"]),
    (Runtime::Python, &["python"], &[]),
    (Runtime::Llvm, &["llvm-"], &["lli"]),
    (Runtime::AppImage, &["appimage"], &["appimaged", "appimagelauncher"]),
];

/// The known emulator or run-time, other than QEMU, that a rule belongs to.
pub fn owner(entry: &Entry) -> Option<Runtime> {
    let name = entry.display_name().to_lowercase();
    let file = interpreter_name(entry).to_lowercase();
    let is = |(_, names, files): &&(Runtime, &[&str], &[&str])| {
        names.iter().any(|known| name.starts_with(known)) || files.contains(&file.as_str())
    };
    if is_qemu(entry) {
        return None;
    }
    KNOWN.iter().find(is).map(|(who, _, _)| *who)
}

fn interpreter_name(entry: &Entry) -> Cow<'_, str> {
    entry.interpreter.file_name().map(OsStr::to_string_lossy).unwrap_or_default()
}

/// Whether a rule is one of QEMU's, which may be replaced. Both its name and its interpreter must say so; all others
/// (FEX, box64, Rosetta, wine, `WSLInterop`) are never touched.
pub fn is_qemu(entry: &Entry) -> bool {
    let file = interpreter_name(entry);
    let name = entry.display_name();
    let runs_qemu = file.starts_with("qemu-")
        || file.ends_with("-binfmt-P")
        || entry.interpreter.starts_with("/usr/libexec/qemu-binfmt");
    runs_qemu && (name.starts_with("qemu-") || name.starts_with("buildkit-qemu-"))
}

/// Whether a rule may be replaced when it is stale or broken, or with `--takeover`: QEMU's rules, and a rule that has
/// the name of ours (`own`) unless its interpreter belongs to another known emulator. An example is a `qemu-aarch64`
/// whose path leads nowhere.
pub fn is_replaceable(entry: &Entry, own: &str) -> bool {
    is_qemu(entry) || entry.name == own && owner(entry).is_none()
}

#[cfg(test)]
mod tests;
