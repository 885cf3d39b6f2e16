//! As the kernel comes up: no module, nothing mounted.

use crate::guest::TARGETS;
use crate::machine::{Report, finding};
use crate::support::fix::line;

pub(crate) fn looking(report: &Report) -> String {
    // Else none of this would show anything.
    assert!(
        !report.is_well("unloaded-filesystems"),
        "the kernel of {} has it built in",
        report.kernel.suite
    );
    let not_mounted = "binfmt_misc is not mounted on /proc/sys/fs/binfmt_misc";
    report.step("unloaded-status").fails(3, &[not_mounted, "binfmtd register as root mounts it"]);
    report.step("unloaded-dry-run").fails(3, &[not_mounted]);
    let document = report.step("unloaded-doctor").ended(3);
    let supported = finding(&document, "kernel.supported", None);
    assert_eq!(
        (supported["status"].as_str(), line(supported).as_str()),
        (Some("fail"), "modprobe binfmt_misc")
    );
    assert_eq!(finding(&document, "kernel.mounted", None)["status"], "skip");
    assert_eq!(document["targets"][0]["verdict"], "missing");
    let loaded = &report.step("unloaded-modules").out;
    assert!(!loaded.contains("binfmt_misc"), "looking loaded it: {loaded}");
    assert!(!report.is_well("unloaded-mounts"), "looking mounted it");
    format!("Linux {}, booted and done in {:.1?}", report.kernel.release, report.time)
}

pub(crate) fn unsupported(report: &Report) -> String {
    let sentence = ["this kernel has no binfmt_misc", "modprobe binfmt_misc"];
    report.step("unsupported-register").fails(3, &sentence);
    report.step("unsupported-private").fails(3, &sentence);
    assert!(!report.is_well("unsupported-mounts"), "nothing was mounted");
    "register and run --private exit with 3".to_owned()
}

pub(crate) fn register(report: &Report) -> String {
    let step = report.step("first-register");
    let document = step.ended(0);
    let rules = document["rules"].as_array().expect("rules");
    let targets: Vec<_> = rules.iter().filter_map(|rule| rule["target"].as_str()).collect();
    assert_eq!(targets, TARGETS, "{document:#}");
    assert!(
        rules.iter().all(|rule| rule["changed"] == true && rule["error"].is_null()),
        "{document:#}"
    );
    // The kernel asks for the module of the filesystem when it is named to fsopen(2).
    let asked = &report.step("first-modprobe").out;
    assert!(asked.lines().any(|line| line.ends_with(" -q -- fs-binfmt_misc")), "{asked}");
    assert!(report.step("first-modules").out.contains("binfmt_misc"));
    let mounts = &report.step("first-mounts").out;
    let (options, count) = ("rw,nosuid,nodev,noexec,", mounts.lines().count());
    assert!(count == 1 && mounts.contains(options), "{mounts}");
    let time = step.time - report.step("unsupported-mounts").time;
    format!("{time:.1} s in the machine")
}
