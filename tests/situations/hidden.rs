//! A kernel that seems to have no `binfmt_misc`: the files that say so are covered. What a kernel
//! without it answers to mount(2) only such a kernel can show.

use crate::support::fix::line;
use crate::world::World;
use crate::{fails, finding};

#[test]
fn the_doctor_names_the_kernel() {
    let Some(world) = World::unmounted() else { return };
    let folder = world.folder().display();
    world.sh(&format!(
        "grep -v binfmt_misc /proc/filesystems > {folder}/filesystems
         mount --bind {folder}/filesystems /proc/filesystems"
    ));
    let said = world.binfmtd("doctor aarch64").ended(3);
    assert!(said.out.contains("the kernel has no binfmt_misc"), "{said:#?}");
    let document = world.json("doctor aarch64");
    let supported = finding(&document, "kernel.supported", None);
    assert_eq!(
        (supported["status"].as_str(), line(supported).as_str()),
        (Some("fail"), "modprobe binfmt_misc")
    );
    // Told once: what is not there cannot be mounted.
    assert_eq!(finding(&document, "kernel.mounted", None)["status"], "skip");
}

#[test]
fn a_missing_folder_is_told_from_a_missing_mount() {
    let Some(world) = World::unmounted() else { return };
    world.sh("mount -t tmpfs none /proc/sys/fs");
    let gone = "/proc/sys/fs/binfmt_misc does not exist";
    fails(&world, "register", 3, &[gone]);
    fails(&world, "status", 3, &[gone, "modprobe binfmt_misc"]);
    fails(&world, "which /bin/sh", 3, &[gone, "modprobe binfmt_misc"]);
    fails(&world, "unregister --all", 3, &[gone]);
    fails(&world, "run --strict -- true", 3, &[gone]);
    fails(&world, "run --private -- true", 3, &[gone, "modprobe binfmt_misc"]);
    let document = world.json("doctor aarch64");
    let mounted = finding(&document, "kernel.mounted", None);
    assert!(mounted["summary"].as_str().unwrap().starts_with(gone), "{mounted:#}");
}

#[test]
fn something_else_on_the_mount_point_is_named() {
    let Some(world) = World::unmounted() else { return };
    world.sh("mount -t tmpfs none $M");
    let said = "the filesystem on /proc/sys/fs/binfmt_misc is not binfmt_misc";
    for line in ["register", "status", "unregister --all", "run --strict -- true"] {
        fails(&world, line, 3, &[said]);
    }
    let document = world.json("doctor aarch64");
    let mounted = finding(&document, "kernel.mounted", None);
    assert!(mounted["summary"].as_str().unwrap().starts_with(said), "{mounted:#}");
    assert!(mounted["evidence"].as_str().unwrap().contains("tmpfs"), "{mounted:#}");
}
