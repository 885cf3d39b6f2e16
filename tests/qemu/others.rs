//! Rules that somebody else put there: left alone, repaired, or refused, and always told why.

use std::fs;
use std::path::Path;

use crate::support::stage::{Entries, Qemu, Stage, says};
use crate::support::{Private, need};

/// As QEMU's own `qemu-binfmt-conf.sh` and systemd-binfmt write it: padding and version looked at.
const AARCH64: &str = r"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00:\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff";

/// A register string of somebody else for aarch64.
pub(crate) fn aarch64(name: &str, interpreter: &Path, flags: &str) -> String {
    format!(":{name}:M::{AARCH64}:{}:{flags}", interpreter.display())
}

/// Two emulators in the stage's folder, of which `register` takes the first.
pub(crate) fn emulators(stage: &Stage) -> Option<()> {
    for target in ["aarch64", "riscv64"] {
        let program = need("a static QEMU", Qemu::any(target))?;
        stage.install(&program, &format!("qemu-{target}-static"));
    }
    configure(stage, r#"targets = ["aarch64"]"#);
    Some(())
}

/// Configures targets, with the stage's folder of interpreters.
pub(crate) fn configure(stage: &Stage, more: &str) {
    let folder = stage.path("bin");
    stage.configure(&format!("interpreter-directories = [\"{}\"]\n{more}\n", folder.display()));
}

/// A native static program that does nothing of what an emulator does, and says so with status 1.
fn useless(stage: &Stage, name: &str) -> Option<std::path::PathBuf> {
    let program = need("a C compiler with a static libc", crate::misbehaving::actor(stage))?;
    let path = stage.install(&program, name);
    Some(path)
}

fn expected_path(stage: &Stage) -> String {
    format!("interpreter {}\n", stage.path("bin/qemu-aarch64-static").display())
}

pub(crate) fn working(stage: &Stage) -> Option<String> {
    emulators(stage)?;
    let theirs = stage.install(&stage.path("bin/qemu-aarch64-static"), "qemu-theirs");
    for flags in ["F", "OF", "POF", "OCF"] {
        stage.reset();
        stage.plant(&aarch64("qemu-aarch64", &theirs, flags));
        let before = Stage::entries();
        let answer = stage.well(&["register"]);
        let line = answer.rule_of("aarch64");
        // With P, QEMU 7.2 and later say nothing; without, argv[0] is lost, which is no failure.
        assert_eq!(line["action"], "served", "{flags}: {line:#}");
        assert_eq!(line["rule"], "qemu-aarch64");
        assert_eq!(line["proved"], true, "{line:#}");
        says(&line["detail"], &["served by qemu-aarch64", "not ours"]);
        assert!(answer.changed_nothing());
        assert_eq!(Stage::entries(), before, "a working rule of others was touched");

        let examined = stage.well(&["doctor", "aarch64"]);
        assert_eq!(examined.verdict("aarch64"), "working");
        let status = stage.well(&["status"]);
        assert_ne!(status.json["rules"][0]["owner"], "binfmtd");

        // What is only looked at, and not run, is left alone as well.
        let unverified = stage.well(&["register", "--no-verify"]);
        assert_eq!(unverified.rule_of("aarch64")["action"], "served");
        assert_eq!(Stage::entries(), before);
    }
    // Theirs may look at more of the header than ours: e_version, which every linker writes.
    stage.reset();
    let longer = AARCH64.replacen(r"\xb7\x00:", r"\xb7\x00\x01\x00\x00\x00:", 1);
    let rule = format!(":FEX:M::{longer}\\xff\\xff\\xff\\xff:{}:F", theirs.display());
    stage.plant(&rule);
    let line = stage.well(&["register"]).rule_of("aarch64").clone();
    assert_eq!((&line["action"], &line["rule"]), (&"served".into(), &"FEX".into()));
    assert_eq!(Stage::entries().into_keys().collect::<Vec<_>>(), ["FEX"]);
    stage.reset();
    stage.plant(&aarch64("qemu-aarch64", &theirs, "F"));
    // Unless one insists.
    let answer = stage.well(&["register", "--takeover"]);
    says(&answer.rule_of("aarch64")["detail"], &["replace qemu-aarch64", "taken over"]);
    assert!(Stage::entry("qemu-aarch64").contains(&expected_path(stage)));
    assert!(stage.well(&["register"]).changed_nothing());
    Some("4 sets of flags".to_owned())
}

/// What is wrong with a rule of somebody else, and how one plants it.
struct Fault {
    what: &'static str,
    plant: fn(&Stage),
    /// Words of the reason.
    because: &'static [&'static str],
    /// Whether it can be seen without running anything.
    visible: bool,
}

