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
    pub(super) folder: PathBuf,
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
