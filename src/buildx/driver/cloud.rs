//! `cloud`: Docker Build Cloud.

use super::fixes;
use super::interface::Driver;
use crate::fix::Fix;

pub(super) struct CloudDriver;

impl Driver for CloudDriver {
    fn name(&self) -> &'static str {
        "cloud"
    }

    fn limits(&self) -> &'static str {
        "its BuildKit runs on Docker's machines, whose rules nobody else can change"
    }

    fn repair(&self, builder: &str, platform: Option<&str>) -> Fix {
        fixes::container_beside(builder, platform)
    }

    fn restart(&self, builder: &str) -> Fix {
        fixes::container_beside(builder, None)
    }
}
