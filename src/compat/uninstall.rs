//! `--uninstall`.

use std::ffi::OsString;

use super::arguments;
use super::binfmt::Binfmt;
use super::output::{Worst, say};
use crate::failure::{Failure, FailureKind};
use crate::observation::OwnershipRecord;
use crate::reconcile::{self, Change};
use crate::rule::Entry;
use crate::system::binfmt_misc::record::{self, Store};

/// What has been removed so far.
struct Uninstallation {
    /// Before anything was removed.
    known: OwnershipRecord,
    record: OwnershipRecord,
    gone: Vec<OsString>,
}

impl Binfmt {
    /// Removes the rules that a list names, if they are of this image.
    pub(super) fn uninstall(&self, words: &str) -> Result<Worst, Failure> {
        reconcile::check_writable(&self.instance, Change::Remove)?;
        let store = Store::open(&self.runtime)?;
        let facts = self.instance.look()?;
        let record = record::load(&self.runtime, self.instance.device())?;
        let mut removal = Uninstallation { known: record.clone(), record, gone: Vec::new() };
        let mut worst = None;
        for word in arguments::list(words) {
            let is_pattern = arguments::is_pattern(word);
            let is_meant = self.image.meant(word, &facts.entries);
            let mut found = false;
            for entry in facts.entries.iter().filter(|entry| is_meant(entry)) {
                found = true;
                if !removal.gone.contains(&entry.name) {
                    worst = worst.max(self.remove(entry, is_pattern, &mut removal));
                }
            }
            if !found {
                say(&format!("uninstalling: {word} not found"));
                let bare = word.strip_prefix("qemu-").unwrap_or(word);
                if !is_pattern && self.settings.table.find(bare).is_err() {
                    worst = worst.max(Some(FailureKind::Usage));
                }
            }
        }
        store.save(&removal.record)?;
        Ok(worst)
    }

    fn remove(&self, entry: &Entry, is_pattern: bool, removal: &mut Uninstallation) -> Worst {
        let name = entry.display_name();
        if let Err(why) = self.image.check(entry, &removal.known) {
            say(&format!("uninstalling: {name} left alone: {why}"));
            // A pattern means the rules of this image that match; a name means this very rule.
            return (!is_pattern).then_some(FailureKind::Failed);
        }
        match self.instance.remove(&entry.name) {
            Ok(()) => {
                removal.record.forget(&name);
                removal.gone.push(entry.name.clone());
                say(&format!("uninstalling: {name} OK"));
                None
            }
            Err(error) => {
                say(&format!("uninstalling: {name} {error}"));
                Some(FailureKind::Failed)
            }
        }
    }
}
