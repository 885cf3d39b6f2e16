//! The action of `packaging/action`, as GitHub's runner runs it: each step by the shell that it names, with the environment
//! that it has, and the files that a runner reads afterwards.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::dind::{NOT_HERE, program};
use crate::engine::{Engine, INTERPRETERS, TARGETS};
use crate::python;

const TEMPORARY: &str = "/srv/runner";
const RELEASES: &str = "file:///srv/releases";
const SOMEBODY: &str = "4242";

/// What a runner does with the action.
struct Runner<'a> {
    engine: &'a Engine,
    action: Value,
    /// Who runs it; root, or somebody who has sudo.
    is_root: bool,
}

/// What came of the whole of it.
#[derive(Debug)]
struct Ran {
    code: i32,
    /// What the steps said, on either.
    said: String,
    outputs: BTreeMap<String, String>,
    summary: String,
    /// Names of the steps that were run.
    steps: Vec<String>,
}

impl Ran {
    #[track_caller]
    fn ended(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:#?}");
        self
    }

    /// Titles and messages of its annotations for errors.
    fn errors(&self) -> Vec<&str> {
        self.said.lines().filter_map(|line| line.strip_prefix("::error title=")).collect()
    }
}

fn action() -> Option<Value> {
    const READ: &str = "import json, sys, yaml; json.dump(yaml.safe_load(sys.stdin), sys.stdout)";
    python::module("yaml")?;
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/action/action.yml");
    let text =
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    Some(python::run(READ, &[], &text))
}

fn steps(action: &Value) -> &[Value] {
    action["runs"]["steps"].as_array().expect("steps")
}

impl<'a> Runner<'a> {
    fn new(engine: &'a Engine, action: &Value) -> Self {
        engine.sh(&format!("rm -rf {TEMPORARY}; mkdir -m 777 {TEMPORARY}"));
        Self { engine, action: action.clone(), is_root: true }
    }

    /// Uses the action with these inputs, and nothing of an earlier use but what that left on the machine.
    #[track_caller]
    fn uses(&self, given: &[(&str, &str)]) -> Ran {
        let known = self.action["inputs"].as_object().expect("inputs");
        let mut inputs: BTreeMap<&str, &str> = known
            .iter()
            .map(|(name, input)| (name.as_str(), input["default"].as_str().expect("a default")))
            .collect();
        for (name, value) in given {
            inputs.insert(name, value).unwrap_or_else(|| panic!("there is no input {name}"));
        }
        let mut ran = Ran {
            code: 0,
            said: String::new(),
            outputs: BTreeMap::new(),
            summary: String::new(),
            steps: Vec::new(),
        };
        let mut outputs: BTreeMap<String, String> = BTreeMap::new();
        for step in steps(&self.action) {
            if !step["if"].as_str().is_none_or(|condition| holds(condition, &inputs)) {
                continue;
            }
            ran.steps.push(step["name"].as_str().expect("a name").to_owned());
            let written = self.step(step, &inputs, &outputs, &mut ran);
            if let Some(id) = step["id"].as_str() {
                outputs.extend(
                    written.into_iter().map(|(name, value)| (format!("{id}.{name}"), value)),
                );
            }
            // The steps after it have no always().
            if ran.code != 0 {
                break;
            }
        }
        ran.summary = self.read("summary");
        for (name, output) in self.action["outputs"].as_object().expect("outputs") {
            let value = output["value"].as_str().and_then(|value| of_step(expression(value)?));
            let of_step = value.unwrap_or_else(|| panic!("{name} is no step's: {output}"));
            if let Some(value) = outputs.get(&of_step) {
                ran.outputs.insert(name.clone(), value.clone());
            }
        }
        ran
    }