const FAULTS: &[Fault] = &[
    Fault {
        what: "stale",
        plant: |stage| {
            let qemu = fs::read(stage.path("bin/qemu-aarch64-static")).expect("an emulator");
            let theirs = stage.install_content(&qemu, "qemu-theirs");
            stage.plant(&aarch64("qemu-aarch64", &theirs, "POF"));
            // What an upgrade does: another file of that name. A byte at its end harms nobody.
            stage.install_content(&[qemu, vec![0]].concat(), "qemu-theirs");
        },
        because: &["is not the file that", "the rule is older than the file"],
        visible: false,
    },
    Fault {
        what: "gone",
        plant: |stage| {
            let qemu = stage.path("bin/qemu-aarch64-static");
            let theirs = stage.install(&qemu, "qemu-theirs");
            stage.plant(&aarch64("qemu-aarch64", &theirs, "POF"));
            fs::remove_file(theirs).expect("a file of ours");
        },
        because: &["gone from the disk"],
        visible: false,
    },
    Fault {
        what: "without F",
        plant: |stage| {
            let theirs = stage.install(&stage.path("bin/qemu-aarch64-static"), "qemu-theirs");
            stage.plant(&aarch64("qemu-aarch64", &theirs, "PO"));
        },
        because: &["F"],
        visible: true,
    },
    Fault {
        what: "disabled",
        plant: |stage| {
            let theirs = stage.install(&stage.path("bin/qemu-aarch64-static"), "qemu-theirs");
            stage.plant(&aarch64("qemu-aarch64", &theirs, "POF"));
            Private::tell("qemu-aarch64", "0").expect("a rule to disable");
        },
        because: &["it is disabled"],
        visible: true,
    },
    Fault {
        what: "for another target",
        plant: |stage| {
            let theirs = stage.install(&stage.path("bin/qemu-riscv64-static"), "qemu-theirs");
            stage.plant(&aarch64("qemu-aarch64", &theirs, "POF"));
        },
        because: &["it exited with status 255", "Invalid ELF image"],
        visible: false,
    },
    Fault {
        what: "takes nothing of the target",
        plant: |stage| {
            let theirs = stage.install(&stage.path("bin/qemu-aarch64-static"), "qemu-theirs");
            stage.plant(&format!(":qemu-aarch64:M::nothing-at-all::{}:POF", theirs.display()));
        },
        because: &["it does not match these programs"],
        visible: true,
    },
];

pub(crate) fn failing(stage: &Stage) -> Option<String> {
    emulators(stage)?;
    useless(stage, "qemu-useless")?;
    for Fault { what, plant, because, visible } in FAULTS {
        for arguments in [&["register"][..], &["register", "--no-verify"]] {
            let verified = arguments.len() == 1;
            if !verified && !visible {
                continue;
            }
            stage.reset();
            plant(stage);
            let planned = stage.run(&[arguments, &["--dry-run"]].concat());
            let before = Stage::entries();
            let answer = stage.well(arguments);
            let line = answer.rule_of("aarch64");
            assert_eq!(line["action"], "replace", "{what}: {line:#}");
            assert_eq!(line["changed"], true, "{what}: {line:#}");
            says(&line["detail"], because);
            assert_eq!(planned.rule_of("aarch64")["detail"], line["detail"], "{what}");
            assert_ne!(before, Stage::entries());
            repaired(stage, what);
        }
    }

    // Behind a newer one that is broken, a working one does not help; both make way for ours.
    for (newer, older) in [("qemu-aarch64-new", "qemu-aarch64"), ("qemu-aarch64", "qemu-arm64")] {
        stage.reset();
        let theirs = stage.install(&stage.path("bin/qemu-aarch64-static"), "qemu-theirs");
        stage.plant(&aarch64(older, &theirs, "POF"));
        stage.plant(&aarch64(newer, &stage.path("bin/qemu-useless"), "POF"));
        assert!(!stage.starts("aarch64"));
        let answer = stage.well(&["register"]);
        let line = answer.rule_of("aarch64");
        says(&line["detail"], &["replace", newer, "it exited with status 1"]);
        assert!(stage.starts("aarch64"));
        let entry = Stage::entry("qemu-aarch64");
        assert!(entry.contains(&expected_path(stage)), "{entry}");
        assert!(!Stage::entries().contains_key("qemu-aarch64-new"));
        assert!(stage.well(&["register"]).changed_nothing());
    }

    // Our own, shadowed by somebody's broken one.
    stage.reset();
    stage.well(&["register"]);
    stage.plant(&aarch64("qemu-aarch64-new", &stage.path("bin/qemu-useless"), "POF"));
    let examined = stage.fails(&["doctor", "aarch64"]);
    assert_eq!(examined.verdict("aarch64"), "broken");
    says(
        &examined.check("rule.shadowed", "aarch64")["summary"],
        &["qemu-aarch64-new", "binfmtd's rule"],
    );
    stage.well(&["register"]);
    repaired(stage, "shadowed");
    Some(format!("{} faults, and 3 kinds of shadow", FAULTS.len()))
}

