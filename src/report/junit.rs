//! `--format junit`: `JUnit`'s XML, as Jenkins and GitLab read it: one suite for the host and one for each target, one case
//! for each check.
//!
//! `fail` is a failure, `error` an error, `skip` is skipped. `warn` passes and says why in
//! `system-out`. What `--require` does not name is skipped, with a message that says what was found, so that the
//! file and the exit code agree.

use std::fmt::{self, Display, Write as _};
use std::io::{self, Write};

use super::document::{DoctorDocument, DoctorTarget, ErrorDocument};
use super::format::{Format, Page};
use crate::doctor::{Finding, Status};
use crate::shown::plain;

/// Text in XML, for elements and attributes.
struct Xml<'a>(&'a str);

impl Display for Xml<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                // XML 1.0 has no other control characters, escaped or not.
                '\n' => f.write_char('\n')?,
                c if c.is_control() => write!(f, "{}", c.escape_default())?,
                '\u{fffe}' | '\u{ffff}' => f.write_char('\u{fffd}')?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

#[derive(PartialEq, Eq)]
enum CaseResult {
    Pass,
    Warn,
    Failure,
    Error,
    Skipped,
}

struct TestCase {
    name: String,
    result: CaseResult,
    message: String,
    /// What a person reads next.
    text: String,
}

struct TestSuite<'a> {
    name: &'a str,
    seconds: f64,
    properties: Vec<(&'static str, String)>,
    cases: Vec<TestCase>,
}

#[derive(Debug)]
pub(super) struct Junit;

impl Format for Junit {
    fn name(&self) -> &'static str {
        "junit"
    }

    fn help(&self) -> &'static str {
        "Of doctor only: XML for Jenkins, GitLab and others"
    }

    fn doctor(&self, out: &mut dyn Write, document: &DoctorDocument, _: Page) -> io::Result<()> {
        let host = &document.host;
        let mut suites = vec![TestSuite {
            name: "host",
            seconds: 0.0,
            properties: vec![
                ("kernel", host.kernel.clone()),
                ("machine", host.machine.clone()),
                ("natives", host.natives.join(" ")),
            ],
            cases: cases(document, None),
        }];
        suites.extend(document.targets.iter().map(|target| {
            let mut cases = cases(document, Some(&target.target));
            cases.extend(verdict(document, target));
            TestSuite {
                name: &target.target,
                seconds: target.seconds.unwrap_or_default(),
                properties: properties(target),
                cases,
            }
        }));
        write(out, &suites)
    }

    /// A report with one case, because nothing was examined.
    fn failure(&self, out: &mut dyn Write, document: &ErrorDocument) -> io::Result<()> {
        let case = TestCase {
            name: document.error.failure.kind.as_str().to_owned(),
            result: CaseResult::Error,
            message: document.message().to_owned(),
            text: format!("exit code {}", document.error.exit),
        };
        let (properties, cases) = (Vec::new(), vec![case]);
        write(out, &[TestSuite { name: "host", seconds: 0.0, properties, cases }])
    }
}

fn properties(target: &DoctorTarget) -> Vec<(&'static str, String)> {
    let mut properties = vec![("verdict", target.verdict.as_str().to_owned())];
    let interpreter = target.interpreter.as_ref();
    let known = [
        ("platforms", Some(target.platforms.join(" ")).filter(|names| !names.is_empty())),
        ("rule", target.rule.clone()),
        ("interpreter", interpreter.and_then(|interpreter| interpreter.path.clone())),
        ("version", interpreter.and_then(|interpreter| interpreter.version.clone())),
        ("sha256", interpreter.and_then(|interpreter| interpreter.sha256.clone())),
        ("tries", target.tries.map(|tries| format!("{} of {}", tries.answered, tries.of))),
    ];
    properties.extend(known.into_iter().filter_map(|(name, value)| Some((name, value?))));
    properties
}

fn cases(document: &DoctorDocument, target: Option<&str>) -> Vec<TestCase> {
    let mut cases: Vec<TestCase> = Vec::new();
    for finding in document.findings_of(target) {
        // A check may have several findings about one target. Readers merge cases of the same name.
        let before =
            document.findings_of(target).take_while(|other| !std::ptr::eq(*other, finding));
        let name = match before.filter(|other| other.id == finding.id).count() {
            0 => finding.id.to_string(),
            several => format!("{} {}", finding.id, several + 1),
        };
        cases.push(case(name, finding, document));
    }
    cases
}