    /// Runs one; what it wrote for `GITHUB_OUTPUT`.
    fn step(
        &self,
        step: &Value,
        inputs: &BTreeMap<&str, &str>,
        outputs: &BTreeMap<String, String>,
        ran: &mut Ran,
    ) -> BTreeMap<String, String> {
        assert_eq!(step["shell"], "bash");
        self.engine.write(&format!("{TEMPORARY}/script"), step["run"].as_str().expect("a script"));
        self.engine.sh(&format!(
            "cd {TEMPORARY}; : >output; touch path summary; chmod 666 output path summary"
        ));
        // A line each, the last first.
        let before = self.read("path");
        let path: Vec<&str> = before
            .lines()
            .rev()
            .chain(["/opt/bin:/opt/engine/usr/bin:/usr/sbin:/usr/bin"])
            .collect();
        let mut words = Vec::new();
        if !self.is_root {
            // The docker socket is for its group, which is root's here.
            let who = [&format!("--reuid={SOMEBODY}"), "--regid=0", "--clear-groups"];
            words.push("setpriv".to_owned());
            words.extend(who.map(str::to_owned));
        }
        // The engine's own are where only root writes.
        let without = ["env", "-u", "DOCKER_CONFIG", "-u", "BUILDX_CONFIG"];
        words.extend(
            without[..if self.is_root { 1 } else { 5 }].iter().map(|&word| word.to_owned()),
        );
        words.push(format!("PATH={}", path.join(":")));
        let home = if self.is_root { "/root".to_owned() } else { format!("{TEMPORARY}/home") };
        words.extend([
            format!("HOME={home}"),
            "GITHUB_ACTIONS=true".to_owned(),
            format!("RUNNER_TEMP={TEMPORARY}"),
            format!("GITHUB_OUTPUT={TEMPORARY}/output"),
            format!("GITHUB_PATH={TEMPORARY}/path"),
            format!("GITHUB_STEP_SUMMARY={TEMPORARY}/summary"),
        ]);
        for (name, value) in step["env"].as_object().into_iter().flatten() {
            let value = value.as_str().expect("a text");
            let inner = expression(value).unwrap_or_else(|| panic!("{name} is text: {value}"));
            let value = match (inner.strip_prefix("inputs."), of_step(inner)) {
                (Some(input), _) => inputs[input],
                // What no step wrote is empty.
                (_, Some(output)) => outputs.get(&output).map_or("", String::as_str),
                _ => panic!("{name} is neither an input nor a step's: {value}"),
            };
            words.push(format!("{name}={value}"));
        }
        // As GitHub does for `shell: bash`.
        let script = format!("{TEMPORARY}/script");
        words.extend(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", &script].map(str::to_owned),
        );
        let output = self.engine.run(&words);
        ran.code = output.status.code().expect("an exit status");
        ran.said.push_str(&String::from_utf8_lossy(&output.stdout));
        ran.said.push_str(&String::from_utf8_lossy(&output.stderr));
        let written = self.read("output");
        let pair = |line: &str| {
            let (name, value) = line.split_once('=').unwrap_or_else(|| panic!("no output: {line}"));
            (name.to_owned(), value.to_owned())
        };
        written.lines().map(pair).collect()
    }

    fn read(&self, file: &str) -> String {
        self.engine.sh(&format!("cat {TEMPORARY}/{file} 2>/dev/null || :"))
    }
}

/// What stands in `${{ }}`, if there is nothing else.
fn expression(value: &str) -> Option<&str> {
    Some(value.strip_prefix("${{")?.strip_suffix("}}")?.trim())
}

/// The step and the output, with a dot between, that an expression names.
fn of_step(inner: &str) -> Option<String> {
    let (id, output) = inner.strip_prefix("steps.")?.split_once(".outputs.")?;
    Some(format!("{id}.{output}"))
}

/// A condition of the kind that this action has, and no other.
fn holds(condition: &str, inputs: &BTreeMap<&str, &str>) -> bool {
    condition.split(" && ").all(|part| {
        let (left, right, wanted) = match (part.split_once(" == "), part.split_once(" != ")) {
            (Some((left, right)), None) => (left, right, true),
            (None, Some((left, right))) => (left, right, false),
            _ => panic!("nobody knows how to read {condition}"),
        };
        let input = left.strip_prefix("inputs.").unwrap_or_else(|| panic!("{condition}"));
        let value = right.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\''));
        (inputs[input] == value.unwrap_or_else(|| panic!("{condition}"))) == wanted
    })
}

