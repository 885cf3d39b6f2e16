//! The checks of a root filesystem: functions of [facts](super::facts) alone.

pub(super) mod load;
