//! Which commands of the README and the guide a real engine runs: `tests/docker` runs them, and `tests/docs/commands.rs` holds
//! that nothing else passes for one.

/// The pages whose blocks of `sh` are of Docker in part, in a reader's order: later ones use the builder that earlier ones
/// made. `tests/docker/guide.rs` runs those commands.
pub(crate) const SHELL: [&str; 3] = ["README.md", "docs/guide/buildx.md", "docs/guide/doctor.md"];

/// The pages whose blocks of `console` are run whole, by `tests/docker/image.rs`.
pub(crate) const CONSOLE: [&str; 3] =
    ["docs/guide/migrate.md", "docs/guide/migrate-multiarch.md", "docs/guide/containers.md"];

/// Whether a command of those blocks of `sh` is one of Docker's.
pub(crate) fn is_of_docker(command: &str) -> bool {
    command.contains("buildx") || command.contains("--builder")
}
