//! The recipes of docs/guide/ci.md: each is run where all is well, and where a rule is gone. What another machine than
//! this would do (fetch an action, take a report) is not.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::Plain;
use crate::host::{Host, OTHER};
use crate::support::need;
use crate::world::Said;

pub(crate) const TESTS: &[(&str, Plain)] = &[("recipes", recipes)];

const GUIDE: &str = "docs/guide/ci.md";

/// What a recipe has and no machine of tests can run, and why.
const NOT_RUN: &[(&str, &str)] = &[
    ("uses: actions/checkout@v4", "fetched and run by GitHub's runner; nothing of ours"),
    (
        "uses: docker/setup-qemu-action@v3",
        "fetched, and needs Docker; it would register on this machine",
    ),
    ("junit 'preflight.xml'", "a step of Jenkins' plugin: the file is looked at here"),
    ("junit: preflight.xml", "taken by GitLab's runner: the file is looked at here"),
];

/// A recipe, as a shell runs it.
struct Recipe {
    line: usize,
    shell: &'static str,
    script: String,
    /// The report that it leaves.
    report: Option<&'static str>,
}

fn recipes() -> Option<String> {
    let text =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(GUIDE)).expect("the guide");
    for (what, why) in NOT_RUN {
        assert!(text.contains(what), "{GUIDE} has no {what} any more, which is not run: {why}");
    }
    need("a YAML parser for Python (Debian's package python3-yaml)", yaml("[]").map(|_| ()))?;
    let mut recipes = Vec::new();
    for (line, language, block) in fences(&text) {
        match language {
            "sh" => recipes.push(Recipe { line, shell: "sh", script: block, report: None }),
            "yaml" => {
                let document =
                    yaml(&block).unwrap_or_else(|error| panic!("{GUIDE}:{line}: {error}"));
                recipes.extend(of_yaml(line, &document));
            }
            "groovy" => recipes.push(of_jenkins(line, &block)),
            other => panic!("{GUIDE}:{line}: nobody knows how to run {other}"),
        }
    }
    // sh five times, GitHub twice, GitLab, Jenkins.
    assert!(recipes.len() >= 9, "only {} recipes were found", recipes.len());

    let host = Host::registered()?;
    for recipe in &recipes {
        let said = recipe.run(&host);
        assert_eq!(said.code, 0, "{GUIDE}:{}: {said:#?}", recipe.line);
        recipe.look(&host, false);
    }
    // A preflight that cannot fail is none.
    let mut failed = 0;
    for recipe in recipes.iter().filter(|recipe| recipe.script.contains("riscv64")) {
        host.remove(&format!("qemu-{OTHER}"));
        let said = recipe.run(&host);
        assert_eq!(said.code, 1, "{GUIDE}:{}: {said:#?}", recipe.line);
        recipe.look(&host, true);
        host.world.binfmtd("register").ended(0);
        failed += 1;
    }
    assert!(failed >= 5, "only {failed} recipes ask for {OTHER}");
    Some(format!("{} recipes, {failed} of them where a rule was gone", recipes.len()))
}

/// The fences: line, language, content.
fn fences(text: &str) -> Vec<(usize, &str, String)> {
    let mut found: Vec<(usize, &str, String)> = Vec::new();
    let mut is_inside = false;
    for (index, line) in text.lines().enumerate() {
        match line.strip_prefix("```") {
            Some(language) if !is_inside => {
                is_inside = true;
                found.push((index + 1, language, String::new()));
            }
            Some(_) => is_inside = false,
            None if is_inside => {
                let block = &mut found.last_mut().expect("a fence").2;
                block.push_str(line);
                block.push('\n');
            }
            None => {}
        }
    }
    found
}

/// A document, by the system's own Python: what CI systems read is YAML, and no crate here does.
fn yaml(text: &str) -> Result<Value, String> {
    let mut python = Command::new("/usr/bin/python3")
        .args(["-c", "import json, sys, yaml; json.dump(yaml.safe_load(sys.stdin), sys.stdout)"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| error.to_string())?;
    python
        .stdin
        .take()
        .expect("a pipe")
        .write_all(text.as_bytes())
        .map_err(|error| error.to_string())?;
    let output = python.wait_with_output().map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())
}

