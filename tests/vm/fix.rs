//! Nothing is mounted, and the doctor puts that right.

use serde_json::Value;

use crate::machine::{Report, finding};
use crate::support::fix::line;

const MOUNT: &str = "mount binfmt_misc on /proc/sys/fs/binfmt_misc";

/// The steps that were, or would be, taken: what, and whether it was done.
#[track_caller]
fn steps(document: &Value) -> Vec<(&str, bool)> {
    let fixes = document["fixes"].as_array().expect("fixes").iter();
    fixes
        .map(|fix| {
            assert!(fix["error"].is_null(), "{document:#}");
            (fix["step"].as_str().expect("a step"), fix["done"] == true)
        })
        .collect()
}

pub(crate) fn by_hand(report: &Report) -> String {
    let document = report.step("fix-unmounted").ended(1);
    assert_eq!(finding(&document, "kernel.supported", None)["status"], "pass");
    let mounted = finding(&document, "kernel.mounted", None);
    assert_eq!(mounted["status"], "fail", "{document:#}");
    assert_eq!(document["targets"][0]["verdict"], "missing", "{document:#}");
    assert!(report.is_well("fix-unmounted-fix"), "{:#?}", report.step("fix-unmounted-fix"));
    assert_eq!(report.step("fix-unmounted-mounts").words(), ["1"]);
    line(mounted)
}

pub(crate) fn by_itself(report: &Report) -> String {
    let is_loaded = |step: &str| report.step(step).out.contains("binfmt_misc");
    assert!(!is_loaded("fix-modules-before"), "the kernel keeps the module");

    let step = report.step("fix-dry-run");
    let document = step.ended(3);
    let [(MOUNT, false), (add, false)] = steps(&document)[..] else { panic!("{document:#}") };
    assert!(add.contains("qemu-s390x"), "{add}");
    assert_eq!(finding(&document, "kernel.supported", None)["status"], "fail");
    assert!(!is_loaded("fix-dry-run-modules"), "a dry run loaded it");
    assert!(!report.is_well("fix-dry-run-mounts"), "a dry run mounted it");

    for name in ["unloaded", "loaded"] {
        let document = report.step(&format!("fix-{name}")).ended(0);
        let [(MOUNT, true), (add, true)] = steps(&document)[..] else { panic!("{document:#}") };
        assert!(add.contains("qemu-s390x"), "{add}");
        for id in ["kernel.supported", "kernel.mounted"] {
            assert_eq!(finding(&document, id, None)["status"], "pass", "{document:#}");
        }
        assert_eq!(document["targets"][0]["verdict"], "working", "{document:#}");
        let mounts = &report.step(&format!("fix-{name}-mounts")).out;
        let (options, count) = ("rw,nosuid,nodev,noexec,", mounts.lines().count());
        assert!(count == 1 && mounts.contains(options), "{mounts}");
        let program = report.step(&format!("fix-{name}-program"));
        assert!(program.code == 0 && program.words().contains(&"said"), "{program:#?}");
    }
    let document = report.step("fix-again").ended(0);
    assert_eq!(steps(&document), [], "all was well: {document:#}");
    let time = report.step("fix-unloaded").time - report.step("fix-dry-run-mounts").time;
    format!("looked, loaded, mounted, registered and looked again in {time:.1} s")
}
