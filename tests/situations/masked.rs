//! An instance of one's own hides that of the namespace above, even when it is unmounted again.

use crate::finding;
use crate::support::fix::line;
use crate::world::{World, qemu};

/// Whoever is in a user namespace below may see the rules of the one above, and not use them.
#[test]
fn rules_that_are_seen_and_not_used() {
    let (Some(()), Some(world)) = (qemu(), World::mounted()) else { return };
    world.binfmtd("register aarch64 s390x").ended(0);
    let mut words: Vec<_> = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-ec"]
        .map(std::ffi::OsString::from)
        .to_vec();
    let run = |words: &[std::ffi::OsString], script: &str| {
        let config = world.config();
        let binfmtd = format!("{} --config {}", crate::world::BINFMTD, config.display());
        let mut words = words.to_vec();
        words.push(script.replace("BINFMTD", &binfmtd).into());
        world.run(words)
    };
    // Below, the rules of the namespace above serve.
    let document = run(&words, "BINFMTD --format json doctor aarch64").ended(0).document();
    assert_eq!(finding(&document, "kernel.instance", None)["status"], "pass");

    let mask = "M=/proc/sys/fs/binfmt_misc; mount -t binfmt_misc binfmt_misc $M; umount $M;";
    let said = run(&words, &format!("{mask} BINFMTD --format json doctor aarch64 s390x"));
    let document = said.ended(1).document();
    let instance = finding(&document, "kernel.instance", None);
    assert_eq!(instance["status"], "fail", "{instance:#}");
    assert!(instance["summary"].as_str().unwrap().contains("hides them"), "{instance:#}");
    // Told once: the targets say where.
    for target in ["aarch64", "s390x"] {
        assert_eq!(finding(&document, "rule.present", Some(target))["status"], "pass");
        let host = finding(&document, "exec.host", Some(target));
        assert_eq!(host["status"], "skip", "{host:#}");
        assert!(host["summary"].as_str().unwrap().contains("kernel.instance"), "{host:#}");
    }
    // The way out is one.
    let fix = line(instance);
    let (mount, register) = fix.split_once(" && binfmtd ").unwrap();
    let runtime = "export BINFMTD_RUNTIME_DIRECTORY=$(mktemp -d); trap 'rm -r $BINFMTD_RUNTIME_DIRECTORY' EXIT;";
    words.push(
        format!(
            "{mask} {runtime} {mount} && B {register} > /dev/null && B --format json doctor aarch64"
        )
        .replace("B ", &format!("{} --config {} ", crate::world::BINFMTD, world.config().display()))
        .into(),
    );
    let document = world.run(words).ended(0).document();
    assert_eq!(finding(&document, "kernel.instance", None)["status"], "pass");
}
