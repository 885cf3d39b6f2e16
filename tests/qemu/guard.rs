//! What must never reach the kernel, in every disguise.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;
use std::process::Command;

use nix::mount::{MsFlags, mount};
use serde_json::Value;

use crate::others::{configure, emulators};
use crate::support::stage::{Answer, Stage, chmod, says, starts};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The header of this very program, which the kernel runs by itself.
fn own_header() -> [u8; 20] {
    let mut header = [0; 20];
    let mut file = File::open("/proc/self/exe").expect("this program");
    file.read_exact(&mut header).expect("a header");
    header
}

/// `[rule.NAME]` with a matcher, and a harmless interpreter.
fn rule(name: &str, matcher: &str) -> String {
    format!("[rule.{name}]\n{matcher}\ninterpreter = \"/usr/bin/env\"\n")
}

fn magic(name: &str, offset: usize, magic: &[u8], mask: Option<&[u8]>) -> String {
    let mask = mask.map(|mask| format!("\nmask = \"{}\"", hex(mask))).unwrap_or_default();
    rule(name, &format!("offset = {offset}\nmagic = \"{}\"{mask}", hex(magic)))
}

/// Everything that the host needs still starts in this namespace.
fn host_is_well(stage: &Stage) {
    assert!(starts(Path::new("/bin/true")));
    let script = stage.path("script");
    fs::write(&script, "#!/bin/sh\nexec /bin/true\n").expect("a script");
    chmod(&script, 0o755);
    assert!(starts(&script));
    let status = Command::new(crate::support::stage::BINFMTD).arg("--version").output();
    assert!(status.is_ok_and(|output| output.status.success()));
}

/// The line about a rule of the configuration.
fn line_of<'a>(answer: &'a Answer, rule: &str) -> &'a Value {
    answer
        .rules()
        .iter()
        .find(|line| line["rule"] == rule)
        .unwrap_or_else(|| panic!("no line about {rule}: {answer}"))
}

pub(crate) fn native(stage: &Stage) -> Option<String> {
    emulators(stage)?;
    let own = own_header();
    let natives = stage.run(&["doctor", "i386"]);
    let is_native = |target: &str| natives.verdict(target) == "native";
    let altered = |at: usize, value: u8| {
        let mut header = own;
        header[at] = value;
        header
    };
    let without = |range: std::ops::Range<usize>| {
        let mut mask = [0xff; 20];
        mask[range].fill(0);
        mask
    };
    let mut disguises = vec![
        magic("own", 0, &own, None),
        magic("any-elf", 0, &own[..4], None),
        magic("any-of-our-class", 0, &own[..5], None),
        magic("no-machine", 0, &own, Some(&without(18..20))),
        // Another machine's number, which the mask does not look at.
        magic("false-machine", 0, &altered(18, 0xf3), Some(&without(18..20))),
        magic("half-a-machine", 0, &altered(19, 0x99), Some(&without(19..20))),
        magic("no-type", 0, &altered(16, 9), Some(&without(16..18))),
        // The kernel looks at neither of these: such a file is native all the same.
        magic("version-of-none", 0, &altered(6, 7), None),
        magic("osabi-of-freebsd", 0, &altered(7, 9), None),
        magic("abi-version", 0, &altered(8, 5), None),
        magic("appimage", 0, &[&own[..8], &b"AI\x02"[..]].concat(), None),
        magic("appimage-alone", 8, b"AI\x02", None),
        magic("one-bit", 0, &[1], Some(&[1])),
        magic("class-at-its-offset", 4, &own[4..5], None),
        magic("machine-at-its-offset", 18, &own[18..20], None),
        magic("type-at-its-offset", 16, &own[16..18], None),
        magic("far-zeros", 255, &[0], None),
        magic("far-text", 128, b"nothing native has this here", None),
        magic("scripts", 0, b"#!", None),
        magic("shells", 0, b"#!/bin/sh", None),
        magic("hash", 0, b"#", None),
        magic("past-the-hash", 1, b"!", None),
    ];
    if own[18..20] == [62, 0] {
        let x32 = b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x3e\0";
        disguises.push(magic("x32", 0, x32, None));
    }
    if is_native("i386") {
        let i386 = b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x03\0";
        disguises.push(magic("i386", 0, i386, None));
        disguises.push(magic("i386-any-flags", 0, &i386[..6], None));
    }
    // An extension that the rule's own interpreter has: the kernel would start it by itself.
    let program = stage.install(Path::new("/usr/bin/env"), "tool.mine");
    disguises.push(format!(
        "[rule.own-interpreter]\nextension = \"mine\"\ninterpreter = \"{}\"\n",
        program.display()
    ));
    // Native files by name: python3.11, libc.so, ld-linux.so.2.
    for extension in ["11", "so", "2", "sh"] {
        let name = format!("ending-in-{extension}");
        disguises.push(rule(&name, &format!("extension = \"{extension}\"")));
    }
    let harmless = magic("harmless", 0, b"\x7fELD", None);
    configure(stage, &format!("targets = [\"aarch64\"]\n{harmless}{}", disguises.concat()));

    for arguments in [&["register"][..], &["register", "--takeover"], &["register", "--no-verify"]]
    {
        stage.reset();
        let answer = stage.fails(arguments);
        for disguise in &disguises {
            let name = disguise.strip_prefix("[rule.").and_then(|rest| rest.split(']').next());
            let name = name.expect("a name");
            let line = line_of(&answer, name);
            assert_eq!(line["action"], "refuse", "{line:#}");
            assert_eq!(line["changed"], false, "{line:#}");
            // Which rule, why, and in parentheses what to do.
            says(&line["error"], &[name, "(", ")"]);
            let captures = line["error"].as_str().is_some_and(|error| {
                ["this host's own", "its own interpreter", "native programs"]
                    .iter()
                    .any(|words| error.contains(words))
            });
            assert!(captures, "{line:#}");
        }
        let names: Vec<_> = Stage::entries().into_keys().collect();
        assert_eq!(names, ["harmless", "qemu-aarch64"]);
        assert!(stage.starts("aarch64"));
        host_is_well(stage);
    }

    // A mask of zeros is no rule at all: the configuration is refused with its line.
    stage.reset();
    configure(stage, &magic("zeros", 0, &own, Some(&[0; 20])));
    let answer = stage.run(&["register"]);
    assert_eq!(answer.code, Some(2), "{answer}");
    says(&answer.json["error"]["message"], &["binfmtd.toml:", "zeros", "mask is all zeros"]);
    assert!(Stage::entries().is_empty());
    host_is_well(stage);
    Some(format!("{} disguises", disguises.len() + 1))
}

