//! The instance that the loop holds, and the record of our rules in it. Reads and restores rules under the lock that
//! keeps other binfmtd processes out.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use super::machine::{Event, LookResult};
use super::relevant::Relevant;
use crate::apply;
use crate::failure::Failure;
use crate::observation::{FileId, InstanceFacts, OwnershipRecord};
use crate::plan::{self, Action};
use crate::system::binfmt_misc::instance::Instance;
use crate::system::binfmt_misc::record::{self, Store};
use crate::system::files::identity;

pub(super) struct HeldInstance<'a> {
    pub(super) instance: Instance,
    runtime: &'a Path,
    record: OwnershipRecord,
    /// The file that `record` was read from.
    record_file: Option<FileId>,
    /// The rules of others that a look compares.
    pub(super) relevant: Relevant,
    /// The lock, held from a look until its result has been dealt with.
    store: Option<Store>,
}

impl<'a> HeldInstance<'a> {
    pub(super) fn new(instance: Instance, runtime: &'a Path) -> Self {
        Self {
            instance,
            runtime,
            record: OwnershipRecord::default(),
            record_file: None,
            relevant: Relevant::default(),
            store: None,
        }
    }

    pub(super) fn hold(&mut self, instance: Instance) {
        self.instance = instance;
        // The record is void for another instance.
        self.record_file = None;
    }

    /// Takes the lock, and keeps it if the instance could be read.
    pub(super) fn look(&mut self, leave_alone: &BTreeSet<String>) -> Event {
        match self.open() {
            Ok(Some((facts, record_changed))) => {
                let on_disk = |path: &Path| identity::id_of(path).ok();
                Event::Looked(LookResult {
                    restorable: plan::restore(&facts, &self.record, &on_disk, leave_alone),
                    missing: plan::missing(&facts, &self.record),
                    owned: self.record.rules.keys().cloned().collect(),
                    others: self.relevant.digest_of_others(&facts.entries, &self.record),
                    record_changed,
                })
            }
            Ok(None) => Event::LockBusy,
            Err(error) => {
                self.store = None;
                Event::LookFailed(Failure::unavailable(error))
            }
        }
    }

    pub(super) fn restore(&mut self, actions: Vec<Action>) -> Event {
        let Some(store) = self.store.take() else {
            return Event::RestoreFailed(Failure::unavailable("restore rules without the lock"));
        };
        match apply::restore(&actions, &self.instance, &store) {
            Ok(results) => Event::Restored(actions.into_iter().zip(results).collect()),
            Err(failure) => Event::RestoreFailed(failure),
        }
    }

    pub(super) fn unlock(&mut self) {
        self.store = None;
    }

    /// The content of the instance, and whether somebody else wrote the record; `None` while another process holds
    /// the lock.
    fn open(&mut self) -> io::Result<Option<(InstanceFacts, bool)>> {
        if !self.runtime.exists() {
            record::make_folder(self.runtime)?;
        }
        let Some(store) = Store::try_open(self.runtime)? else { return Ok(None) };
        let facts = self.instance.look()?;
        let record_changed = self.reload_record(&store)?;
        self.store = Some(store);
        Ok(Some((facts, record_changed)))
    }

    fn reload_record(&mut self, store: &Store) -> io::Result<bool> {
        let file = record::id(self.runtime);
        let is_new = file != self.record_file;
        let is_lost = file.is_none() || is_new && record::is_damaged(self.runtime);
        if is_lost && !self.record.rules.is_empty() {
            // Somebody removed or damaged the record. This process still knows which rules are ours.
            store.save(&self.record)?;
            self.record_file = record::id(self.runtime);
            return Ok(false);
        }
        if file.is_some() && !is_new {
            return Ok(false);
        }
        self.record = record::load(self.runtime, self.instance.device())?;
        // The first record that this process reads is no change.
        let is_known = self.record_file.is_some();
        self.record_file = file;
        Ok(is_known)
    }
}
