//! The checks of a builder: functions of [facts](super::facts) alone.

pub(super) mod builder;
pub(super) mod docker;
