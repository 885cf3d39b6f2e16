use std::io;

use super::*;
use crate::doctor::{Finding, Status, Verdict};

fn finding(id: &'static str, target: Option<&str>, status: Status) -> Finding {
    Finding {
        id,
        target: target.map(str::to_owned),
        status,
        summary: format!("{id} says {}", status.as_str()),
        evidence: String::new(),
        fix: None,
    }
}

fn target(name: &str, verdict: Verdict) -> DoctorTarget {
    DoctorTarget {
        target: name.to_owned(),
        platforms: vec![format!("linux/{name}")],
        verdict,
        required: true,
        rule: None,
        rules: Vec::new(),
        interpreter: None,
        seconds: None,
        cost: None,
        tries: None,
        machines: vec![MachineDocument { machine: 1, verdict, rule: None, rules: Vec::new() }],
    }
}

fn document(
    targets: Vec<DoctorTarget>,
    checks: Vec<Finding>,
    require: Option<&[&str]>,
) -> DoctorDocument {
    let require: Option<Vec<String>> =
        require.map(|names| names.iter().map(|&name| name.to_owned()).collect());
    let is_required =
        |name: &String| require.as_ref().is_none_or(|required| required.contains(name));
    let targets = targets
        .into_iter()
        .map(|target| DoctorTarget { required: is_required(&target.target), ..target })
        .collect();
    DoctorDocument {
        schema: SCHEMA,
        ok: false,
        require,
        host: HostDocument {
            kernel: "6.12".to_owned(),
            machine: "x86_64".to_owned(),
            natives: vec!["x86_64".to_owned()],
            first_user_namespace: true,
            container: false,
            root: true,
            native_cost: None,
        },
        targets,
        checks,
        fixes: None,
        load: None,
    }
}

/// Without colour.
fn written(write: impl FnOnce(&mut dyn io::Write) -> io::Result<()>) -> String {
    let mut out = anstream::StripStream::new(Vec::new());
    write(&mut out).unwrap();
    String::from_utf8(out.into_inner()).unwrap()
}

#[test]
fn what_could_not_be_checked_is_neither_well_nor_failed() {
    use Conclusion::{Failed, Unchecked, Well};
    use Status::{Error, Fail, Pass, Skip, Warn};
    use Verdict::{Broken, Flaky, Missing, Native, Unproved, Working};
    let of = |verdict, status, host| {
        let checks =
            vec![finding("kernel.enabled", None, host), finding("exec.host", Some("arm"), status)];
        document(vec![target("arm", verdict)], checks, None).conclusion()
    };
    for (verdict, status, host, wanted) in [
        (Working, Pass, Pass, Well),
        (Native, Skip, Warn, Well),
        (Working, Warn, Skip, Well),
        (Working, Pass, Error, Unchecked),
        (Working, Error, Pass, Unchecked),
        (Unproved, Skip, Pass, Unchecked),
        (Working, Fail, Pass, Failed),
        (Working, Fail, Error, Failed),
        (Working, Pass, Fail, Failed),
        (Flaky, Pass, Pass, Failed),
        (Broken, Skip, Error, Failed),
        (Missing, Error, Error, Failed),
    ] {
        assert_eq!(of(verdict, status, host), wanted, "{verdict:?} {status:?} {host:?}");
    }
}

#[test]
fn only_what_is_required_counts() {
    let of = |require: &[&str], arm, host, error| {
        let targets = vec![target("arm", arm), target("sparc", Verdict::Working)];
        let checks = vec![
            finding("rule.native", None, host),
            finding("exec.host", Some("arm"), error),
            finding("exec.host", Some("sparc"), Status::Pass),
        ];
        document(targets, checks, Some(require)).conclusion()
    };
    let (pass, fail, error) = (Status::Pass, Status::Fail, Status::Error);
    let (works, missing) = (Verdict::Working, Verdict::Missing);
    assert_eq!(of(&["sparc"], missing, fail, fail), Conclusion::Well);
    assert_eq!(of(&["sparc"], works, error, error), Conclusion::Well);
    assert_eq!(of(&["arm"], missing, pass, pass), Conclusion::Failed);
    assert_eq!(of(&["arm"], works, pass, fail), Conclusion::Failed);
    assert_eq!(of(&["arm", "sparc"], works, pass, error), Conclusion::Unchecked);
}

#[test]
fn text_says_what_could_not_be_checked() {
    let checks = vec![finding("kernel.enabled", None, Status::Error)];
    let document = document(vec![target("arm", Verdict::Working)], checks, None);
    let text = written(|out| text::doctor(out, &document, false));
    assert_eq!(
        text,
        "host\n  error kernel.enabled kernel.enabled says error\n\nLinux 6.12 on x86_64\n  1 working  arm\n\
         not all could be checked: that says nothing about the host\n"
    );
}

#[test]
fn a_conflict_stands_below_the_check_of_its_machine() {
    let taker =
        |name: &str, state| Taker { name: name.to_owned(), owner: "unknown".to_owned(), state };
    let mut arm = target("arm", Verdict::Working);
    let second = vec![taker("new\x1b", TakerState::Winner), taker("older", TakerState::Shadowed)];
    arm.machines[0].rules = vec![taker("only", TakerState::Winner)];
    arm.machines.push(MachineDocument { rules: second, ..arm.machines[0].clone() });
    let checks = vec![
        finding("rule.shadowed", Some("arm"), Status::Pass),
        finding("rule.shadowed", Some("arm"), Status::Warn),
    ];
    let text = written(|out| text::doctor(out, &document(vec![arm], checks, None), true));
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines[..5],
        [
            "arm (linux/arm): working",
            "  pass  rule.shadowed rule.shadowed says pass",
            "  warn  rule.shadowed rule.shadowed says warn",
            "        new\\u{1b}  winner    unknown",
            "        older      shadowed  unknown",
        ]
    );
}