/// What the file says, before any of it is run.
pub(crate) fn is_sound(_: &mut Engine) -> String {
    let Some(action) = action() else { return NOT_HERE.to_owned() };
    let mut linted = 0;
    for step in steps(&action) {
        let script = step["run"].as_str().expect("a script");
        // Whoever opens a pull request chooses what is in an expression: in a script it would be run.
        assert!(!script.contains("${{"), "{script}");
        assert!(script.starts_with("set -euo pipefail\n"), "{script}");
        linted += usize::from(lint(script));
    }
    // Nothing is asked for that nothing takes.
    let text = action["runs"].to_string();
    for input in action["inputs"].as_object().expect("inputs").keys() {
        assert!(text.contains(&format!("inputs.{input} ")), "nobody reads {input}");
    }
    let names: Vec<&String> = action["outputs"].as_object().expect("outputs").keys().collect();
    // As docker/setup-buildx-action has them.
    assert_eq!(names, ["driver", "name", "nodes", "platforms"]);
    format!("{linted} scripts")
}

/// Whether shellcheck is here; it has nothing to say then.
fn lint(script: &str) -> bool {
    let child = Command::new("shellcheck")
        .args(["--shell=bash", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let found = child.map_err(|error| format!("shellcheck: {error}"));
    let Some(mut child) = crate::support::need("shellcheck", found) else { return false };
    child.stdin.take().expect("a pipe").write_all(script.as_bytes()).expect("a reader");
    let output = child.wait_with_output().expect("a child of ours");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    true
}

const BOTH: (&str, &str) = ("platforms", "linux/arm64, linux/riscv64");

const GUIDE: &str = "docs/guide/github.md";

/// The steps of the guide's workflows that use the action: what each is given; and the guide itself.
fn documented() -> (String, Vec<BTreeMap<String, String>>) {
    const READ: &str = "import json, sys, yaml
blocks = sys.stdin.read().split('```yaml\\n')[1:]
json.dump([yaml.safe_load(block.split('```')[0]) for block in blocks], sys.stdout)";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(GUIDE);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{GUIDE}: {error}"));
    let workflows = python::run(READ, &[], &text);
    let jobs = workflows.as_array().expect("workflows").iter();
    let jobs = jobs.flat_map(|workflow| workflow["jobs"].as_object().expect("jobs").values());
    let ours = concat!("binfmtd/binfmtd/packaging/action@v", env!("CARGO_PKG_VERSION"));
    let steps = jobs.flat_map(|job| job["steps"].as_array().expect("steps"));
    let given = steps.filter_map(|step| match step["uses"].as_str() {
        Some(uses) if uses.contains("binfmtd") => {
            assert_eq!(uses, ours);
            Some(serde_json::from_value(step["with"].clone()).expect("texts"))
        }
        _ => None,
    });
    let given: Vec<BTreeMap<String, String>> = given.collect();
    assert_eq!(given.len(), 4, "{given:?}");
    (text, given)
}

/// The workflows of the guide, one after the other on one runner.
pub(crate) fn does_what_the_guide_says(engine: &mut Engine) -> String {
    let Some(action) = action() else { return NOT_HERE.to_owned() };
    let runner = Runner::new(engine, &action);
    let inputs = action["inputs"].as_object().expect("inputs");
    let (text, given) = documented();
    let cell = |line: &str| Some(line.strip_prefix("| `")?.split_once('`')?.0.to_owned());
    let listed: Vec<String> = text.lines().filter_map(cell).collect();
    let mut sorted = listed.clone();
    sorted.sort();
    assert_eq!(sorted, inputs.keys().cloned().collect::<Vec<_>>(), "{GUIDE}: its table");
    for output in text.split("steps.builder.outputs.").skip(1) {
        let name: String = output.chars().take_while(char::is_ascii_alphabetic).collect();
        assert!(action["outputs"].get(&name).is_some(), "{GUIDE}: there is no output {name}");
    }
    for mut with in given {
        // That is what is on PATH here; another test fetches it.
        if let Some(version) = with.remove("version") {
            assert_eq!(version, env!("CARGO_PKG_VERSION"), "{GUIDE}");
        }
        let with: Vec<(&str, &str)> =
            with.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        runner.uses(&with).ended(0);
    }
    // The last one has taken its own away.
    let left = engine.well(&["docker", "ps", "--all", "--format={{.Names}}"]);
    assert_eq!(left, "buildx_buildkit_binfmtd0");
    format!("{} inputs", listed.len())
}

