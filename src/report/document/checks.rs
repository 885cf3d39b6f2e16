//! The documents of `doctor --list-checks` and `doctor --explain`.

use serde::Serialize;

use crate::doctor::{Check, level_of};
use crate::verify::Level;

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ChecksDocument {
    pub ok: bool,
    /// In the order of a report.
    pub checks: Vec<CheckText>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct CheckDocument {
    pub ok: bool,
    pub check: CheckText,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct CheckText {
    pub id: &'static str,
    pub family: &'static str,
    /// The level of running a program that it judges; null for what is read or listed.
    pub level: Option<&'static str>,
    pub title: &'static str,
    pub proves: &'static str,
    /// What to do when it is otherwise, in general.
    pub cure: &'static str,
}

impl From<&Check> for CheckText {
    fn from(check: &Check) -> Self {
        Self {
            id: check.id.as_str(),
            family: check.id.family().as_str(),
            level: level_of(check.id).map(Level::as_str),
            title: check.title,
            proves: check.proves,
            cure: check.cure,
        }
    }
}

impl ChecksDocument {
    pub fn new() -> Self {
        let checks = crate::doctor::checks().map(CheckText::from).collect();
        Self { ok: true, checks }
    }
}

impl Default for ChecksDocument {
    fn default() -> Self {
        Self::new()
    }
}

impl CheckDocument {
    pub fn new(check: &Check) -> Self {
        Self { ok: true, check: check.into() }
    }
}
