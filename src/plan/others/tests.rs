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