/// As a workflow would use it, on a runner that has all.
pub(crate) fn makes_a_builder(engine: &mut Engine) -> String {
    let Some(action) = action() else { return NOT_HERE.to_owned() };
    let runner = Runner::new(engine, &action);
    let given = [BOTH, ("name", "mine"), ("driver-opts", "network=host\nenv.GREETING=a b\n")];
    let first = runner.uses(&given).ended(0);
    assert_eq!(first.steps, ["Install binfmtd", "Register rules", "Doctor", "Builder"]);
    let values: Vec<&str> =
        ["name", "driver", "platforms"].iter().map(|name| first.outputs[*name].as_str()).collect();
    assert_eq!(values, ["mine", "docker-container", "linux/arm64,linux/riscv64"]);
    let nodes: Value = serde_json::from_str(&first.outputs["nodes"]).unwrap();
    assert_eq!((&nodes[0]["name"], &nodes[0]["status"]), (&"mine0".into(), &"running".into()));
    let options = nodes[0]["driver-opts"].to_string();
    assert!(options.contains("network=host") && options.contains("env.GREETING=a b"), "{options}");
    assert!(
        first.summary.contains("| aarch64 |") && first.summary.contains("| riscv64 |"),
        "{first:#?}"
    );
    assert_eq!(engine.rules(), ["qemu-aarch64", "qemu-riscv64"]);
    // There is an emulator of one more, which is no concern of this job's.
    assert!(!first.said.contains("::warning") && !first.said.contains(TARGETS[2]), "{first:#?}");
    assert_eq!(
        engine.well(&["docker", "buildx", "inspect"]).lines().next(),
        Some("Name:          mine")
    );

    // A self-hosted runner's second job finds it.
    let started = "--format={{.State.StartedAt}}";
    let started = || engine.well(&["docker", "inspect", started, "buildx_buildkit_mine0"]);
    let before = started();
    let second = runner.uses(&given).ended(0);
    assert_eq!((second.outputs, started()), (first.outputs, before));

    let last = runner.uses(&[("cleanup", "true"), ("name", "mine")]).ended(0);
    assert_eq!(last.steps, ["Install binfmtd", "Take the builder away"]);
    assert_eq!(engine.well(&["docker", "ps", "--all", "--quiet"]), "");
    assert_eq!(engine.rules(), ["qemu-aarch64", "qemu-riscv64"], "those may serve others");
    takes_platforms_as_they_come(engine, &runner);
    "twice, and gone".to_owned()
}

/// Lists as they come out of YAML and out of other steps.
#[track_caller]
fn takes_platforms_as_they_come(engine: &Engine, runner: &Runner<'_>) {
    let ran = runner.uses(&[("platforms", "\r\n linux/riscv64 ,\tlinux/arm64,\r\n,\n")]).ended(0);
    assert_eq!(ran.outputs["platforms"], "linux/riscv64,linux/arm64", "{ran:#?}");
    assert_eq!(engine.rules(), ["qemu-aarch64", "qemu-riscv64"]);
    let rules = TARGETS.map(|target| format!("qemu-{target}"));
    for nothing in [" ", ",", " ,\n\t, ", ""] {
        engine.well(&["binfmtd", "unregister", "--all"]);
        engine.sh(&format!("rm {TEMPORARY}/summary"));
        let ran = runner.uses(&[("platforms", nothing)]).ended(0);
        assert_eq!(engine.rules(), rules, "{nothing:?}");
        for target in TARGETS {
            assert!(ran.summary.contains(target), "{nothing:?}: {target}: {ran:#?}");
        }
        let built = &ran.outputs["platforms"];
        assert!(built.ends_with("linux/arm64,linux/riscv64,linux/s390x"), "{nothing:?}: {built}");
    }
    runner.uses(&[("cleanup", "true")]).ended(0);
}

