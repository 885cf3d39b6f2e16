//! The second of the four facts: the emulators that `BuildKit`'s image carries, which run programs that the kernel does
//! not run.

use sha2::{Digest as _, Sha256};

use super::builder::{Builder, NodeStatus};
use super::docker::{Docker, DockerCommand, DockerError, DockerOutput};
use super::platform::Platform;
use crate::rule::to_hex;
use crate::system::process::batch::Ended;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Embedded {
    Yes {
        /// Its name in the image.
        name: String,
        /// As it prints it.
        version: Option<String>,
        /// SHA-256 of its file; `None` if nobody asked for it.
        sha256: Option<String>,
    },
    No,
    /// Why nobody could look.
    Unknown(String),
}

impl Embedded {
    /// Whether an emulator is known to be there.
    pub fn is_there(&self) -> bool {
        matches!(self, Self::Yes { .. })
    }
}

/// Where images keep programs, in the order of their search path.
const FOLDERS: [&str; 3] = ["/usr/bin", "/usr/local/bin", "/bin"];

/// Runs each emulator in the container of the builder's first node; with `digests`, reads the files as well.
pub fn look(
    docker: &Docker,
    builder: &Builder,
    platforms: &[Platform<'_>],
    digests: bool,
) -> Result<Vec<Embedded>, DockerError> {
    let unknown = |why: String| platforms.iter().map(|_| Embedded::Unknown(why.clone())).collect();
    let Some(node) = builder.nodes.first() else {
        return Ok(unknown("the builder has no node".to_owned()));
    };
    let Some(container) = builder.container(node) else {
        return Ok(unknown(format!("the driver {} has no container to look into", builder.driver)));
    };
    if node.status != NodeStatus::Running {
        return Ok(unknown(format!("node {} is {}", node.name, node.status.word())));
    }
    let endpoint = Some(node.endpoint.as_str());
    let commands: Vec<DockerCommand> = platforms
        .iter()
        .map(|platform| {
            let words = ["exec", &container, &platform.emulator(), "--version"];
            DockerCommand::new(words).at(endpoint)
        })
        .collect();
    let answers = docker.run_all(&commands, &mut |_| {})?;
    let mut found: Vec<Embedded> = platforms
        .iter()
        .zip(answers)
        .map(|(platform, answer)| Embedded::of(platform.emulator(), &answer))
        .collect();
    for one in &mut found {
        if let (Embedded::Yes { name, sha256, .. }, true) = (one, digests) {
            *sha256 = digest(docker, &container, endpoint, name)?;
        }
    }
    Ok(found)
}

impl Embedded {
    pub(super) fn of(name: String, answer: &DockerOutput) -> Self {
        let first = |bytes: &[u8]| {
            let text = String::from_utf8_lossy(bytes);
            text.lines().next().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty())
        };
        // Versions of Docker differ in where they print the runtime's words.
        let said = format!("{}{}", answer.errors, String::from_utf8_lossy(&answer.output));
        match answer.ended {
            Ended::Exited(0) => Self::Yes { name, version: first(&answer.output), sha256: None },
            // As in a shell: not found, or not executable.
            Ended::Exited(126 | 127) if said.contains("not found") => Self::No,
            // It is there and does not know the option.
            Ended::Exited(1) if said.starts_with("qemu") => {
                Self::Yes { name, version: None, sha256: None }
            }
            _ => Self::Unknown(
                first(said.as_bytes()).unwrap_or_else(|| "docker exec failed".to_owned()),
            ),
        }
    }
}

fn digest(
    docker: &Docker,
    container: &str,
    endpoint: Option<&str>,
    name: &str,
) -> Result<Option<String>, DockerError> {
    let commands = FOLDERS.map(|folder| {
        let words = ["cp", "--follow-link", &format!("{container}:{folder}/{name}"), "-"];
        DockerCommand::new(words).at(endpoint)
    });
    for answer in docker.run_all(&commands, &mut |_| {})? {
        if let (true, Some(content)) = (answer.is_success(), first_file(&answer.output)) {
            return Ok(Some(to_hex(&Sha256::digest(content))));
        }
    }
    Ok(None)
}

/// The content of an archive's first file (POSIX ustar: a header of 512 bytes, the size in octal at 124).
pub(super) fn first_file(archive: &[u8]) -> Option<&[u8]> {
    let size = archive.get(124..136)?;
    let size = std::str::from_utf8(size).ok()?.trim_matches(['\0', ' ']);
    let size = usize::from_str_radix(size, 8).ok()?;
    archive.get(512..512 + size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archives_first_file_is_found() {
        let mut archive = vec![0; 1024];
        archive[124..135].copy_from_slice(b"00000000005");
        archive[512..517].copy_from_slice(b"hello");
        assert_eq!(first_file(&archive), Some(b"hello".as_slice()));
        archive[124..135].copy_from_slice(b"00000077777");
        assert_eq!(first_file(&archive), None);
        assert_eq!(first_file(b"no archive"), None);
    }
}
