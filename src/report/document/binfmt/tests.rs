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
