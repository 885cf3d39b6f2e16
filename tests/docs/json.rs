//! `docs/reference/json.md` against real documents: every field that is printed is explained, every
//! field that is explained is printed, and each has the type that is given.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::time::Duration;

use binfmtd::testing::buildx::builder::{Builder, Node, NodeStatus};
use binfmtd::testing::buildx::embedded::Embedded;
use binfmtd::testing::buildx::engine::{Engine, Location};
use binfmtd::testing::buildx::facts::PlatformFacts;
use binfmtd::testing::buildx::kernel::Kernel;
use binfmtd::testing::buildx::observe::{Orphan, OrphanKind};
use binfmtd::testing::buildx::removal::BuilderRemoval;
use binfmtd::testing::buildx::test_build::{Built, Runner};
use binfmtd::testing::fix::{self, Command, Edit, Fix, RunsAs};
use binfmtd::testing::observation::{InstanceFacts, OwnershipRecord};
use binfmtd::testing::report::{BuilderDocument, StatusDocument, versioned};
use binfmtd::testing::rule::Entry;
use binfmtd::testing::target::Table;
use serde_json::Value;

use crate::markdown::{code, read, rows, sections, split};
use crate::private::Place;
use crate::service::state;

/// What one section explains: its fields, with the words for their types.
struct Explained {
    title: String,
    fields: BTreeMap<String, Vec<String>>,
}

impl Explained {
    fn parse(title: &str, text: &str) -> Self {
        let fields = rows(text)
            .into_iter()
            .map(|row| {
                let field = code(row[0]).unwrap_or_else(|| panic!("{title}: {}", row[0]));
                let types = row[1].replace(" or ", ", ");
                (field.to_owned(), types.split(", ").map(str::to_owned).collect())
            })
            .collect();
        Self { title: title.to_owned(), fields }
    }

    /// The field that a path is explained by; `<name>` stands for any key.
    fn find(&self, path: &[String]) -> Option<&str> {
        let fits = |field: &&String| {
            let words: Vec<&str> = field.split('.').collect();
            words.len() == path.len()
                && words.iter().zip(path).all(|(word, step)| word.starts_with('<') || word == step)
        };
        self.fields.keys().find(fits).map(String::as_str)
    }

    /// Types that are described in a section of their own are put into `parts`, by its title.
    fn walk(
        &self,
        value: &Value,
        path: &[String],
        seen: &mut BTreeSet<String>,
        problems: &mut BTreeSet<String>,
        parts: &mut Parts,
    ) {
        let (kind, is_leaf) = match value {
            Value::Null => ("null", true),
            Value::Bool(_) => ("boolean", true),
            Value::Number(_) => ("number", true),
            Value::String(_) => ("string", true),
            Value::Array(_) => ("list", false),
            Value::Object(_) => ("object", false),
        };
        match self.find(path) {
            Some(field) => {
                seen.insert(field.to_owned());
                let part = self.fields[field].iter().find(|word| PARTS.contains(&word.as_str()));
                if let (Some(part), false) = (part, value.is_null()) {
                    parts.entry(part.to_owned()).or_default().push(value.clone());
                    return;
                }
                if !self.fields[field].iter().any(|word| word == kind) {
                    problems.insert(format!("{}: {field} is {kind} here", self.title));
                }
                if kind == "list" {
                    return;
                }
            }
            None if is_leaf => {
                problems.insert(format!("{}: {} is not explained", self.title, path.join(".")));
            }
            None => {}
        }
        match value {
            Value::Array(items) => {
                let mut path = path.to_vec();
                if let Some(last) = path.last_mut() {
                    last.push_str("[]");
                }
                for item in items {
                    self.walk(item, &path, seen, problems, parts);
                }
            }
            Value::Object(fields) => {
                for (key, value) in fields {
                    let path = [path, std::slice::from_ref(key)].concat();
                    self.walk(value, &path, seen, problems, parts);
                }
            }
            _ => {}
        }
    }
}

/// The sections that describe a part of other documents.
const PARTS: [&str; 2] = ["fix", "state.json"];

/// What was found of these, by title.
type Parts = BTreeMap<String, Vec<Value>>;

/// The section about versions has no fields.
const VERSIONS: &str = "From schema 1 to 2";

