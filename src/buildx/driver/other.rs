//! Any driver that binfmtd does not know: a later one of buildx.

use super::fixes;
use super::interface::Driver;
use crate::fix::Fix;

pub(super) struct OtherDriver;

impl Driver for OtherDriver {
    fn name(&self) -> &'static str {
        "unknown"
    }

    fn limits(&self) -> &'static str {
        "binfmtd does not know where its BuildKit runs"
    }

    fn repair(&self, builder: &str, platform: Option<&str>) -> Fix {
        fixes::container_beside(builder, platform)
    }

    fn restart(&self, _builder: &str) -> Fix {
        Fix::advice("restart the builder, in the way of its driver")
    }
}