/// The steps of GitHub's jobs, each by `bash -e` as its runner does; the lines of GitLab's, in one shell.
fn of_yaml(line: usize, document: &Value) -> Vec<Recipe> {
    if let Some(jobs) = document["jobs"].as_object() {
        let steps = jobs.values().filter_map(|job| job["steps"].as_array()).flatten();
        let scripts = steps.filter_map(|step| step["run"].as_str());
        return scripts
            .map(|script| Recipe {
                line,
                shell: "bash",
                script: script.to_owned(),
                report: Some("summary"),
            })
            .collect();
    }
    let jobs = document.as_object().unwrap_or_else(|| panic!("{GUIDE}:{line}: no jobs"));
    let lines = |job: &Value, part: &str| -> Vec<String> {
        serde_json::from_value(job[part].clone()).unwrap_or_default()
    };
    jobs.values()
        .map(|job| {
            let script = [lines(job, "before_script"), lines(job, "script")].concat().join("\n");
            assert!(!script.is_empty(), "{GUIDE}:{line}: a job without a script");
            let report = job["artifacts"]["reports"]["junit"].as_str();
            assert_eq!(report, Some("preflight.xml"), "{GUIDE}:{line}");
            Recipe { line, shell: "sh", script, report: Some("preflight.xml") }
        })
        .collect()
}

/// The `sh` steps of a Jenkinsfile: `sh '…'`.
fn of_jenkins(line: usize, block: &str) -> Recipe {
    let steps: Vec<&str> = block
        .lines()
        .filter_map(|line| line.trim().strip_prefix("sh '")?.strip_suffix('\''))
        .collect();
    assert!(!steps.is_empty(), "{GUIDE}:{line}: no step is a shell's");
    let balance = |open, close| block.matches(open).count() == block.matches(close).count();
    assert!(balance('{', '}') && balance('\'', '\''), "{GUIDE}:{line}: not whole");
    Recipe { line, shell: "sh", script: steps.join("\n"), report: Some("preflight.xml") }
}

impl Recipe {
    /// In a folder of its own, with what the CI system has in its environment.
    fn run(&self, host: &Host) -> Said {
        fs::write(host.path("recipe"), &self.script).expect("a file");
        let script = format!(
            "rm -rf $D/job; mkdir $D/job; cd $D/job
             GITHUB_STEP_SUMMARY=$D/job/summary exec {} -e $D/recipe",
            self.shell
        );
        host.script(crate::fault::HERE, &script)
    }

    /// Holds what it left behind.
    fn look(&self, host: &Host, failed: bool) {
        let Some(report) = self.report else { return };
        let path = host.path("job").join(report);
        if report == "summary" && !self.script.contains("--format github") {
            return;
        }
        let text = fs::read_to_string(&path)
            .unwrap_or_else(|error| panic!("{GUIDE}:{}: {report}: {error}", self.line));
        if report == "summary" {
            assert!(
                text.contains("riscv64") && text.contains('|'),
                "{GUIDE}:{}: {text}",
                self.line
            );
            return;
        }
        // As Jenkins and GitLab would: well-formed, with failures only where there are some.
        let script = "import sys, xml.etree.ElementTree as tree
root = tree.parse(sys.argv[1]).getroot()
print(len(list(root.iter('testcase'))), len(list(root.iter('failure'))))";
        let output = Command::new("/usr/bin/python3")
            .args(["-c", script])
            .arg(&path)
            .output()
            .expect("Python");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let counts: Vec<usize> =
            said.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        let [cases, failures] = counts[..] else {
            panic!("{GUIDE}:{}: {}: {text}", self.line, String::from_utf8_lossy(&output.stderr))
        };
        assert!(cases > 0, "{GUIDE}:{}: no test in {text}", self.line);
        assert_eq!(failures > 0, failed, "{GUIDE}:{}: {text}", self.line);
    }
}
