//! What is known of a builder.

use crate::buildx::inspection::{InspectError, Inspection};

/// A builder that was asked about.
#[derive(Debug)]
pub struct BuilderFacts {
    pub name: String,
    /// What was found, or why nobody could look.
    pub outcome: Result<Inspection, InspectError>,
}