/// What does not work fails the job, and is told where its owner looks.
pub(crate) fn fails_where_a_platform_does(engine: &mut Engine) -> String {
    let Some(action) = action() else { return NOT_HERE.to_owned() };
    let runner = Runner::new(engine, &action);
    let missing = [("platforms", "linux/arm64,linux/ppc64le"), ("install-qemu", "false")];
    let ran = runner.uses(&missing).ended(1);
    assert_eq!(ran.steps.last().unwrap(), "Doctor", "{ran:#?}");
    let errors = ran.errors();
    assert!(
        errors.iter().any(|error| error.starts_with("binfmtd%3A ppc64le missing::")),
        "{errors:#?}"
    );
    assert!(ran.summary.contains("ppc64le") && ran.outputs.is_empty(), "{ran:#?}");

    // Without the doctor too, and each time with one that says so.
    let ran = runner.uses(&[missing[0], missing[1], ("doctor", "false")]).ended(1);
    assert_eq!((ran.steps.last().unwrap().as_str(), ran.errors().len()), ("Register rules", 1));
    let ran = runner.uses(&[("platforms", "linux/amr64")]).ended(2);
    assert!(
        ran.errors()[0].contains("did you mean") || ran.errors()[0].contains("amr64"),
        "{ran:#?}"
    );
    let ran = runner.uses(&[BOTH, ("driver-opts", "image=no.such/image")]).ended(3);
    assert_eq!(ran.steps.last().unwrap(), "Builder");
    assert_eq!(ran.errors().len(), 1, "{ran:#?}");

    // Nothing that is given is run or taken for an option.
    for (input, text, code) in [
        ("platforms", "$(touch /srv/runner/hole)", 2),
        ("platforms", "--all", 2),
        ("name", "\"; touch /srv/runner/hole; \"", 2),
        ("name", "--help", 2),
        ("version", "../../$(touch /srv/runner/hole)", 1),
        ("driver-opts", "`touch /srv/runner/hole`", 2),
        ("qemu-package", "; touch /srv/runner/hole", 2),
    ] {
        let given = [("platforms", "linux/arm64"), ("name", "mine"), (input, text)];
        let given =
            if input == "qemu-package" { [("platforms", "x"), given[1], given[2]] } else { given };
        runner.uses(&given).ended(code);
        assert!(runner.read("hole").is_empty(), "{input}: {text}");
        engine.sh(&format!("! test -e {TEMPORARY}/hole"));
    }
    "twelve".to_owned()
}

