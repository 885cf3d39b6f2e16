//! What the service writes and says, against the reference: metrics, messages, the journal's catalogue.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use binfmtd::testing::daemon::{ChangeCause, Condition, Heal, Message, RuleState, State, render};

use crate::generated::hold;
use crate::markdown::{code, read, rows};
use crate::private::Place;
use crate::support::need;

/// A state in which everything is known that can be.
pub(crate) fn state() -> State {
    let rule = |target: &str, condition, why: Option<&str>| RuleState {
        target: Some(target.to_owned()),
        rule: format!("qemu-{target}"),
        condition,
        why: why.map(str::to_owned),
        by: Some(format!("qemu-{target}")),
        ours: true,
        interpreter: Some(format!("/usr/bin/qemu-{target}-static")),
        file: None,
        version: Some(format!("qemu-{target} version 10.0.8")),
        sha256: Some("4f55e2e88dc05dc0f619562d5795b8eb25ed2ad2547504fb4835207a6911c350".to_owned()),
        probe_seconds: Some(0.0125),
    };
    State {
        schema: State::SCHEMA,
        version: "0.1.0".to_owned(),
        pid: 1234,
        pid_started: 311_825,
        started: 1_790_000_000.5,
        ready: true,
        status: "1 target working, 1 degraded: riscv64".to_owned(),
        instance: 40,
        only_here: false,
        rules: vec![
            rule("aarch64", Condition::Working, None),
            rule("riscv64", Condition::Degraded, Some("died by signal 11")),
        ],
        heals: BTreeMap::from([(ChangeCause::Removed, 6), (ChangeCause::Wanted, 2)]),
        last_heal: Some(Heal {
            at: 1_790_000_060.25,
            seconds: 0.0015,
            cause: ChangeCause::Removed,
            changes: 2,
        }),
        conflicts: 1,
        paused_until: Some(1_790_000_090.0),
        trouble: Some("the configuration has a fault".to_owned()),
    }
}

/// One family of the metrics, as its text has it.
struct Family<'a> {
    name: &'a str,
    kind: &'a str,
    help: &'a str,
    samples: Vec<&'a str>,
}

fn families(text: &str) -> Vec<Family<'_>> {
    let mut families: Vec<Family<'_>> = Vec::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            families.push(Family { name, kind, help: "", samples: Vec::new() });
        } else if let Some(rest) = line.strip_prefix("# HELP ") {
            let family = families.last_mut().unwrap();
            family.help = rest.strip_prefix(family.name).unwrap().trim();
        } else if line != "# EOF" {
            families.last_mut().unwrap().samples.push(line);
        }
    }
    families
}

impl Family<'_> {
    /// What Prometheus calls it.
    fn sample(&self) -> &str {
        let sample = self.samples[0];
        &sample[..sample.find(['{', ' ']).unwrap()]
    }

    fn labels(&self) -> Vec<&str> {
        let Some((_, labels)) = self.samples[0].split_once('{') else { return Vec::new() };
        // A label's name is what stands before ="; no value here has that in it.
        let names = labels.split("=\"").filter_map(|text| text.rsplit([',', '"']).next());
        names.filter(|name| !name.is_empty() && !name.contains('}')).collect()
    }

    fn unit(&self) -> &str {
        if self.name.ends_with("_seconds") { "seconds" } else { "" }
    }
}

#[test]
fn the_metrics_are_those_that_are_written() {
    let text = render(&state());
    let families = families(&text);
    assert!(families.len() > 10, "{text}");
    let mut wanted = "| sample | type | unit | labels | |\n|---|---|---|---|---|\n".to_owned();
    for family in &families {
        let labels: Vec<String> =
            family.labels().iter().map(|label| format!("`{label}`")).collect();
        let help = family.help.trim_end_matches('.');
        let (sample, kind, unit) = (family.sample(), family.kind, family.unit());
        writeln!(wanted, "| `{sample}` | {kind} | {unit} | {} | {help} |", labels.join(", "))
            .unwrap();
    }
    write!(wanted, "\nFor example:\n\n```text\n{text}```\n").unwrap();
    hold("docs/reference/metrics.md", &wanted);
}

#[test]
fn every_cause_is_explained_everywhere() {
    let all: Vec<&str> = ChangeCause::ALL.iter().map(|cause| cause.as_str()).collect();
    let text = read("docs/reference/metrics.md");
    let (_, causes) = text.split_once("## Causes").unwrap();
    let explained: Vec<&str> = rows(causes).iter().filter_map(|row| code(row[0])).collect();
    assert_eq!(explained, all);
    let entries = catalogue();
    let changed = &entries[Message::Changed.id()].text;
    for cause in all {
        let has = changed.lines().any(|line| line.trim_start().starts_with(&format!("{cause} ")));
        assert!(has, "{cause} in systemd/binfmtd.catalog");
    }
}

/// One entry of the journal's catalogue.
struct Entry {
    headers: BTreeMap<String, String>,
    text: String,
}

