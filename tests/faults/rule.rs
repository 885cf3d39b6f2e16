//! Rules: not there, off, too wide, too narrow, in the wrong order.

use crate::actor::{actor, dynamic_actor, other_actor};
use crate::fault::{Fault, PLAIN};
use crate::host::{Host, MAGIC, OTHER, VICTIM};

const MISSING: &[(&str, &str)] = &[(VICTIM, "missing")];
const WORKING: &[(&str, &str)] = &[(VICTIM, "working")];

/// A host with emulators of other targets, which are registered.
fn with(targets: &[&str]) -> Option<Host> {
    let host = Host::mounted()?;
    for target in targets {
        host.emulator(target)?;
    }
    host.configure_targets(targets, "");
    host.world.binfmtd("register").ended(0);
    Some(host)
}

/// Somebody else's rule in the place of ours.
fn replaced(host: &Host, interpreter: &str, flags: &str) {
    host.remove("qemu-aarch64");
    host.sh("rm -rf $D/run");
    host.world.binfmtd(&format!("register {OTHER}")).ended(0);
    host.plant_victim("qemu-aarch64", interpreter, flags);
}

/// A rule before ours for some of the programs: of one `e_type`, or with one byte of the header otherwise.
fn before(host: &Host, kind: &str, at: usize, byte: &str) -> Option<()> {
    let (magic, mask) = MAGIC.split_once(':')?;
    let magic = magic.replace(r"\x02\x00\xb7\x00", kind);
    let escaped = |text: &str| text.replace("ELF", r"\x45\x4c\x46");
    let mut bytes: Vec<String> =
        escaped(&magic).split_terminator('\\').skip(1).map(|byte| format!("\\{byte}")).collect();
    let mut masks: Vec<String> =
        mask.split_terminator('\\').skip(1).map(|byte| format!("\\{byte}")).collect();
    if byte == r"\x00" {
        // All of e_type counts, and no OSABI.
        r"\xff".clone_into(&mut masks[16]);
    } else {
        (bytes[at], masks[at]) = (byte.to_owned(), r"\xff".to_owned());
    }
    let hangs = other_actor(host, "hangs")?;
    host.plant(&format!(":part:M::{}:{}:{hangs}:PF", bytes.concat(), masks.concat()));
    Some(())
}

/// A copy of the emulator that is somebody else's.
fn theirs(host: &Host) -> String {
    host.sh(&format!(
        "mkdir -p $D/theirs; cp {} $D/theirs/qemu-aarch64; echo $D/theirs/qemu-aarch64",
        host.emulator_of(VICTIM)
    ))
}

