//! Rules that are nobody's to remove: those of other emulators and run-times, which QEMU's could be
//! confused with, and of WSL.

use crate::observation::Runtime;
use crate::rule::Entry;

/// Whose rules they are, how their names begin, and what their interpreters are called; in lower case.
/// By each project's own installer or packages: FEX (`FEX-x86_64`), box64 (`box64.conf`), Rosetta as
/// Lima and Docker Desktop register it, WSL (`WSLInterop`, `WSLInterop-late`), Debian's wine, mono, jar
/// and python, LLVM's `lli`.
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

/// Whose emulator or run-time a rule is of, when it is one that is known and none of QEMU's.
pub fn owner(entry: &Entry) -> Option<Runtime> {
    let name = entry.display_name().to_lowercase();
    let file = entry.interpreter.file_name().map(|file| file.to_string_lossy().to_lowercase());
    let file = file.unwrap_or_default();
    let is = |(_, names, files): &&(Runtime, &[&str], &[&str])| {
        names.iter().any(|known| name.starts_with(known)) || files.contains(&file.as_str())
    };
    if super::is_qemu(entry) {
        return None;
    }
    KNOWN.iter().find(is).map(|(who, _, _)| *who)
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;

    fn entry(name: &str, interpreter: &str) -> Entry {
        let text = format!("enabled\ninterpreter {interpreter}\nflags: \noffset 0\nmagic 4d5a\n");
        Entry::parse(OsStr::new(name), text.as_bytes()).unwrap()
    }

    #[test]
    fn who_is_known_by_name_or_by_interpreter() {
        for (name, interpreter, wanted) in [
            ("WSLInterop", "/init", Some(Runtime::Wsl)),
            ("WSLInterop-late", "/init", Some(Runtime::Wsl)),
            ("FEX-x86_64", "/usr/bin/FEXInterpreter", Some(Runtime::Fex)),
            ("x86_64", "/usr/bin/FEX", Some(Runtime::Fex)),
            ("box64", "/usr/local/bin/box64", Some(Runtime::Box64)),
            ("rosetta", "/mnt/lima-rosetta/rosetta", Some(Runtime::Rosetta)),
            ("wine", "/usr/bin/wine-stable", Some(Runtime::Wine)),
            ("windows", "/usr/bin/wine", Some(Runtime::Wine)),
            ("cli", "/usr/lib/binfmt-support/run-detectors", Some(Runtime::Mono)),
            ("jar", "/usr/bin/jexec", Some(Runtime::Java)),
            ("python3.11", "/usr/bin/python3.11", Some(Runtime::Python)),
            ("llvm-14-runtime.binfmt", "/usr/bin/lli-14", Some(Runtime::Llvm)),
            ("qemu-aarch64", "/usr/bin/qemu-aarch64-static", None),
            ("qemu-arm", "/usr/libexec/qemu-binfmt/arm-binfmt-P", None),
            ("mine", "/opt/mine/run", None),
            ("qemu-x86_64", "/usr/bin/FEXInterpreter", Some(Runtime::Fex)),
            ("qemu-x86_64", "/opt/mine/run", None),
        ] {
            assert_eq!(owner(&entry(name, interpreter)), wanted, "{name} {interpreter}");
        }
    }
}
