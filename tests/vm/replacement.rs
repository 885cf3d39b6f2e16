//! A rule is replaced.

use serde_json::Value;

use crate::machine::{Report, Step};
use crate::support::stage::says;

/// The only line of `register`.
#[track_caller]
fn line(step: &Step, code: i32) -> Value {
    let document = step.ended(code);
    let rules = document["rules"].as_array().expect("rules");
    assert_eq!(rules.len(), 1, "{document:#}");
    rules[0].clone()
}

const NAMES: [&str; 6] =
    ["qemu-aarch64", "qemu-arm", "qemu-riscv64", "qemu-s390x", "register", "status"];

pub(crate) fn no_gap(report: &Report) -> String {
    for name in ["replacement-1", "replacement-2"] {
        let line = line(report.step(name), 0);
        assert_eq!(
            (&line["action"], &line["changed"]),
            (&"replace".into(), &true.into()),
            "{line:#}"
        );
    }
    assert_eq!(report.step("replacement-names").words(), NAMES, "nothing half done is left");
    let load = report.step("replacement-load");
    let counts: Vec<u32> =
        load.words().iter().map(|word| word.parse().expect("a number")).collect();
    let [started, failed] = counts[..] else { panic!("{load:#?}") };
    assert!(started >= 4, "no load: {load:#?}");
    assert_eq!(failed, 0, "{load:#?}");
    format!("0 of {started} failed")
}

pub(crate) fn broken(report: &Report) -> String {
    let how = if report.has_private_instances() {
        "tried in a private instance: "
    } else {
        "; the rule was taken back"
    };
    for (name, action) in [("broken-register", "replace"), ("broken-add", "add")] {
        let line = line(report.step(name), 1);
        assert_eq!(
            (&line["action"], &line["changed"]),
            (&action.into(), &false.into()),
            "{line:#}"
        );
        says(&line["error"], &[how, "it exited with status 127", "applet not found"]);
    }
    assert_eq!(report.step("broken-names").words(), NAMES, "what was there still is");
    assert!(report.is_well("broken-program"), "the pinned interpreter goes on");
    let without = NAMES.iter().copied().filter(|name| *name != "qemu-aarch64").collect::<Vec<_>>();
    assert_eq!(report.step("broken-gone").words(), without, "nothing is left of it");
    report.step("broken-mended").ended(0);
    "refused, both times".to_owned()
}
