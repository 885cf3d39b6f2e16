//! All that the checks judge by.

use super::builder::facts::BuilderFacts;
use super::host::facts::HostFacts;
use super::rootfs::facts::RootfsFacts;

/// Plain data, gathered before the first check runs.
#[derive(Debug)]
pub struct Facts<'a> {
    pub host: HostFacts<'a>,
    /// If a root filesystem was named.
    pub rootfs: Option<RootfsFacts>,
    /// If a builder was named.
    pub builder: Option<BuilderFacts>,
}

impl<'a> From<HostFacts<'a>> for Facts<'a> {
    fn from(host: HostFacts<'a>) -> Self {
        Self { host, rootfs: None, builder: None }
    }
}
