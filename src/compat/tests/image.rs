use std::ffi::OsStr;
use std::path::Path;

use super::super::image::ImageRules;
use crate::config::Settings;
use crate::observation::OwnershipRecord;
use crate::rule::Entry;

fn entry(name: &str, interpreter: &str, flags: &str, magic: &str) -> Entry {
    let mask = "f".repeat(magic.len());
    let text = format!(
        "enabled\ninterpreter {interpreter}\nflags: {flags}\noffset 0\nmagic {magic}\nmask {mask}\n"
    );
    Entry::parse(OsStr::new(name), text.as_bytes()).unwrap()
}

const AARCH64: &str = "7f454c460201010000000000000000000200b700";
const RISCV64: &str = "7f454c460201010000000000000000000200f300";

#[test]
fn only_rules_as_the_image_writes_them_are_of_the_image() {
    let image = ImageRules::new(&Settings::default(), Path::new("/usr/bin"), "");
    let record = OwnershipRecord::default();
    let (name, path) = ("qemu-aarch64", "/usr/bin/qemu-aarch64");
    for (entry, wanted) in [
        (entry(name, path, "OCF", AARCH64), Ok(())),
        (entry(name, path, "POCF", AARCH64), Ok(())),
        // What an interrupted replacement of it left.
        (entry("qemu-aarch64.binfmtd-swap", path, "OCF", AARCH64), Ok(())),
        // Debian's.
        (entry(name, path, "POF", AARCH64), Err("flags")),
        (entry(name, path, "OC", AARCH64), Err("flags")),
        (entry(name, "/usr/libexec/qemu-binfmt/aarch64-binfmt-P", "POCF", AARCH64), Err("runs")),
        (entry(name, "/usr/local/bin/qemu-aarch64", "OCF", AARCH64), Err("runs")),
        (entry(name, "/usr/bin/qemu-riscv64", "OCF", AARCH64), Err("runs")),
        (entry(name, path, "OCF", RISCV64), Err("takes other programs")),
        (entry("qemu-mine", path, "OCF", AARCH64), Err("name")),
        (entry("my-qemu-aarch64", path, "OCF", AARCH64), Err("name")),
    ] {
        match (image.check(&entry, &record), wanted) {
            (Ok(()), Ok(())) => {}
            (Err(why), Err(part)) if why.to_string().contains(part) => {}
            (other, _) => panic!("{}: {other:?}", entry.display_name()),
        }
    }
    let image = ImageRules::new(&Settings::default(), Path::new("/opt"), "my-");
    let own = entry(name, "/opt/my-qemu-aarch64", "OCF", AARCH64);
    assert_eq!(image.check(&own, &record), Ok(()));
    assert!(image.check(&entry(name, path, "OCF", AARCH64), &record).is_err());
}

#[test]
fn a_word_means_a_pattern_a_rule_or_a_target() {
    let image = ImageRules::new(&Settings::default(), Path::new("/usr/bin"), "");
    let names = ["qemu-aarch64", "qemu-arm", "qemu-arm.binfmtd-swap", "arm", "WSLInterop"];
    let entries = names.map(|name| entry(name, "/usr/bin/qemu-arm", "OCF", AARCH64));
    for (word, wanted) in [
        ("qemu-*", &["qemu-aarch64", "qemu-arm", "qemu-arm.binfmtd-swap"][..]),
        ("arm64", &["qemu-aarch64"]),
        ("linux/arm64", &["qemu-aarch64"]),
        ("qemu-aarch64", &["qemu-aarch64"]),
        ("linux/arm/v7", &["qemu-arm", "qemu-arm.binfmtd-swap"]),
        // A rule of that very name comes first.
        ("arm", &["arm"]),
        ("s390x", &[]),
        ("nonsense", &[]),
    ] {
        let is_meant = image.meant(word, &entries);
        let found: Vec<_> = entries.iter().filter(|entry| is_meant(entry)).collect();
        let found: Vec<String> = found.into_iter().map(Entry::display_name).collect();
        assert_eq!(found, wanted, "{word}");
    }
}
