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
mod tests {
    use std::ffi::OsStr;

    use super::*;
    use crate::rule::Entry;
    use crate::target::Table;

    fn facts(names: &[(&str, &str)]) -> InstanceFacts {
        let entry = |(name, state): &(&str, &str)| {
            let text = format!("{state}\ninterpreter /q\nflags: OCF\noffset 0\nmagic 7f\n");
            Entry::parse(OsStr::new(name), text.as_bytes()).unwrap()
        };
        InstanceFacts {
            device: 1,
            enabled: true,
            writable: true,
            entries: names.iter().map(entry).collect(),
            unreadable: Vec::new(),
        }
    }

    fn text(host: &str, running: &[&str], cpu: CpuLevel, rules: &[(&str, &str)]) -> String {
        let table = Table::embedded();
        let host = table.find(host).unwrap();
        let running: Vec<&Target> = running.iter().map(|name| table.find(name).unwrap()).collect();
        let platform = host.platforms.first().map(String::as_str);
        let document = BinfmtDocument::new(host, platform, &running, cpu, &facts(rules));
        let mut out = Vec::new();
        document.write(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn it_is_what_go_writes() {
        assert_eq!(
            text("amd64", &["amd64"], CpuLevel::V3, &[]),
            "{\n  \"supported\": [\n    \"linux/amd64\",\n    \"linux/amd64/v2\",\n    \
             \"linux/amd64/v3\"\n  ],\n  \"emulators\": null\n}\n"
        );
        let rules = [
            ("qemu-s390x", "enabled"),
            ("qemu-arm", "disabled"),
            ("WSLInterop", "enabled"),
            ("a<b>&\"c\"", "enabled"),
        ];
        assert_eq!(
            text("arm64", &["s390x", "arm", "arm64", "i386", "amd64"], CpuLevel::V1, &rules),
            "{\n  \"supported\": [\n    \"linux/arm64\",\n    \"linux/amd64\",\n    \
             \"linux/s390x\",\n    \"linux/386\",\n    \"linux/arm/v7\",\n    \"linux/arm/v6\"\n  ],\n  \
             \"emulators\": [\n    \"WSLInterop\",\n    \"a\\u003cb\\u003e\\u0026\\\"c\\\"\",\n    \
             \"qemu-s390x\"\n  ]\n}\n"
        );
    }

    #[test]
    fn every_architecture_is_a_target_in_buildkits_order() {
        let table = Table::embedded();
        let all: Vec<&Target> =
            BinfmtDocument::ARCHITECTURES.iter().map(|name| table.find(name).unwrap()).collect();
        let host = table.find("sparc64").unwrap();
        let document = BinfmtDocument::new(host, None, &all, CpuLevel::V4, &facts(&[]));
        let bare = |name: &String| name.split('/').nth(1).unwrap().to_owned();
        let mut found: Vec<String> = document.supported.iter().map(bare).collect();
        found.dedup();
        assert_eq!(found, BinfmtDocument::ARCHITECTURES);
        assert_eq!(document.supported.len(), 11 + 3 + 1);
    }
}