/// The catalogue, by identifier; the format is that of systemd's `catalog.md`.
fn catalogue() -> BTreeMap<String, Entry> {
    let text = read("systemd/binfmtd.catalog");
    let mut entries = BTreeMap::new();
    for part in text.split("\n-- ").skip(1) {
        let (id, rest) = part.split_once('\n').unwrap();
        let (headers, text) = rest.split_once("\n\n").unwrap_or_else(|| panic!("{id}: no text"));
        let headers = headers
            .lines()
            .map(|line| line.split_once(": ").unwrap_or_else(|| panic!("{id}: {line}")))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let entry = Entry { headers, text: text.to_owned() };
        assert!(entries.insert(id.to_owned(), entry).is_none(), "{id} is there twice");
    }
    entries
}

/// The fields that a text wants filled in, as `@NAME@`.
fn wanted_fields(text: &str) -> BTreeSet<&str> {
    text.split('@').skip(1).step_by(2).collect()
}

#[test]
fn every_message_is_in_the_catalogue_and_in_the_reference() {
    let entries = catalogue();
    let ids: BTreeSet<&str> = Message::ALL.iter().map(|message| message.id()).collect();
    assert_eq!(ids.len(), Message::ALL.len(), "two messages have one identifier");
    assert_eq!(entries.keys().map(String::as_str).collect::<BTreeSet<_>>(), ids);
    let text = read("docs/reference/messages.md");
    let rows = rows(&text);
    let listed: Vec<&str> = rows.iter().map(|row| code(row[0]).unwrap()).collect();
    assert_eq!(listed, Message::ALL.map(Message::id));
    for row in rows {
        let id = code(row[0]).unwrap();
        let Entry { headers, text } = &entries[id];
        assert_eq!(
            headers.keys().collect::<Vec<_>>(),
            ["Defined-By", "Documentation", "Subject", "Support"]
        );
        assert_eq!(headers["Subject"], row[3], "{id}");
        let page = headers["Documentation"].split("/blob/main/").nth(1).unwrap();
        assert!(read(page).contains(id), "{id}: {page}");
        assert!(text.trim().lines().all(|line| line.len() <= 80), "{id}: {text}");
        // One that is missing would be a hole in the sentence.
        let both = format!("{} {text}", row[3]);
        for field in wanted_fields(&both) {
            assert!(
                row[2].contains(&format!("`{field}=`")),
                "{id}: {field} is not one of {}",
                row[2]
            );
            assert!(!row[2].contains("when"), "{id}: {field} is not always there");
            assert_ne!(field, "TARGET", "{id}: there are two, and journalctl takes either");
        }
    }
}

