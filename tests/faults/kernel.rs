//! The instance: not there, not the right one, switched off, out of reach; and what the kernel limits.

use crate::fault::{Cure, Fault, PLAIN};
use crate::host::{Host, OTHER, VICTIM};
use crate::support::INSTANCE;
use crate::world::World;

const NOTHING: &[(&str, &str)] = &[(VICTIM, "missing"), (OTHER, "missing")];
/// Without an instance no program runs, and each target says so.
const NOT_THERE: &[(&str, &str)] = &[
    ("exec.host", "no program runs"),
    ("exec.empty-root", "no program runs"),
    ("rule.present", "no rule is visible"),
];

fn unmounted() -> Option<Host> {
    Host::new(World::unmounted()?)
}

pub(crate) const FAULTS: &[Fault] = &[
    Fault {
        name: "not_mounted",
        how: "binfmt_misc is not mounted",
        host: unmounted,
        named_by: ("kernel.mounted", "fail"),
        target: None,
        verdicts: NOTHING,
        beside: NOT_THERE,
        ..PLAIN
    },
    Fault {
        name: "mounted_in_a_container_only",
        how: "a container mounted it, registered, said OK, and ended",
        host: unmounted,
        make: |host| {
            host.sh("unshare --mount sh -ec 'mount -t binfmt_misc binfmt_misc $M
                 binfmtd register --no-verify; test -e $M/qemu-aarch64'");
            Some(())
        },
        named_by: ("kernel.mounted", "fail"),
        target: None,
        verdicts: NOTHING,
        beside: NOT_THERE,
        ..PLAIN
    },
    Fault {
        name: "something_else_is_mounted",
        how: "another filesystem is on the mount point",
        host: unmounted,
        make: |host| {
            host.sh("mount -t tmpfs none $M");
            Some(())
        },
        named_by: ("kernel.mounted", "fail"),
        target: None,
        verdicts: NOTHING,
        beside: NOT_THERE,
        ..PLAIN
    },
    Fault {
        name: "without_the_right_to_mount",
        how: "a container without capabilities, and nothing is mounted",
        host: unmounted,
        within: "exec setpriv --bounding-set=-all --inh-caps=-all \"$@\"",
        named_by: ("kernel.mounted", "fail"),
        target: None,
        verdicts: NOTHING,
        beside: NOT_THERE,
        ..PLAIN
    },
    Fault {
        name: "the_automount_is_broken",
        how: "the automount is there, and the daemon behind it is gone",
        host: || Host::new(World::privileged()?),
        make: |host| {
            let free =
                host.world.run(["grep", "-q", &format!(" {INSTANCE} "), "/proc/self/mountinfo"]);
            let free =
                if free.code == 0 { Err("binfmt_misc is mounted".to_owned()) } else { Ok(()) };
            crate::support::need("a machine without binfmt_misc mounted", free)?;
            host.sh("mkfifo $D/pipe
                 exec 3<> $D/pipe 4> $D/pipe
                 mount -t autofs -o fd=4,pgrp=1,minproto=5,maxproto=5,direct systemd-1 $M");
            Some(())
        },
        named_by: ("kernel.mounted", "fail"),
        target: None,
        verdicts: NOTHING,
        beside: NOT_THERE,
        cure: Cure::Elsewhere(
            "its umount, as it is; its mount in a user namespace, because the first one is the machine's",
            |host, fix| {
                let (umount, mount) = fix.split_once(" && ").expect("two commands");
                host.sh(umount);
                host.sh(&format!(
                    "unshare --user --map-root-user --mount sh -ec '{mount}; binfmtd register; binfmtd doctor'"
                ));
            },
        ),
        ..PLAIN
    },
    Fault {
        name: "gone_with_a_reboot",
        how: "a boot: the kernel forgets its rules",
        make: |host| {
            // The instance ends with its last mount, as it does with the machine.
            host.sh("umount $M; mount -t binfmt_misc binfmt_misc $M; rm -r $D/run");
            Some(())
        },
        named_by: ("rule.present", "fail"),
        verdicts: NOTHING,
        beside: NOT_THERE,
        ..PLAIN
    },
    Fault {
        name: "flushed_by_systemd_binfmt",
        how: "systemd-binfmt is restarted: it removes everybody's rules",
        make: |host| {
            let there = std::path::Path::new("/usr/lib/systemd/systemd-binfmt").exists();
            let there = if there { Ok(()) } else { Err("not installed".to_owned()) };
            crate::support::need("systemd-binfmt", there)?;
            host.sh("mount -t tmpfs none /usr/lib/binfmt.d; /usr/lib/systemd/systemd-binfmt");
            Some(())
        },
        named_by: ("rule.present", "fail"),
        verdicts: NOTHING,
        beside: NOT_THERE,
        ..PLAIN
    },
    Fault {
        name: "switched_off",
        how: "0 was written to status",
        make: |host| {
            host.sh("echo 0 > $M/status");
            Some(())
        },
        named_by: ("kernel.enabled", "fail"),
        target: None,
        verdicts: NOTHING,
        beside: NOT_THERE,
        ..PLAIN
    },
    Fault {
        name: "read_only",
        how: "the instance is mounted read-only",
        make: |host| {
            host.sh("mount -o remount,ro $M");
            Some(())
        },
        named_by: ("kernel.writable", "warn"),
        target: None,
        verdicts: &[(VICTIM, "working")],
        ..PLAIN
    },
    Fault {
        name: "registered_in_a_rootless_container",
        how: "a rootless container registered, said OK, and nobody else sees it",
        host: Host::mounted,
        make: |host| {
            host.sh(
                "unshare --user --map-root-user --mount sh -ec 'mount -t binfmt_misc binfmt_misc $M
                 binfmtd register; binfmtd doctor'",
            );
            Some(())
        },
        named_by: ("rule.present", "fail"),
        verdicts: NOTHING,
        beside: NOT_THERE,
        ..PLAIN
    },
    Fault {
        name: "masked",
        how: "somebody mounted an instance in this user namespace, which hides the host's rules",
        within: "exec unshare --user --map-root-user --mount sh -ec \
                 'mount -t binfmt_misc binfmt_misc $M; umount $M; exec \"$@\"' sh \"$@\"",
        named_by: ("kernel.instance", "fail"),
        target: None,
        verdicts: NOTHING,
        beside: NOT_THERE,
        cure: Cure::InTheSameShell,
        ..PLAIN
    },
    Fault {
        name: "address_space_is_limited",
        how: "RLIMIT_AS leaves no room for a 32-bit guest",
        host: || {
            let host = Host::mounted()?;
            host.emulator("arm")?;
            host.configure_targets(&["arm", OTHER], "");
            host.world.binfmtd("register").ended(0);
            Some(host)
        },
        within: "ulimit -S -v 2000000; exec \"$@\"",
        arguments: "--timeout 2",
        named_by: ("exec.host", "error"),
        target: Some("arm"),
        verdicts: &[("arm", "unproved")],
        cure: Cure::Elsewhere("its own look at the target, with the limit lifted", |host, fix| {
            assert!(fix.starts_with("prlimit --as=unlimited binfmtd doctor"), "{fix}");
            let said = host.script("ulimit -S -v 2000000; exec \"$@\"", fix);
            assert_eq!(said.code, 0, "{fix}: {said:#?}");
        }),
        ..PLAIN
    },
    Fault {
        name: "no_written_code",
        how: "MemoryDenyWriteExecute= is on for who starts programs",
        make: |host| crate::actor::other_actor(host, "mdwe").map(|_| ()),
        within: "exec $D/mdwe/FEXInterpreter \"$@\"",
        named_by: ("exec.host", "error"),
        target: Some(VICTIM),
        verdicts: &[(VICTIM, "unproved"), (OTHER, "unproved")],
        cure: Cure::InPlace("started without it: nobody can take it back", |_| Some(())),
        ..PLAIN
    },
];
