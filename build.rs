//! Writes the embedded table of targets as Rust, so that the program does not parse TOML at each start.

use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

use toml::Value;

const TABLE: &str = "src/target/table.toml";

fn main() {
    println!("cargo::rerun-if-changed={TABLE}");
    let text = fs::read_to_string(TABLE).unwrap_or_else(|error| panic!("{TABLE}: {error}"));
    let table: toml::Table = text.parse().unwrap_or_else(|error| panic!("{TABLE}: {error}"));
    let mut rows = "vec![\n".to_owned();
    for (name, keys) in &table {
        let keys = keys.as_table().unwrap_or_else(|| panic!("{TABLE}: {name} is no target"));
        let fields: Vec<String> =
            keys.iter().map(|(key, value)| format!("{}: {}", field(key), rust(value))).collect();
        writeln!(rows, "Row {{ name: {name:?}, {}, ..Row::default() }},", fields.join(", "))
            .unwrap();
    }
    rows.push_str("]\n");
    let file = Path::new(&env::var_os("OUT_DIR").unwrap()).join("rows.rs");
    fs::write(&file, rows).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
}

/// A key as a field of `Row`; the compiler refuses one that `Row` does not have.
fn field(key: &str) -> String {
    key.replace('-', "_")
}

fn rust(value: &Value) -> String {
    match value {
        Value::String(text) => format!("{text:?}"),
        Value::Integer(number) => number.to_string(),
        Value::Boolean(truth) => truth.to_string(),
        Value::Array(values) => {
            format!("&[{}]", values.iter().map(rust).collect::<Vec<_>>().join(", "))
        }
        Value::Table(keys) => {
            let bits: Vec<_> = keys
                .iter()
                .map(|(key, value)| format!("{}: {}", field(key), rust(value)))
                .collect();
            format!("Some(FlagBits {{ {} }})", bits.join(", "))
        }
        other => panic!("{TABLE}: {other} is nothing that a target has"),
    }
}
