//! systemd's automount is there, and the daemon behind it is gone.

use std::ffi::OsString;

use crate::support::fix::line;
use crate::support::need;
use crate::unmounted::{FIRST, is_free};
use crate::world::{World, qemu};
use crate::{fails, finding, verdict};

/// An automount whose pipe has no reader any more.
const BREAK: &str = "mkfifo $0/pipe
    exec 3<> $0/pipe 4> $0/pipe
    mount -t autofs -o fd=4,pgrp=1,minproto=5,maxproto=5,direct systemd-1 $1";

#[test]
fn it_is_named_and_mounted_over() {
    let _turn = FIRST.lock();
    let (Some(()), Some(world)) = (qemu(), World::privileged()) else { return };
    if !is_free(&world) {
        return;
    }
    let folder = world.folder().to_str().unwrap();
    let said = world.run(["sh", "-ec", BREAK, folder, crate::support::INSTANCE]);
    if need("autofs", if said.code == 0 { Ok(()) } else { Err(said.err) }).is_none() {
        return;
    }
    // The first who looks is told something else by the kernel than all who follow; the sentence in
    // parentheses is the kernel's.
    let broken = "the automount on /proc/sys/fs/binfmt_misc is broken";
    let first = world.binfmtd("status").ended(3);
    assert!(first.err.contains(broken), "{first:#?}");
    fails(&world, "status", 3, &[broken]);
    fails(&world, "unregister --all", 3, &[broken]);
    let document = world.binfmtd("--format json doctor s390x").ended(1).document();
    let mounted = finding(&document, "kernel.mounted", None);
    assert!(mounted["summary"].as_str().unwrap().starts_with(broken), "{mounted:#}");
    assert_eq!(mounted["evidence"], "mounted there: autofs");
    let fix = line(mounted);
    assert!(fix.starts_with("umount /proc/sys/fs/binfmt_misc && mount "), "{fix}");
    assert_eq!(verdict(&document, "s390x"), "missing");

    // Who may not mount, and has the instance as a volume, takes that.
    let volume = format!("{folder}/volume");
    let powerless = |line: &str| {
        let words = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"];
        world.run(words.map(OsString::from).into_iter().chain(world.words(line)))
    };
    let refused = powerless("register").ended(3);
    assert!(refused.err.contains(broken), "{refused:#?}");
    world.sh(&format!("mkdir {volume}; mount -t binfmt_misc binfmt_misc {volume}"));
    powerless("status").ended(0);
    world.sh(&format!("umount {volume}"));

    // Only the mount of ours goes with us.
    fails(&world, "register", 3, &["would vanish when it ends"]);
    let said = world.binfmtd("run --target s390x -- echo ran").ended(0);
    assert_eq!(said.out, "ran\n");
    fails(&world, "status", 3, &[broken]);
}
