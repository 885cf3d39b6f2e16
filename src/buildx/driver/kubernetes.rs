//! `kubernetes`: `BuildKit` in pods, on whichever machine of the cluster they are scheduled to.

use super::interface::Driver;
use crate::fix::Fix;

pub(super) struct KubernetesDriver;

impl Driver for KubernetesDriver {
    fn name(&self) -> &'static str {
        "kubernetes"
    }

    fn limits(&self) -> &'static str {
        "its BuildKit runs in pods, with the rules of the machines that they are scheduled to"
    }

    fn repair(&self, _builder: &str, _platform: Option<&str>) -> Fix {
        Fix::advice(
            "have the cluster's administrator run binfmtd on its machines as a DaemonSet, then restart the builder's pods",
        )
    }

    /// Which namespace they are in is an option of the builder, and each node is a deployment of its own.
    fn restart(&self, _builder: &str) -> Fix {
        Fix::advice(
            "restart the builder's pods: kubectl rollout restart, for the deployment of each node",
        )
    }
}