fn case(name: String, finding: &Finding, document: &DoctorDocument) -> TestCase {
    let counts = document.counts(finding);
    let summary = finding.summary.to_string();
    let (result, message) = match (finding.status, counts) {
        (Status::Pass, _) => (CaseResult::Pass, summary),
        (Status::Warn, _) => (CaseResult::Warn, summary),
        (Status::Skip, _) => (CaseResult::Skipped, summary),
        (Status::Fail, true) => (CaseResult::Failure, summary),
        (Status::Error, true) => (CaseResult::Error, summary),
        (Status::Fail, false) => {
            (CaseResult::Skipped, format!("not required, and fails: {summary}"))
        }
        (Status::Error, false) => {
            (CaseResult::Skipped, format!("not required, and not checked: {summary}"))
        }
    };
    let seen = Some(&finding.evidence).filter(|text| !text.is_empty());
    let seen = seen.map(|text| format!("seen: {}", plain(&text.to_string())));
    let fix = finding.fix.as_ref();
    let fix = fix.map(|fix| format!("fix: {}", plain(&fix.line(document.reader))));
    let text = seen.into_iter().chain(fix).collect::<Vec<_>>().join("\n");
    TestCase { name, result, message, text }
}

/// A verdict that no check accounts for, such as that of a target without a probe.
fn verdict(document: &DoctorDocument, target: &DoctorTarget) -> Option<TestCase> {
    let told = document
        .findings_of(Some(&target.target))
        .any(|finding| matches!(finding.status, Status::Fail | Status::Error));
    if told || target.verdict.is_sound() {
        return None;
    }
    let word = target.verdict.as_str();
    let (result, message) = match (target.required, target.verdict.is_failure()) {
        (false, _) => (CaseResult::Skipped, format!("not required, and {word}")),
        (true, true) => (CaseResult::Failure, format!("{} is {word}", target.target)),
        (true, false) => (CaseResult::Error, format!("{} is {word}", target.target)),
    };
    Some(TestCase { name: "verdict".to_owned(), result, message, text: String::new() })
}

fn write(out: &mut dyn Write, suites: &[TestSuite<'_>]) -> io::Result<()> {
    let totals = counts(&suites.iter().flat_map(|suite| &suite.cases));
    let seconds: f64 = suites.iter().map(|suite| suite.seconds).sum();
    writeln!(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>")?;
    writeln!(out, "<testsuites name=\"binfmtd doctor\"{totals} time=\"{seconds:.3}\">")?;
    for suite in suites {
        writeln!(
            out,
            "  <testsuite name=\"{}\"{} time=\"{:.3}\">",
            Xml(suite.name),
            counts(&suite.cases.iter()),
            suite.seconds
        )?;
        if !suite.properties.is_empty() {
            writeln!(out, "    <properties>")?;
            for (name, value) in &suite.properties {
                writeln!(out, "      <property name=\"{name}\" value=\"{}\"/>", attribute(value))?;
            }
            writeln!(out, "    </properties>")?;
        }
        for case in &suite.cases {
            write_case(out, suite.name, case)?;
        }
        writeln!(out, "  </testsuite>")?;
    }
    writeln!(out, "</testsuites>")
}

fn counts<'a>(cases: &(impl Iterator<Item = &'a TestCase> + Clone)) -> String {
    let of = |result| cases.clone().filter(|case| case.result == result).count();
    format!(
        " tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\"",
        cases.clone().count(),
        of(CaseResult::Failure),
        of(CaseResult::Error),
        of(CaseResult::Skipped)
    )
}

/// XML readers turn a line break in an attribute into a space.
fn attribute(text: &str) -> String {
    Xml(&plain(text)).to_string()
}

fn write_case(out: &mut dyn Write, suite: &str, case: &TestCase) -> io::Result<()> {
    let (suite, name) = (attribute(suite), attribute(&case.name));
    let (message, text) = (attribute(&case.message), Xml(&case.text));
    write!(out, "    <testcase classname=\"binfmtd.{suite}\" name=\"{name}\"")?;
    let mut failed = |element| {
        let attributes = format!("message=\"{message}\" type=\"{name}\"");
        writeln!(out, "><{element} {attributes}>{text}</{element}></testcase>")
    };
    match case.result {
        CaseResult::Failure => failed("failure"),
        CaseResult::Error => failed("error"),
        CaseResult::Pass => writeln!(out, "/>"),
        CaseResult::Skipped => writeln!(out, "><skipped message=\"{message}\"/></testcase>"),
        CaseResult::Warn => {
            let end = if case.text.is_empty() { "" } else { "\n" };
            writeln!(out, "><system-out>warn: {message}{end}{text}</system-out></testcase>")
        }
    }
}
