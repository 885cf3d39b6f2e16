//! What is known of a builder.

use crate::buildx::inspection::{InspectError, Inspection};
use crate::doctor::finding::{Draft, Subject};
use crate::doctor::id::CheckId;

/// A builder that was asked about.
#[derive(Debug)]
pub struct BuilderFacts {
    pub name: String,
    /// What was found, or why nobody could look.
    pub outcome: Result<Inspection, InspectError>,
}

impl BuilderFacts {
    /// A finding about this builder.
    pub(super) fn draft(&self, id: CheckId) -> Draft {
        Draft::of(id, Subject::Builder { name: self.name.clone() })
    }
}