/// On a runner that has neither binfmtd nor QEMU, and whose user is not root.
pub(crate) fn installs_what_is_missing(engine: &mut Engine) -> String {
    let tools = ["curl", "dpkg"].map(|tool| program(engine, tool));
    let (Some(action), [Some(()), Some(())]) = (action(), tools) else {
        return NOT_HERE.to_owned();
    };
    let mut runner = Runner::new(engine, &action);
    let version = engine.well(&["binfmtd", "--version"]);
    let version = version.strip_prefix("binfmtd ").unwrap().to_owned();
    // As packaging/dist makes it.
    let name = format!("binfmtd-{version}-linux-{}", std::env::consts::ARCH);
    let file = format!("/srv/releases/v{version}/{name}.tar.gz");
    let kept = "/srv/kept";
    engine.sh(&format!(
        "mkdir -p /srv/releases/v{version} /srv/{name} {kept}
        cp /opt/bin/binfmtd /srv/{name}; tar -C /srv -c {name} | gzip --fast >{file}; rm -r /srv/{name}
        mv /opt/bin/binfmtd {INTERPRETERS}/qemu-riscv64-static {kept}
        printf '%s  somewhere\\n' 0000 >{file}.sha256"
    ));
    // sudo as it is: another environment, and none of the caller's PATH.
    engine.sh("cp /usr/bin/setpriv /opt/bin/become-root; chmod 4755 /opt/bin/become-root");
    engine.program(
        "/opt/bin/sudo",
        "#!/bin/sh
[ \"$1 $2\" = '-n --' ] || exit 1
shift 2
exec /opt/bin/become-root --reuid=0 --regid=0 --clear-groups env -i PATH=/srv/manager:/usr/sbin:/usr/bin HOME=/root \"$@\"
",
    );
    engine.program("/opt/bin/apt-cache", "#!/bin/sh\necho '  Candidate: 1:10.0.2+ds-2'\n");
    engine.program(
        "/srv/manager/apt-get",
        format!(
            "#!/bin/sh
echo \"$*\" >>/srv/runner/packages
case \"$*\" in *' install '*) cp {kept}/qemu-riscv64-static {INTERPRETERS} ;; esac
"
        ),
    );
    engine.write("/etc/os-release", "ID=ubuntu\nID_LIKE=debian\n");
    runner.is_root = false;
    engine.sh(&format!("install -d -o {SOMEBODY} {TEMPORARY}/home/.docker/cli-plugins; chown -R {SOMEBODY} {TEMPORARY}/home
        ln -s /opt/buildx/usr/libexec/docker/cli-plugins/docker-buildx {TEMPORARY}/home/.docker/cli-plugins"));
    let given = |more: &[(&'static str, &'static str)]| {
        let version: &'static str = Box::leak(version.clone().into_boxed_str());
        [&[BOTH, ("releases", RELEASES), ("version", version)], more].concat()
    };

    let tag: &'static str = Box::leak(format!("v{version}").into_boxed_str());

    let ran = runner.uses(&[BOTH]).ended(1);
    assert!(ran.errors()[0].contains("binfmtd is not on PATH"), "{ran:#?}");
    // A digest that is not the file's, published or pinned.
    let ran = runner.uses(&given(&[])).ended(1);
    assert!(ran.errors()[0].contains("does not have the SHA-256 0000"), "{ran:#?}");
    engine.sh(&format!("sha256sum {file} >{file}.sha256"));
    let zeros = "0000000000000000000000000000000000000000000000000000000000000000";
    runner.uses(&given(&[("sha256", zeros)])).ended(1);
    assert_eq!(runner.read("path"), "", "nothing is installed");
    let ran = runner.uses(&given(&[("releases", "file:///srv/nowhere")])).ended(1);
    assert!(ran.errors()[0].contains("could not be fetched"), "{ran:#?}");

    // By the name of its tag.
    let ran = runner.uses(&given(&[("version", tag)])).ended(0);
    assert_eq!(ran.outputs["platforms"], "linux/arm64,linux/riscv64", "{ran:#?}");
    assert!(ran.said.contains(&format!("binfmtd {version}")));
    let packages = runner.read("packages");
    let lines: Vec<&str> = packages.lines().collect();
    assert_eq!(lines.len(), 2, "{packages}");
    assert!(lines[0].ends_with(" update"), "{packages}");
    assert!(lines[1].ends_with(" install --no-install-recommends qemu-user"), "{packages}");
    // Nothing is fetched when nothing is missing.
    runner.uses(&given(&[("releases", "file:///srv/nowhere")])).ended(0);
    runner.uses(&given(&[("releases", "file:///srv/nowhere"), ("version", tag)])).ended(0);
    assert_eq!(runner.read("packages"), packages);
    // And nobody needs to become root.
    engine.sh("rm /opt/bin/sudo /opt/bin/become-root");
    runner.uses(&given(&[])).ended(0);

    engine.sh(&format!(
        "mv {kept}/binfmtd /opt/bin; rm -r /opt/bin/apt-cache /srv/manager /srv/releases {kept} /etc/os-release"
    ));
    "five refusals".to_owned()
}