#[test]
fn journalctl_takes_the_catalogue() {
    let journalctl = |arguments: &[&str]| {
        let output = Command::new("journalctl").args(arguments).output();
        output.map_err(|error| format!("journalctl: {error}"))
    };
    let Some(_) = need("journalctl (systemd)", journalctl(&["--version"])) else { return };
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("usr/lib/systemd/catalog");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("binfmtd.catalog"), read("systemd/binfmtd.catalog")).unwrap();
    let root = format!("--root={}", root.path().display());
    let said = |argument: &str| {
        let output = journalctl(&[&root, argument]).unwrap();
        // It complains of a line that it does not understand, and goes on.
        assert!(output.status.success() && output.stderr.is_empty(), "{argument}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    said("--update-catalog");
    let list = said("--list-catalog");
    let entries = catalogue();
    assert_eq!(list.lines().count(), entries.len(), "{list}");
    let dump = said("--dump-catalog");
    for (id, Entry { headers, text }) in entries {
        assert!(list.contains(&format!("{id} binfmtd: {}\n", headers["Subject"])), "{list}");
        assert!(dump.contains(text.trim()), "{id}: {dump}");
    }
}

/// Makes the service say everything but `OnlyHere`, whose situation a private instance is not. The
/// journal is a socket of ours, on a `/run` of the script's own.
const SAY_ALL: &str = r#"
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/journal
: >/run/systemd/journal/socket
mount --bind journal /run/systemd/journal/socket
: >errors.log
emulator() {
    cp "$(command -v qemu-$1-static || command -v qemu-$1)" new
    mv new emulator
}
emulator aarch64
binfmtd unregister --all >unregistered
JOURNAL_STREAM=$(stat -c %d:%i errors.log) binfmtd --config say.toml daemon 2>errors.log &
service=$!
trap 'kill $service; wait $service' EXIT
state=$BINFMTD_RUNTIME_DIRECTORY/state.json
until_it_has() {
    tries=0
    until grep -qs "$1" $state; do
        tries=$((tries + 1))
        [ $tries -lt 600 ] || { echo "no $1"; cat $state errors.log; exit 97; }
        sleep 0.1
    done
}
until_it_has '"ready": true'
until_it_has '"condition": "degraded"'
emulator riscv64
until_it_has '2 targets working'
tries=0
until grep -q '"conflicts": 1' $state; do
    tries=$((tries + 1))
    [ $tries -lt 600 ] || { echo 'no pause'; cat $state errors.log; exit 97; }
    # Not there: not back yet.
    echo -1 2>/dev/null >/proc/sys/fs/binfmt_misc/qemu-aarch64 || :
    sleep 0.01
done
until_it_has '"paused-until": null'
echo nonsense >>say.toml
until_it_has '"trouble": "'
"#;

/// `targets` is not a list, so that it is ready with one that does not work: the wrong emulator, first.
const SAY_ALL_CONFIGURATION: &str = r#"
targets = "auto"
interpreter-directories = ["BIN"]
[target.arm64]
interpreter = "ARM64"
[target.riscv64]
interpreter = "HERE/emulator"
[daemon]
pause-after = 0
longest-pause-seconds = 1
"#;

/// What was sent of one kind of message.
#[derive(Debug, Default)]
struct Sent {
    priorities: BTreeSet<String>,
    /// Of those that the reference speaks of; TARGET only where it is one of the table.
    fields: BTreeSet<String>,
    /// How often the program's own TARGET was in an entry.
    own: BTreeSet<usize>,
}

/// An entry, as journald's native protocol has it: `NAME=value`, or the name on a line of its own,
/// the length of the value as 64 bits, and the value.
fn fields(mut entry: &[u8]) -> Vec<(String, String)> {
    let mut fields = Vec::new();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    while !entry.is_empty() {
        let end = entry.iter().position(|byte| *byte == b'\n').unwrap();
        let (line, rest) = (&entry[..end], &entry[end + 1..]);
        entry = if let Some(at) = line.iter().position(|byte| *byte == b'=') {
            fields.push((text(&line[..at]), text(&line[at + 1..])));
            rest
        } else {
            let (length, rest) = rest.split_first_chunk().unwrap();
            let (value, rest) = rest.split_at(u64::from_le_bytes(*length).try_into().unwrap());
            fields.push((text(line), text(value)));
            &rest[1..]
        };
    }
    fields
}

#[test]
fn messages_have_the_fields_that_the_reference_names() {
    let Some(place) = Place::prepare() else { return };
    let here = place.path().to_str().unwrap();
    let table = place.run("binfmtd --format json targets arm64").unwrap();
    let table: serde_json::Value = serde_json::from_str(&table).unwrap();
    let arm64 = table["targets"][0]["interpreter"].as_str().unwrap();
    let empty = place.path().join("empty");
    fs::create_dir(&empty).unwrap();
    let configuration = SAY_ALL_CONFIGURATION
        .replace("BIN", empty.to_str().unwrap())
        .replace("ARM64", arm64)
        .replace("HERE", here);
    place.file("say.toml", &configuration);
    let journal = UnixDatagram::bind(place.path().join("journal")).unwrap();
    journal.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let over = AtomicBool::new(false);
    let (result, entries) = std::thread::scope(|scope| {
        // While the script runs: the queue of a socket is short.
        let reader = scope.spawn(|| {
            let (mut entries, mut buffer) = (Vec::new(), vec![0; 256 * 1024]);
            loop {
                match journal.recv(&mut buffer) {
                    Ok(length) => entries.push(fields(&buffer[..length])),
                    Err(_) if over.load(Ordering::Relaxed) => return entries,
                    Err(_) => {}
                }
            }
        });
        let result = place.run(SAY_ALL);
        over.store(true, Ordering::Relaxed);
        (result, reader.join().unwrap())
    });
    result.unwrap_or_else(|problem| panic!("{problem}\n{entries:#?}"));
    let mut sent: BTreeMap<String, Sent> = BTreeMap::new();
    for entry in &entries {
        let values = |name: &str| -> Vec<&str> {
            let named = entry.iter().filter(|field| field.0 == name);
            named.map(|field| field.1.as_str()).collect()
        };
        let [id] = values("MESSAGE_ID")[..] else { continue };
        let one = sent.entry(id.to_owned()).or_default();
        one.priorities.extend(values("PRIORITY").into_iter().map(str::to_owned));
        for field in ["CAUSE", "RULE", "INTERPRETER"] {
            one.fields.extend(values(field).first().map(|_| format!("`{field}=`")));
        }
        let (own, others): (Vec<_>, Vec<_>) =
            values("TARGET").into_iter().partition(|target| target.starts_with("binfmtd"));
        one.own.insert(own.len());
        one.fields.extend(others.first().map(|_| "`TARGET=`".to_owned()));
    }
    let text = read("docs/reference/messages.md");
    for row in rows(&text) {
        let id = code(row[0]).unwrap();
        if id == Message::OnlyHere.id() {
            continue;
        }
        let Some(one) = sent.get(id) else { panic!("{}: never sent: {entries:#?}", row[3]) };
        let priority = match row[1] {
            "err" => "3",
            "warning" => "4",
            "info" => "6",
            other => panic!("{other}"),
        };
        assert_eq!(one.priorities.iter().collect::<Vec<_>>(), [priority], "{}", row[3]);
        let named = row[2].split(", ").filter(|field| field.starts_with('`')).map(str::to_owned);
        assert_eq!(one.fields, named.collect(), "{}", row[3]);
        assert_eq!(one.own, BTreeSet::from([1]), "{}", row[3]);
    }
}