fn explained(text: &str) -> Vec<(Explained, String)> {
    let sections = sections(text).into_iter().filter(|(title, _)| *title != VERSIONS);
    sections.map(|(title, body)| (Explained::parse(title, &body), body)).collect()
}

fn parse(text: &str, what: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{what}: {error}\n{text}"))
}

#[test]
fn examples_are_as_they_are_explained() {
    let text = read("docs/reference/json.md");
    let mut problems = BTreeSet::new();
    let sections = explained(&text);
    assert!(sections.len() >= 10);
    let mut parts = Parts::new();
    for (explained, body) in &sections {
        let title = &explained.title;
        let (fences, _) = split(body);
        let examples: Vec<_> = fences.iter().filter(|fence| fence.language == "json").collect();
        assert!(!examples.is_empty(), "{title}: no example");
        for example in examples {
            let lines: Vec<&str> = example.lines.iter().map(|(_, line)| *line).collect();
            let value = parse(&lines.join("\n"), title);
            explained.walk(&value, &[], &mut BTreeSet::new(), &mut problems, &mut parts);
        }
    }
    for (explained, _) in &sections {
        for part in parts.remove(&explained.title).unwrap_or_default() {
            let (seen, parts) = (&mut BTreeSet::new(), &mut Parts::new());
            explained.walk(&part, &[], seen, &mut problems, parts);
        }
    }
    assert!(problems.is_empty(), "{problems:#?}");
}

/// Commands that together print every field: the section, the arguments, the exit status.
const COMMANDS: &[(&str, &str, i32)] = &[
    ("errors", "register nonsense", 2),
    ("errors", "--nonsense", 2),
    ("errors", "--config faulty.toml config check", 2),
    ("errors", "run --private --strict --config strict.toml -- true", 1),
    ("register", "--config all.toml register", 1),
    ("register", "register --dry-run arm64 amd64", 0),
    ("which", "which ./hello-arm64", 0),
    ("which", "which mine.toml", 1),
    ("targets", "targets", 0),
    ("targets", "--config all.toml targets arm", 0),
    ("export", "--config mine.toml export --as debian", 0),
    ("config show", "--config all.toml config show", 0),
    ("config show", "config check", 0),
    ("doctor", "doctor arm64 amd64", 0),
    ("doctor", "doctor --repeat 2 --require arm64 riscv64", 0),
    ("doctor", "doctor --rootfs rootfs --exec /hello-arm64", 0),
    ("doctor --list-checks", "doctor --list-checks", 0),
    ("doctor --explain", "doctor --explain exec.host", 0),
    ("doctor --explain", "doctor --explain kernel.enabled", 0),
    // What comes now is about somebody else's rules.
    ("unregister", "unregister --dry-run arm64", 0),
    ("unregister", "unregister --all", 0),
    ("register", "register --no-verify riscv64", 0),
    ("status", "status", 0),
    ("unregister", "unregister riscv64 s390x", 1),
    ("doctor", "doctor riscv64 s390x", 1),
    ("doctor", "doctor --fix --dry-run riscv64 s390x", 1),
    ("doctor", "doctor --builder no-such-builder arm64", 1),
    // And now the service runs.
    ("status", "--config mine.toml status", 0),
    ("unregister", "--config mine.toml unregister arm64", 0),
];

/// Starts the service before the commands above that need it, and keeps what it wrote.
const SERVICE: &str = r#"
binfmtd --config mine.toml daemon 2>daemon.log &
service=$!
trap 'kill $service; wait $service' EXIT
state=$BINFMTD_RUNTIME_DIRECTORY/state.json
tries=0
until grep -qs '"sha256": "' $state; do
    tries=$((tries + 1))
    [ $tries -lt 600 ] || { echo 'the service knows nothing'; cat daemon.log $state; exit 97; }
    sleep 0.1
done
cp $state state.json
"#;

/// Rules that another tool could have left; added before the commands above that need them.
const PLANTED: &str = r"
printf '%s' ':qemu-s390x:M::\x7fELF\x02\x02\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x16:\xff\xff\xff\xff\xff\xff\xff\xfc\x00\x00\x00\x00\x00\x00\x00\x00\xff\xfe\xff\xff:/usr/bin/missing:' >$instance/register
printf '%s' ':older:E::jar::/usr/bin/missing:' >$instance/register
printf '%s' ':newer:E::jar::/usr/bin/missing:' >$instance/register
";

