//! Registered, and in order.

use crate::guest::TARGETS;
use crate::machine::{Report, finding};

pub(crate) fn green(report: &Report) -> String {
    let document = report.step("settled-doctor").ended(0);
    for target in TARGETS {
        let targets = document["targets"].as_array().expect("targets");
        let verdict = targets.iter().find(|line| line["target"] == target);
        assert_eq!(verdict.expect("a verdict")["verdict"], "working", "{document:#}");
        // The only thing that a kernel may lack and a program live without.
        let wanted = if report.tells_of_p() { "pass" } else { "warn" };
        assert_eq!(finding(&document, "exec.argv0", Some(target))["status"], wanted);
    }
    for target in TARGETS {
        // In a root that has nothing but the program.
        let step = report.step(&format!("settled-{target}"));
        let said: Vec<_> = step.out.lines().skip(1).take(3).collect();
        assert_eq!((step.code, &said[..]), (0, &["/program", target, "said"][..]), "{step:#?}");
    }
    format!("{} targets", TARGETS.len())
}

pub(crate) fn again(report: &Report) -> String {
    let document = report.step("settled-again").ended(0);
    let rules = document["rules"].as_array().expect("rules");
    assert_eq!(rules.len(), TARGETS.len(), "{document:#}");
    assert!(rules.iter().all(|rule| rule["changed"] == false), "{document:#}");
    let (before, after) = (report.step("settled-before"), report.step("settled-after"));
    assert_eq!(before.out, after.out);
    let flags = if report.tells_of_p() { "POF" } else { "OF" };
    let status = report.step("settled-status").ended(0);
    let rules = status["rules"].as_array().expect("rules");
    assert_eq!(rules.len(), TARGETS.len(), "{status:#}");
    for rule in rules {
        assert_eq!(
            (&rule["flags"], &rule["owner"], &rule["state"], &rule["unknown"]),
            (&flags.into(), &"binfmtd".into(), &"active".into(), &serde_json::json!([])),
            "{status:#}"
        );
        assert!(before.out.contains(&format!("flags: {flags}\n")), "{}", before.out);
    }
    assert_eq!(status["unreadable"], serde_json::json!([]));
    format!("flags {flags}")
}

pub(crate) fn tried(report: &Report) -> String {
    let none =
        "no private instance here, so each rule is proved in place before it replaces another";
    let says_none = |name: &str| report.step(name).err.contains(none);
    let steps = ["first-register", "replacement-1", "replacement-2", "broken-register"];
    if report.has_private_instances() {
        assert_eq!(steps.map(says_none), [false; 4]);
        let document = report.step("private-run").ended(0);
        assert_eq!(document["rules"].as_array().expect("rules").len(), 1, "{document:#}");
        assert_eq!(document["host"], false, "{document:#}");
        assert!(report.step("private-program").out.ends_with("inside\n\n"));
        return "in a private instance".to_owned();
    }
    assert_eq!(steps.map(says_none), [true; 4]);
    let sentence = [
        "no private instance: this kernel has no binfmt_misc of its own for a user namespace",
        "binfmtd register works on the host's own",
    ];
    report.step("private-run").fails(3, &sentence);
    assert_eq!(report.step("private-program").code, 3);
    "in place: no private instances".to_owned()
}
