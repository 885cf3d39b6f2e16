//! Mounts of its own, and only there an instance.

use crate::machine::Report;

pub(crate) fn lifetime(report: &Report) -> String {
    report.step("container-confined").fails(
        3,
        &[
            "the host has not mounted binfmt_misc",
            "would vanish when it ends",
            "binfmtd run -- COMMAND",
        ],
    );
    assert!(!report.is_well("container-mounts"), "it took its mount back");
    // In there the rules serve, ours and anybody's.
    for name in ["container-kept", "container-run"] {
        let step = report.step(name);
        let said: Vec<_> = step.out.lines().skip(1).take(2).collect();
        assert_eq!((step.code, &said[..]), (0, &["/foreign/s390x", "inside"][..]), "{step:#?}");
    }
    // Outside, and when the container is gone, it is the kernel's decision.
    let stay = report.rules_outlive_mounts();
    for (started, listed, rule) in [
        ("container-outside", "container-rules", "kept"),
        ("container-after", "container-run-rules", "qemu-s390x"),
    ] {
        assert_eq!(report.is_well(started), stay, "{:#?}", report.step(started));
        assert_eq!(report.step(listed).words().contains(&rule), stay, "{:#?}", report.step(listed));
    }
    // Who sees the host's process 1, and may, registers for all.
    report.step("container-register").ended(0);
    for name in ["container-host", "container-left"] {
        assert!(report.is_well(name), "{:#?}", report.step(name));
    }
    // It runs a file of the host's: where its path leads in there says nothing.
    let other_root = report.step("container-root");
    assert_eq!(other_root.json()["rules"][0]["action"], "served", "{other_root:#?}");
    if stay { "its rules outlive it" } else { "its rules go with it" }.to_owned()
}
