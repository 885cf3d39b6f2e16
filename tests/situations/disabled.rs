//! `binfmt_misc` as a whole is switched off.

use crate::support::fix::line;
use crate::world::{World, qemu};
use crate::{finding, verdict};

#[test]
fn the_doctor_says_so_and_register_switches_it_on() {
    let (Some(()), Some(world)) = (qemu(), World::mounted()) else { return };
    world.binfmtd("register").ended(0);
    world.sh("echo 0 > $M/status");

    let said = world.binfmtd("doctor").ended(1);
    assert!(said.out.contains("binfmt_misc as a whole is disabled"), "{said:#?}");
    let document = world.json("doctor");
    assert_eq!(finding(&document, "kernel.enabled", None)["status"], "fail");
    assert_eq!(verdict(&document, "aarch64"), "missing");
    // Told once, with the way out.
    assert_eq!(
        line(finding(&document, "kernel.enabled", None)),
        "sh -c 'echo 1 > /proc/sys/fs/binfmt_misc/status'"
    );
    assert_eq!(finding(&document, "exec.host", Some("aarch64"))["status"], "skip");

    let said = world.binfmtd("status").ended(0);
    assert!(said.out.contains("as a whole is switched off"), "{said:#?}");
    let document = world.json("status");
    assert_eq!(document["enabled"], false);
    assert!(
        document["rules"].as_array().unwrap().iter().all(|rule| rule["state"] == "disabled"),
        "{document:#}"
    );

    let document = world.json("register");
    assert_eq!(document["rules"][0]["action"], "enable-instance", "{document:#}");
    assert_eq!(world.sh("cat $M/status"), "enabled");
    world.binfmtd("doctor").ended(0);
}