pub(crate) const FAULTS: &[Fault] = &[
    Fault {
        name: "removed",
        how: "somebody removed the rule",
        make: |host| {
            host.remove("qemu-aarch64");
            Some(())
        },
        named_by: ("rule.present", "fail"),
        verdicts: MISSING,
        ..PLAIN
    },
    Fault {
        name: "disabled",
        how: "0 was written to the rule",
        make: |host| {
            host.sh("echo 0 > $M/qemu-aarch64");
            Some(())
        },
        named_by: ("rule.enabled", "fail"),
        verdicts: MISSING,
        ..PLAIN
    },
    Fault {
        name: "no_emulator_was_installed",
        how: "arm/v7 is asked for, and no emulator of it was ever installed",
        make: |host| {
            host.configure_targets(&[VICTIM, OTHER, "arm"], "");
            host.package("arm")
        },
        named_by: ("rule.present", "fail"),
        target: Some("arm"),
        verdicts: &[("arm", "missing")],
        ..PLAIN
    },
    Fault {
        name: "without_f",
        how: "systemd-binfmt's rule without F: containers do not find the interpreter",
        make: |host| {
            replaced(host, &theirs(host), "OP");
            Some(())
        },
        named_by: ("rule.fix-binary", "fail"),
        ..PLAIN
    },
    Fault {
        name: "a_stale_entry_has_the_name",
        how: "an installer skipped a name that was taken: the rule points nowhere",
        make: |host| {
            replaced(host, "/usr/bin/qemu-aarch64-of-old", "OP");
            Some(())
        },
        named_by: ("interpreter.exists", "fail"),
        ..PLAIN
    },
    Fault {
        name: "the_interpreter_was_renamed",
        how: "the package renamed its programs: the rule names the old one",
        make: |host| {
            replaced(host, &host.emulator_of(VICTIM), "P");
            host.sh("mv $D/bin/qemu-aarch64-static $D/bin/qemu-aarch64");
            Some(())
        },
        named_by: ("interpreter.exists", "fail"),
        ..PLAIN
    },
    Fault {
        name: "dynamic_in_other_roots",
        how: "a rule with F and a dynamically linked interpreter",
        make: |host| {
            replaced(host, &dynamic_actor(host, "dynamic")?, "PF");
            Some(())
        },
        named_by: ("interpreter.usable", "fail"),
        ..PLAIN
    },
    Fault {
        name: "shadowed_by_a_broken_rule",
        how: "a newer rule of another emulator takes the programs, and fails",
        make: |host| {
            host.plant_victim("FEX-aarch64", &other_actor(host, "refuses")?, "PF");
            Some(())
        },
        named_by: ("rule.shadowed", "fail"),
        ..PLAIN
    },
    Fault {
        name: "two_rules_match",
        how: "two emulators have a rule for the same programs",
        make: |host| {
            host.plant_victim("rosetta", &theirs(host), "POF");
            Some(())
        },
        named_by: ("rule.shadowed", "warn"),
        verdicts: WORKING,
        ..PLAIN
    },
    Fault {
        name: "takes_one_kind_of_program_only",
        how: "a rule for ET_EXEC alone: a probe runs, and today's programs do not",
        make: |host| {
            host.remove("qemu-aarch64");
            let magic = MAGIC.replace(r"\xfe\xff\xff\xff", r"\xff\xff\xff\xff");
            host.plant(&format!(":qemu-aarch64:M::{magic}:{}:POF", host.emulator_of(VICTIM)));
            Some(())
        },
        named_by: ("rule.matcher", "fail"),
        beside: &[],
        ..PLAIN
    },
    Fault {
        name: "another_takes_the_other_kind",
        how: "a newer rule takes position-independent programs, and hangs",
        make: |host| before(host, r"\x03\x00\xb7\x00", 7, r"\x00"),
        arguments: "--timeout 1",
        named_by: ("rule.shadowed", "fail"),
        beside: &[],
        ..PLAIN
    },
    Fault {
        name: "another_takes_what_is_marked_for_linux",
        how: "a newer rule takes programs with EI_OSABI 3, which no probe is",
        make: |host| before(host, r"\x02\x00\xb7\x00", 7, r"\x03"),
        arguments: "--timeout 1",
        named_by: ("rule.shadowed", "fail"),
        verdicts: &[(VICTIM, "unproved")],
        beside: &[],
        ..PLAIN
    },
    Fault {
        name: "our_name_leads_nowhere",
        how: "a rule by the name of ours, whose interpreter is called otherwise and is gone",
        make: |host| {
            replaced(host, "/nonexistent/q", "P");
            Some(())
        },
        named_by: ("interpreter.exists", "fail"),
        beside: &[],
        ..PLAIN
    },
    Fault {
        name: "our_name_is_another_emulators",
        how: "the same, and its interpreter is another emulator's: nobody's to replace unasked",
        make: |host| {
            replaced(host, "/nonexistent/box64", "P");
            Some(())
        },
        named_by: ("interpreter.exists", "fail"),
        beside: &[],
        ..PLAIN
    },
    Fault {
        name: "scripts_are_captured",
        how: "a mask so loose that scripts match",
        make: |host| {
            let refuses = actor(host, "refuses")?;
            host.plant(&format!(":loose:M::#!:\\xff\\xff:{refuses}:"));
            Some(())
        },
        named_by: ("rule.native", "fail"),
        target: None,
        verdicts: WORKING,
        ..PLAIN
    },
    Fault {
        name: "native_programs_are_captured",
        how: "a rule for i386 on a kernel that runs those by itself",
        make: |host| {
            let natives = host.world.json("targets i386");
            let native = if natives["targets"][0]["native"] == true {
                Ok(())
            } else {
                Err("this kernel does not run i386 programs".to_owned())
            };
            crate::support::need("a second native target", native)?;
            let refuses = actor(host, "refuses")?;
            host.plant(&format!(
                r":qemu-i386:M::\x7fELF\x01\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x03\x00:\xff\xff\xff\xff\xff\xfe\xfe\xfc\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:{refuses}:F"
            ));
            Some(())
        },
        named_by: ("rule.native", "fail"),
        target: None,
        verdicts: WORKING,
        ..PLAIN
    },
    Fault {
        name: "the_magic_matches_nothing",
        how: "QEMU's own row for microblaze: e_type in the wrong byte order",
        host: || with(&["microblaze", OTHER]),
        make: |host| {
            host.remove("qemu-microblaze");
            host.plant(&format!(
                r":qemu-microblaze:M::\x7fELF\x01\x02\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xba\xab:\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff:{}:POF",
                host.emulator_of("microblaze")
            ));
            Some(())
        },
        named_by: ("rule.present", "fail"),
        target: Some("microblaze"),
        verdicts: &[("microblaze", "missing")],
        ..PLAIN
    },
    Fault {
        name: "the_mask_takes_another_target_too",
        how: "a rule for o32 MIPS that does not look at e_flags takes n32 as well",
        host: || with(&["mips", OTHER]),
        make: |host| {
            host.remove("qemu-mips");
            host.plant(&format!(
                r":qemu-mips:M::\x7fELF\x01\x02\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x08:\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xfe\xff\xff:{}:POF",
                host.emulator_of("mips")
            ));
            Some(())
        },
        named_by: ("rule.matcher", "warn"),
        target: Some("mips"),
        verdicts: &[("mips", "working")],
        ..PLAIN
    },
    Fault {
        name: "the_mask_looks_at_the_abi_version",
        how: "Debian 12's mask for MIPS 64 looks at EI_ABIVERSION, which today's programs fill",
        host: || with(&["mips64", OTHER]),
        make: |host| {
            host.remove("qemu-mips64");
            host.plant(&format!(
                r":qemu-mips64:M::\x7fELF\x02\x02\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x08:\xff\xff\xff\xff\xff\xff\xff\x00\xfe\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff:{}:POF",
                host.emulator_of("mips64")
            ));
            Some(())
        },
        named_by: ("rule.matcher", "warn"),
        target: Some("mips64"),
        verdicts: &[("mips64", "missing")],
        ..PLAIN
    },
    Fault {
        name: "credentials_asked_for_and_missing",
        how: "credentials = true, and somebody's rule has no C: sudo is not root",
        make: |host| {
            host.configure("credentials = true");
            host.world.binfmtd("register").ended(0);
            replaced(host, &theirs(host), "POF");
            Some(())
        },
        named_by: ("exec.credentials", "fail"),
        ..PLAIN
    },
];
