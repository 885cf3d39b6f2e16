//! A builder of buildx, and the Docker engine below it.

mod checks;
pub(in crate::doctor) mod facts;
pub(in crate::doctor) mod gather;

use self::checks::{builder, docker};
use super::check::Check;

pub(super) const CHECKS: &[&Check] = &[
    &docker::CLI,
    &docker::ENGINE,
    &docker::HERE,
    &docker::BUILDX,
    &builder::PRESENT,
    &builder::RUNNING,
    &builder::BUILDS,
    &builder::FACTS,
    &builder::ORPHANS,
];