#[test]
fn junit_counts_what_counts() {
    let targets = vec![
        target("arm", Verdict::Missing),
        target("mips", Verdict::Unproved),
        target("sparc", Verdict::Working),
    ];
    let checks = || {
        vec![
            finding("exec.host", Some("arm"), Status::Fail),
            finding("exec.host", Some("mips"), Status::Skip),
            finding("exec.host", Some("sparc"), Status::Pass),
            finding("exec.host", Some("sparc"), Status::Error),
            finding("exec.argv0", Some("sparc"), Status::Warn),
        ]
    };
    let all = document(targets.clone(), checks(), None);
    let xml = written(|out| junit::doctor(out, &all));
    for part in [
        "<testsuites name=\"binfmtd doctor\" tests=\"6\" failures=\"1\" errors=\"2\" skipped=\"1\"",
        "<testsuite name=\"host\" tests=\"0\" failures=\"0\" errors=\"0\" skipped=\"0\"",
        "<testsuite name=\"mips\" tests=\"2\" failures=\"0\" errors=\"1\" skipped=\"1\"",
        "name=\"verdict\"><error message=\"mips is unproved\"",
        "name=\"exec.host\"/>",
        "name=\"exec.host 2\"><error message=\"exec.host says error\" type=\"exec.host 2\">",
        "name=\"exec.argv0\"><system-out>warn: exec.argv0 says warn</system-out>",
    ] {
        assert!(xml.contains(part), "{part}: {xml}");
    }
    let some = document(targets, checks(), Some(&["sparc"]));
    let xml = written(|out| junit::doctor(out, &some));
    for part in [
        "<testsuites name=\"binfmtd doctor\" tests=\"6\" failures=\"0\" errors=\"1\" skipped=\"3\"",
        "<skipped message=\"not required, and fails: exec.host says fail\"/>",
        "<skipped message=\"not required, and unproved\"/>",
    ] {
        assert!(xml.contains(part), "{part}: {xml}");
    }
}

#[test]
fn github_keeps_the_worst_first_and_one_for_each() {
    let targets = vec![
        target("sparc", Verdict::Working),
        target("mips", Verdict::Missing),
        target("arm", Verdict::Broken),
    ];
    let checks = vec![
        finding("exec.argv0", Some("sparc"), Status::Warn),
        finding("exec.host", Some("mips"), Status::Fail),
        finding("rule.enabled", Some("arm"), Status::Fail),
        finding("exec.host", Some("arm"), Status::Fail),
    ];
    let document = document(targets, checks, Some(&["arm", "sparc"]));
    let text = written(|out| github::doctor(out, &document));
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines,
        [
            "::error title=binfmtd%3A arm broken::fail rule.enabled: rule.enabled says fail%0Afail exec.host: \
             exec.host says fail",
            "::warning title=binfmtd%3A sparc working::warn exec.argv0: exec.argv0 says warn",
            "::warning title=binfmtd%3A mips missing%2C not required::fail exec.host: exec.host says fail",
            "::notice title=binfmtd doctor::failed: 1 working, 1 broken, 1 missing (Linux 6.12 on x86_64)",
        ]
    );
}

#[test]
fn nothing_that_was_found_is_markup() {
    let mut check = finding("exec.host", Some("arm"), Status::Fail);
    check.summary = "50%\r\n::error::<b> & \"|`_\x1b\u{ffff}".to_owned();
    check.fix = Some("a|b".to_owned());
    let document = document(vec![target("arm", Verdict::Broken)], vec![check], None);
    let annotations = written(|out| github::doctor(out, &document));
    assert!(annotations.lines().all(|line| line.starts_with("::")), "{annotations}");
    assert!(annotations.contains("50%25\\r\\n::error::<b> &"), "{annotations}");
    let table = written(|out| github::summary(out, &document));
    let row = table.lines().find(|line| line.starts_with("| fail |")).unwrap();
    assert_eq!(row.matches('|').count(), 6, "{row}");
    assert!(row.contains("&lt;b&gt; &amp; \"&#124;&#96;&#95;"), "{row}");
    let xml = written(|out| junit::doctor(out, &document));
    assert!(xml.contains("50%\\r\\n::error::&lt;b&gt; &amp; &quot;|`_\\u{1b}\u{fffd}"), "{xml}");
}

#[test]
fn an_early_end_is_an_error_in_each_format() {
    let document = ErrorDocument::new("unavailable", 3, "no <kernel>,\nat all: 5%".to_owned());
    let xml = written(|out| junit::error(out, &document));
    assert!(xml.contains("errors=\"1\""), "{xml}");
    assert!(xml.contains("<error message=\"no &lt;kernel&gt;,\\nat all: 5%\""), "{xml}");
    let command = written(|out| github::error(out, &document));
    assert_eq!(command, "::error title=binfmtd::no <kernel>,%0Aat all: 5%25\n");
}