const ALL: &str = r#"
targets = ["arm64", "arm"]
interpreter-directories = ["BAD", "/usr/bin", "/usr/libexec/qemu-binfmt"]
[daemon]
pause-after = 3
[buildx]
platforms = ["arm64"]
[buildx.driver-options]
network = "host"
[target.arm64]
flags = "OF"
[rule.jar]
extension = "jar"
interpreter = "/usr/bin/no-such-interpreter"
[rule.wasm]
magic = "0061736d"
interpreter = "/usr/bin/no-such-interpreter"
"#;

fn real_documents(place: &Place) -> Result<BTreeMap<&'static str, Vec<Value>>, String> {
    let bad = place.path().join("bad");
    fs::create_dir_all(&bad).unwrap();
    place.file("bad/qemu-arm-static", "no program at all");
    place.file("all.toml", &ALL.replace("BAD", bad.to_str().unwrap()));
    place.file("strict.toml", "[rule.jar]\nextension = \"jar\"\ninterpreter = \"/nowhere\"\n");
    place.file("faulty.toml", "targets = [\"nonsense\"]\n");
    let mut script = "instance=/proc/sys/fs/binfmt_misc\n".to_owned();
    for (index, (_, arguments, status)) in COMMANDS.iter().enumerate() {
        if arguments.starts_with("unregister --dry-run") {
            // All that is registered here goes but one; then come others' rules.
            script.push_str("binfmtd register arm64 >/dev/null || exit 98\n");
        }
        if *arguments == "status" {
            script.push_str(PLANTED);
        }
        if *arguments == "--config mine.toml status" {
            script.push_str(SERVICE);
        }
        write!(
            script,
            "binfmtd --format json {arguments} >{index}.json\nstatus=$?\n\
             [ $status -eq {status} ] || {{ echo '{arguments}:' status $status; cat {index}.json; exit 99; }}\n"
        )
        .unwrap();
    }
    place.run(&script)?;
    let mut documents: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for (index, (section, arguments, _)) in COMMANDS.iter().enumerate() {
        let text = fs::read_to_string(place.path().join(format!("{index}.json"))).unwrap();
        documents.entry(section).or_default().push(parse(&text, arguments));
    }
    documents.entry("status").or_default().push(status_of_a_newer_kernel());
    let text = fs::read_to_string(place.path().join("state.json")).unwrap();
    let states = vec![parse(&text, "state.json"), serde_json::to_value(state()).unwrap()];
    documents.insert("state.json", states);
    documents.extend(documents_of_builders());
    documents.insert("fix", fixes().map(|fix| serde_json::to_value(fix).unwrap()).to_vec());
    Ok(documents)
}

/// With everything that a fix can have.
fn fixes() -> [Fix; 2] {
    let node = fix::Place::Node { node: "node".to_owned() };
    let command =
        Command::new(RunsAs::Owner { uid: 1000 }, &["docker"]).at(node).without("DOCKER_HOST");
    let lines = || vec!["line".to_owned()];
    let (file, remove, add) = ("/file".to_owned(), lines(), lines());
    let edit = Edit { file, create: false, line: Some(1), remove, add };
    [Fix::run("text", [command]).edit(edit), Fix::builtins("text", "echo")]
}

/// What no kernel of today has: a line that we do not know, and an entry that is none; and a service that
/// knows everything.
fn status_of_a_newer_kernel() -> Value {
    let content =
        b"enabled\ninterpreter /usr/bin/true\nflags: F\nnew-thing 1\noffset 0\nmagic 7f454c46\n";
    let entry = Entry::parse("newer".as_ref(), content).unwrap();
    assert!(!entry.unknown.is_empty());
    let facts = InstanceFacts {
        device: 1,
        enabled: true,
        writable: true,
        entries: vec![entry],
        unreadable: vec![("broken".into(), "why".to_owned())],
    };
    let (table, record, owners) = (Table::embedded(), OwnershipRecord::default(), BTreeMap::new());
    let document = StatusDocument::new(&table, &facts, &record, &owners, true, Some(state()));
    serde_json::to_value(versioned(&document)).unwrap()
}

