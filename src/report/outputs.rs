//! Outputs of a step of GitHub Actions: `name`, `driver`, `platforms` and `nodes`, as
//! `docker/setup-buildx-action` has them, so that later steps need not know which of the two made
//! the builder.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;

use super::{BuilderDocument, BuilderState};
use crate::buildx::builder::Node;

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct NodeOutput<'a> {
    name: &'a str,
    endpoint: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    driver_opts: Vec<String>,
    status: &'a str,
    #[serde(skip_serializing_if = "String::is_empty")]
    buildkitd_flags: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    buildkit: Option<&'a str>,
    platforms: String,
}

impl<'a> NodeOutput<'a> {
    fn new(node: &'a Node) -> Self {
        let options: &BTreeMap<String, String> = &node.options;
        Self {
            name: &node.name,
            endpoint: &node.endpoint,
            driver_opts: options.iter().map(|(name, value)| format!("{name}={value}")).collect(),
            status: node.status.word(),
            buildkitd_flags: node.flags.join(" "),
            buildkit: node.version.as_deref(),
            platforms: node.platforms.join(","),
        }
    }
}

/// Writes them to the end of the file that `GITHUB_OUTPUT` names. `platforms` are those that were built
/// (setup-buildx-action gives what is advertised).
pub fn builder(out: &mut dyn Write, document: &BuilderDocument) -> io::Result<()> {
    let Some(BuilderState { builder, .. }) = &document.builder else { return Ok(()) };
    let platforms: Vec<&str> = document.working().map(|one| one.facts.platform.as_str()).collect();
    let nodes: Vec<NodeOutput<'_>> = builder.nodes.iter().map(NodeOutput::new).collect();
    let nodes = serde_json::to_string(&nodes).map_err(io::Error::other)?;
    let values = [
        ("name", builder.name.as_str()),
        ("driver", builder.driver.as_str()),
        ("platforms", &platforms.join(",")),
        ("nodes", &nodes),
    ];
    for (name, value) in values {
        // One line for each output: JSON has no raw line breaks, and buildx allows none in names.
        writeln!(out, "{name}={}", value.replace(['\r', '\n'], " "))?;
    }
    Ok(())
}
