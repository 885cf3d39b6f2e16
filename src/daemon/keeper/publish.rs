//! Tells what is known: the state, the metrics, the manager.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::{Keeper, since_1970};
use crate::daemon::metrics;
use crate::daemon::state::{Cause, Heal};

/// What could not be told to the manager is told again this soon.
const TELL_AGAIN: Duration = Duration::from_secs(1);

impl Keeper<'_> {
    pub(super) fn count(&mut self, counts: &BTreeMap<Cause, u64>, seconds: f64) {
        for (cause, count) in counts {
            *self.state.heals.entry(*cause).or_default() += count;
        }
        if let Some(cause) = counts.keys().next() {
            let changes = counts.values().sum();
            self.state.last_heal = Some(Heal { at: since_1970(), seconds, cause: *cause, changes });
        }
        self.changed = true;
    }

    /// The line for `systemctl status`.
    pub(super) fn status(&self) -> String {
        // Until it is known what is wanted, nothing is known to be missing.
        if self.state.rules.is_empty() && !self.state.ready {
            return "first check".to_owned();
        }
        let mut status = self.state.summary();
        if self.state.rules.is_empty() {
            "nothing to register: no target is asked for, or none has an interpreter (install qemu-user-static)"
                .clone_into(&mut status);
        }
        if let Some(trouble) = &self.state.trouble {
            let first = trouble.lines().next().unwrap_or_default();
            status = format!("{status}; the last check was not possible: {first}");
        }
        if self.state.paused_until.is_some() {
            status.push_str("; pausing: somebody keeps undoing our work");
        }
        status
    }

    /// Writes down and tells what changed.
    pub(super) fn publish(&mut self) {
        if !std::mem::take(&mut self.changed) {
            return;
        }
        if self.others.is_some() {
            self.state.status = self.status();
        }
        let saved = self.state.save(self.runtime).map_err(|error| format!("state.json: {error}"));
        let measured = metrics::save(&self.state, &self.metrics_file).map_err(|error| {
            let file = self.metrics_file.display();
            format!("{file}: {error} (the unit may need ReadWritePaths= for its folder)")
        });
        let complaint = saved.and(measured).err();
        if let Some(complaint) = complaint.as_ref().filter(|it| self.complaint.as_ref() != Some(it))
        {
            tracing::warn!("write {complaint}");
        }
        self.complaint = complaint;
        // Last: whoever is told may look at what was written.
        let status = &self.state.status;
        let is_told = if self.announce {
            self.manager.ready(status)
        } else {
            *status == self.told || self.manager.status(status)
        };
        if is_told {
            self.announce = false;
            self.told.clone_from(&self.state.status);
        }
        self.due.tell = (!is_told).then(|| Instant::now() + TELL_AGAIN);
    }
}
