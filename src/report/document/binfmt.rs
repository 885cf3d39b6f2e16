//! The document of `binfmt`: tonistiigi/binfmt's, byte for byte as Go's `encoding/json` writes it.

use std::io::{self, Write};

use serde::Serialize;

use crate::observation::InstanceFacts;
use crate::probe::CpuLevel;
use crate::target::Target;

/// What runs, and which rules there are. It has no version: it is not ours to change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BinfmtDocument {
    /// Platforms by OCI's names, the machine's own first, then in the order of BuildKit's list.
    pub supported: Vec<String>,
    /// Names of the rules that are enabled, sorted; `None` for none, which Go writes as null.
    pub emulators: Option<Vec<String>>,
}

impl BinfmtDocument {
    /// What can be in `supported`, in its order: what BuildKit has probes for
    /// (`util/archutil/detect.go`). Whoever reads it hands it to buildx, which knows no others.
    pub const ARCHITECTURES: [&'static str; 11] = [
        "amd64", "arm64", "riscv64", "ppc64", "ppc64le", "s390x", "386", "mips64le", "mips64",
        "loong64", "arm",
    ];

    /// From the target that the machine is, the platform that it is called (`None` where images have no name
    /// for it), the targets whose probes ran, and the CPU that an x86-64 program of them sees.
    pub fn new(
        host: &Target,
        host_platform: Option<&str>,
        running: &[&Target],
        cpu: CpuLevel,
        facts: &InstanceFacts,
    ) -> Self {
        let mut supported: Vec<String> = host_platform.into_iter().map(str::to_owned).collect();
        for architecture in Self::ARCHITECTURES {
            let platform = format!("linux/{architecture}");
            let is_it = |target: &&&Target| {
                let known = |known: &String| {
                    known == &platform || known.starts_with(&format!("{platform}/"))
                };
                target.platforms.iter().any(known)
            };
            let Some(target) = running.iter().find(is_it) else { continue };
            let is_host = target.name == host.name;
            match architecture {
                "arm" if is_host => {}
                "arm" => supported.extend(["linux/arm/v7", "linux/arm/v6"].map(str::to_owned)),
                "amd64" => {
                    supported.extend((!is_host).then(|| platform.clone()));
                    let levels = [(CpuLevel::V2, "v2"), (CpuLevel::V3, "v3"), (CpuLevel::V4, "v4")];
                    let reached = levels.into_iter().filter(|(level, _)| *level <= cpu);
                    supported.extend(reached.map(|(_, level)| format!("{platform}/{level}")));
                }
                _ if is_host => {}
                _ => supported.push(platform),
            }
        }
        let mut emulators: Vec<String> = facts
            .entries
            .iter()
            .filter(|entry| entry.enabled)
            .map(|entry| entry.name.to_string_lossy().into_owned())
            .collect();
        emulators.sort_unstable();
        Self { supported, emulators: (!emulators.is_empty()).then_some(emulators) }
    }

    /// Writes it as Go does, which escapes what could end a script in HTML.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut text = serde_json::to_string_pretty(self)?;
        for (character, escaped) in [
            ('<', "\\u003c"),
            ('>', "\\u003e"),
            ('&', "\\u0026"),
            ('\u{2028}', "\\u2028"),
            ('\u{2029}', "\\u2029"),
        ] {
            // Outside of strings there are none.
            text = text.replace(character, escaped);
        }
        writeln!(out, "{text}")
    }
}

#[cfg(test)]
mod tests;
