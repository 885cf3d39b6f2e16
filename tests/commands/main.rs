//! Each command, as somebody who types it would see it: text, JSON, exit codes.

#[path = "../support/python.rs"]
mod python;
#[path = "../support/mod.rs"]
mod support;
#[path = "../support/world.rs"]
mod world;

mod binfmt;
mod config;
mod doctor;
mod doctor_explain;
mod doctor_formats;
mod doctor_require;
mod doctor_schema;
mod doctor_unchecked;
mod export;
mod fix;
mod output;
mod register;
mod rootfs;
mod run;
mod service;
mod status;
mod targets;
mod usage;
mod which;

use serde_json::Value;

/// The keys of an object, as they are documented.
#[track_caller]
fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap_or_else(|| panic!("{value:#}")).keys().map(String::as_str).collect()
}

/// One field of each item of a list.
#[track_caller]
fn column<'a>(list: &'a Value, field: &str) -> Vec<&'a str> {
    let items = list.as_array().unwrap_or_else(|| panic!("{list:#}"));
    items.iter().map(|item| item[field].as_str().unwrap_or_default()).collect()
}