/// Only ours is there, works, and is kept.
fn repaired(stage: &Stage, what: &str) {
    let entries = Stage::entries();
    assert_eq!(entries.keys().collect::<Vec<_>>(), ["qemu-aarch64"], "{what}");
    let entry = Stage::entry("qemu-aarch64");
    assert!(entry.contains(&expected_path(stage)), "{what}: {entry}");
    assert!(stage.starts("aarch64"), "{what}");
    let examined = stage.well(&["doctor", "aarch64"]);
    assert_eq!(examined.verdict("aarch64"), "working", "{what}");
    assert!(stage.well(&["register"]).changed_nothing(), "{what}");
    assert_eq!(Stage::entries(), entries, "{what}");
}

/// Rules that have nothing to do with QEMU: Windows programs, byte code, files by extension.
fn plant_bystanders(stage: &Stage) -> Entries {
    let anything = "/usr/bin/env";
    for register in [
        format!(":wine:M::MZ::{anything}:"),
        format!(":WSLInterop:M::MZ::{anything}:P"),
        format!(":python3.11:M::\\xa7\\x0d\\x0d\\x0a::{anything}:"),
        format!(":jar:M::PK\\x03\\x04::{anything}:"),
        format!(":bitcode:E::bc::{anything}:"),
    ] {
        stage.plant(&register);
    }
    // FEX runs x86-64: on an x86-64 machine its rule would stop everything, so nothing is started
    // before it is switched off.
    stage.plant(&format!(
        ":FEX-x86_64:M::\\x7fELF\\x02\\x01\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x02\\x00\\x3e\\x00:\\xff\\xff\\xff\\xff\\xff\\xfe\\xfe\\x00\\x00\\x00\\x00\\xff\\xff\\xff\\xff\\xff\\xfe\\xff\\xff\\xff:{anything}:POCF"
    ));
    Private::tell("FEX-x86_64", "0").expect("a rule to disable");
    Stage::entries()
}

