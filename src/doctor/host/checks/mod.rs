//! The checks of the host: functions of [facts](super::facts) alone.

mod cause;
pub(in crate::doctor) mod exec;
pub(in crate::doctor) mod interpreter;
pub(in crate::doctor) mod kernel;
mod known;
pub(in crate::doctor) mod rule;
pub(in crate::doctor) mod service;
