//! A check, as data.

use super::facts::Facts;
use super::finding::Finding;
use super::id::CheckId;

/// One check. It is a function of facts: it neither looks at the system nor changes it.
pub struct Check {
    pub id: CheckId,
    /// What holds if the check passes, in a few words.
    pub title: &'static str,
    /// What a pass proves, and why it matters.
    pub proves: &'static str,
    /// What to do in general; a finding has the fix for the case at hand.
    pub cure: &'static str,
    /// Returns a finding for the subject as a whole, or one for each target. It is given the check's own id.
    pub(super) run: fn(&Facts<'_>, CheckId) -> Vec<Finding>,
}

impl Check {
    pub(super) fn findings(&self, facts: &Facts<'_>) -> Vec<Finding> {
        (self.run)(facts, self.id)
    }
}
