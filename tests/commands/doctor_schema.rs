//! `docs/reference/doctor.schema.json` against what the doctor prints, by a validator that is not ours.

use std::collections::BTreeSet;

use binfmtd::testing::doctor::{Status, Verdict};
use binfmtd::testing::report::MatchState;
use serde_json::{Value, json};

use crate::python;
use crate::world::{World, qemu};

const SCHEMA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/reference/doctor.schema.json");

/// Reads documents; writes what is wrong with each.
const VALIDATE: &str = r"
import json, sys
from jsonschema import Draft202012Validator
schema = json.load(open(sys.argv[1]))
Draft202012Validator.check_schema(schema)
validator = Draft202012Validator(schema)
def told(error):
    inner = [told(each) for each in error.context]
    return error.json_path + ': ' + error.message[:300] + ''.join('\n  ' + each for each in inner)
documents = json.load(sys.stdin)
json.dump([[told(error) for error in validator.iter_errors(each)] for each in documents], sys.stdout)
";

fn problems(documents: &[Value]) -> Vec<Vec<String>> {
    let input = serde_json::to_string(documents).unwrap();
    serde_json::from_value(python::run(VALIDATE, &[SCHEMA], &input)).unwrap()
}

fn schema() -> Value {
    serde_json::from_str(&std::fs::read_to_string(SCHEMA).unwrap()).unwrap()
}

fn printed(world: &World, line: &str, code: i32) -> Value {
    world.binfmtd(&format!("--format json doctor {line}")).ended(code).document()
}

/// A rule of somebody else's, which takes programs for aarch64 and does not run them.
const OTHER: &str = r"printf '%s' ':other:M::\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00:\xff\xff\xff\xff\xff\xff\xff\xfc\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff:/usr/bin/true:' >$M/register";

/// What is printed where all is well, where it is not, and where there is nothing to look at.
fn documents() -> Option<Vec<Value>> {
    qemu()?;
    let world = World::mounted()?;
    world.binfmtd("register").ended(0);
    let mut documents = vec![
        printed(&world, "", 0),
        printed(&world, "--repeat 3 arm64", 0),
        printed(&world, "--require riscv64,s390x", 0),
        printed(&world, std::env::consts::ARCH, 0),
        printed(&world, "--nonsense", 2),
        printed(&world, "arn", 2),
        printed(&world, "--fix --dry-run", 0),
    ];
    world.sh("echo 0 >$M/qemu-riscv64");
    world.sh(OTHER);
    documents.push(printed(&world, "--require ppc64le arm64 riscv64 --repeat 2", 1));
    documents.push(printed(&world, "--fix --dry-run", 1));
    documents.push(printed(&world, "", 1));
    world.sh("echo 0 >$M/status");
    documents.push(printed(&world, "", 1));
    let world = World::unmounted()?;
    documents.push(printed(&world, "", 1));
    documents.push(printed(&world, "--require arm64", 1));
    Some(documents)
}

#[test]
fn a_command_names_its_owner_and_its_node_and_no_other_does() {
    let (Some(()), Some(())) = (python::module("jsonschema"), qemu()) else { return };
    let Some(world) = World::mounted() else { return };
    let document = printed(&world, std::env::consts::ARCH, 0);
    let with = |more: Value| {
        let mut command = json!({"argv": ["true"], "as": "user", "where": "here"});
        command.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let mut document = document.clone();
        document["checks"][0]["fix"] = json!({"text": "x", "commands": [command], "edits": []});
        document
    };
    let right = [
        json!({}),
        json!({"as": "owner", "uid": 1000, "where": "node", "node": "n0", "unset": ["DOCKER_HOST"]}),
    ];
    let wrong = [
        json!({"as": "owner"}),
        json!({"uid": 1000}),
        json!({"where": "node"}),
        json!({"node": "n0"}),
        json!({"argv": []}),
        json!({"unset": []}),
    ];
    let told = problems(&right.iter().chain(&wrong).cloned().map(with).collect::<Vec<_>>());
    for (at, (command, problems)) in right.iter().chain(&wrong).zip(&told).enumerate() {
        assert_eq!(problems.is_empty(), at < right.len(), "{command}: {problems:?}");
    }
}

#[test]
fn what_is_printed_is_valid() {
    let (Some(()), Some(documents)) = (python::module("jsonschema"), documents()) else { return };
    let count = documents.len();
    // Neither an empty schema nor a broken validator would pass this.
    let wrong = [json!({}), json!([]), json!({"schema": 2, "ok": true})];
    let told = problems(&[&documents[..], &wrong].concat());
    for (document, problems) in documents.iter().zip(&told) {
        assert!(problems.is_empty(), "{}\n{document:#}", problems.join("\n"));
    }
    assert!(told[count..].iter().all(|problems| !problems.is_empty()), "{told:?}");
}