/// What takes an engine: made from every fact that there is. `tests/docker` has real ones.
fn documents_of_builders() -> [(&'static str, Vec<Value>); 2] {
    let words = || Some("words".to_owned());
    let engine = |location| Engine {
        context: "default".to_owned(),
        endpoint: "unix:///var/run/docker.sock".to_owned(),
        id: String::new(),
        version: "26.1.5".to_owned(),
        client: "26.1.5".to_owned(),
        kernel: "6.12".to_owned(),
        rootless: false,
        location,
        buildx: "0.13.1".to_owned(),
    };
    let node = |status| Node {
        name: "one0".to_owned(),
        endpoint: "default".to_owned(),
        status,
        version: words(),
        platforms: vec!["linux/arm64".to_owned()],
        options: BTreeMap::from([("network".to_owned(), "host".to_owned())]),
        flags: vec!["--debug".to_owned()],
    };
    let builder = Builder {
        name: "one".to_owned(),
        driver: "docker-container".to_owned(),
        current: Some(true),
        error: words(),
        nodes: vec![node(NodeStatus::Running), node(NodeStatus::Broken("why".to_owned()))],
    };
    let facts = |kernel, embedded, built| PlatformFacts {
        platform: "linux/arm64".to_owned(),
        target: "aarch64".to_owned(),
        kernel,
        embedded,
        advertised: true,
        resting: false,
        built,
    };
    let emulator = Embedded::Yes {
        name: "buildkit-qemu-aarch64".to_owned(),
        version: words(),
        sha256: words(),
    };
    let time = Duration::from_millis(300);
    let all = [
        facts(
            Kernel::Runs { rule: words(), version: words() },
            emulator,
            Built::Yes { by: Runner::Embedded, version: words(), time },
        ),
        facts(
            Kernel::Fails { rule: None, why: "why".to_owned() },
            Embedded::Unknown("why".to_owned()),
            Built::No { why: "why".to_owned(), log: "log".to_owned() },
        ),
    ];
    let elsewhere = engine(Location::Elsewhere("why".to_owned()));
    let mut whole = BuilderDocument::new(&elsewhere, Some(&builder), &all).with_error(&"error");
    whole.steps.push("step".to_owned());
    whole.warnings.push("warning".to_owned());
    let orphan = |kind, state| Orphan {
        kind,
        name: "left".to_owned(),
        state,
        node: "mine0".to_owned(),
        ours: true,
        removed: false,
    };
    let orphans = vec![orphan(OrphanKind::Container, words()), orphan(OrphanKind::Volume, None)];
    whole.orphans = Some(orphans.clone());
    let without = BuilderDocument::new(&engine(Location::Here), None, &[]);
    let removal =
        BuilderRemoval { ok: false, builder: words(), orphans, errors: vec!["error".to_owned()] };
    let builders =
        [&whole, &without].map(|document| serde_json::to_value(versioned(document)).unwrap());
    let nothing = BuilderRemoval { builder: None, ..removal.clone() };
    let removals =
        [&removal, &nothing].map(|document| serde_json::to_value(versioned(document)).unwrap());
    [("buildx", builders.to_vec()), ("buildx remove", removals.to_vec())]
}

#[test]
fn documents_are_as_they_are_explained() {
    let Some(place) = Place::prepare() else { return };
    let documents = real_documents(&place).unwrap_or_else(|problem| panic!("{problem}"));
    let text = read("docs/reference/json.md");
    let mut problems = BTreeSet::new();
    let mut sections = explained(&text);
    let titles: BTreeSet<&str> = sections.iter().map(|(one, _)| one.title.as_str()).collect();
    assert_eq!(titles, documents.keys().copied().collect());
    // Parts last, when all that was printed of them is known.
    sections.sort_by_key(|(explained, _)| PARTS.contains(&explained.title.as_str()));
    let mut parts = Parts::new();
    for (explained, _) in &sections {
        let title = explained.title.as_str();
        let mut seen = BTreeSet::new();
        for document in parts.remove(title).iter().flatten().chain(&documents[title]) {
            explained.walk(document, &[], &mut seen, &mut problems, &mut parts);
        }
        let never = explained.fields.keys().filter(|field| !seen.contains(*field));
        problems.extend(never.map(|field| format!("{title}: {field} is never printed")));
    }
    assert!(problems.is_empty(), "{problems:#?}");
}
