//! The state in the text format of `OpenMetrics`.
//!
//! `node_exporter`'s textfile collector reads only the older format of Prometheus, so there are no types `info` and
//! `stateset`, and no exemplars.

use std::fmt::{self, Write as _};
use std::io;
use std::path::Path;

use super::state::{ChangeCause, Condition, RuleState, State};
use crate::system::files::write;

/// In the runtime folder, unless the configuration names another file.
pub(super) const FILE: &str = "metrics.prom";

/// Replaces the file, readable for everybody.
pub(super) fn save(state: &State, path: &Path) -> io::Result<()> {
    write::write_atomically(path, render(state).as_bytes(), 0o644)
}

pub fn render(state: &State) -> String {
    let mut text = Exposition::default();
    let working = state.rules.iter().filter(|rule| rule.condition == Condition::Working).count();
    text.family("binfmtd_build_info", "gauge", "The running version; always 1.");
    text.sample("", &[("version", &state.version)], 1);
    text.family("binfmtd_ready", "gauge", "1 once the first check found something that works.");
    text.sample("", &[], u8::from(state.ready));
    text.family(
        "binfmtd_start_time_seconds",
        "gauge",
        "When the service started, in seconds since 1970.",
    );
    text.sample("", &[], state.started);
    text.family("binfmtd_rules_wanted", "gauge", "Rules that the configuration asks for.");
    text.sample("", &[], state.rules.len());
    text.family("binfmtd_rules_working", "gauge", "Of these, those whose probe ran.");
    text.sample("", &[], working);
    text.family("binfmtd_heals", "counter", "Changes made, by cause.");
    for cause in ChangeCause::ALL {
        let heals = state.heals.get(&cause).copied().unwrap_or_default();
        text.sample("_total", &[("cause", cause.as_str())], heals);
    }
    text.family(
        "binfmtd_conflicts",
        "counter",
        "Pauses begun because another program kept undoing changes.",
    );
    text.sample("_total", &[], state.conflicts);
    text.family("binfmtd_check_failed", "gauge", "1 if the last full check failed.");
    text.sample("", &[], u8::from(state.trouble.is_some()));
    if let Some(heal) = state.last_heal {
        text.family("binfmtd_last_heal_seconds", "gauge", "How long the last change took.");
        text.sample("", &[], heal.seconds);
        text.family(
            "binfmtd_last_heal_timestamp_seconds",
            "gauge",
            "When that was, in seconds since 1970.",
        );
        text.sample("", &[], heal.at);
    }
    text.family("binfmtd_rule_working", "gauge", "1 if the rule works, else 0.");
    for rule in &state.rules {
        text.sample("", &labels(rule), u8::from(rule.condition == Condition::Working));
    }
    text.family("binfmtd_probe_seconds", "gauge", "How long each rule's last probe took.");
    for rule in &state.rules {
        let Some(seconds) = rule.probe_seconds else { continue };
        text.sample("", &labels(rule), seconds);
    }
    text.family("binfmtd_interpreter_info", "gauge", "The interpreter of each rule; always 1.");
    for rule in &state.rules {
        let Some(interpreter) = &rule.interpreter else { continue };
        let [target, name] = labels(rule);
        let version = ("version", rule.version.as_deref().unwrap_or(""));
        let sha256 = ("sha256", rule.sha256.as_deref().unwrap_or(""));
        text.sample("", &[target, name, ("interpreter", interpreter), version, sha256], 1);
    }
    text.end()
}

fn labels(rule: &RuleState) -> [(&str, &str); 2] {
    [("target", rule.target.as_deref().unwrap_or("")), ("rule", &rule.rule)]
}

#[derive(Default)]
struct Exposition {
    text: String,
    family: &'static str,
}

impl Exposition {
    fn family(&mut self, name: &'static str, kind: &str, help: &str) {
        self.family = name;
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "# TYPE {name} {kind}\n# HELP {name} {help}");
    }

    fn sample(&mut self, suffix: &str, labels: &[(&str, &str)], value: impl fmt::Display) {
        let _ = write!(self.text, "{}{suffix}", self.family);
        for (index, (name, value)) in labels.iter().enumerate() {
            let before = if index == 0 { '{' } else { ',' };
            let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let _ = write!(self.text, "{before}{name}=\"{value}\"");
        }
        let after = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.text, "{after} {value}");
    }

    fn end(mut self) -> String {
        self.text.push_str("# EOF\n");
        self.text
    }
}

#[cfg(test)]
mod tests;
