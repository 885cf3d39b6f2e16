//! Interpreters: gone, stale, of another machine, out of reach, in others' hands.

use crate::fault::{Cure, Fault, PLAIN};
use crate::host::{Host, OTHER, VICTIM};

const WORKING: &[(&str, &str)] = &[(VICTIM, "working")];

/// Somebody's copy of the emulator, and somebody's rule for it in the place of ours.
fn theirs_at(host: &Host, folder: &str, flags: &str) {
    let copy = host.sh(&format!(
        "mkdir -p {folder}; cp {} {folder}/qemu-aarch64; echo {folder}/qemu-aarch64",
        host.emulator_of(VICTIM)
    ));
    host.remove("qemu-aarch64");
    host.sh("rm -rf $D/run");
    host.world.binfmtd(&format!("register {OTHER}")).ended(0);
    host.plant_victim("qemu-aarch64", &copy, flags);
}

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
        name: "its_path_is_a_pipe_now",
        how: "the path of an interpreter that F holds leads to a named pipe, which nobody writes to",
        make: |host| {
            theirs_at(host, "$D/theirs", "POF");
            host.sh("rm $D/theirs/qemu-aarch64; mkfifo $D/theirs/qemu-aarch64");
            Some(())
        },
        named_by: ("exec.identity", "fail"),
        beside: &[("interpreter.exists", "nobody can say what the file is")],
        ..PLAIN
    },
    Fault {
        name: "its_path_has_no_end_now",
        how: "the same, and it leads to a device that has no end",
        make: |host| {
            theirs_at(host, "$D/theirs", "POF");
            host.sh("ln -sf /dev/zero $D/theirs/qemu-aarch64");
            Some(())
        },
        named_by: ("exec.identity", "fail"),
        beside: &[("interpreter.exists", "nobody can say what the file is")],
        ..PLAIN
    },
    Fault {
        name: "its_path_is_a_file_of_terabytes_now",
        how: "the same, and it leads to a file that nobody reads to its end",
        make: |host| {
            theirs_at(host, "$D/theirs", "POF");
            host.sh("rm $D/theirs/qemu-aarch64; truncate -s 2T $D/theirs/qemu-aarch64; chmod 755 $D/theirs/*");
            Some(())
        },
        named_by: ("exec.identity", "fail"),
        beside: &[("interpreter.usable", "it is no program")],
        ..PLAIN
    },
    Fault {
        name: "not_executable_in_a_folder_of_any_name",
        how: "no mode bits, no F, and a path that a shell takes apart",
        host: || {
            let host = Host::mounted()?;
            host.sh("mv $D/bin \"$D/a b;false;c\"");
            let folder = host.path("a b;false;c").display().to_string();
            host.world.configure(&format!(
                "targets = [{VICTIM:?}, {OTHER:?}]\ninterpreter-directories = [{folder:?}]\n"
            ));
            host.world.binfmtd("register").ended(0);
            Some(host)
        },
        make: |host| {
            host.remove("qemu-aarch64");
            let path = host.path("a b;false;c/qemu-aarch64-static");
            host.plant_victim("qemu-aarch64", path.to_str()?, "PO");
            host.sh("chmod a-x \"$D/a b;false;c/qemu-aarch64-static\"");
            Some(())
        },
        named_by: ("interpreter.usable", "fail"),
        beside: &[],
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