pub(crate) fn bystanders(stage: &Stage) -> Option<String> {
    emulators(stage)?;
    let theirs = plant_bystanders(stage);
    let mut commands = 0;
    let mut same_after = |arguments: &[&str]| {
        stage.well(arguments);
        commands += 1;
        let entries = Stage::entries();
        for (name, content) in &theirs {
            assert_eq!(entries.get(name), Some(content), "{name} after {arguments:?}");
        }
        entries.len() - theirs.len()
    };
    configure(stage, r#"targets = "auto""#);
    for _ in 0..2 {
        assert_eq!(same_after(&["register"]), 2);
        assert_eq!(same_after(&["register", "--takeover"]), 2);
        assert_eq!(same_after(&["doctor"]), 2);
        assert_eq!(same_after(&["status"]), 2);
        assert_eq!(same_after(&["unregister", "arm64"]), 1);
        assert_eq!(same_after(&["register", "--no-verify", "--takeover"]), 2);
        assert_eq!(same_after(&["unregister", "--all"]), 0);
        // The second time with a record that is lost.
        stage.forget();
    }
    Some(format!("{} rules of others, {commands} commands", theirs.len()))
}

pub(crate) fn emulators_of_others(stage: &Stage, name: &str, file: &str) -> Option<()> {
    stage.reset();
    let broken = useless(stage, file)?;
    stage.plant(&aarch64(name, &broken, "POF"));
    let theirs = Stage::entry(name);
    let before = Stage::entries();
    let answer = stage.fails(&["register"]);
    let line = answer.rule_of("aarch64");
    assert_eq!(line["action"], "refuse", "{line:#}");
    says(&line["error"], &[name, "another emulator", "it exited with status 1", "--takeover"]);
    assert_eq!(Stage::entries(), before, "{name} was touched");

    let answer = stage.well(&["register", "--takeover"]);
    assert_eq!(answer.rule_of("aarch64")["action"], "add");
    assert!(stage.starts("aarch64"), "ours does not come before {name}");
    assert_eq!(Stage::entry(name), theirs);
    assert!(Stage::entry("qemu-aarch64").contains(&expected_path(stage)));

    // Done: neither the one nor the other has anything left to do.
    assert!(stage.well(&["register", "--takeover"]).changed_nothing());
    assert!(stage.well(&["register"]).changed_nothing());
    stage.well(&["unregister", "--all"]);
    assert_eq!(Stage::entries(), before, "theirs is not as it was");
    Some(())
}

pub(crate) fn emulators_refused(stage: &Stage) -> Option<String> {
    emulators(stage)?;
    let kinds = [
        ("FEX-aarch64", "FEXInterpreter"),
        ("box64", "box64"),
        // A name alone makes no QEMU, nor does a file alone.
        ("qemu-of-others", "mine"),
        ("mine", "qemu-of-others"),
    ];
    for (name, file) in kinds {
        emulators_of_others(stage, name, file)?;
    }
    // One that works is left alone, whoever's it is.
    stage.reset();
    let works = stage.install(&stage.path("bin/qemu-aarch64-static"), "FEXInterpreter");
    stage.plant(&aarch64("FEX-aarch64", &works, "POF"));
    let before = Stage::entries();
    assert_eq!(stage.well(&["register"]).rule_of("aarch64")["action"], "served");
    assert_eq!(Stage::entries(), before);
    Some(format!("{} kinds", kinds.len()))
}

/// A mask that does not look at `e_flags` takes the programs of mips and of mipsn32; the emulator of
/// the one does not run those of the other.
pub(crate) fn shared(stage: &Stage) -> Option<String> {
    for target in ["mips", "mipsn32"] {
        let program = need("a static QEMU", Qemu::any(target))?;
        stage.install(&program, &format!("qemu-{target}-static"));
    }
    configure(stage, r#"targets = ["mips", "mipsn32"]"#);
    let broken = useless(stage, "qemu-useless")?;
    let mips = stage.install(&stage.path("bin/qemu-mips-static"), "qemu-theirs");
    let magic = r"\x7fELF\x01\x02\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x08:\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xfe\xff\xff";
    let plant = |name: &str, interpreter: &Path| {
        stage.reset();
        stage.plant(&format!(":{name}:M::{magic}:{}:POF", interpreter.display()));
    };
    for (name, interpreter) in [
        ("qemu-mips", &broken),
        ("qemu-mipsn32", &broken),
        ("qemu-mips-any", &broken),
        ("qemu-mips", &mips),
        ("qemu-mipsn32", &mips),
    ] {
        plant(name, interpreter);
        let answer = stage.well(&["register"]);
        for target in ["mips", "mipsn32"] {
            assert!(stage.starts(target), "{name}: {target}: {answer}");
        }
        let examined = stage.well(&["doctor", "mips", "mipsn32"]);
        assert_eq!(examined.verdict("mipsn32"), "working");
        let again = stage.well(&["register"]);
        assert!(again.changed_nothing(), "{name}: {again}");
    }
    // Asked for one only, what runs the other stays.
    plant("qemu-mips", &mips);
    stage.well(&["register", "mipsn32"]);
    assert!(stage.starts("mips") && stage.starts("mipsn32"));
    Some("6 ways".to_owned())
}