pub(crate) fn interpreters(stage: &Stage) -> Option<String> {
    emulators(stage)?;
    let native = stage.path("bin/qemu-aarch64-static");
    let foreign = stage.foreign("riscv64", None);
    // A test is linked as programs are on this machine; where that is statically, it needs no loader.
    let dynamic = std::env::current_exe().expect("this program");
    let not_executable = stage.install(&native, "not-executable");
    chmod(&not_executable, 0o644);
    let script = stage.install_content(b"#!/bin/sh\nexit 0\n", "a-script");
    let text = stage.install_content(b"just text", "some-text");
    let empty = stage.install_content(b"", "empty");
    let folder = stage.path("bin/folder");
    fs::create_dir(&folder).expect("a folder");
    let noexec = stage.path("noexec");
    fs::create_dir(&noexec).expect("a folder");
    mount(Some("tmpfs"), &noexec, Some("tmpfs"), MsFlags::MS_NOEXEC, None::<&str>)
        .expect("a tmpfs");
    let on_noexec = noexec.join("qemu");
    fs::copy(&native, &on_noexec).expect("a copy");
    let missing = stage.path("bin/missing");

    let cases = [
        ("arm", &foreign, "a program for riscv64 (linux/riscv64), not for this machine"),
        ("ppc", &dynamic, "dynamically linked: it needs"),
        ("s390x", &missing, "not found"),
        ("mips", &not_executable, "not executable"),
        ("sparc", &script, "not an ELF program"),
        ("m68k", &text, "not an ELF program"),
        ("hppa", &empty, "not an ELF program"),
        ("alpha", &folder, "not a regular file"),
        ("sh4", &on_noexec, "mounted noexec"),
    ];
    let mut text = "targets = [\"aarch64\", \"riscv64\"".to_owned();
    for (target, _, _) in cases {
        let _ = write!(text, ", \"{target}\"");
    }
    text.push_str("]\n");
    for (target, path, _) in cases {
        let path = path.display();
        let _ = write!(
            text,
            "[target.{target}]\ninterpreter = \"{path}\"\n\
             [rule.for-{target}]\nmagic = \"{}\"\ninterpreter = \"{path}\"\nflags = \"F\"\n",
            hex(format!("for {target}").as_bytes())
        );
    }
    configure(stage, &text);
    for arguments in [&["register"][..], &["register", "--no-verify"]] {
        stage.reset();
        let answer = stage.fails(arguments);
        for (target, path, why) in cases {
            let path = path.to_str().expect("a path in UTF-8");
            for line in [answer.rule_of(target), line_of(&answer, &format!("for-{target}"))] {
                assert_eq!(line["action"], "refuse", "{line:#}");
                says(&line["error"], &[path, why, "("]);
            }
            says(&line_of(&answer, &format!("for-{target}"))["error"], &[&format!("for-{target}")]);
        }
        let names: Vec<_> = Stage::entries().into_keys().collect();
        assert_eq!(names, ["qemu-aarch64", "qemu-riscv64"]);
        assert!(stage.starts("aarch64") && stage.starts("riscv64"));
        host_is_well(stage);
    }
    untrusted(stage, &native);
    Some(format!("{} interpreters, for a target and for a rule", cases.len()))
}

/// With C the interpreter runs as root for anybody, so nobody else may be able to replace it.
fn untrusted(stage: &Stage, native: &Path) {
    let open = stage.path("open");
    fs::create_dir(&open).expect("a folder");
    let theirs = open.join("qemu-aarch64-static");
    fs::copy(native, &theirs).expect("a copy");
    chmod(&open, 0o777);
    let named = format!("[target.aarch64]\ninterpreter = \"{}\"\n", theirs.display());
    stage.reset();
    configure(stage, &format!("targets = [\"aarch64\", \"riscv64\"]\ncredentials = true\n{named}"));
    let answer = stage.fails(&["register"]);
    says(
        &answer.rule_of("aarch64")["error"],
        &[
            open.to_str().expect("a path in UTF-8"),
            "users other than root",
            "credentials",
            "chmod go-w",
        ],
    );
    assert_eq!(Stage::entries().keys().collect::<Vec<_>>(), ["qemu-riscv64"]);
    configure(stage, &format!("targets = [\"aarch64\", \"riscv64\"]\n{named}"));
    stage.well(&["register"]);
    assert!(stage.starts("aarch64"));
}
