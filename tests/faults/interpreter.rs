//! Interpreters: gone, stale, of another machine, out of reach, in others' hands.

use crate::fault::{Cure, Fault, PLAIN};
use crate::host::{Host, VICTIM};

const WORKING: &[(&str, &str)] = &[(VICTIM, "working")];

pub(crate) const FAULTS: &[Fault] = &[
    Fault {
        name: "stale",
        how: "QEMU was upgraded, and F holds the old file",
        make: |host| {
            // Another file by that name; a byte at its end harms nobody.
            host.sh("cp $D/bin/qemu-aarch64-static $D/new; echo >> $D/new; mv $D/new $D/bin/qemu-aarch64-static");
            Some(())
        },
        named_by: ("exec.identity", "fail"),
        ..PLAIN
    },
    Fault {
        name: "gone_and_pinned",
        how: "QEMU was removed; the kernel goes on with the file that it holds",
        make: |host| {
            host.sh("mv $D/bin/qemu-aarch64-static $D/package");
            Some(())
        },
        named_by: ("interpreter.exists", "warn"),
        verdicts: WORKING,
        ..PLAIN
    },
    Fault {
        name: "of_another_machine",
        how: "the interpreter is a program of another machine",
        verdicts: &[(VICTIM, "missing")],
        make: |host| {
            // Of one that no rule takes, else its emulator would run it.
            let foreign = host.program("qemu-foreign", &crate::world::probe("s390x"));
            host.remove("qemu-aarch64");
            host.plant_victim("qemu-aarch64", foreign.to_str()?, "POF");
            Some(())
        },
        named_by: ("interpreter.usable", "fail"),
        ..PLAIN
    },
    Fault {
        name: "not_executable",
        how: "the interpreter lost its mode bits",
        make: |host| {
            host.remove("qemu-aarch64");
            host.plant_victim("qemu-aarch64", &host.emulator_of(VICTIM), "POF");
            host.sh("chmod a-x $D/bin/qemu-aarch64-static");
            Some(())
        },
        named_by: ("interpreter.usable", "fail"),
        verdicts: WORKING,
        ..PLAIN
    },
    Fault {
        name: "on_a_noexec_mount",
        how: "the interpreter's filesystem was mounted again, noexec",
        host: || {
            let host = Host::mounted()?;
            host.sh("mkdir $D/tmpfs; mount -t tmpfs none $D/tmpfs; mv $D/bin/* $D/tmpfs; mount --move $D/tmpfs $D/bin");
            host.world.binfmtd("register").ended(0);
            Some(host)
        },
        make: |host| {
            host.sh("mount -o remount,noexec $D/bin");
            Some(())
        },
        named_by: ("interpreter.usable", "fail"),
        verdicts: &[(VICTIM, "broken"), (crate::host::OTHER, "broken")],
        cure: Cure::InPlace("remounted with exec", |host| {
            host.sh("mount -o remount,exec $D/bin");
            Some(())
        }),
        ..PLAIN
    },
    Fault {
        name: "others_may_replace_it",
        how: "everybody may write the interpreter",
        make: |host| {
            host.sh("chmod go+w $D/bin/qemu-aarch64-static");
            Some(())
        },
        named_by: ("interpreter.trusted", "warn"),
        verdicts: WORKING,
        ..PLAIN
    },
    Fault {
        name: "others_may_replace_what_runs_as_root",
        how: "everybody may write the interpreter of a rule with C",
        host: || {
            let host = Host::mounted()?;
            host.configure("credentials = true");
            host.world.binfmtd("register").ended(0);
            Some(host)
        },
        make: |host| {
            host.sh("chmod go+w $D/bin/qemu-aarch64-static");
            Some(())
        },
        named_by: ("interpreter.trusted", "fail"),
        verdicts: WORKING,
        ..PLAIN
    },
    Fault {
        name: "of_a_label_that_containers_may_not_run",
        how: "SELinux: the interpreter has a home folder's label (its files in /sys are stood in for)",
        make: |host| {
            let label = "system_u:object_r:user_home_t:s0";
            let script = "import os, sys; os.setxattr(sys.argv[1], 'security.selinux', sys.argv[2].encode())";
            // Not in the world: it takes a capability of the machine's.
            let said = std::process::Command::new("/usr/bin/python3")
                .args(["-c", script, &host.emulator_of(VICTIM), label])
                .output();
            let said = said.map_err(|error| error.to_string()).and_then(|said| {
                let complaint = String::from_utf8_lossy(&said.stderr).into_owned();
                if said.status.success() { Ok(()) } else { Err(complaint) }
            });
            crate::support::need("a filesystem with labels", said)?;
            host.sh("mount -t tmpfs none /sys/fs; mkdir /sys/fs/selinux; echo 1 > /sys/fs/selinux/enforce");
            Some(())
        },
        named_by: ("interpreter.label", "warn"),
        verdicts: WORKING,
        cure: Cure::InPlace("SELinux is off again: chcon needs the real one", |host| {
            host.sh("umount /sys/fs");
            Some(())
        }),
        ..PLAIN
    },
];
