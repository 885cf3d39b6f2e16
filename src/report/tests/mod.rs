use std::io;

use super::junit::Junit;
use super::*;
use crate::doctor::{CheckId, Finding, Status, Subject, Verdict};
use crate::failure::Failure;
use crate::fix::{Command, Fix, Reader};
use crate::observation::Owner;
use crate::phrase::{Evidence, Phrase};

fn seen(piece: Phrase) -> Evidence {
    let mut evidence = Evidence::default();
    evidence.add(piece);
    evidence
}

fn finding(id: &str, target: Option<&str>, status: Status) -> Finding {
    Finding {
        id: CheckId::parse(id).unwrap(),
        subject: Subject::Host,
        target: target.map(str::to_owned),
        status,
        summary: format!("{id} says {}", status.as_str()).into(),
        evidence: Evidence::default(),
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
        named: false,
        reader: Reader { uid: 0 },
        asks_for_none: false,
        configured: Vec::new(),
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
    let text = written(|out| text::doctor(out, &document, Page::default()));
    assert_eq!(
        text,
        "host\n  error kernel.enabled kernel.enabled says error\n\nLinux 6.12 on x86_64\n  1 working  arm\n\
         not all could be checked: that says nothing about the host\n"
    );
}

const NAMES: [&str; 4] = ["sparc", "arm", "mips", "alpha"];

fn page(width: usize) -> Page {
    Page { verbose: false, width: Some(width) }
}

/// No rule, as the doctor says it of a target.
fn unruled(name: &str) -> Finding {
    Finding {
        summary: Phrase::from("no rule takes ")
            + Phrase::own(format!("those of {name}"), "its programs"),
        evidence: seen(Phrase::interpreter(format!("/usr/bin/qemu-{name}"))),
        fix: Some(Fix::run("register it", [Command::register(name)])),
        ..finding("rule.present", Some(name), Status::Fail)
    }
}

/// Nothing takes their programs; `configured` is what a command without names is about.
fn empty_host(configured: &[&str]) -> DoctorDocument {
    let targets = NAMES.map(|name| target(name, Verdict::Missing)).to_vec();
    let mut document = document(targets, NAMES.map(unruled).to_vec(), None);
    document.configured = configured.iter().map(|&name| name.to_owned()).collect();
    document
}

#[test]
fn what_several_have_in_common_is_said_once() {
    let say = |configured: &[&str]| {
        let document = empty_host(configured);
        written(|out| text::doctor(out, &document, Page::default()))
    };
    assert_eq!(
        say(&NAMES[..3]),
        "4 missing: alpha arm mips sparc\n  \
         fail  rule.present no rule takes its programs\n        \
         seen: interpreters in /usr/bin\n        \
         fix:  binfmtd register alpha arm mips sparc\n\n\
         Linux 6.12 on x86_64\n  4 missing  as above\n-v lists every check of each target\n"
    );
    assert!(say(&NAMES).contains("fix:  binfmtd register\n"));
    // All of each, by itself, to whoever wants it.
    let page = Page { verbose: true, width: None };
    let all = written(|out| text::doctor(out, &empty_host(&NAMES), page));
    for name in NAMES {
        for part in [
            format!("{name} (linux/{name}): missing\n"),
            format!("no rule takes those of {name}\n"),
            format!("seen: interpreter /usr/bin/qemu-{name}\n"),
            format!("fix:  binfmtd register {name}\n"),
        ] {
            assert!(all.contains(&part), "{part}: {all}");
        }
    }
    assert!(all.ends_with("  4 missing  sparc arm mips alpha\n"), "{all}");
}

#[test]
fn nothing_that_is_different_is_said_of_both() {
    type Change = fn(&mut DoctorDocument);
    let changes: [(&str, Change); 7] = [
        ("sentence", |it| it.checks[1].summary = "no rule takes them".into()),
        ("evidence", |it| it.checks[1].evidence = seen("nobody looked".into())),
        ("fix", |it| it.checks[1].fix = Some(Fix::advice("reboot"))),
        ("status", |it| it.checks[1].status = Status::Warn),
        ("check", |it| it.checks[1].id = CheckId::RuleEnabled),
        ("verdict", |it| it.targets[1].verdict = Verdict::Broken),
        ("another", |it| it.checks.push(finding("exec.host", Some("arm"), Status::Fail))),
    ];
    for (what, change) in changes {
        let mut document = empty_host(&[]);
        change(&mut document);
        let text = written(|out| text::doctor(out, &document, Page::default()));
        // Of arm it is said by itself.
        assert!(text.contains("\narm (linux/arm): "), "{what}: {text}");
        let rest = if what == "another" { "4 missing: " } else { "3 missing: alpha mips sparc\n" };
        assert!(text.contains(rest), "{what}: {text}");
        let shown: Vec<&str> = text
            .lines()
            .filter(|line| line.starts_with("  fail") || line.starts_with("  warn"))
            .collect();
        assert_eq!(shown.len(), 2, "{what}: {text}");
    }
}

#[test]
fn one_fix_for_several_checks_is_said_once() {
    let mut document = empty_host(&NAMES);
    let more = NAMES.map(|name| Finding { id: CheckId::ExecHost, ..unruled(name) });
    document.checks.extend(more);
    let text = written(|out| text::doctor(out, &document, Page::default()));
    assert_eq!(text.matches("fix: ").count(), 1, "{text}");
    let command = written(|out| github::write(out, &document));
    assert_eq!(command.matches("fix: ").count(), 1, "{command}");
    document.checks[4].fix = Some(Fix::advice("reboot"));
    let text = written(|out| text::doctor(out, &document, Page::default()));
    assert_eq!(text.matches("fix: ").count(), 3, "{text}");
}

#[test]
fn lines_fit_the_terminal_and_commands_are_whole() {
    let mut document = empty_host(&[]);
    for (at, check) in document.checks.iter_mut().enumerate() {
        check.summary = "one sentence that is longer than a narrow terminal is wide".into();
        check.fix = Some(Fix::run("register it", [Command::register(&format!("target-{at}"))]));
    }
    let text = written(|out| text::doctor(out, &document, page(60)));
    assert_eq!(
        text.lines().take(5).collect::<Vec<_>>(),
        [
            "4 missing: alpha arm mips sparc",
            "  fail  rule.present one sentence that is longer than a",
            "                     narrow terminal is wide",
            "        seen: interpreters in /usr/bin",
            "        fix:  binfmtd register target-0 target-1 target-2 target-3",
        ]
    );
    let text = written(|out| text::doctor(out, &document, page(24)));
    assert!(text.starts_with("4 missing: alpha arm\n           mips sparc\n"), "{text}");
    // No place beside the check's id.
    assert!(text.contains("rule.present one\n        sentence that is\n"), "{text}");
}

#[test]
fn what_does_not_count_is_one_line() {
    let mut targets = NAMES.map(|name| target(name, Verdict::Missing)).to_vec();
    targets.extend([target("ppc", Verdict::Working), target("x86_64", Verdict::Native)]);
    targets.push(target("hppa", Verdict::Working));
    let mut checks = NAMES.map(unruled).to_vec();
    checks.push(finding("exec.argv0", Some("hppa"), Status::Warn));
    let say = |require: &[&str]| {
        let document = document(targets.clone(), checks.clone(), Some(require));
        written(|out| text::doctor(out, &document, Page::default()))
    };
    assert_eq!(
        say(&["ppc"]),
        "Linux 6.12 on x86_64\n  1 working  ppc\n\
         not required, 6: 1 working with warnings (hppa), 1 native, 4 missing (sparc arm mips alpha)\n\
         -v lists every check of each target\n"
    );
    let some = say(&["arm", "mips", "ppc"]);
    assert!(some.starts_with("2 missing: arm mips\n"), "{some}");
    assert!(
        some.contains("\n  1 working  ppc\n  2 missing  as above\nnot required, 4: "),
        "{some}"
    );
    let well = document(vec![target("ppc", Verdict::Working)], Vec::new(), Some(&["ppc"]));
    let well = written(|out| text::doctor(out, &well, Page::default()));
    assert_eq!(well, "Linux 6.12 on x86_64\n  1 working  ppc\n");
}

#[test]
fn a_verdict_that_no_check_accounts_for_is_told_of_all() {
    let targets = vec![
        target("sparc", Verdict::Unproved),
        target("arm", Verdict::Unproved),
        target("mips", Verdict::Missing),
    ];
    let document = document(targets, Vec::new(), None);
    let text = written(|out| text::doctor(out, &document, Page::default()));
    assert!(text.starts_with("2 unproved: arm sparc\n\nmips (linux/mips): missing\n\n"), "{text}");
    let commands = written(|out| github::write(out, &document));
    assert!(
        commands.starts_with("::error title=binfmtd%3A 2 targets unproved::arm sparc\n"),
        "{commands}"
    );
}

#[test]
fn github_gets_one_annotation_for_one_cause() {
    let commands = written(|out| github::write(out, &empty_host(&NAMES)));
    assert_eq!(
        commands.lines().next().unwrap(),
        "::error title=binfmtd%3A 4 targets missing::alpha arm mips sparc%0Afail rule.present: no rule takes its \
         programs%0A  seen: interpreters in /usr/bin%0A  fix: binfmtd register"
    );
    assert_eq!(commands.lines().count(), 2, "{commands}");
    let table = written(|out| github::summary::write(out, &empty_host(&NAMES)));
    let row = "| fail | alpha arm mips sparc | rule.present | no rule takes its programs | binfmtd register |";
    assert!(table.contains(row), "{table}");
    assert_eq!(table.matches("| fail |").count(), 1, "{table}");
}

/// Of a target with several values of `e_machine` each is looked at; told is the one that is wrong.
#[test]
fn the_rules_of_a_conflict_are_those_of_its_machine() {
    let rule =
        |name: &str, state| MatchingRule { name: name.to_owned(), owner: Owner::Unknown, state };
    let mut arm = target("arm", Verdict::Working);
    let second = vec![rule("new", MatchState::Winner), rule("older", MatchState::Shadowed)];
    arm.machines.push(MachineDocument { rules: second, ..arm.machines[0].clone() });
    let checks = vec![
        finding("rule.shadowed", Some("arm"), Status::Pass),
        finding("rule.shadowed", Some("arm"), Status::Warn),
    ];
    let document = document(vec![arm], checks, None);
    let text = written(|out| text::doctor(out, &document, Page::default()));
    assert!(
        text.contains("says warn\n        new    winner    unknown\n        older  shadowed"),
        "{text}"
    );
}

#[test]
fn a_conflict_stands_below_the_check_of_its_machine() {
    let rule =
        |name: &str, state| MatchingRule { name: name.to_owned(), owner: Owner::Unknown, state };
    let mut arm = target("arm", Verdict::Working);
    let second = vec![rule("new\x1b", MatchState::Winner), rule("older", MatchState::Shadowed)];
    arm.machines[0].rules = vec![rule("only", MatchState::Winner)];
    arm.machines.push(MachineDocument { rules: second, ..arm.machines[0].clone() });
    let checks = vec![
        finding("rule.shadowed", Some("arm"), Status::Pass),
        finding("rule.shadowed", Some("arm"), Status::Warn),
    ];
    let page = Page { verbose: true, width: None };
    let text = written(|out| text::doctor(out, &document(vec![arm], checks, None), page));
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
    let xml = written(|out| Junit.doctor(out, &all, Page::default()));
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
    let xml = written(|out| Junit.doctor(out, &some, Page::default()));
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
    let text = written(|out| github::write(out, &document));
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
    check.summary = "50%\r\n::error::<b> & \"|`_\x1b\u{ffff}".into();
    check.fix = Some(Fix::advice("a|b"));
    let document = document(vec![target("arm", Verdict::Broken)], vec![check], None);
    let annotations = written(|out| github::write(out, &document));
    assert!(annotations.lines().all(|line| line.starts_with("::")), "{annotations}");
    assert!(annotations.contains("50%25\\r\\n::error::<b> &"), "{annotations}");
    let table = written(|out| github::summary::write(out, &document));
    let row = table.lines().find(|line| line.starts_with("| fail |")).unwrap();
    assert_eq!(row.matches('|').count(), 6, "{row}");
    assert!(row.contains("&lt;b&gt; &amp; \"&#124;&#96;&#95;"), "{row}");
    let xml = written(|out| Junit.doctor(out, &document, Page::default()));
    assert!(xml.contains("50%\\r\\n::error::&lt;b&gt; &amp; &quot;|`_\\u{1b}\u{fffd}"), "{xml}");
}

#[test]
fn the_table_begins_with_the_format_for_a_person() {
    assert_eq!(FORMATS[0].audience(), Audience::Person);
    let failure = Failure::unavailable("no kernel\x1b");
    let document = ErrorDocument::new(&failure, 3);
    for format in FORMATS {
        assert_eq!(find_format(format.name()).map(Format::name), Some(format.name()));
        let text = written(|out| format.failure(out, &document));
        assert!(text.contains("no kernel") && !text.contains('\x1b'), "{format:?}: {text}");
    }
    assert!(find_format("xml").is_none());
}

#[test]
fn an_early_end_is_an_error_in_each_format() {
    let document = ErrorDocument::new(
        &Failure { message: "no <kernel>,\nat all: 5%".to_owned(), ..Failure::unavailable("") },
        3,
    );
    let xml = written(|out| Junit.failure(out, &document));
    assert!(xml.contains("errors=\"1\""), "{xml}");
    assert!(xml.contains("<error message=\"no &lt;kernel&gt;,\\nat all: 5%\""), "{xml}");
    let command = written(|out| github::Github.failure(out, &document));
    assert_eq!(command, "::error title=binfmtd::no <kernel>,%0Aat all: 5%25\n");
}

mod builders;

#[test]
fn github_says_all_is_well_only_where_all_counts() {
    let said = |require| {
        let targets = vec![target("arm", Verdict::Broken), target("sparc", Verdict::Working)];
        let checks = vec![finding("exec.host", Some("sparc"), Status::Pass)];
        written(|out| github::write(out, &document(targets, checks, require)))
    };
    let text = said(Some(&["sparc"][..]));
    assert!(text.contains("what is required is well: 1 working, 1 broken"), "{text}");
    let text = said(None);
    assert!(text.contains("failed: 1 working, 1 broken"), "{text}");
}
