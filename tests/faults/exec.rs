//! What only running shows: interpreters that do not do as they should.

use crate::actor::actor;
use crate::fault::{Cure, Fault, PLAIN};
use crate::host::{Host, VICTIM};

/// A rule of QEMU's name whose interpreter is a stand-in, by the name of what it does.
fn acted_by(host: &Host, name: &str, flags: &str) -> Option<()> {
    let path = actor(host, name)?;
    host.remove("qemu-aarch64");
    host.plant_victim("qemu-aarch64", &path, flags);
    Some(())
}

pub(crate) const FAULTS: &[Fault] = &[
    Fault {
        name: "hangs",
        how: "the interpreter hangs",
        make: |host| acted_by(host, "hangs", "POF"),
        arguments: "--timeout 2",
        named_by: ("exec.host", "fail"),
        ..PLAIN
    },
    Fault {
        name: "crashes",
        how: "the interpreter dies by SIGSEGV",
        make: |host| acted_by(host, "crashes", "POF"),
        named_by: ("exec.host", "fail"),
        ..PLAIN
    },
    Fault {
        name: "floods",
        how: "the interpreter writes without end",
        make: |host| acted_by(host, "floods", "POF"),
        named_by: ("exec.host", "fail"),
        ..PLAIN
    },
    Fault {
        name: "lies",
        how: "the interpreter answers with a nonce of its own",
        make: |host| acted_by(host, "lies", "POF"),
        named_by: ("exec.host", "fail"),
        ..PLAIN
    },
    Fault {
        name: "silent",
        how: "the interpreter ends well, and runs nothing",
        make: |host| acted_by(host, "silent", "POF"),
        named_by: ("exec.host", "fail"),
        ..PLAIN
    },
    Fault {
        name: "loses_the_status",
        how: "the interpreter ends with 0 whatever its program said",
        make: |host| acted_by(host, "forgets", "POF"),
        named_by: ("exec.status", "fail"),
        ..PLAIN
    },
    Fault {
        name: "loses_signals",
        how: "the interpreter does not die by a signal",
        make: |host| acted_by(host, "deaf", "POF"),
        arguments: "--timeout 2",
        named_by: ("exec.signal", "fail"),
        ..PLAIN
    },
    Fault {
        name: "shifted_arguments",
        how: "P, and an interpreter that does not expect it",
        make: |host| acted_by(host, "shifts", "POF"),
        named_by: ("exec.argv0", "fail"),
        ..PLAIN
    },
    Fault {
        name: "argv0_is_lost",
        how: "no P: busybox does not see which applet it is",
        make: |host| {
            host.remove("qemu-aarch64");
            host.plant_victim("qemu-aarch64", &host.emulator_of(VICTIM), "OF");
            Some(())
        },
        named_by: ("exec.argv0", "warn"),
        verdicts: &[(VICTIM, "working")],
        ..PLAIN
    },
    Fault {
        name: "flaky",
        how: "the interpreter dies in every third run",
        make: |host| acted_by(host, "flaky", "POF"),
        arguments: "--repeat 12",
        named_by: ("exec.repeat", "fail"),
        verdicts: &[(VICTIM, "flaky")],
        ..PLAIN
    },
    Fault {
        name: "a_version_that_is_known_to_be_bad",
        how: "QEMU 9.2.0, under which ldconfig of some images dies",
        make: |host| acted_by(host, "version-9.2.0", "POF"),
        named_by: ("exec.version", "warn"),
        verdicts: &[(VICTIM, "working")],
        cure: Cure::InPlace("another version is installed and registered", |host| {
            host.sh("binfmtd register aarch64 --takeover");
            Some(())
        }),
        ..PLAIN
    },
];
