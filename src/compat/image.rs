//! Tells which rules a container of this image registered, or one of tonistiigi/binfmt's.
//!
//! Such a container takes its record of ownership with it when it ends, so only the rule itself can tell.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::arguments;
use crate::config::Settings;
use crate::observation::{OwnershipRecord, unfinished_name};
use crate::rule::{Entry, Header, Magic};
use crate::target::Target;

pub(super) struct ImageRules {
    folder: PathBuf,
    /// By the rule's name.
    rules: BTreeMap<String, ImageRule>,
    settings: Settings,
}

struct ImageRule {
    /// Names of the emulator's file.
    files: Vec<String>,
    magic: Magic,
}

/// Why a rule is not of this image.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum NotOfImage {
    #[error("no rule of this image has such a name")]
    Name,
    #[error("it runs {}, which is not of this image", .0.display())]
    Interpreter(PathBuf),
    #[error("it lacks the flags C and F that a rule of this image has")]
    Flags,
    #[error("it takes other programs than the rule of that name in this image")]
    Matcher,
}

impl ImageRules {
    /// From the folder of the emulators and the beginning of their names.
    pub(super) fn new(settings: &Settings, folder: &Path, prefix: &str) -> Self {
        let mut rules = BTreeMap::new();
        for target in settings.table.targets() {
            let files: Vec<String> =
                target.interpreters.iter().map(|file| format!("{prefix}{file}")).collect();
            for (name, magic) in target.rules() {
                rules.insert(name.to_string(), ImageRule { files: files.clone(), magic });
            }
        }
        Self { folder: folder.to_owned(), rules, settings: settings.clone() }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Accepts a rule of the record, or one with the name, the matcher, the emulator's path in the image, and the flags C
    /// and F, which the rules of distributions at this path lack.
    pub(super) fn check(&self, entry: &Entry, record: &OwnershipRecord) -> Result<(), NotOfImage> {
        if record.owns(entry) {
            return Ok(());
        }
        let name = entry.display_name();
        let name = unfinished_name(&name).unwrap_or(&name);
        let expected = self.rules.get(name).ok_or(NotOfImage::Name)?;
        let file = entry.interpreter.file_name().map(|file| file.to_string_lossy());
        let is_here = entry.interpreter.parent() == Some(&self.folder);
        if !is_here || !file.is_some_and(|file| expected.files.iter().any(|own| *own == file)) {
            return Err(NotOfImage::Interpreter(entry.interpreter.clone()));
        }
        let flags = entry.flags.known;
        if !flags.fix_binary || !flags.credentials {
            return Err(NotOfImage::Flags);
        }
        // The magic is a header that the target's files have.
        let header = Header::new(expected.magic.magic());
        if entry.matcher.magic().is_some_and(|magic| magic.matches(&header)) {
            Ok(())
        } else {
            Err(NotOfImage::Matcher)
        }
    }

    /// Which rules a word means: all that match a pattern, the one of that name, else those of the target.
    pub(super) fn meant<'a>(
        &self,
        word: &'a str,
        entries: &[Entry],
    ) -> Box<dyn Fn(&Entry) -> bool + 'a> {
        if arguments::is_pattern(word) {
            return Box::new(move |entry| arguments::matches(word, &entry.display_name()));
        }
        if entries.iter().any(|entry| entry.name == word) {
            return Box::new(move |entry| entry.name == word);
        }
        let target = self.settings.table.find(word).ok();
        let names: Vec<String> =
            target.into_iter().flat_map(Target::rules).map(|(name, _)| name.to_string()).collect();
        Box::new(move |entry| {
            let name = entry.display_name();
            names.iter().any(|own| *own == unfinished_name(&name).unwrap_or(&name))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;

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
            (
                entry(name, "/usr/libexec/qemu-binfmt/aarch64-binfmt-P", "POCF", AARCH64),
                Err("runs"),
            ),
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
}