/// Every document that differs from this one by a key that is gone, is new, or has no sensible value.
fn spoiled(document: &Value) -> Vec<(String, Value)> {
    fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                found.push(at.to_owned());
                for (key, value) in fields {
                    pointers(value, &format!("{at}/{key}"), found);
                }
            }
            // They are all alike.
            Value::Array(items) => {
                items.iter().take(1).for_each(|item| pointers(item, &format!("{at}/0"), found));
            }
            _ => {}
        }
    }
    let mut objects = Vec::new();
    pointers(document, "", &mut objects);
    let mut spoiled = Vec::new();
    for at in objects {
        let keys: Vec<String> =
            document.pointer(&at).unwrap().as_object().unwrap().keys().cloned().collect();
        let mut change = |what: String, change: &dyn Fn(&mut serde_json::Map<String, Value>)| {
            let mut copy = document.clone();
            change(copy.pointer_mut(&at).unwrap().as_object_mut().unwrap());
            spoiled.push((what, copy));
        };
        change(format!("{at}: a new key"), &|fields| {
            fields.insert("nobody-knows".to_owned(), Value::Null);
        });
        for key in keys {
            change(format!("{at}/{key}: gone"), &|fields| {
                fields.remove(&key);
            });
            change(format!("{at}/{key}: nonsense"), &|fields| {
                fields.insert(key.clone(), json!({"nobody-knows": []}));
            });
        }
    }
    spoiled
}

#[test]
fn what_differs_is_not() {
    let (Some(()), Some(())) = (python::module("jsonschema"), qemu()) else { return };
    let Some(world) = World::mounted() else { return };
    world.binfmtd("register").ended(0);
    world.sh(OTHER);
    let document = printed(&world, "--repeat 2 --require s390x", 0);
    let spoiled = spoiled(&document);
    assert!(spoiled.len() > 60, "{}", spoiled.len());
    let documents: Vec<Value> = spoiled.iter().map(|(_, document)| document.clone()).collect();
    let told = problems(&documents);
    let passed: Vec<&String> = spoiled
        .iter()
        .zip(&told)
        .filter(|(_, problems)| problems.is_empty())
        .map(|((what, _), _)| what)
        .collect();
    assert!(passed.is_empty(), "the schema lets pass: {passed:#?}");
}

#[test]
fn no_object_takes_other_keys() {
    fn walk(value: &Value, at: &str, count: &mut usize) {
        match value {
            Value::Object(fields) => {
                let is_object = fields.get("type").is_some_and(|kind| kind == "object");
                if is_object && fields.contains_key("properties") {
                    *count += 1;
                    assert_eq!(fields.get("additionalProperties"), Some(&json!(false)), "{at}");
                    let declared = fields["properties"].as_object().unwrap();
                    for key in fields["required"].as_array().unwrap() {
                        assert!(declared.contains_key(key.as_str().unwrap()), "{at}: {key}");
                    }
                }
                for (key, value) in fields {
                    walk(value, &format!("{at}/{key}"), count);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| walk(item, at, count)),
            _ => {}
        }
    }
    let mut count = 0;
    walk(&schema(), "", &mut count);
    assert!(count >= 10, "{count} objects");
}

#[test]
fn words_are_those_of_the_program() {
    let schema = schema();
    let words = |at: &str| -> BTreeSet<String> {
        let words = schema.pointer(at).unwrap_or_else(|| panic!("{at}")).as_array().unwrap();
        words.iter().map(|word| word.as_str().unwrap().to_owned()).collect()
    };
    let of =
        |known: Vec<&str>| -> BTreeSet<String> { known.into_iter().map(str::to_owned).collect() };
    assert_eq!(words("/$defs/verdict/enum"), of(Verdict::ALL.map(Verdict::as_str).to_vec()));
    let statuses = [Status::Pass, Status::Warn, Status::Fail, Status::Skip, Status::Error];
    assert_eq!(
        words("/$defs/finding/properties/status/enum"),
        of(statuses.map(Status::as_str).to_vec())
    );
    let states = [MatchState::Winner, MatchState::Shadowed, MatchState::Disabled];
    let states = states.iter().map(ToString::to_string).collect();
    assert_eq!(words("/$defs/rules/items/properties/state/enum"), states);
    // What serde writes is what as_str says.
    assert!(Verdict::ALL.iter().all(|one| serde_json::to_value(one).unwrap() == one.as_str()));
    assert!(statuses.iter().all(|one| serde_json::to_value(one).unwrap() == one.as_str()));
}
