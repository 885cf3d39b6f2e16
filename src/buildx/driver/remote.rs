//! `remote`: a `buildkitd` that somebody else started, behind an address.

use super::interface::Driver;
use crate::fix::Fix;

pub(super) struct RemoteDriver;

impl Driver for RemoteDriver {
    fn name(&self) -> &'static str {
        "remote"
    }

    fn limits(&self) -> &'static str {
        "its BuildKit was started by somebody else, with the rules of the machine that it runs on"
    }

    fn repair(&self, _builder: &str, _platform: Option<&str>) -> Fix {
        Fix::advice(
            "run binfmtd register on the machine where its buildkitd runs, then restart that buildkitd",
        )
    }

    fn restart(&self, _builder: &str) -> Fix {
        Fix::advice("restart its buildkitd, on the machine where it runs")
    }
}
