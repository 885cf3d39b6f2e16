//! What several drivers propose.

use crate::fix::{Command, Fix};

pub(super) fn bootstrap(builder: &str, platform: Option<&str>) -> Command {
    let bootstrap = Command::user(&["binfmtd", "buildx", "bootstrap"]).word(builder);
    match platform {
        Some(platform) => bootstrap.word("--platform").own(platform),
        None => bootstrap,
    }
}

/// A builder of the driver that binfmtd creates, next to one that cannot be repaired from here.
pub(super) fn container_beside(builder: &str, platform: Option<&str>) -> Fix {
    let bootstrap = bootstrap(&format!("{builder}-container"), platform);
    Fix::run("create a builder that runs in a container", [bootstrap])
}
