//! A finding's fix, as a shell takes it.

use binfmtd::testing::shown::quote;
use serde_json::Value;

/// The commands on one line, as whoever runs the test; what is not a command, as it is said.
#[track_caller]
pub(crate) fn line(finding: &Value) -> String {
    let fix = &finding["fix"];
    let text = |value: &Value| {
        value.as_str().unwrap_or_else(|| panic!("no way out: {finding:#}")).to_owned()
    };
    if let Some(shell) = fix["shell"].as_str() {
        return shell.to_owned();
    }
    let commands = fix["commands"].as_array().unwrap_or_else(|| panic!("no way out: {finding:#}"));
    let commands: Vec<String> = commands
        .iter()
        .map(|command| {
            let words = command["argv"].as_array().expect("the words of a command").iter();
            words.map(|word| quote(&text(word))).collect::<Vec<_>>().join(" ")
        })
        .collect();
    if commands.is_empty() { text(&fix["text"]) } else { commands.join(" && ") }
}
