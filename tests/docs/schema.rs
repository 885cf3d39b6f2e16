//! `docs/reference/doctor.schema.json` says the same as the tables in `docs/reference/json.md`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::markdown::{code, read, rows, sections};

/// The paths of all fields, written as in the tables, and the types of each.
struct Fields<'a> {
    schema: &'a Value,
    found: BTreeMap<String, BTreeSet<String>>,
}

impl Fields<'_> {
    fn add(&mut self, path: &str, kind: &str) {
        self.found.entry(path.to_owned()).or_default().insert(kind.to_owned());
    }

    fn walk(&mut self, at: &Value, path: &str) {
        // Described in a section of its own.
        if at["$ref"] == FIX {
            self.add(path, "fix");
            return;
        }
        if let Some(name) = at["$ref"].as_str() {
            let name = name.strip_prefix("#").expect("within the file");
            let schema = self.schema;
            self.walk(schema.pointer(name).unwrap_or_else(|| panic!("{name}")), path);
            return;
        }
        let choices = at["anyOf"].as_array().or(at["oneOf"].as_array());
        if let Some(choices) = choices {
            for choice in choices {
                self.walk(choice, path);
            }
            return;
        }
        for value in at["enum"].as_array().into_iter().flatten().chain(at.get("const")) {
            let kind = match value {
                Value::String(_) => "string",
                Value::Number(_) => "number",
                Value::Bool(_) => "boolean",
                other => panic!("{path}: {other}"),
            };
            self.add(path, kind);
        }
        let kinds: Vec<&str> = match &at["type"] {
            Value::String(kind) => vec![kind],
            Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        for kind in kinds {
            match kind {
                "object" => {
                    // The document itself has no name.
                    if !path.is_empty() {
                        self.add(path, "object");
                    }
                    for (key, value) in at["properties"].as_object().unwrap() {
                        let path =
                            if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                        self.walk(value, &path);
                    }
                }
                "array" => {
                    self.add(path, "list");
                    self.walk(&at["items"], &format!("{path}[]"));
                }
                "integer" => self.add(path, "number"),
                other => self.add(path, other),
            }
        }
    }
}

const FIX: &str = "#/$defs/fix";

#[test]
fn the_schema_and_the_tables_agree() {
    let schema: Value = serde_json::from_str(&read("docs/reference/doctor.schema.json")).unwrap();
    let text = read("docs/reference/json.md");
    for (definition, title) in [("report", "doctor"), ("error", "errors"), ("fix", "fix")] {
        let mut fields = Fields { schema: &schema, found: BTreeMap::new() };
        fields.walk(&schema["$defs"][definition], "");
        let sections = sections(&text);
        let (_, body) = sections.iter().find(|(known, _)| *known == title).unwrap();
        let mut explained = BTreeSet::new();
        for row in rows(body) {
            let field = code(row[0]).unwrap();
            let known = fields.found.get(field);
            let known = known.unwrap_or_else(|| panic!("{title}: no {field} in the schema"));
            let types = row[1].replace(" or ", ", ");
            let types: BTreeSet<String> = types.split(", ").map(str::to_owned).collect();
            assert_eq!(&types, known, "{title}: {field}");
            explained.insert(field.to_owned());
        }
        // Whatever holds others is explained by these.
        let is_leaf = |path: &&String| {
            let inside = |other: &&String| {
                other.strip_prefix(path.as_str()).is_some_and(|rest| rest.starts_with(['.', '[']))
            };
            !fields.found.keys().any(|other| inside(&other))
        };
        // A list that may be null is explained as a whole.
        let whole =
            |path: &&String| !path.strip_suffix("[]").is_some_and(|list| explained.contains(list));
        let leaves: Vec<&String> = fields.found.keys().filter(is_leaf).filter(whole).collect();
        assert!(leaves.len() >= 5, "{title}: {leaves:?}");
        let missing: Vec<_> =
            leaves.into_iter().filter(|path| !explained.contains(*path)).collect();
        assert!(missing.is_empty(), "{title}: not in the tables: {missing:?}");
    }
}
