//! Files of systemd-binfmt that will not do, on a machine that seems to be run by systemd.

use serde_json::Value;

use crate::finding;
use crate::support::fix::line;
use crate::world::{World, qemu};

/// Magic and mask of arm programs.
const ARM: &str = r"\x7fELF\x01\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x28\x00:\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff";

fn world() -> Option<World> {
    qemu()?;
    let world = World::mounted()?;
    // `sd_booted(3)` looks for this folder and nothing else.
    world.sh("mount -t tmpfs none /run; mkdir -p /run/systemd/system
         mkdir -p /usr/lib/binfmt.d; mount -t tmpfs none /usr/lib/binfmt.d
         mkdir -p /etc/binfmt.d; mount -t tmpfs none /etc/binfmt.d");
    Some(world)
}

fn write(world: &World, name: &str, rule: &str) {
    let file = world.folder().join(name);
    std::fs::write(&file, format!("# a comment\n{rule}\n")).unwrap();
    world.sh(&format!("cp {} /usr/lib/binfmt.d", file.display()));
}

/// What the doctor says of the files.
#[track_caller]
fn says(world: &World) -> Value {
    let document = world.binfmtd("--format json doctor").document();
    finding(&document, "service.binfmt-d", None).clone()
}

#[test]
fn each_fault_is_named_and_its_fix_cures_it() {
    let Some(world) = world() else { return };
    world.binfmtd("register").ended(0);
    assert_eq!(says(&world)["summary"], "binfmt.d has no rules");
    let zeros = r"\x00".repeat(20);
    let emulator = "/usr/bin/qemu-aarch64-static";
    for (rule, words) in [
        (format!(":qemu-arm:M::{ARM}:/nowhere/qemu-arm:F"), "does not exist"),
        (format!(":qemu-arm:M::{ARM}:{}:OP", there(&world)), "no flag F"),
        (format!(":zeros:M::{zeros}:{zeros}:{emulator}:F"), "mask is all zeros"),
        (format!(":scripts:M::#!::{emulator}:"), "the host's own scripts"),
    ] {
        write(&world, "qemu.conf", &rule);
        let found = says(&world);
        assert_eq!(found["status"], "warn", "{rule}: {found:#}");
        let said = found["summary"].as_str().unwrap();
        assert!(said.starts_with("/usr/lib/binfmt.d/qemu.conf:2: "), "{said}");
        assert!(said.contains(words), "{said}");
        world.sh(&line(&found));
        let found = says(&world);
        assert!(["pass", "skip"].contains(&found["status"].as_str().unwrap()), "{found:#}");
        world.sh("rm /etc/binfmt.d/qemu.conf");
    }
}

#[test]
fn a_masked_file_owns_nothing() {
    let Some(world) = world() else { return };
    world.binfmtd("register riscv64").ended(0);
    let rules = world.binfmtd("export --as binfmt.d riscv64").ended(0).out;
    let line = rules.lines().find(|line| line.starts_with(':')).unwrap();
    // Without a record, whose a rule is goes by what others say.
    world.sh(&format!("rm {}/rules.json", world.runtime().display()));
    let owner = || world.json("status")["rules"][0]["owner"].as_str().unwrap().to_owned();
    let nobodys = owner();
    write(&world, "qemu.conf", line);
    assert_eq!(owner(), "systemd-binfmt (/usr/lib/binfmt.d/qemu.conf)");
    world.sh("ln -s /dev/null /etc/binfmt.d/qemu.conf");
    assert_eq!(owner(), nobodys);
    world.sh("rm /etc/binfmt.d/qemu.conf; mv /usr/lib/binfmt.d/qemu.conf /usr/lib/binfmt.d/qemu.conf.dpkg-old");
    assert_eq!(owner(), nobodys);
}

/// A program that is there.
fn there(world: &World) -> String {
    world.program("emulator", &crate::world::probe(std::env::consts::ARCH)).display().to_string()
}

#[test]
fn the_files_of_this_machine_are_sound() {
    qemu();
    let Some(world) = World::mounted() else { return };
    world.sh("mount -t tmpfs none /run; mkdir -p /run/systemd/system");
    let document = world.binfmtd("--format json doctor s390x").ended(1).document();
    let found = finding(&document, "service.binfmt-d", None);
    assert!(["pass", "skip"].contains(&found["status"].as_str().unwrap()), "{found:#}");
}
